"""Change data capture: every change of the source since the bulk load, applied to the target."""

from workbook.cdc.added import Adding, chosen
from workbook.cdc.cloud import Cloud, cloud
from workbook.cdc.follow import Follower
from workbook.cdc.ledger import SENTINEL, Ledger, Position
from workbook.cdc.merge_result import Merged
from workbook.cdc.properties import Properties, render
from workbook.cdc.readiness import Readiness
from workbook.cdc.result import Followed
from workbook.cdc.setup import STANDS_ON, drop_triggers, look, noted_snapshot, rendered, set_up
from workbook.cdc.status import Status, shown

__all__ = [
    "SENTINEL",
    "STANDS_ON",
    "Adding",
    "Cloud",
    "Followed",
    "Follower",
    "Ledger",
    "Merged",
    "Position",
    "Properties",
    "Readiness",
    "Status",
    "chosen",
    "cloud",
    "drop_triggers",
    "look",
    "noted_snapshot",
    "render",
    "rendered",
    "set_up",
    "shown",
]
