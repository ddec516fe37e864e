"""The content of one table on all three servers: one checksum query each, the hops set side by side, differences located."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from google.cloud import bigquery
from google.cloud.exceptions import GoogleCloudError, NotFound

from workbook.bulk.chunks import cut
from workbook.bulk.salts import tokens_of
from workbook.catalog import Table
from workbook.errors import WorkbookError
from workbook.mapping import TableMap
from workbook.mapping.cleaning import clean_select, clean_type, raw_type
from workbook.mapping.flow import DIRECT, carried_table, kept_table
from workbook.names import bigquery_path, mysql_path
from workbook.params import Settings
from workbook.servers import Server, Session
from workbook.validate import rows as rowwise
from workbook.validate.encoding import CLEAN_CANONICAL, Field, Kind, fields, google_value, on_target
from workbook.validate.evidence import GoogleReader, MysqlReader, Reader
from workbook.validate.explain import TableDefect, explained
from workbook.validate.masked import has_tokens, masked_rows, masked_side
from workbook.validate.result import TableVerdict
from workbook.validate.rows import Located
from workbook.validate.sums import Side, Sums, bucket_count, differing, google_sides, mysql_side

Found = TypeVar("Found")
# Names that BigQuery's API and its SQL have for one type.
_SAME_TYPE = {
    "INT64": "INTEGER",
    "FLOAT64": "FLOAT",
    "BOOL": "BOOLEAN",
    "DECIMAL": "NUMERIC",
    "BIGDECIMAL": "BIGNUMERIC",
}
# A chunk of a checksum query: some seconds of one core.
_CHUNK_ROWS = 500_000


@dataclass(frozen=True)
class Servers:
    """The three servers of a validation."""

    source: Server
    target: Server
    warehouse: bigquery.Client


@dataclass
class _Ends:
    """What is known of one table while it is compared."""

    table: Table
    mapped: TableMap
    fields: tuple[Field, ...]
    buckets: int
    raw: str
    clean: str
    # Columns of the raw table that have another type than the mapping says, and both types.
    retyped: dict[str, str] = field(default_factory=dict)
    left_out: int | None = None  # rows of the source that the mapping's filter leaves out

    @property
    def where(self) -> str:
        """The mapping's filter; empty for all rows."""
        return self.mapped.flow.where or ""

    @property
    def there(self) -> tuple[Field, ...]:
        """The columns as the target holds them."""
        return on_target(self.fields, self.mapped.flow)

    @property
    def plain(self) -> bool:
        """Whether no rule makes the clean table another than the raw one."""
        mapped = self.mapped
        return not (any(column.clean for column in mapped.columns) or mapped.dedupe or mapped.reject)

    @property
    def expected(self) -> str:
        """What the rules make of the raw table, as something to select from."""
        return self.raw if self.plain else f"({clean_select(self.mapped, self.raw)})"


def compare_table(servers: Servers, table: Table, mapped: TableMap, settings: Settings) -> list[TableVerdict]:
    """The verdicts of one table on its hops. A side that cannot be read makes its hops incomparable, with the reason."""
    started = time.monotonic()
    warehouse = settings.warehouse
    project = servers.warehouse.project
    whole, flow = table, mapped.flow
    # The key that names a row is one that the target has too.
    table = kept_table(whole, flow)
    ends = _Ends(
        table,
        mapped,
        fields(table, mapped, tokens_of(table, mapped, settings)),
        bucket_count(table.rows_estimate),
        bigquery_path(project, warehouse.raw_dataset, mapped.warehouse_name),
        bigquery_path(project, warehouse.dataset, mapped.warehouse_name),
    )
    sides: dict[str, Side | str] = {}
    with servers.source.session() as source, servers.target.session() as target:
        for session in (source, target):
            session.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            session.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        chunks = cut(source, whole, _CHUNK_ROWS)
        mariadb = source.flavour == "mariadb"
        if mariadb:
            # It knows no hint against merging.
            source.execute("SET SESSION optimizer_switch = 'derived_merge=off'")
        read = masked_side if has_tokens(ends.fields) else mysql_side
        sides["source"] = _attempted(lambda: read(source, table.path, ends.fields, ends.buckets, chunks, ends.where))
        if ends.where:
            out = f"SELECT COUNT(*) FROM {mysql_path(*table.path)} WHERE NOT IFNULL(({ends.where}), 0)"
            ends.left_out = int(source.scalar(out))
        # The keys of both sides may be ordered otherwise (MariaDB's uuid and collations, a key that is utf8mb4 on the
        # target by choice): then each side is cut in its own order.
        own_order = mariadb or any(mapped.target.moves(table.column[name].charset) for name in table.key)
        own_order = own_order or flow != DIRECT
        there = lambda: cut(target, carried_table(whole, flow), _CHUNK_ROWS) if own_order else chunks  # noqa: E731
        sides["target"] = _attempted(lambda: mysql_side(target, mapped.target_path, ends.there, ends.buckets, there()))
        sides["warehouse"], expected, clean = _warehouse_sides(servers.warehouse, ends, settings)
        found = []
        for hop, before, after in (
            ("source-target", "source", "target"),
            ("target-warehouse", "target", "warehouse"),
            ("source-warehouse", "source", "warehouse"),
        ):
            found.append(_hop(hop, before, after, sides, ends, (source, target, servers.warehouse), settings))
    found[1] = _clean_verdict(servers.warehouse, ends, settings, found[1], expected, clean)
    seconds = time.monotonic() - started
    return [replace(verdict, seconds=seconds / len(found)) for verdict in found]


