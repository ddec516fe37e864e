"""Change data capture: every change of the source since the bulk load, applied to the target."""

from workbook.cdc.follow import Follower
from workbook.cdc.ledger import Ledger
from workbook.cdc.properties import Properties, render
from workbook.cdc.readiness import Readiness
from workbook.cdc.setup import look, noted_snapshot, set_up
from workbook.cdc.status import Status, shown

__all__ = [
    "Follower",
    "Ledger",
    "Properties",
    "Readiness",
    "Status",
    "look",
    "noted_snapshot",
    "render",
    "set_up",
    "shown",
]
