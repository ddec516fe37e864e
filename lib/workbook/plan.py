"""A plan is a list of steps, each with its undo; apply is the only place that carries one out."""

import re
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import pymysql
from pymysql.charset import charset_by_name

from workbook import faces
from workbook.errors import Refused, TerminalError, TransientError
from workbook.progress import Progress
from workbook.servers import SESSION_SQL_MODE, Server, Session


@dataclass(frozen=True)
class Step:
    """One statement for the target: what it is about, and the statement that takes it back.

    `settings` are session variables that must hold while the statement runs (sql_mode, character sets of code).
    A destructive step (it takes away what was there before) is applied only with consent that names its object.
    `shown` stands for the statement wherever people or files see it, where the statement itself holds a secret.
    """

    kind: str
    name: str
    statement: str
    undo: str | None
    settings: tuple[tuple[str, str], ...] = ()
    database: str | None = None
    destructive: bool = False
    shown: str | None = None

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON; a secret statement as it is shown."""
        values = {**asdict(self), "statement": self.shown or self.statement, "settings": dict(self.settings)}
        del values["shown"]
        return values

    def __repr__(self) -> str:
        return f"Step({self.object}: {self.shown or self.statement})"

    @property
    def object(self) -> str:
        """Kind and name, as messages and consents write it."""
        return f"{self.kind} {self.name}"


def _with_undo(step: Step) -> faces.Html:
    """The statement of a step and the one that takes it back, folded."""
    undo = f"-- undo\n{step.undo}" if step.undo else "-- no undo of its own: it goes with what it belongs to"
    return faces.details("SQL and undo", faces.code(f"{step.shown or step.statement}\n\n{undo}"))


@dataclass(frozen=True)
class Left:
    """Something that is not carried over, or carried over changed, and why. `expected` where a rule says so, `by` whose."""

    kind: str
    name: str
    why: str
    expected: bool = True
    by: str = ""


@dataclass(frozen=True)
class Plan:
    """The steps of a phase in order, and what they leave out."""

    phase: str
    steps: tuple[Step, ...]
    left: tuple[Left, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.steps

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "steps": [step.asdict() for step in self.steps],
            "left": [asdict(item) for item in self.left],
        }

    def _repr_html_(self) -> str:
        counts: dict[str, int] = {}
        for step in self.steps:
            counts[step.kind] = counts.get(step.kind, 0) + 1
        return faces.stack(
            faces.boxes(("Steps", len(self.steps)), *counts.items(), ("Left out or changed", len(self.left))),
            faces.table(
                [
                    {
                        "kind": step.kind,
                        "name": step.name,
                        "statement": _with_undo(step),
                    }
                    for step in self.steps
                ],
                {"kind": "Kind", "name": "Name", "statement": "Statement"},
                caption="Steps in order",
            ),
            faces.table(
                [asdict(item) for item in self.left],
                {"kind": "Kind", "name": "Name", "why": "Why"}
                | ({"by": "By the rules of"} if any(item.by for item in self.left) else {}),
                caption="Left out or changed on purpose",
            ),
        )


class Journal(Protocol):
    """Notes the undo of a step durably before the step runs, so that a crash in between can be taken back."""

    def intend(self, object: str, undo: str | None, server: str = "target") -> int:
        """Note what is about to be done; a number to confirm it with."""

    def confirm(self, number: int) -> None:
        """Note that it was done."""

    def cancel(self, number: int) -> None:
        """Note that the server refused it: there is nothing to take back, and what is there is not ours."""


@dataclass(frozen=True)
class Applied:
    """What apply did: the steps carried out, in order, and how long each took (seconds)."""

    phase: str
    steps: tuple[Step, ...]
    seconds: tuple[float, ...] = ()

    def _repr_html_(self) -> str:
        return faces.stack(
            faces.boxes(
                ("Phase", self.phase), ("Steps applied", len(self.steps)), ("Seconds", f"{sum(self.seconds):,.1f}")
            ),
            faces.details(
                "Every step as it was carried out",
                faces.table(
                    [
                        {
                            "step": step.object,
                            "statement": _with_undo(step),
                            "seconds": f"{seconds:,.2f}",
                        }
                        for step, seconds in zip(self.steps, self.seconds, strict=True)
                    ],
                    {"step": "Step", "statement": "Statement", "seconds": "Seconds"},
                ),
            )
            if self.steps
            else faces.text("Nothing was left to do."),
        )


def apply(plan: Plan, server: Server, journal: Journal, consent: Collection[str] = ()) -> Applied:
    """Carry out the steps of `plan` on `server`, noting each one's undo first.

    Raises Refused before the first step where a destructive one has no consent naming its object; the errors of
    `servers` otherwise, with the object in the message.
    """
    for step in plan.steps:
        if step.destructive and step.object not in consent:
            raise Refused(
                f"{step.object} would be destroyed.",
                "What was on the target before is never taken away without a word.",
                f"Run again with consent to {step.object!r}, or leave it out of the mapping.",
            )
    seconds = []
    with server.session() as session, Progress(f"Applying {plan.phase}", len(plan.steps), "steps") as progress:
        _wait_for_others(session)
        for step in plan.steps:
            number = journal.intend(step.object, step.undo)
            started = time.monotonic()
            try:
                carry_out(session, step)
            except TerminalError:
                journal.cancel(number)
                raise
            seconds.append(time.monotonic() - started)
            journal.confirm(number)
            progress.advance(1, step.object)
    return Applied(plan.phase, plan.steps, tuple(seconds))


def undo(statements: Sequence[str], server: Server, before: Callable[[str], None] = lambda statement: None) -> int:
    """Run undo statements in the given order, foreign keys unchecked; how many there were. `before` hears of each."""
    with server.session() as session:
        _wait_for_others(session)
        session.execute("SET SESSION foreign_key_checks = 0")
        for statement in statements:
            before(statement)
            # With values, even none, every % is doubled: names and literals hold it.
            session.execute(statement.replace("%", "%%"), ())
    return len(statements)


def settle(server: Server) -> None:
    """Wait until the server has ended the last statement of an apply that was cut off.

    A server goes on with a statement whose client was killed: what it has not made yet would be planned once more.
    """
    with server.session() as session:
        _wait_for_others(session)


def _wait_for_others(session: Session) -> None:
    """Hold the lock that every apply holds; it goes with the session."""
    if session.scalar("SELECT GET_LOCK(%s, %s)", (_LOCK, _LOCK_SECONDS)) != 1:
        raise TransientError(
            f"Another apply is still at work on the target {session.server.host}:{session.server.port}.",
            "Two at once would make the same objects; the statement of a run that was cut off goes on to its end.",
            "Look for it with SHOW PROCESSLIST, wait for its end or KILL it there; then run again.",
        )


_LOCK = "workbook_apply"
_LOCK_SECONDS = 600
# Every step states these, so that nothing of the step before it lasts.
_SETTINGS = {
    "sql_mode": SESSION_SQL_MODE,
    "foreign_key_checks": "0",
    "time_zone": "+00:00",
    "character_set_client": "utf8mb4",
    "collation_connection": "utf8mb4_0900_ai_ci",
}
# Character sets of which the driver knows no codec of Python's, or knows it by another name.
_CODECS = {"binary": "utf8", "utf8": "utf8"}
_SECRET = re.compile(r"0x[0-9A-Fa-f]{8,}")


def carry_out(session: Session, step: Step) -> None:
    """Run the statement of one step, under its settings and in its database."""
    settings = {**_SETTINGS, **dict(step.settings)}
    driver = session.connection.connection.driver_connection
    assert isinstance(driver, pymysql.Connection)
    started = time.time()
    try:
        if step.database is not None:
            driver.select_db(step.database)
        values = [int(value) if value.isdigit() else value for value in settings.values()]
        session.execute("SET SESSION " + ", ".join(f"{name} = %s" for name in settings), values)
        # The server reads the statement in the character set of the client, so it must be sent in that; bytes that
        # are no text there (literals of another character set) were read as lone surrogates.
        charset = settings["character_set_client"]
        codec = _CODECS.get(charset) or charset_by_name(charset).encoding
        with driver.cursor() as cursor:
            started = time.time()
            cursor.execute(step.statement.encode(codec, "surrogateescape"))
    except pymysql.MySQLError as error:
        explained = session.server.explained(error, f"applying {step.object}")
        # The server repeats a piece of a statement that it does not understand.
        found = _SECRET.sub("0x…", explained.found) if step.shown is not None else explained.found
        raise type(explained)(found, explained.why, explained.todo) from None
    finally:
        session.server.record(step.shown or step.statement, started)
