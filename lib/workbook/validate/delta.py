"""Delta validation: after one full proof only the rows touched since, on either side, are read; with the same guarantee.

Where the proof ended is a cursor: the GTID sets that both servers had executed before anything was read. It moves after a
good verdict alone. What the binlogs since then cannot tell falls back to the full proof, table by table, and says so.
"""

import hashlib
import json
import time
from collections.abc import Mapping as ReadOnly
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from workbook.catalog import Catalog, Table
from workbook.errors import WorkbookError
from workbook.mapping import Mapping, TableMap
from workbook.mapping.flow import DIRECT, carried_table
from workbook.mapping.types import ENCODING_VERSION
from workbook.params import Settings
from workbook.servers import Server
from workbook.validate.binlog import Path, Touched
from workbook.validate.binlog_rows import Unreadable
from workbook.validate.content import Servers, compare_table
from workbook.validate.keyed import keyed_chunks
from workbook.validate.proof import Proof
from workbook.validate.result import HOPS, TableVerdict
from workbook.validate.touched import Place, cascades_told, touched_since

if TYPE_CHECKING:
    from google.cloud import bigquery

# What a server estimates or counts up by itself is no change of a definition.
_ESTIMATES = ("rows_estimate", "data_bytes", "index_bytes", "auto_increment")