def _attempted(read: Callable[[], Found]) -> Found | str:
    """What was read, or the reason why it could not be."""
    try:
        return read()
    except NotFound as error:
        return f"it is not there: {error.message[:200]}"
    except WorkbookError as error:
        return error.found
    except GoogleCloudError as error:
        return f"the warehouse answered: {str(error)[:300]}"


def _warehouse_sides(
    client: bigquery.Client, ends: _Ends, settings: Settings
) -> tuple[Side | str, Side | str, Side | str]:
    """The checksums of the raw table, of what its rules make of it, and of the clean table.

    Where there are no rules the clean table is a copy of the raw one and is encoded as that. Tables of the same
    columns are read by one job; where that fails, one at a time, so that the one at fault is known.
    """
    names = [item.warehouse_name for item in ends.fields]
    raw_path = f"{client.project}.{settings.warehouse.raw_dataset}.{ends.mapped.warehouse_name}"
    odd = _attempted(lambda: {field.name for field in client.get_table(raw_path).schema} ^ set(names))
    if odd:
        why = odd if isinstance(odd, str) else f"its columns are not the mapping's: {', '.join(sorted(odd)[:5])}"
        return why, why, why
    types = _attempted(lambda: {item.name: item.field_type for item in client.get_table(raw_path).schema})
    if not isinstance(types, str):
        for column in ends.mapped.columns:
            here, there = raw_type(column), types[column.warehouse_name]
            if _SAME_TYPE.get(here, here) != _SAME_TYPE.get(there, there):
                ends.retyped[column.name] = f"the type {here} became {there}"
    if ends.retyped:
        why = "; ".join(f"{name}: {what}" for name, what in ends.retyped.items())
        return why, why, why

    def alone(source: str, columns: tuple[list[str], list[str]]) -> Side | str:
        found = _attempted(lambda: google_sides(client, [source], names, *columns, ends.buckets))
        return found if isinstance(found, str) else found[0]

    def read(sources: list[str], columns: tuple[list[str], list[str]]) -> list[Side | str]:
        one_job = _attempted(lambda: google_sides(client, sources, names, *columns, ends.buckets))
        if not isinstance(one_job, str):
            return list(one_job)
        return [alone(source, columns) for source in sources]

    if ends.plain:
        raw, clean = read([ends.raw, ends.clean], _google_columns(ends))
        return raw, raw, clean
    (raw,) = read([ends.raw], _google_columns(ends))
    expected, clean = read([ends.expected, ends.clean], _clean_columns(ends))
    return raw, expected, clean


def _google_columns(ends: _Ends) -> tuple[list[str], list[str]]:
    """The encoded columns of the raw table: those of the key, and all."""
    values = [google_value(item.warehouse_name, item.rule.google, item.rule.free) for item in ends.fields]
    keyed = [value for value, item in zip(values, ends.fields, strict=True) if item.key]
    return keyed or values, values


