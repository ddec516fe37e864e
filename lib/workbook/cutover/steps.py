"""The steps of a cutover in their order, as a table: what each answers, and what takes it back until the doors are open."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One step. `window`: nobody can write while it runs; `undo` is what an abort does about it, in words."""

    name: str
    question: str
    undo: str = "nothing was changed"
    window: bool = False


STEPS = (
    Step("check", "May it begin: privileges, the stream, the way back, pipelines?"),
    Step("stream", "Does a change written on the one side arrive on the other?", "the stream goes on"),
    Step("close", "Is the destination closed to all but the workbook?", "it is opened as it was"),
    Step("freeze", "Is the origin closed for writes?", "it is opened as it was", True),
    Step("drain", "Has every change arrived?", "nothing was changed", True),
    Step("prove", "Is every row the same on both sides?", "nothing was changed", True),
    Step("wake", "Are the triggers there?", "they are taken away again", True),
    Step("count", "Will no AUTO_INCREMENT value come again?", "counters stay raised", True),
    Step("arm", "From which position will changes come back?", "its ledger is taken away", True),
    Step("still", "Has nobody written since the origin was closed?", "nothing was changed", True),
    Step("open", "Is the destination open? From here on the way leads forward, or back by a cutback.", "", True),
    Step("move", "Have the pipelines their new settings?", ""),
    Step("flow", "Do changes flow the other way now?", ""),
    Step("work", "Are the pipelines seen at work there?", ""),
)
#: From this step on there is no abort.
NO_RETURN = "open"
