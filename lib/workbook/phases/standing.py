"""Where a migration stands, as one picture: the phases, the way back from each and how long it takes, restore points, what comes next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from workbook import faces
from workbook.backups.backup import Backup, commands
from workbook.backups.backup import Register as Backups
from workbook.cdc.kept import Kept
from workbook.errors import WorkbookError
from workbook.faces import Html, human_bytes, human_seconds
from workbook.names import mysql_string
from workbook.params import Settings
from workbook.phases.context import notebook_link, settings_from
from workbook.phases.ledger import PROVING, UNDOING, Done, Ledger, reports_folder
from workbook.phases.order import IN_ORDER, PHASES, REPAIR, START, PhaseKind
from workbook.points.point import COMMAND, Point, Register
from workbook.refresh.copies import Copies
from workbook.servers import connect_target
from workbook.site import signatures

_SIGN = {"done": "✔", "failed": "✘", "started": "…", "pending": "○"}


@dataclass(frozen=True)
class Stage:
    """One phase here: `state` is pending, started, done or failed; `undo` the statements that take it back.

    `seconds` is how long it took, `undo_seconds` how long taking it back will take (None: never measured), `kept_bytes`
    what its restore point takes in the ledger.
    """

    kind: PhaseKind
    state: str = "pending"
    run: str | None = None
    ended: str | None = None
    seconds: float | None = None
    undo: int = 0
    undo_seconds: float | None = None
    kept_bytes: int = 0


@dataclass(frozen=True)
class Back:
    """One step back: to the end of `to`; the phases that are undone, latest first, the statements, and the seconds."""

    to: str
    phases: tuple[str, ...]
    statements: int
    seconds: float | None


@dataclass(frozen=True)
class Standing:
    """Where an environment stands. `stages` are in the order of the phases, a repair among them where there was one."""

    environment: str
    stages: tuple[Stage, ...]
    proving: float | None = None
    verdict: str | None = None
    signed: str = ""
    signed_by: str = ""
    copies: tuple[tuple[str, str, int], ...] | None = ()
    nights: tuple[Point, ...] = ()  # of the warehouse, the latest first
    backups: tuple[Backup, ...] = ()  # by Cloud SQL, the latest first

    @property
    def following(self) -> PhaseKind | None:
        """The phase that comes next of those that lead to a validated copy; None where all are done."""
        waiting = (stage.kind for stage in self.stages if stage.kind.by_default and stage.state != "done")
        return next(waiting, None)

    @property
    def ways_back(self) -> tuple[Back, ...]:
        """Every place that one can go back to, the nearest first."""
        begun = [stage for stage in self.stages if stage.state != "pending"]
        ended = {"done"}, {"done", "failed"}
        found = []
        for place in range(len(self.stages) - 1, -2, -1):
            stage = self.stages[place] if place >= 0 else None
            reached = stage is None or (stage.state in ended[not stage.kind.writes] and stage.kind is not REPAIR)
            later = [other for other in self.stages[place + 1 :] if other in begun]
            if reached and later:
                undone = tuple(other.kind.name for other in reversed(later))
                found.append(
                    Back(stage.kind.name if stage else START, undone, sum(s.undo for s in later), self._time(later))
                )
        return tuple(found)

    def _time(self, later: Sequence[Stage]) -> float | None:
        known = [stage.undo_seconds for stage in later if stage.undo]
        if self.proving is None or any(seconds is None for seconds in known):
            return None
        return sum(seconds for seconds in known if seconds is not None) + self.proving

    def text(self) -> str:
        """The phases in one line of plain text, each with a sign."""
        return " → ".join(f"{_SIGN[stage.state]} {stage.kind.name}" for stage in self.stages)

    def way_back(self) -> Html:
        """What each step back would undo, and how long it takes."""
        rows = [
            {
                "to": back.to,
                "undoes": ", ".join(back.phases),
                "statements": back.statements,
                "takes": human_seconds(back.seconds) if back.seconds is not None else "not measured yet",
                "command": Html(f"<code>workbook rollback {back.to} -p FILE</code>"),
            }
            for back in self.ways_back
        ]
        if not rows:
            return faces.text("Nothing was done yet: there is nothing to take back.", muted=True)
        columns = {"to": "back to the end of", "undoes": "undoes", "statements": "statements", "takes": "takes about"}
        note = "The time is that of the last time these phases were undone here, with the proof that the state is the one of before."
        return faces.stack(
            faces.table(rows, {**columns, "command": "command"}, caption="The way back"), faces.text(note, muted=True)
        )

    def restore_points(self) -> Html:
        """The restore points, and what each costs: in the ledger, and of rows that are kept, where they are."""
        rows = [
            {
                "point": f"before {stage.kind.name}",
                "from": stage.run or "",
                "where": "ledger",
                "cost": human_bytes(stage.kept_bytes),
            }
            for stage in self.stages
            if stage.state != "pending" and stage.kind.writes
        ]
        rows += [
            {"point": point, "from": phase, "where": "target", "cost": human_bytes(size)}
            for point, phase, size in self.copies or ()
        ]
        rows += [
            {
                "point": f"the warehouse as {night.left_by} left it ({COMMAND})",
                "from": night.run,
                "where": "BigQuery",
                "cost": night.cost,
            }
            for night in self.nights
        ]
        rows += [
            {
                "point": f"the instance {backup.instance} before {backup.phase}, backup {backup.id} of {backup.window[0]}",
                "from": backup.run,
                "where": "Cloud SQL",
                "cost": backup.cost,
            }
            for backup in self.backups
        ]
        if self.copies is None:
            note = "The target cannot be reached: whether rows are kept there is not known."
            rows.append({"point": "rows that are kept", "from": "", "where": "target", "cost": note})
        if not rows:
            return faces.text("There is no restore point: nothing was written yet.", muted=True)
        columns = {"point": "restore point", "from": "run", "where": "where", "cost": "takes"}
        return faces.stack(faces.table(rows, columns, caption="Restore points"), commands(self.backups))

    def next_step(self) -> Html:
        """The next notebook, as a link; or what is left to do where all are done."""
        kind = self.following
        if kind is not None:
            return faces.block(
                f'<p class="wb-lead">Next: {notebook_link(kind)} <span class="wb-muted">{faces.escape(kind.title)}</span></p>'
            )
        validate = next(kind for kind in PHASES if kind.name == "validate")
        words = "signed" if self.signed == "signed" else "not signed yet: <code>workbook sign -p FILE --by NAME</code>"
        more = " · ".join(notebook_link(kind) for kind in PHASES if not kind.by_default)
        return faces.block(
            f'<p class="wb-lead">All phases are done, and the verdict is {words}.</p>'
            f"<p>Again before you rely on the copy: {notebook_link(validate)}. Further: {more}</p>"
        )

    def _repr_html_(self) -> str:
        done = [stage for stage in self.stages if stage.state == "done" and stage.kind.by_default]
        whole = [stage for stage in self.stages if stage.kind.by_default]
        return faces.stack(
            faces.boxes(
                ("Environment", self.environment),
                ("Phases done", f"{len(done)} of {len(whole)}"),
                ("Last verdict", faces.badge(self.verdict or "none")),
                ("Signature", faces.badge(self.signed or "none"), None)
                if not self.signed_by
                else ("Signature", self.signed_by, self.signed),
            ),
            self._path(),
        )

    def _path(self) -> Html:
        """The phases as boxes in a row that wraps, each a link to its notebook."""
        following = self.following
        parts = []
        for stage in self.stages:
            tone = {"done": "good", "failed": "bad", "started": "warn"}.get(stage.state, "plain")
            here = ";outline:2px solid var(--wb-accent);outline-offset:2px" if stage.kind is following else ""
            ground = f"border:1px solid var(--wb-line);background:var(--wb-{'surface' if tone == 'plain' else f'{tone}-ground'})"
            took = human_seconds(stage.seconds) if stage.seconds is not None else ""
            under = " · ".join(part for part in (stage.state, took) if part)
            name = stage.kind.name.replace("_", " ") if stage.kind is REPAIR else notebook_link(stage.kind)
            parts.append(
                f'<li class="wb-{tone}" style="{ground};border-radius:10px;padding:.5rem .8rem;min-width:6.2rem{here}">'
                f"<strong>{name}</strong><br><small>{faces.escape(under)}{', next' if stage.kind is following else ''}</small></li>"
            )
        row = '<li aria-hidden="true" style="align-self:center" class="wb-muted">→</li>'.join(parts)
        return faces.block(
            f'<ol aria-label="Phases" style="display:flex;flex-wrap:wrap;gap:.5rem;margin:0;padding:3px;list-style:none">{row}</ol>'
        )


def where_we_are(values: Mapping[str, Any]) -> Standing:
    """Where the environment of a notebook's parameters stands: pass `globals()`."""
    faces.plot_theme()
    settings = settings_from(values)
    return standing(settings, _copies(settings))


