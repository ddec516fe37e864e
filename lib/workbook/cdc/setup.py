"""Before the first change is applied: the ledger on the target, triggers out of the way, the position of the bulk load."""

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbook.beam import options as beam_options
from workbook.bulk.ledger import ChunkLedger
from workbook.catalog import Catalog
from workbook.cdc import orders
from workbook.cdc.history import COMPLETE
from workbook.cdc.kept import Kept
from workbook.cdc.ledger import Ledger, Position
from workbook.cdc.properties import Properties, render
from workbook.cdc.pubsub import make_ready
from workbook.cdc.readiness import Readiness, readiness
from workbook.cdc.tables import target_catalog
from workbook.cdc.waiting import Waiting
from workbook.errors import Refused, WorkbookError
from workbook.mapping import Mapping as MappingInForce
from workbook.names import mysql_path
from workbook.params import Settings
from workbook.plan import Journal
from workbook.servers import Server
from workbook.warehouse.streamed import Streamed

#: In the snapshot of a stream that a cutback began anew: that of the bulk load before it.
STANDS_ON = "stands_on"


def noted_snapshot(target: Server, settings: Settings) -> Mapping[str, Any] | None:
    """The picture of the source that the last complete bulk load was made of; None where there is none."""
    try:
        known = ChunkLedger(target, settings.environment).state()
    except WorkbookError as error:
        if error.code in (1049, 1146):  # no such database, no such table
            return None
        raise
    return known[1] if known is not None and known[0] == "complete" else None


def rendered(source: Server, mapping: MappingInForce, settings: Settings) -> Properties:
    """Debezium's properties for the sink of the params and the tables in scope."""
    return render(settings, (source.host, source.port, source.user), [item.path for item in mapping.in_scope])


def look(
    source: Server,
    target: Server,
    catalog: Catalog,
    mapping: MappingInForce,
    settings: Settings,
    folder: Path | None = None,
) -> Readiness:
    """Whether the source's changes can be followed from where this environment stands; `folder` is that of the stream."""
    snapshot = noted_snapshot(target, settings)
    begun = _begun(target, settings, snapshot)
    # Until a first start is through the next one reads definitions of its day again.
    through = begun is not None and (folder is None or (folder / COMPLETE).exists())
    if begun is not None and not through:
        followed = Ledger(settings.environment).followed(target)
        segments = (
            replace(item, tables=tuple(path for path in item.tables if path in followed)) for item in mapping.segments
        )
        mapping = replace(mapping, segments=tuple(segments))
    return readiness(source, target, catalog, mapping, begun.snapshot if begun else snapshot, through)


def set_up(
    source: Server,
    target: Server,
    catalog: Catalog,
    mapping: MappingInForce,
    settings: Settings,
    journal: Journal,
    folder: Path,
    mapping_text: str = "",
    say: Callable[[str], None] = lambda text: None,
) -> Readiness:
    """Make ready to follow the source; a second time that is nothing. Raises Refused where it cannot be followed.

    Tables that left the scope are told through `say`. `mapping_text` is the mapping as its file has it, for workers of a pipeline. After a new bulk load the stream begins anew at its position.
    """
    if settings.bulk.mode == "refresh":
        raise Refused(
            "The params ask for a copy that is refreshed (bulk.mode: refresh).",
            "A refresh swaps other tables in, and the changes applied to those before would be lost.",
            "Set bulk.mode to load and load once, or keep refreshing and leave change capture out.",
        )
    found = look(source, target, catalog, mapping, settings, folder)
    found.refuse()
    snapshot = noted_snapshot(target, settings)
    assert snapshot is not None
    ledger, tables = Ledger(settings.environment), [item.path for item in mapping.in_scope]
    begun = _begun(target, settings, snapshot) is not None
    # What came into scope since has none of its rows here: it is followed once it was added.
    ledger.create(target, journal, () if begun else tables)
    if begun and (gone := ledger.leave_out(target, tables)):
        say(
            f"Not followed any more, since they left the mapping's scope: {', '.join(mysql_path(*path) for path in gone)}."
            " If they come back, they must be added: workbook cdc add DATABASE.TABLE"
        )
    if settings.cdc.transport == "pubsub":
        Waiting(settings.environment).create(target, journal)
        make_ready(settings, journal)
    if settings.cdc.apply == "beam":
        beam_options.installed()
        orders.orders(settings)
        orders.keep(target, settings, mapping_text, journal)
    streamed = Streamed(target, settings.environment)
    if settings.cdc.warehouse:
        streamed.create(journal)
    if not begun:
        if streamed.exists():
            streamed.begin_anew()
        shutil.rmtree(folder, ignore_errors=True)
        kept = Kept(target, settings.environment)
        kept.forget()
        if settings.cdc.keep_rows:
            kept.keep(target_catalog(target, mapping), [item.target_path for item in mapping.in_scope], journal)
        ledger.begin(target, snapshot)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    drop_triggers(target, [item.target_path for item in mapping.in_scope], journal)
    return found


def _begun(target: Server, settings: Settings, snapshot: Mapping[str, Any] | None) -> Position | None:
    """Where changes since this very snapshot are applied already: how far; None where they are not.

    A stream that began anew at a cutback names the snapshot of the bulk load that it stands on.
    """
    ledger = Ledger(settings.environment)
    if snapshot is None or not ledger.exists(target):
        return None
    position = ledger.position(target)
    return (
        position if position is not None and snapshot in (position.snapshot, position.snapshot.get(STANDS_ON)) else None
    )


def drop_triggers(target: Server, paths: Iterable[tuple[str, str]], journal: Journal) -> None:
    """What triggers do on the source comes as changes of its own: on the target they would do it twice."""
    tables = set(paths)
    rows = target.rows(
        "SELECT TRIGGER_SCHEMA AS base, TRIGGER_NAME AS name, EVENT_OBJECT_TABLE AS tab FROM information_schema.TRIGGERS"
    )
    with target.session() as session:
        for row in rows:
            if (row["base"], row["tab"]) in tables:
                name = mysql_path(row["base"], row["name"])
                number = journal.intend(f"trigger {name}, off", None)
                session.execute(f"DROP TRIGGER {name}")
                journal.confirm(number)
