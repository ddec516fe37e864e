"""What a rehearsal has added to both servers: noted in the ledger before it is made, taken away at the end or after a kill."""

from collections.abc import Callable

from workbook.bulk.load import say as log
from workbook.cutover import State, backward
from workbook.cutover.drain import drain, prepare
from workbook.cutover.gate import Gate, open_again
from workbook.errors import Refused, TerminalError, UsageError
from workbook.names import mysql_account
from workbook.params import Settings
from workbook.phases import cdc
from workbook.phases.cutover import tools_of
from workbook.phases.ledger import Ledger, reports_folder
from workbook.phases.run import only_one
from workbook.pipelines.standing import Standing
from workbook.rehearsal.places import Place
from workbook.validate.delta import Earlier

#: Under this name the ledger keeps what a rehearsal has added and not taken away yet.
NOTE = "rehearsal"
CLEAR = "workbook cutover rehearse --clear -p FILE"
_DRAIN_SECONDS = 240.0


def refuse_elsewhere(settings: Settings) -> None:
    """Raise Refused where source or target is not the sandbox's."""
    others = [role for role in ("source", "target") if not getattr(settings, role).url.startswith("sandbox:")]
    if others:
        raise Refused(
            f"The {' and the '.join(others)} of the params {'is' if len(others) == 1 else 'are'} not the sandbox's.",
            "A rehearsal closes the source, opens the target, writes there and goes back, all for real: whoever works there"
            " would feel it.",
            "Rehearse on the stand-ins: workbook sandbox up, then params whose URLs are sandbox:source and sandbox:target"
            " (params/local.yaml is such a file).",
        )


def way_back(state: State) -> list[str]:
    """The commands that lead back from a rehearsal that was cut off, where something is left to do."""
    # Without the register: the applications that stand in it were not moved by a rehearsal.
    going = "workbook run cutover --set pipelines=null --set cutover.to={} -p FILE"
    lines = []
    if state.under_way and not state.opened:
        lines.append("Take it back: workbook cutover abort -p FILE")
    elif state.under_way:
        lines.append(f"Go on to its end: {going.format(state.attempt['to'])}")
    to_source = state.under_way and state.attempt["to"] == "source" and state.opened
    if state.master == "target" and not to_source:
        lines.append(f"Go back: {going.format('source')}")
    return [*lines, f"Then take away what it has added: {CLEAR}"]


def clear(settings: Settings, say: Callable[[str], None]) -> None:
    """Take away what a rehearsal that was cut off has left: its rows, its accounts, the closed target.

    Raises UsageError where there is nothing, Refused where the source is not the one that applications write to.
    """
    refuse_elsewhere(settings)
    with only_one(reports_folder(), settings.environment):
        ledger = Ledger(settings.environment)
        if ledger.noted(NOTE) is None:
            raise UsageError(
                f"No rehearsal has left anything in the environment {settings.environment!r}.",
                "There is nothing to take away.",
                "See workbook cutover status.",
            )
        state = State.read(ledger)
        if state.under_way or state.master != "source":
            raise Refused(
                "The rehearsal has not come back: the source is not what applications write to.",
                "Its rows can only be taken away from where they flow to the other side.",
                " ".join(way_back(state)),
            )
        take_away(settings, ledger)
    say("Taken away: the rows and accounts of the rehearsal; all is as before it.")


def take_away(settings: Settings, ledger: Ledger) -> None:
    """Take the rows away on the source and wait until they are gone on the target; open it, drop the accounts, forget it all."""
    note = ledger.noted(NOTE)
    tools = tools_of(settings, ledger, str(note["run"]), log, _never)
    source, target = tools.source, tools.target
    writers = {name: (Place.of(item["place"]), str(item["mark"])) for name, item in note["writers"].items()}
    with source.session() as session:
        count = sum(place.take_away(session, mark) for place, mark in writers.values())
    if count:
        course = cdc.course_of(settings)
        prepare(source)
        tools.streams.start(course)
        try:
            drain(source, target, course.ledger, _DRAIN_SECONDS, tools.streams.ended)
        finally:
            tools.streams.stop()
    state = State.read(ledger)
    gate = state.gates.get("target")
    if gate is not None and not note["target_closed"]:
        # A cutback leaves it closed. Its events sleep until a cutover, as they did before.
        open_again(target, Gate.of(gate), events=False)
        del state.gates["target"]
        state.save(ledger)
    backward(source, target, tools.mapping, settings, tools.folder)[0].forget()
    standings = ledger.pipelines()
    for name in writers:
        known = standings.get(name, Standing())
        if known.state != "source" or not known.proven:
            ledger.end_move(ledger.begin_move(name, "source", {}), True, ["the rehearsal has ended"])
    for item in note["writers"].values():
        for server, host in ((source, "%"), (target, note["host"])):
            server.execute(f"DROP USER IF EXISTS {mysql_account(str(item['user']), str(host))}")
    for server in (source, target):
        with server.session() as session:
            left = sum(sum(place.rows_of(session, mark).values()) for place, mark in writers.values())
        if left:
            raise TerminalError(
                f"On the {server.role} {left} rows of the rehearsal are left.",
                "They are no rows of yours.",
                f"See workbook cdc status, then: {CLEAR}",
            )
    ledger.note(NOTE, None)


def _never() -> Earlier:
    raise AssertionError("nothing is proven while it is taken away")