@dataclass(frozen=True)
class Earlier:
    """The last good verdict of an environment: its cursor and its validate.json; `why` there is none to go on from.

    `loaded` is the state of the target (a GTID set) that the warehouse was loaded from, where it is known; `merged` are
    those that tables show into which changes were merged since, by their path on the target.
    """

    cursor: ReadOnly[str, Any] = field(default_factory=dict)
    result: ReadOnly[str, Any] = field(default_factory=dict)
    why: str = "nothing was proven yet"
    loaded: str = ""
    merged: ReadOnly[Path, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Since:
    """What is known of each table before it is compared: rows touched on both sides, or why it must be read whole."""

    asked: str
    run: str = ""
    why: str = ""  # why all tables are read whole
    whole: ReadOnly[Path, str] = field(default_factory=dict)
    touched: ReadOnly[Path, tuple[Touched, Touched]] = field(default_factory=dict)
    before: ReadOnly[tuple[Path, str], ReadOnly[str, Any]] = field(default_factory=dict)
    relations: ReadOnly[tuple[str, str, str], ReadOnly[str, Any]] = field(default_factory=dict)
    events: int = 0
    seconds: float = 0.0


def cursor_of(
    places: tuple[Place, Place],
    catalog: Catalog,
    mapping: Mapping,
    warehouse: "bigquery.Client | None",
    settings: Settings,
) -> tuple[dict[str, Any] | None, str]:
    """The cursor of a validation that begins now, and why there is none. Take it before anything is read."""
    why = "; ".join(filter(None, (one.why for one in places)))
    if why:
        return None, why
    return {
        "encoding": ENCODING_VERSION,
        **{role: asdict(one) for role, one in zip(("source", "target"), places, strict=True)},
        "tables": {_name(item.path): _signature(catalog.table[item.path], item) for item in mapping.in_scope},
        "warehouse": {_name(item.path): _loaded(warehouse, item, settings) for item in mapping.in_scope},
    }, ""


def since(
    earlier: Earlier,
    now: ReadOnly[str, Any] | None,
    unknown: str,
    source: Server,
    target: Server,
    catalog: Catalog,
    mapping: Mapping,
    settings: Settings,
) -> Since:
    """What was touched since the earlier proof, read from both binlogs; `now` is the cursor of this validation, `unknown`
    why there is none."""
    asked = settings.validate_.mode
    if asked == "full":
        return Since(asked)
    why = unknown or _not_comparable(earlier, now)
    if why:
        return Since(asked, why=why)
    assert now is not None
    started = time.monotonic()
    cursor, run = earlier.cursor, str(earlier.cursor.get("run", ""))
    before = {((item["database"], item["table"]), item["hop"]): item for item in earlier.result["tables"]}
    whole = {item.path: _whole(item, cursor, now, before) for item in mapping.in_scope}
    chosen = [item for item in mapping.in_scope if not whole[item.path]]
    here = {item.path: catalog.table[item.path] for item in chosen}
    there = {item.target_path: carried_table(catalog.table[item.path], item.flow) for item in chosen}
    try:
        with ThreadPoolExecutor(2) as pool:
            jobs = [
                pool.submit(touched_since, server, tables, cursor[role]["gtids"], cascades_told(server))
                for role, server, tables in (("source", source, here), ("target", target, there))
            ]
            (on_source, events), (on_target, more) = (job.result() for job in jobs)
    except (Unreadable, WorkbookError) as error:
        return Since(asked, run, why=str(error) if isinstance(error, Unreadable) else error.found)
    touched = {}
    for item in chosen:
        pair = on_source.get(item.path, Touched()), on_target.get(item.target_path, Touched())
        whole[item.path] = next(
            (f"{role}: {one.full}" for role, one in zip(("source", "target"), pair, strict=True) if one.full), ""
        )
        touched[item.path] = pair
    return Since(
        asked,
        run,
        "",
        {path: why for path, why in whole.items() if why},
        touched,
        before,
        {(item["child"], item["parent"], item["name"]): item for item in earlier.result.get("relations", ())},
        events + more,
        time.monotonic() - started,
    )


def compare_since(
    known: Since, servers: Servers, table: Table, mapped: TableMap, settings: Settings
) -> tuple[list[TableVerdict], str]:
    """The verdicts of one table: of its touched rows and of what was proven before, or of all rows, with the reason."""
    if known.asked == "full" or known.why:
        return compare_table(servers, table, mapped, settings), ""
    if why := known.whole.get(mapped.path):
        return compare_table(servers, table, mapped, settings), why
    pair = known.touched[mapped.path]
    chunks = keyed_chunks(table, pair)
    touched = sum(len(chunk.keys) for chunk in chunks)
    hops = HOPS if servers.warehouse else HOPS[:1]
    kept = [_kept(known, table, hop, touched) for hop in hops]
    if not touched:
        return kept, ""
    found = compare_table(servers, table, mapped, settings, chunks)
    if not found:
        return compare_table(servers, table, mapped, settings), "both servers order or name its keys in different ways"
    (judged,) = found
    # Counted by the binlogs: what came and went since the rows were counted.
    rows = [
        None if count is None else count + side.inserted - side.deleted
        for count, side in zip((kept[0].rows_source, kept[0].rows_target), pair, strict=True)
    ]
    odd, twins = judged.missing + judged.extra + judged.changed, min(judged.missing, judged.extra)
    judged = replace(
        judged,
        rows_source=rows[0],
        rows_target=rows[1],
        similarity=max(0.0, 1 - odd / (max(*(count or 0 for count in rows), 1) + twins)) if odd else judged.similarity,
        proof="delta",
        proven_in=kept[0].proven_in,
        touched=touched,
    )
    return [judged, *(_behind(hop, touched) for hop in kept[1:])], ""


def _kept(known: Since, table: Table, hop: str, touched: int) -> TableVerdict:
    """A verdict of the earlier proof, as it stands for the rows that nobody touched."""
    before = known.before[table.path, hop]
    return TableVerdict(
        table.database,
        table.name,
        hop,
        before["verdict"],
        before["rows_source"],
        before["rows_target"],
        dict(before["columns"]),
        similarity=before["similarity"],
        why=before["why"] if before.get("proof") != "delta" and not before.get("again") else "",
        proof="delta",
        proven_in=before.get("proven_in") or known.run,
        touched=touched,
    )


def _behind(kept: TableVerdict, touched: int) -> TableVerdict:
    """A hop into the warehouse whose load is older than changes on Cloud SQL."""
    columns = {name: "sampled" if state == "proven" else state for name, state in kept.columns.items()}
    why = f"{touched:,} rows were touched since the warehouse was loaded and proven: load it, then validate again"
    return replace(kept, verdict="incomparable", columns=columns, similarity=None, why=why, behind=touched)


def _not_comparable(earlier: Earlier, now: ReadOnly[str, Any] | None) -> str:
    """Why no table can go on from an earlier proof, or nothing."""
    if earlier.why:
        return earlier.why
    assert now is not None
    if earlier.cursor.get("encoding") != ENCODING_VERSION:
        return "rows are encoded in another version since"
    for role in ("source", "target"):
        if earlier.cursor[role]["server"] != now[role]["server"]:
            return f"the {role} is another server since (its server_uuid changed)"
    return ""


def _whole(
    item: TableMap, cursor: ReadOnly[str, Any], now: ReadOnly[str, Any], before: ReadOnly[tuple[Path, str], Any]
) -> str:
    """Why a table cannot go on from its earlier proof, or nothing."""
    name = _name(item.path)
    if (item.path, HOPS[0]) not in before or name not in cursor["tables"]:
        return "it was not proven yet"
    if cursor["tables"][name] != now["tables"][name]:
        return "its definition or its mapping changed since"
    if replace(item.flow, database=None, table=None) != DIRECT:
        return "the mapping changes its rows on the way"
    if cursor["warehouse"].get(name) != now["warehouse"][name]:
        return "the warehouse was loaded since, and has no binlog"
    return ""


def _signature(table: Table, item: TableMap) -> str:
    definition = {key: value for key, value in asdict(table).items() if key not in _ESTIMATES}
    return hashlib.sha256(json.dumps([definition, asdict(item)], sort_keys=True, default=str).encode()).hexdigest()[:32]


def _loaded(warehouse: "bigquery.Client | None", item: TableMap, settings: Settings) -> list[str]:
    """When both layers of a table in the warehouse were last written, and the raw rows of its parents by orphan rules."""
    if warehouse is None:
        return []
    found, raw, name = [], settings.warehouse.raw_dataset, item.warehouse_name
    places = [f"{raw}.{name}", f"{settings.warehouse.dataset}.{name}"]
    for place in (*places, *(f"{raw}.{rule.parent.warehouse_name}" for rule in item.orphans)):
        try:
            table = warehouse.get_table(f"{warehouse.project}.{place}")
            found.append(f"{table.created} {table.modified} {table.num_rows} {table.etag}")
        except Exception as error:
            found.append(type(error).__name__)
    return found


def proof_of(known: Since, whole: ReadOnly[Path, str], cursor: dict[str, Any] | None, no_cursor: str) -> Proof:
    """How all tables were proven, once they were."""
    return Proof(
        known.asked,
        known.run,
        known.why,
        tuple((_name(path), why) for path, why in sorted(whole.items())),
        sum(len(one.keys | other.keys) for path, (one, other) in known.touched.items() if path not in whole),
        known.events,
        known.seconds,
        cursor,
        no_cursor,
    )


def _name(path: Path) -> str:
    """A table in one text that no other table has."""
    return json.dumps(list(path), ensure_ascii=False)
