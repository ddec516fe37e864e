"""The ledger: an SQLite file beside the reports that knows which phase was done when, and how each step is undone."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from workbook.errors import TerminalError
from workbook.params import CHECKOUT
from workbook.pipelines.standing import Standing

# The file's name, in the folder of the reports.
LEDGER = "ledger.sqlite"
# Under these names it keeps how long the last proof of a state took, and the statements and seconds of a phase's last undoing.
PROVING, UNDOING = "proving a state", "undoing {}"
_metadata = sa.MetaData()
_phases = sa.Table(
    "phases",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("environment", sa.String, nullable=False, index=True),
    sa.Column("phase", sa.String, nullable=False),
    sa.Column("run_id", sa.String, nullable=False),
    sa.Column("status", sa.String, nullable=False),  # started, done, failed, undone
    sa.Column("started", sa.String, nullable=False),
    sa.Column("ended", sa.String),
    sa.Column("before", sa.JSON),  # fingerprint of target and warehouse before the phase: the restore point
    sa.Column("after", sa.JSON),
    sa.Column("result", sa.String),
)
_steps = sa.Table(
    "steps",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("environment", sa.String, nullable=False, index=True),
    sa.Column("phase", sa.String, nullable=False),
    sa.Column("server", sa.String, nullable=False),
    sa.Column("object", sa.String, nullable=False),
    sa.Column("undo", sa.String),
    sa.Column("at", sa.String, nullable=False),
    sa.Column("confirmed", sa.Boolean, nullable=False),
    sa.Column("undone", sa.Boolean, nullable=False),
)
_moves = sa.Table(
    "pipeline_moves",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("environment", sa.String, nullable=False, index=True),
    sa.Column("pipeline", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("proven", sa.Boolean, nullable=False),
    sa.Column("before", sa.JSON, nullable=False),  # the restore point: where it was, and what it had run on each side
    sa.Column("proof", sa.JSON, nullable=False),
    sa.Column("at", sa.String, nullable=False),
)
_signatures = sa.Table(
    "signatures",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("environment", sa.String, nullable=False, index=True),
    sa.Column("run_id", sa.String, nullable=False),
    sa.Column("signed_by", sa.String, nullable=False),
    sa.Column("at", sa.String, nullable=False),
    sa.Column("record", sa.JSON, nullable=False),
)
_notes = sa.Table(
    "notes",
    _metadata,
    sa.Column("environment", sa.String, primary_key=True),
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("value", sa.String, nullable=False),
)


def reports_folder() -> Path:
    """Where runs and the ledger land: WORKBOOK_REPORTS, or reports/ in the checkout."""
    return Path(os.environ.get("WORKBOOK_REPORTS") or CHECKOUT / "reports").resolve()


def now() -> str:
    """This moment in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Done:
    """A phase as the ledger last knew it in an environment."""

    phase: str
    run_id: str
    status: str
    started: str
    ended: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    result: str | None