def standing(settings: Settings, copies: tuple[tuple[str, str, int], ...] | None = ()) -> Standing:
    """Where an environment stands, by its ledger and its reports alone."""
    ledger = Ledger(settings.environment)
    done = ledger.phases()
    stages = tuple(
        _stage(ledger, kind, done.get(kind.name)) for kind in IN_ORDER if kind is not REPAIR or REPAIR.name in done
    )
    validated = done.get("validate")
    folder = reports_folder() / validated.run_id if validated else None
    signed = signatures.read(folder) if folder else signatures.Signed()
    verdict = {"done": "same", "failed": "different"}.get(validated.status) if validated else None
    nights = Register(ledger).usable(settings.warehouse.points_dataset)[::-1]
    backups = Backups(ledger).kept[::-1]
    return Standing(
        settings.environment, stages, ledger.noted(PROVING), verdict, signed.word, signed.by, copies, nights, backups
    )  # fmt: skip


def _stage(ledger: Ledger, kind: PhaseKind, entry: Done | None) -> Stage:
    if entry is None:
        return Stage(kind)
    undo = sum(len(ledger.to_undo(kind.name, server)) for server in ("target", "warehouse", "pubsub"))
    return Stage(
        kind,
        entry.status,
        entry.run_id,
        entry.ended,
        _seconds(entry.started, entry.ended),
        undo,
        _undo_seconds(ledger, kind.name, undo),
        ledger.weight(kind.name),
    )


def _undo_seconds(ledger: Ledger, phase: str, statements: int) -> float | None:
    """By what undoing the phase took the last time, for so many statements."""
    measured = ledger.noted(UNDOING.format(phase))
    if not measured or not measured[0]:
        return None
    return float(measured[1]) * statements / float(measured[0])


def _seconds(started: str, ended: str | None) -> float | None:
    if ended is None:
        return None
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()


def _copies(settings: Settings) -> tuple[tuple[str, str, int], ...] | None:
    """What is kept on the target: what it is, the phase that keeps it, its bytes; None where it cannot be reached."""
    try:
        target = connect_target(settings)
        found = []
        for copy in Copies(target, settings.environment).kept():
            names = ", ".join(mysql_string(name) for name in set(copy.databases.values()))
            size = target.scalar(
                f"SELECT COALESCE(SUM(DATA_LENGTH + INDEX_LENGTH), 0) FROM information_schema.TABLES WHERE TABLE_SCHEMA IN ({names})"
            )
            found.append((f"the copy read until {copy.at}", "bulk_load", int(size)))
        kept = Kept(target, settings.environment)
        if kept.copies():
            found.append(("the rows before the first change", "cdc", kept.size()))
        return tuple(found)
    except WorkbookError:
        return None