def _hop(
    hop: str,
    before: str,
    after: str,
    sides: dict[str, Side | str],
    ends: _Ends,
    readers: tuple[Session, Session, bigquery.Client],
    settings: Settings,
) -> TableVerdict:
    one, other = sides[before], sides[after]
    base = TableVerdict(ends.table.database, ends.table.name, hop, "incomparable", None, None, {})
    rows = tuple(side.rows if isinstance(side, Side) else None for side in (one, other))
    base = replace(base, rows_source=rows[0], rows_target=rows[1])
    names = [item.name for item in ends.fields]
    if isinstance(one, str) or isinstance(other, str):
        place, why = (before, one) if isinstance(one, str) else (after, other)
        # A table that is not there is a difference, not a failure to look.
        retyped = ends.retyped if place == "warehouse" else {}
        lost = "not there" in str(why) or "doesn't exist" in str(why) or bool(retyped)
        verdict = "different" if lost else "incomparable"
        columns = {name: "different" if name in retyped else "incomparable" for name in names}
        return replace(
            base,
            verdict=verdict,
            columns=columns if retyped else dict.fromkeys(names, verdict),
            why=f"{place}: {why}",
            similarity=0.0,
            classes=tuple(TableDefect(45, name, "type", 0, 0, 0, what, ()) for name, what in retyped.items()),
        )
    kind: Kind = "exact" if hop == "source-target" else "shared"
    chosen = differing(one.buckets[kind], other.buckets[kind])
    masked = dict(ends.mapped.flow.masks) if before == "source" else {}
    states = {item.name: "tolerated" if item.name in masked else _settled(item, hop, one) for item in ends.fields}
    if not chosen:
        why = "; ".join(filter(None, (_tolerance(hop, one), _on_the_way(ends) if before == "source" else "")))
        return replace(base, verdict="same", columns=states, similarity=1.0, why=why)
    source, target, client = readers
    key, values = _google_columns(ends)
    looked = _looked_at(chosen, one.buckets[kind], other.buckets[kind])

    def read(side: str) -> list[rowwise.Encoded]:
        if side == "warehouse":
            return rowwise.google_rows(client, ends.raw, key, values, ends.buckets, looked)
        if side == "target":
            return rowwise.mysql_rows(target, ends.mapped.target_path, ends.there, ends.buckets, looked, kind)
        by = masked_rows if has_tokens(ends.fields) else rowwise.mysql_rows
        return by(source, ends.table.path, ends.fields, ends.buckets, looked, kind, ends.where)

    located = _attempted(
        lambda: rowwise.compare(names, ends.table.key, read(before), read(after), settings.validate_.samples)
    )
    judged = _located(base, states, located, looked == chosen)
    if isinstance(located, str):
        return judged
    if hop == "source-target" and ends.mapped.flow == DIRECT:
        judged = replace(judged, keys=rowwise.keys_of(names, ends.table.key, located.differences))

    def asked(side: str) -> Reader:
        if side == "warehouse":
            columns = tuple((item.warehouse_name, item.rule.warehouse_type) for item in ends.fields)
            return GoogleReader(client, ends.raw, tuple(key), columns, _text_key(ends))
        if side == "source":
            return MysqlReader(source, ends.table, ends.fields, kind, ends.where)
        return MysqlReader(target, carried_table(ends.table, ends.mapped.flow), ends.there, kind)

    hashed = frozenset(
        place
        for place, item in enumerate(ends.fields)
        if "SHA2(" in (item.rule.exact if kind == "exact" else item.rule.shared)
    )
    return _explained(judged, ends, names, located, hashed, asked(before), asked(after), settings)


def _explained(
    judged: TableVerdict,
    ends: _Ends,
    names: list[str],
    located: Located,
    hashed: frozenset[int],
    before: Reader,
    after: Reader,
    settings: Settings,
) -> TableVerdict:
    """The verdict with its differing rows as named defects; where they cannot be asked for, it stays without names."""
    classes = _attempted(
        lambda: explained(
            ends.table, names, located, hashed, before, after, judged.rows_source, settings.validate_.samples
        )
    )
    if isinstance(classes, str):
        return replace(judged, why="; ".join(filter(None, (judged.why, f"its rows could not be named: {classes}"))))
    return replace(judged, classes=classes)


def _text_key(ends: _Ends) -> tuple[str, ...]:
    """The columns of the key in the warehouse, where all of them are text."""
    keyed = [item for item in ends.fields if item.key]
    return tuple(item.warehouse_name for item in keyed) if all(item.rule.free for item in keyed) else ()


def _looked_at(chosen: list[int], one: Mapping[int, Sums], other: Mapping[int, Sums]) -> list[int]:
    """The differing buckets that are looked at row by row: whole ones, the same on both sides, until they hold many rows."""
    looked: list[int] = []
    rows = 0
    for bucket in chosen:
        rows += max(sums.get(bucket, (0,))[0] for sums in (one, other))
        if looked and rows > rowwise.MOST_ROWS:
            break
        looked.append(bucket)
    return looked


def _located(base: TableVerdict, states: dict[str, str], located: Located | str, whole: bool) -> TableVerdict:
    """A verdict of `different`, also where the rows could not be looked at one by one: the checksums differ all the same."""
    if isinstance(located, str):
        why = f"the checksums differ; the rows could not be looked at: {located}"
        return replace(base, verdict="different", columns=dict.fromkeys(states, "sampled"), why=why)
    return _different(base, states, located, whole)


