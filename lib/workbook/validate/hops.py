"""The hops of a validation and the states of a column: their names, their order from worst to best, and how they are shown."""

from collections.abc import Iterable

HOPS = ("source-target", "target-warehouse", "source-warehouse")
HOP_TITLES = {
    "source-target": "Source → Cloud SQL",
    "target-warehouse": "Cloud SQL → BigQuery",
    "source-warehouse": "Source → BigQuery",
}
SHORT_TITLES = {"source-target": "S→C", "target-warehouse": "C→B", "source-warehouse": "S→B"}
SIDE_TITLES = {"source": "Source", "target": "Cloud SQL", "warehouse": "BigQuery"}
COLUMN_STATES = ("proven", "tolerated", "sampled", "different", "incomparable")
# What is worst comes first, wherever verdicts or states are put in order.
WORST_VERDICTS = ("different", "incomparable", "same")
WORST_STATES = ("different", "incomparable", "sampled", "tolerated", "proven")


def worst_verdict(verdicts: Iterable[str]) -> str:
    """different before incomparable before same; what was not looked at is incomparable."""
    found = set(verdicts) or {"incomparable"}
    return next((verdict for verdict in WORST_VERDICTS if verdict in found), "incomparable")


def worst_state(states: Iterable[str]) -> str:
    """The worst of the states of a column."""
    found = set(states) or {"incomparable"}
    return next((state for state in WORST_STATES if state in found), "incomparable")