class Ledger:
    """The ledger of one environment."""

    def __init__(self, environment: str, folder: Path | None = None):
        self.environment = environment
        folder = folder or reports_folder()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._engine = sa.create_engine(f"sqlite:///{folder / LEDGER}", connect_args={"timeout": 30})
            _metadata.create_all(self._engine)
        except (OSError, sa.exc.SQLAlchemyError) as error:
            raise TerminalError(
                f"The ledger in {folder} cannot be written: {getattr(error, 'orig', error)}",
                "Without it no step could be undone, so none is taken.",
                "Make room or mend the folder's rights, or name another folder with --reports.",
            ) from None

    @contextmanager
    def _connection(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except sa.exc.OperationalError as error:
            raise TerminalError(
                f"The ledger cannot be written: {error.orig}",
                "Without it no step could be undone, so none is taken.",
                "Make room on the disk of the reports folder, then run again.",
            ) from None

    def begin(self, phase: str, run_id: str, before: dict[str, Any]) -> int:
        """Note that a phase starts, with its restore point; the number of the entry."""
        with self._connection() as connection:
            entry = connection.execute(
                _phases.insert().values(
                    environment=self.environment,
                    phase=phase,
                    run_id=run_id,
                    status="started",
                    started=now(),
                    before=before,
                )
            )
            assert entry.inserted_primary_key is not None
            return int(entry.inserted_primary_key[0])

    def end(self, entry: int, status: str, after: dict[str, Any], result: str | None) -> None:
        """Note how a phase ended, with the fingerprint that a rollback to it must meet."""
        with self._connection() as connection:
            connection.execute(
                _phases.update()
                .where(_phases.c.id == entry)
                .values(status=status, ended=now(), after=after, result=result)
            )

    def phases(self) -> dict[str, Done]:
        """The latest entry of each phase that was begun and not undone, by name.

        Its restore point is the one before the first of those entries: a phase that was run twice is undone once.
        """
        with self._connection() as connection:
            rows = connection.execute(
                sa.select(_phases)
                .where(_phases.c.environment == self.environment, _phases.c.status != "undone")
                .order_by(_phases.c.id)
            ).mappings()
            found: dict[str, Done] = {}
            for row in rows:
                entry = Done(**{name: row[name] for name in Done.__dataclass_fields__})
                first = found.get(entry.phase)
                found[entry.phase] = replace(entry, before=first.before) if first else entry
            return found

    def standing(self, phases: Sequence[str]) -> list[list[str | None]]:
        """Name, run, start and status of the latest entry of each of these phases that was begun and not undone."""
        done = self.phases()
        return [[name, done[name].run_id, done[name].started, done[name].status] for name in phases if name in done]

    def latest(self, phase: str, until: str) -> Done | None:
        """The latest entry of a phase that was begun `until` then and not undone, with its own restore point."""
        with self._connection() as connection:
            row = (
                connection.execute(
                    sa.select(_phases)
                    .where(
                        _phases.c.environment == self.environment,
                        _phases.c.phase == phase,
                        _phases.c.status != "undone",
                        _phases.c.started <= until,
                    )
                    .order_by(_phases.c.id.desc())
                )
                .mappings()
                .first()
            )
        return None if row is None else Done(**{name: row[name] for name in Done.__dataclass_fields__})

    def stands_at(self, phase: str, after: dict[str, Any]) -> None:
        """Note another state as the one at the end of a phase: a copy that it left was exchanged for another."""
        with self._connection() as connection:
            last = sa.select(sa.func.max(_phases.c.id)).where(
                _phases.c.environment == self.environment, _phases.c.phase == phase, _phases.c.status == "done"
            )
            connection.execute(_phases.update().where(_phases.c.id == last.scalar_subquery()).values(after=after))

    def mark_undone(self, phase: str) -> None:
        """Note that a phase and all its steps were taken back."""
        with self._connection() as connection:
            for table, column in ((_phases, {"status": "undone"}), (_steps, {"undone": True})):
                connection.execute(
                    table.update()
                    .where(table.c.environment == self.environment, table.c.phase == phase)
                    .values(**column)
                )

    def weight(self, phase: str) -> int:
        """The bytes that the restore points of a phase take: fingerprints before and after, and undo statements."""
        sizes = [sa.func.length(sa.cast(column, sa.String)) for column in (_phases.c.before, _phases.c.after)]
        with self._connection() as connection:
            found = 0
            for table, columns in ((_phases, sizes), (_steps, [sa.func.length(_steps.c.undo)])):
                total = sa.select(sum((sa.func.coalesce(sa.func.sum(size), 0) for size in columns), sa.literal(0)))
                where = table.c.environment == self.environment, table.c.phase == phase
                found += int(connection.execute(total.where(*where)).scalar_one())
        return found

    def mark_taken_back(self, phase: str, server: str, statements: Sequence[str]) -> None:
        """Note that the steps with these undo statements were taken back, while others of the phase are still to come."""
        with self._connection() as connection:
            connection.execute(
                _steps.update()
                .where(
                    _steps.c.environment == self.environment,
                    _steps.c.phase == phase,
                    _steps.c.server == server,
                    _steps.c.undo.in_(statements),
                )
                .values(undone=True)
            )

    def journal(self, phase: str) -> "LedgerJournal":
        """A journal for the steps of `phase`."""
        return LedgerJournal(self, phase)

    def to_undo(self, phase: str, server: str) -> list[str]:
        """The undo statements of a phase on a server (`target` or `warehouse`), latest first."""
        with self._connection() as connection:
            rows = connection.execute(
                sa.select(_steps.c.undo)
                .where(
                    _steps.c.environment == self.environment,
                    _steps.c.phase == phase,
                    _steps.c.server == server,
                    _steps.c.undo.is_not(None),
                    ~_steps.c.undone,
                )
                .order_by(_steps.c.id.desc())
            ).all()
        # A step that ran in several runs is undone once.
        return list(dict.fromkeys(row[0] for row in rows))

    def owned(self, phase: str | None = None) -> set[str]:
        """The objects that the workbook made in this environment, in that phase, and that were not taken back."""
        made = sa.select(_steps.c.object).where(_steps.c.environment == self.environment, ~_steps.c.undone)
        with self._connection() as connection:
            rows = connection.execute(made if phase is None else made.where(_steps.c.phase == phase)).all()
        return {row[0] for row in rows}

    def pipelines(self) -> dict[str, Standing]:
        """The last known standing of each pipeline that was ever moved."""
        with self._connection() as connection:
            rows = connection.execute(
                sa.select(_moves).where(_moves.c.environment == self.environment).order_by(_moves.c.id)
            ).mappings()
            return {
                row["pipeline"]: Standing(row["state"], row["proven"], row["before"], row["at"], tuple(row["proof"]))
                for row in rows
            }

    def begin_move(self, pipeline: str, state: str, before: Mapping[str, Any]) -> int:
        """Note durably that a pipeline begins to move to `state`, with its restore point; a number to end it with."""
        with self._connection() as connection:
            entry = connection.execute(
                _moves.insert().values(
                    environment=self.environment,
                    pipeline=pipeline,
                    state=state,
                    proven=False,
                    before=dict(before),
                    proof=[],
                    at=now(),
                )
            )
            assert entry.inserted_primary_key is not None
            return int(entry.inserted_primary_key[0])

    def end_move(self, number: int, proven: bool, proof: Sequence[str]) -> None:
        """Note what came of a move."""
        with self._connection() as connection:
            connection.execute(_moves.update().where(_moves.c.id == number).values(proven=proven, proof=list(proof)))

    def sign(self, run_id: str, signed_by: str, at: str, record: Mapping[str, Any]) -> None:
        """Keep a signature of a run."""
        values = {"run_id": run_id, "signed_by": signed_by, "at": at, "record": dict(record)}
        with self._connection() as connection:
            connection.execute(_signatures.insert().values(environment=self.environment, **values))

    def signatures(self, run_id: str) -> list[dict[str, Any]]:
        """The records of the signatures of a run, oldest first."""
        with self._connection() as connection:
            rows = connection.execute(
                sa.select(_signatures.c.record)
                .where(_signatures.c.environment == self.environment, _signatures.c.run_id == run_id)
                .order_by(_signatures.c.id)
            ).all()
        return [row[0] for row in rows]

    def of_run(self, phase: str, run_id: str) -> Done | None:
        """The latest entry of a phase in a run that was not undone."""
        with self._connection() as connection:
            row = (
                connection.execute(
                    sa.select(_phases)
                    .where(
                        _phases.c.environment == self.environment,
                        _phases.c.phase == phase,
                        _phases.c.run_id == run_id,
                        _phases.c.status != "undone",
                    )
                    .order_by(_phases.c.id.desc())
                )
                .mappings()
                .first()
            )
        return None if row is None else Done(**{name: row[name] for name in Done.__dataclass_fields__})

    def before(self, phase: str, run_id: str) -> Done | None:
        """The latest entry of a phase in another run that was not undone."""
        with self._connection() as connection:
            row = (
                connection.execute(
                    sa.select(_phases)
                    .where(
                        _phases.c.environment == self.environment,
                        _phases.c.phase == phase,
                        _phases.c.run_id != run_id,
                        _phases.c.status != "undone",
                    )
                    .order_by(_phases.c.id.desc())
                )
                .mappings()
                .first()
            )
        return None if row is None else Done(**{name: row[name] for name in Done.__dataclass_fields__})

    def note(self, name: str, value: Any) -> None:
        """Keep a small value under a name, in the place of an earlier one."""
        with self._connection() as connection:
            connection.execute(_notes.delete().where(_notes.c.environment == self.environment, _notes.c.name == name))
            connection.execute(_notes.insert().values(environment=self.environment, name=name, value=json.dumps(value)))

    def noted(self, name: str) -> Any:
        """The value kept under a name, or None."""
        with self._connection() as connection:
            row = connection.execute(
                sa.select(_notes.c.value).where(_notes.c.environment == self.environment, _notes.c.name == name)
            ).first()
        return None if row is None else json.loads(row[0])

    def referred(self, run_ids: Sequence[str]) -> set[str]:
        """Those of the runs that a standing phase, a note or a result in force names."""
        with self._connection() as connection:
            rows = connection.execute(sa.select(_notes.c.value).where(_notes.c.environment == self.environment)).all()
        standing = [text for done in self.phases().values() for text in (done.run_id, done.result or "")]
        words = "\n".join([*standing, *(row[0] for row in rows)])
        return {run_id for run_id in run_ids if run_id in words}

    def forget(self, run_ids: Sequence[str], kept: int) -> int:
        """Drop the entries of runs that are gone, but for those that a rollback needs; how many were dropped.

        Of each phase stay the first that was not undone, whose restore point a rollback goes back to, and the latest
        `kept` of those that ended well with all that came after them: going back by copies looks for them.
        """
        with self._connection() as connection:
            rows = connection.execute(
                sa.select(_phases.c.id, _phases.c.phase, _phases.c.run_id, _phases.c.status)
                .where(_phases.c.environment == self.environment)
                .order_by(_phases.c.id)
            ).all()
            gone, dropped = set(run_ids), []
            for phase in {row.phase for row in rows}:
                standing = [row for row in rows if row.phase == phase and row.status != "undone"]
                done = [row.id for row in standing if row.status == "done"][-kept:]
                needed = {row.id for row in standing[:1]} | {row.id for row in standing if done and row.id >= done[0]}
                needed |= {row.id for row in standing[-1:]}
                dropped += [
                    row.id for row in rows if row.phase == phase and row.run_id in gone and row.id not in needed
                ]
            connection.execute(_phases.delete().where(_phases.c.id.in_(dropped)))
            connection.execute(_steps.delete().where(_steps.c.environment == self.environment, _steps.c.undone))
            for run_id in run_ids:
                connection.execute(
                    _notes.delete().where(
                        _notes.c.environment == self.environment,
                        _notes.c.name.endswith(f" in {run_id}", autoescape=True),
                    )
                )
        return len(dropped)


class LedgerJournal:
    """The journal of one phase (see plan.Journal), written to the ledger before each step."""

    def __init__(self, ledger: Ledger, phase: str):
        self._ledger = ledger
        self._phase = phase

    def intend(self, object: str, undo: str | None, server: str = "target") -> int:
        """Note durably what is about to be done; a number to confirm it with."""
        with self._ledger._connection() as connection:
            entry = connection.execute(
                _steps.insert().values(
                    environment=self._ledger.environment,
                    phase=self._phase,
                    server=server,
                    object=object,
                    undo=undo,
                    at=now(),
                    confirmed=False,
                    undone=False,
                )
            )
            assert entry.inserted_primary_key is not None
            return int(entry.inserted_primary_key[0])

    def confirm(self, number: int) -> None:
        """Note that the step was done."""
        with self._ledger._connection() as connection:
            connection.execute(_steps.update().where(_steps.c.id == number).values(confirmed=True))

    def cancel(self, number: int) -> None:
        """Note that the server refused the step: there is nothing to take back."""
        with self._ledger._connection() as connection:
            connection.execute(_steps.update().where(_steps.c.id == number).values(undone=True))