def _different(base: TableVerdict, states: dict[str, str], located: Located, whole: bool) -> TableVerdict:
    """A verdict of `different` with the columns that changed; the others are as proven as the look was whole."""
    columns = {
        name: "different" if name in located.columns else state if whole else "sampled"
        for name, state in states.items()
    }
    total = max((base.rows_source or 0), (base.rows_target or 0)) + min(located.missing, located.extra)
    odd = located.missing + located.extra + located.changed
    return replace(
        base,
        verdict="different",
        columns=columns,
        missing=located.missing,
        extra=located.extra,
        changed=located.changed,
        samples=located.rows,
        similarity=max(0.0, 1 - odd / total) if total else 0.0,
        why="" if whole else "at least: too many rows differ to look at each of them",
    )


def _settled(item: Field, hop: str, side: Side) -> str:
    """The state of a column that was compared: tolerated where its rule changed values that are there."""
    if hop != "source-target" and side.losses.get(item.name):
        return "tolerated"
    return "proven"


def _tolerance(hop: str, side: Side) -> str:
    lost = {name: count for name, count in side.losses.items() if count} if hop != "source-target" else {}
    return "; ".join(
        f"{name}: {count:,} values the warehouse's type cannot hold became NULL, by rule"
        for name, count in lost.items()
    )


def _on_the_way(ends: _Ends) -> str:
    """What the mapping left out or masked between the source and the others, which is no difference."""
    flow = ends.mapped.flow
    words = [f"{ends.left_out:,} rows left out by the filter"] if ends.left_out is not None else []
    words += [f"left out by the mapping: {', '.join(flow.excluded)}"] if flow.excluded else []
    if flow.masks:
        words.append(f"compared as masked: {', '.join(name for name, _ in flow.masks)}")
    return "; ".join(words)


def _clean_verdict(
    client: bigquery.Client, ends: _Ends, settings: Settings, raw: TableVerdict, one: Side | str, other: Side | str
) -> TableVerdict:
    """The verdict of the hop into the warehouse, after the clean table was set against its rules over the raw one."""
    if raw.verdict != "same":
        return raw
    ruled = {column.name: "tolerated" for column in ends.mapped.columns if column.clean}
    states = {**raw.columns, **ruled}
    if isinstance(one, str) or isinstance(other, str):
        why = f"clean table: {one if isinstance(one, str) else other}"
        verdict = "different" if "not there" in why else "incomparable"
        return replace(raw, verdict=verdict, columns=dict.fromkeys(raw.columns, verdict), why=why, similarity=0.0)
    chosen = differing(one.buckets["shared"], other.buckets["shared"])
    if not chosen:
        aside = one.rows - raw.rows_target if raw.rows_target is not None else 0
        set_aside = f"{-aside:,} rows set aside by the rules for duplicates and rejects" if aside else ""
        return replace(raw, columns=states, why="; ".join(filter(None, (raw.why, _cleaned(ends), set_aside))))
    key, values = _google_columns(ends) if ends.plain else _clean_columns(ends)
    looked = _looked_at(chosen, one.buckets["shared"], other.buckets["shared"])
    names = [column.name for column in ends.mapped.columns]

    def read(place: str) -> list[rowwise.Encoded]:
        return rowwise.google_rows(client, place, key, values, ends.buckets, looked)

    located = _attempted(
        lambda: rowwise.compare(
            names, ends.table.key, read(ends.expected), read(ends.clean), settings.validate_.samples
        )
    )
    judged = _located(raw, states, located, looked == chosen)
    if not isinstance(located, str):
        columns = tuple((column.warehouse_name, clean_type(column)) for column in ends.mapped.columns)
        hashed = frozenset(place for place, (_, kind) in enumerate(columns) if "SHA256" in CLEAN_CANONICAL[kind])
        expected, clean = (
            GoogleReader(client, place, tuple(key), columns, _text_key(ends)) for place in (ends.expected, ends.clean)
        )
        judged = _explained(judged, ends, names, located, hashed, expected, clean, settings)
    return replace(
        judged, why="; ".join(filter(None, ("in the clean table, against its rules over the raw one", judged.why)))
    )


def _clean_columns(ends: _Ends) -> tuple[list[str], list[str]]:
    """The encoded columns of the clean table: those of the key, and all."""
    values = [
        google_value(column.warehouse_name, CLEAN_CANONICAL[clean_type(column)]) for column in ends.mapped.columns
    ]
    keyed = [value for value, column in zip(values, ends.mapped.columns, strict=True) if column.name in ends.table.key]
    return keyed or values, values


def _cleaned(ends: _Ends) -> str:
    ruled = [column.name for column in ends.mapped.columns if column.clean]
    return f"cleaned by rule, and proven to be what the rules give: {', '.join(ruled)}" if ruled else ""
