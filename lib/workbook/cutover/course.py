"""A course of the stream: from which server to which, by which mapping; forward as the migration goes, or back."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbook.catalog import Catalog, read_catalog
from workbook.cdc import Follower, Ledger, Readiness
from workbook.cdc.ledger import APPLIED
from workbook.cdc.readiness import readiness
from workbook.cutover.state import FORWARD, REVERSE
from workbook.errors import Refused
from workbook.mapping import Mapping as DataMapping
from workbook.mapping.flow import Flow
from workbook.mapping.objects import TableMap
from workbook.mapping.target import UNCHANGED
from workbook.names import mysql_path
from workbook.params import Settings
from workbook.plan import Journal
from workbook.servers import Server
from workbook.warehouse.streamed import Streamed


@dataclass(frozen=True)
class Course:
    """One course: changes of `origin` are applied to `destination`; all names of the mapping's sources are the origin's."""

    way: str  # forward or reverse
    origin: Server
    destination: Server
    catalog: Catalog
    mapping: DataMapping
    settings: Settings
    folder: Path

    @property
    def ledger(self) -> Ledger:
        """How far it is, kept on the destination."""
        return Ledger(self.settings.environment)

    def follower(self, say: Callable[[str], None]) -> Follower:
        """What applies the changes."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Follower(self.origin, self.destination, self.catalog, self.mapping, self.settings, self.folder, say)

    def ready(self, snapshot: Mapping[str, Any]) -> Readiness:
        """Whether the origin's changes can be followed from a position on."""
        return readiness(self.origin, self.destination, self.catalog, self.mapping, snapshot, True)

    def make_ledger(self, journal: Journal) -> None:
        """Make the tables of the stream's ledger where they are not there."""
        self.ledger.create(self.destination, _OnServer(journal, self.destination.role), [
            item.path for item in self.mapping.in_scope
        ])  # fmt: skip

    def begin(self, snapshot: Mapping[str, Any]) -> None:
        """Begin the stream anew at a position of the origin."""
        shutil.rmtree(self.folder, ignore_errors=True)
        streamed = Streamed(self.destination, self.settings.environment)
        if self.way == FORWARD and streamed.exists():
            streamed.begin_anew()
            streamed.stop("the stream began anew at a cutback: load the warehouse too")
        self.ledger.begin(self.destination, snapshot)

    def forget(self) -> None:
        """Take the stream's ledger away."""
        ledger, folder = self.ledger, self.folder
        if ledger.exists(self.destination):
            with self.destination.session() as session:
                session.execute(f"DELETE FROM {APPLIED} WHERE stream = %s", (ledger.stream,))
                session.execute(f"DROP TABLE IF EXISTS {ledger.shadow}, {ledger.dead}, {ledger.tables}")
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class _OnServer:
    """A journal whose steps are those of another server, so that no rollback of the target runs their undo."""

    journal: Journal
    role: str

    def intend(self, object: str, undo: str | None, server: str = "target") -> int:
        return self.journal.intend(object, undo, self.role)

    def confirm(self, number: int) -> None:
        self.journal.confirm(number)

    def cancel(self, number: int) -> None:
        self.journal.cancel(number)


def forward(
    source: Server, target: Server, catalog: Catalog, mapping: DataMapping, settings: Settings, folder: Path
) -> Course:
    """The course that the migration goes."""
    return Course(FORWARD, source, target, catalog, mapping, settings, folder)


def backward(
    source: Server, target: Server, mapping: DataMapping, settings: Settings, folder: Path
) -> tuple[Course, dict[str, str]]:
    """The course back, and the source's tables that it leaves out, each with the reason."""
    chosen, left_out = inverted(mapping)
    there = {row["name"] for row in target.rows("SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA")}
    names = tuple(
        name for name in dict.fromkeys(map(mapping.target_database, settings.source.databases)) if name in there
    )
    # What is taken of the settings is the stream's own; its source is the target, and it takes the shortest way.
    swapped = settings.model_copy(
        update={
            "source": settings.source.model_copy(update={"databases": names}),
            "cdc": settings.cdc.model_copy(update={"transport": "direct", "apply": "local", "warehouse": False}),
        }
    )
    folder = folder.with_name(f"{folder.name}.reverse")
    return Course(REVERSE, target, source, read_catalog(target, list(names)), chosen, swapped, folder), left_out


def inverted(mapping: DataMapping) -> tuple[DataMapping, dict[str, str]]:
    """The mapping from the target back to the source, and what it leaves out: tables of which the target holds a part.

    Written back, a row of such a table would destroy what only the source has of it.
    """
    left_out = {item.path: why for item in mapping.in_scope if (why := _why_not(item.flow))}
    there: dict[tuple[str, str], TableMap] = {}
    for item in mapping.in_scope:
        if item.path not in left_out:
            back = Flow(
                database=item.database if item.target_path[0] != item.database else None,
                table=item.name if item.target_path[1] != item.name else None,
                renamed=tuple((new, old) for old, new in item.flow.renamed),
            )
            there[item.path] = replace(
                item,
                database=item.target_path[0],
                name=item.target_path[1],
                columns=(),
                dedupe=None,
                reject=(),
                orphans=(),
                target=UNCHANGED,
                flow=back,
            )
    segments = tuple(
        replace(segment, tables=tuple(there[path].path for path in segment.tables if path in there))
        for segment in mapping.segments
        if segment.scope == "in"
    )
    made = replace(
        mapping,
        segments=segments,
        tables={item.path: item for item in there.values()},
        target=UNCHANGED,
        databases=tuple((new, old) for old, new in mapping.databases),
    )
    return made, {mysql_path(*path): why for path, why in left_out.items()}


def refuse_lossy(left_out: Mapping[str, str], reverse: str) -> None:
    """Raise Refused where tables cannot go back and the params do not say that they may be left out."""
    if left_out and reverse == "full":
        named = "; ".join(f"{name}: {why}" for name, why in list(left_out.items())[:5])
        raise Refused(
            f"{len(left_out)} tables could not go back whole: {named}.",
            "After a cutback the source would lack what was written to them.",
            "Leave them out of the way back, knowing that (cutover.reverse: lossy), or go without one (none).",
        )


def _why_not(flow: Flow) -> str:
    if flow.masks:
        return "the target holds tokens in the place of the source's values"
    if flow.excluded:
        return f"the target lacks {', '.join(flow.excluded)}"
    if flow.where:
        return "the target lacks the rows that the mapping filters out, and a row of the same key would overwrite one"
    return ""
