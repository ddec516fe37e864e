"""Where the cutover stands: which server is the truth, which way changes flow, what is closed; one note of the ledger.

It is written before each act, so that whoever comes after a kill knows what may have been done.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from workbook.errors import Refused

NOTE = "cutover"
FORWARD, REVERSE, HELD, NONE = "forward", "reverse", "held", "none"
#: The way that changes flow while a server is the truth.
STREAM_OF: Mapping[str, str] = {"source": FORWARD, "target": REVERSE}


class Notes(Protocol):
    """Where the state is kept, durably: the ledger of the environment."""

    def note(self, name: str, value: Any) -> None:
        """Keep a value under a name, in the place of an earlier one."""

    def noted(self, name: str) -> Any:
        """The value kept under a name, or None."""


@dataclass
class State:
    """`master` is the server that applications write to, `stream` the way changes flow (held: nobody applies any).

    `gates` say how a server was closed, by its role, and what opens it again; `triggers` are those of the source that
    are away while changes come back. `attempt` is the cutover or cutback under way, or the last one; `left_out` are the
    source's tables that do not come back, each with the reason.
    """

    master: str = "source"
    stream: str = FORWARD
    gates: dict[str, dict[str, Any]] = field(default_factory=dict)
    triggers: list[dict[str, Any]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    attempt: dict[str, Any] = field(default_factory=dict)
    past: list[dict[str, Any]] = field(default_factory=list)
    finished: bool = False

    @classmethod
    def read(cls, notes: Notes) -> "State":
        """The state as it is noted; that before any cutover where there is none."""
        return cls(**(notes.noted(NOTE) or {}))

    def save(self, notes: Notes) -> None:
        """Note it durably."""
        notes.note(NOTE, asdict(self))

    @property
    def under_way(self) -> bool:
        """Whether a cutover or a cutback was begun and has not come to its end."""
        return bool(self.attempt) and not self.attempt.get("outcome")

    @property
    def opened(self) -> bool:
        """Whether the attempt has begun to open its destination: from there on it only goes forward."""
        return "open" in self.attempt.get("steps", {})


def refuse_after_cutover(notes: Notes, what: str) -> None:
    """Raise Refused where the target is, or may be, the truth: `what` says what would be lost there."""
    state = State.read(notes)
    if state.master == "source" and not state.under_way:
        return
    found = "The target has taken over from the source." if state.master == "target" else "A cutover is under way."
    back = (
        "Go back first: workbook run cutover --set cutover.to=source -p FILE"
        if state.master == "target" and not state.finished
        else "After the cutover is finished, a new migration needs an environment of its own."
        if state.finished
        else "See workbook cutover status; run the cutover again to its end, or take it back: workbook cutover abort"
    )
    raise Refused(found, f"{what}: what was written on the target since would be lost.", back)
