"""The content of one table on all three servers: read once on each, the hops set side by side, differences located."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from workbook.bulk.chunks import Chunk, chunkable_key
from workbook.bulk.salts import tokens_of
from workbook.catalog import Table
from workbook.mapping import TableMap
from workbook.mapping.cleaning import clean_type
from workbook.mapping.flow import DIRECT, carried_table, kept_table
from workbook.names import bigquery_path, mysql_path
from workbook.params import Settings
from workbook.schema.table import normal_type
from workbook.servers import Server, Session
from workbook.validate.again import BothEnds, look_again, without_wrong
from workbook.validate.behind import Behind, Late, not_yet
from workbook.validate.encoding import CLEAN_CANONICAL, UTF8, Field, Kind, fields, on_target
from workbook.validate.ends import TableEnds, attempted, clean_columns, google_columns, warehouse_sides
from workbook.validate.evidence import GoogleReader, MysqlReader, Reader
from workbook.validate.explain import TableDefect, explained
from workbook.validate.fence import Fence
from workbook.validate.hops import HOPS
from workbook.validate.keyed import read_keyed
from workbook.validate.locate import MOST_PAIRS, End, GoogleEnd, MysqlEnd, Region, Search, in_buckets
from workbook.validate.masked import MaskedEnd, has_tokens, masked_side
from workbook.validate.result import TableVerdict, unread
from workbook.validate.resume import Notes, State, noted_of, open_snapshot
from workbook.validate.rows import Located, keys_of, listed, readable
from workbook.validate.sums import Reading, Side, bucket_count
from workbook.validate.tolerances import Ends, cleaned, not_needed, ruled, said, tolerated
from workbook.validate.walk import walk_alone, walk_both

if TYPE_CHECKING:
    from google.cloud import bigquery

Found = TypeVar("Found")
# A chunk of more rows than this is taken apart by buckets before its rows are set side by side.
_LARGE_CHUNK = 100_000
# So often is a table read of which very many rows were in flight.
_ATTEMPTS = 3


@dataclass(frozen=True)
class Servers:
    """The servers of a validation; without a warehouse, one hop. `pause` may hold the work up; for `notes` see resume.py.

    With a fence, rows that differ while something moves are looked at again; `behind` knows of rows of the warehouse
    that are older than Cloud SQL's.
    """

    source: Server
    target: Server
    warehouse: "bigquery.Client | None"
    pause: Callable[[], None] = lambda: None
    notes: Notes | None = None
    fence: Fence | None = None
    behind: Behind | None = None


def compare_table(
    servers: Servers, table: Table, mapped: TableMap, settings: Settings, chunks: Sequence[Chunk] | None = None
) -> list[TableVerdict]:
    """The verdicts of one table on its hops. A side that cannot be read makes its hops incomparable, with the reason.

    With `chunks`, only their rows on the first hop; none of it where the servers do not order the keys alike.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        states: list[State] = []

        def opened(session: Session, states: list[State] = states) -> None:
            states.append(open_snapshot(session, servers.notes is not None))

        with ExitStack() as stack:
            if servers.fence is not None:
                source, target, _ = stack.enter_context(servers.fence.snapshots(opened))
            else:
                source, target = (stack.enter_context(one.session()) for one in (servers.source, servers.target))
                opened(source)
                opened(target)
            found = compare_in(source, target, servers, table, mapped, settings, states, chunks)
        if not found:
            return []
        # Where more rows were in flight than can be looked at one by one, the table is read once more.
        if found[0].again is None or not found[0].again.more or found[0].verdict == "different" or attempt == _ATTEMPTS:
            break
    return found


def compare_in(
    source: Session,
    target: Session,
    servers: Servers,
    table: Table,
    mapped: TableMap,
    settings: Settings,
    states: Sequence[State] = (State(), State()),
    chunks: Sequence[Chunk] | None = None,
) -> list[TableVerdict]:
    """The verdicts of one table as two sessions see it, in the transactions that they are in, of these states."""
    started = time.monotonic()
    warehouse, client = settings.warehouse, servers.warehouse if chunks is None else None
    project = client.project if client else ""
    whole, flow = table, mapped.flow
    # The key that names a row is one that the target has too.
    table = kept_table(whole, flow)
    chosen = attempted(lambda: fields(table, mapped, tokens_of(table, mapped, settings)))
    if isinstance(chosen, str):
        return unread(table, HOPS if client else HOPS[:1], chosen)

    def raw_path(one: TableMap) -> str:
        return bigquery_path(project, warehouse.raw_dataset, one.warehouse_name)

    ends = TableEnds(
        table,
        mapped,
        chosen,
        bucket_count(table.rows_estimate),
        raw_path(mapped),
        bigquery_path(project, warehouse.dataset, mapped.warehouse_name),
        raw_path,
    )
    sides: dict[str, Side | str] = {}
    found: list[TableVerdict] = []
    with ThreadPoolExecutor(1) as pool:
        for session in (source, target):
            if session.flavour == "mariadb":
                # It knows no hint against merging.
                session.execute("SET SESSION optimizer_switch = 'derived_merge=off'")
        in_warehouse = pool.submit(warehouse_sides, client, ends, settings) if client else None
        alike, readings = _readings(source, target, whole, ends, client is None)
        if chunks is None:
            sides["source"], sides["target"] = _mysql_sides(servers, readings, whole, ends, alike, states)
        elif alike:
            sides["source"], sides["target"] = read_keyed(readings, chunks, servers.pause, attempted)
        else:
            return []
        if flow.where:
            out = f"SELECT COUNT(*) FROM {mysql_path(*table.path)} WHERE NOT IFNULL(({flow.where}), 0)"
            ends.left_out = int(source.scalar(out))
        if in_warehouse is None:
            verdict = _hop(HOPS[0], sides, ends, readings, client, settings, alike, servers.fence)
            return [replace(verdict, seconds=time.monotonic() - started)]
        sides["warehouse"], expected, clean = in_warehouse.result()
        for hop in HOPS:
            twin = next((one for one in found if one.hop == "target-warehouse"), None)
            if hop == "source-warehouse" and twin and found[0].equal and flow == DIRECT:
                # Source and target are alike to the byte: what the target's hop shows is true of the source's.
                found.append(replace(twin, hop=hop, why=twin.why.replace("target:", "source:", 1)))
                continue
            found.append(_hop(hop, sides, ends, readings, client, settings, alike, servers.fence, servers.behind))
    assert client
    found[1] = _clean_verdict(client, ends, settings, found[1], expected, clean)
    seconds = time.monotonic() - started
    return [replace(verdict, seconds=seconds / len(found)) for verdict in found]


def _readings(
    source: Session, target: Session, whole: Table, ends: TableEnds, mysql_only: bool
) -> tuple[bool, tuple[Reading, Reading]]:
    """Whether both servers order the keys in the same way, so that a chunk is the same rows on both; how each is read.

    Not where MariaDB has its own order (uuid, collations), where the mapping makes the table another one, and where the
    key's type or collation came out otherwise on the target. With `mysql_only` nothing but these two is compared.
    """
    flow, table = ends.mapped.flow, ends.table
    rows = target.rows(
        "SELECT COLUMN_NAME AS name, DATA_TYPE AS type, COLUMN_TYPE AS whole, COLLATION_NAME AS collation,"
        " CHARACTER_SET_NAME AS charset"
        " FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s",
        ends.mapped.target_path,
    )
    there = {row["name"]: (row["type"], row["collation"]) for row in rows}
    charsets = {row["name"]: row["charset"] for row in rows}
    cut_by = [whole.column[name] for name in chunkable_key(whole)]
    alike = (
        source.flavour == target.flavour
        and replace(flow, database=None, table=None) == DIRECT
        and all(there.get(column.name) == (column.data_type, column.collation) for column in cut_by)
    )
    chosen = ends.fields
    if mysql_only and source.flavour == target.flavour and table.key and not has_tokens(chosen):
        types = {row["name"]: normal_type(row["whole"]) for row in rows}

        def twins(item: Field) -> bool:
            return types.get(flow.column(item.name)) == normal_type(table.column[item.name].type)

        # Keys are told apart by the one text that all readers of keys know.
        chosen = tuple(replace(item, alone=not item.key and not item.stands and twins(item)) for item in chosen)
    plain = source.flavour == "mysql"
    here = tuple(replace(item, utf8=plain and item.charset in UTF8) for item in chosen)
    moved = tuple(replace(item, utf8=charsets.get(item.name) in UTF8) for item in on_target(chosen, flow))
    return alike, (Reading(source, table.path, here, flow.where or ""), Reading(target, ends.mapped.target_path, moved))


def _mysql_sides(
    servers: Servers,
    readings: tuple[Reading, Reading],
    whole: Table,
    ends: TableEnds,
    alike: bool,
    states: Sequence[State],
) -> tuple[Side | str, Side | str]:
    source, target = readings
    there = carried_table(whole, ends.mapped.flow)
    if not has_tokens(source.fields):
        shared = servers.warehouse is not None
        read = (source, whole), (target, there)
        noted = noted_of(servers.notes, read, states, ends.keyed, shared)
        return walk_both(*read, ends.keyed, servers.pause, attempted, alike, shared, noted)
    # No server may know the tokens: the source's rows are read here.
    here = attempted(lambda: masked_side(source, ends.keyed))
    return here, attempted(lambda: walk_alone(target, there, ends.keyed, servers.pause))


def _hop(
    hop: str,
    sides: dict[str, Side | str],
    ends: TableEnds,
    readings: tuple[Reading, Reading],
    client: "bigquery.Client | None",
    settings: Settings,
    alike: bool,
    fence: Fence | None = None,
    behind: Behind | None = None,
) -> TableVerdict:
    before, after = hop.split("-")
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
            similarity=0.0 if lost else None,
            classes=tuple(TableDefect(45, name, "type", 0, 0, 0, what, ()) for name, what in retyped.items()),
        )
    kind: Kind = "exact" if hop == "source-target" else "shared"
    let = ruled(ends.mapped, one.losses if hop != HOPS[0] else {}, before == "source")
    base = replace(base, let_through=let)
    by_rule = {item.column for item in let}
    states = {item.name: "tolerated" if item.name in by_rule else "proven" for item in ends.fields}
    if one.total[kind] == other.total[kind]:
        why = "; ".join((*said(let), *(_on_the_way(ends) if before == "source" else ())))
        let += not_needed(ends.mapped, one.rows)
        return replace(base, verdict="same", columns=states, similarity=1.0, why=why, let_through=let)

    def end(name: str, side: Side) -> End:
        if name == "warehouse":
            assert client
            return GoogleEnd(client, ends.raw, *google_columns(ends))
        chunks = [(chunk, digest.rows) for chunk, digest in side.chunks.values()]
        reading = readings[name == "target"]
        if has_tokens(reading.fields):
            return MaskedEnd(reading, kind)
        return MysqlEnd(reading, kind, chunks)

    search = Search(names, ends.table.key, settings.validate_.samples, settings.validate_.listed)
    why = attempted(lambda: _search(search, (end(before, one), end(after, other)), (one, other), ends, alike))
    again = None
    if hop == HOPS[0] and fence is not None and not why and not fence.still:
        both = BothEnds.of(readings, ends.table, ends.mapped.flow, (one, other), kind)
        looked = attempted(lambda: look_again(fence, both, search))
        if isinstance(looked, str):
            why = f"the second look: {looked}"
        else:
            search, again = looked
            if not again.wrong:
                return without_wrong(base, states, again, (*said(let), *_on_the_way(ends)))
    if hop == HOPS[0]:
        ends.wrong = search.odd
    located, late = search.located(), Late()
    if hop != HOPS[0] and behind is not None and not why:
        located, late = behind.told(
            ends.mapped.target_path, on_target(ends.fields, ends.mapped.flow), search, ends.wrong
        )
        if late.alone:
            return not_yet(base, states, late)
    judged = replace(_different(base, states, search, located, why), again=again, behind=late.rows)
    if why:
        return judged
    judged = replace(judged, why="; ".join(filter(None, (judged.why, late.said, again.said if again else ""))))
    if hop == HOPS[0] and ends.mapped.flow == DIRECT and search.all_read:
        judged = replace(judged, keys=keys_of(names, ends.table.key, located.differences))

    def asked(side: str) -> Reader:
        if side == "warehouse":
            assert client
            columns = tuple((item.warehouse_name, item.rule.warehouse_type) for item in ends.fields)
            return GoogleReader(client, ends.raw, tuple(google_columns(ends)[0]), columns, _text_key(ends))
        reading = readings[side == "target"]
        table = ends.table if side == "source" else carried_table(ends.table, ends.mapped.flow)
        return MysqlReader(reading.session, table, tuple(reading.fields), kind, reading.only)

    hashed = frozenset(
        place
        for place, item in enumerate(ends.fields)
        if "SHA2(" in (item.rule.exact if kind == "exact" else item.rule.shared)
    )
    readers = asked(before), asked(after)
    judged = _explained(judged, ends, names, located, hashed, *readers, settings)
    of = Ends(*readers, hashed)
    passed = attempted(
        lambda: tolerated(judged, ends.table, ends.mapped, located, of, search.all_read, settings.validate_.samples)
    )
    if isinstance(passed, str):
        passed = replace(judged, why="; ".join(filter(None, (judged.why, f"nothing could be tolerated: {passed}"))))
    return _readable(passed, ends) if hop == HOPS[0] else passed


def _readable(judged: TableVerdict, ends: TableEnds) -> TableVerdict:
    """The verdict with the rows that it shows as MySQL writes them."""
    rules = {item.name: item.rule.name for item in ends.fields}
    classes = (replace(item, samples=tuple(readable(row, rules) for row in item.samples)) for item in judged.classes)
    let = (replace(item, samples=tuple(readable(row, rules) for row in item.samples)) for item in judged.let_through)
    return replace(
        judged,
        samples=tuple(readable(row, rules) for row in judged.samples),
        classes=tuple(classes),
        let_through=tuple(let),
    )


def _explained(
    judged: TableVerdict,
    ends: TableEnds,
    names: list[str],
    located: Located,
    hashed: frozenset[int],
    before: Reader,
    after: Reader,
    settings: Settings,
) -> TableVerdict:
    """The verdict with its differing rows as named defects; where they cannot be asked for, it stays without names."""
    classes = attempted(
        lambda: explained(
            ends.table, names, located, hashed, before, after, judged.rows_source, settings.validate_.samples
        )
    )
    if isinstance(classes, str):
        return replace(judged, why="; ".join(filter(None, (judged.why, f"its rows could not be named: {classes}"))))
    return replace(judged, classes=classes)


def _text_key(ends: TableEnds) -> tuple[str, ...]:
    """The columns of the key in the warehouse, where all of them are text."""
    keyed = [item for item in ends.fields if item.key]
    return tuple(item.warehouse_name for item in keyed) if all(item.rule.free for item in keyed) else ()


def _search(search: Search, of: tuple[End, End], sides: tuple[Side, Side], ends: TableEnds, alike: bool) -> str:
    """Look where the digests differ: chunk by chunk where both ends have the same chunks, by buckets elsewhere; nothing to say."""
    before, after = of
    one, other = sides
    if isinstance(before, MysqlEnd) and isinstance(after, MysqlEnd) and alike:
        for number, (chunk, digest) in one.chunks.items():
            there = other.chunks[number][1]
            if digest == there:
                continue
            if max(digest.rows, there.rows) <= _LARGE_CHUNK:
                search.look(before, after, Region(chunk))
                continue
            count = bucket_count(max(digest.rows, there.rows))
            buckets = before.buckets(ends.keyed, count, chunk), after.buckets(ends.keyed, count, chunk)
            in_buckets(search, before, after, buckets, Region(chunk, count))
        return ""
    of_both = [
        end.buckets(ends.keyed, ends.buckets) if isinstance(end, MysqlEnd | MaskedEnd) else dict(side.buckets)
        for end, side in zip(of, sides, strict=True)
    ]
    in_buckets(search, before, after, (of_both[0], of_both[1]), Region(None, ends.buckets))
    return ""


def _different(
    base: TableVerdict, states: dict[str, str], search: Search, located: Located, failed: str
) -> TableVerdict:
    """The verdict where digests differ, also where not all rows could be looked at; columns not seen are `sampled`.

    Rows without a hash are no difference: nothing is known of them.
    """
    if "have no hash" in failed:
        return replace(base, verdict="incomparable", columns=dict.fromkeys(states, "incomparable"), why=failed)
    columns = {
        name: "different" if name in located.columns else state if search.all_read and not failed else "sampled"
        for name, state in states.items()
    }
    total = max((base.rows_source or 0), (base.rows_target or 0)) + min(located.missing, located.extra)
    odd = located.missing + located.extra + located.changed
    why = f"the digests differ; the rows could not be looked at: {failed}" if failed else ""
    if not failed and not search.all_counted:
        why = f"at least: of the rows that differ {MOST_PAIRS:,} were looked at; one that moved out of these counts as missing"
    return replace(
        base,
        verdict="different",
        columns=columns,
        missing=located.missing,
        extra=located.extra,
        changed=located.changed,
        samples=located.rows,
        listed=listed(search.names, search.key, located.differences),
        similarity=max(0.0, 1 - odd / total) if total else 0.0,
        why=why,
        counted=search.all_counted and not failed,
    )


def _on_the_way(ends: TableEnds) -> list[str]:
    """What the mapping left out or masked between the source and the others, which is no difference."""
    flow = ends.mapped.flow
    words = [f"{ends.left_out:,} rows left out by the filter"] if ends.left_out is not None else []
    words += [f"left out by the mapping: {', '.join(flow.excluded)}"] if flow.excluded else []
    return words


def _clean_verdict(
    client: "bigquery.Client",
    ends: TableEnds,
    settings: Settings,
    raw: TableVerdict,
    one: Side | str,
    other: Side | str,
) -> TableVerdict:
    """The verdict of the hop into the warehouse, after the clean table was set against its rules over the raw one."""
    if raw.verdict != "same":
        return raw
    ruled = {column.name: "tolerated" for column in ends.mapped.columns if ends.mapped.cleaned(column)}
    states = {**raw.columns, **ruled}
    if isinstance(one, str) or isinstance(other, str):
        why = f"clean table: {one if isinstance(one, str) else other}"
        verdict, share = ("different", 0.0) if "not there" in why else ("incomparable", None)
        return replace(raw, verdict=verdict, columns=dict.fromkeys(raw.columns, verdict), why=why, similarity=share)
    if one.total["shared"] == other.total["shared"]:
        aside = one.rows - raw.rows_target if raw.rows_target is not None else 0
        set_aside = f"{-aside:,} rows set aside by the rules" if aside else ""
        let = cleaned(ends.mapped)
        why = "; ".join(filter(None, (raw.why, *said(let), set_aside)))
        return replace(raw, columns=states, why=why, let_through=(*raw.let_through, *let))
    columns = google_columns(ends) if ends.plain else clean_columns(ends)
    names = [column.name for column in ends.mapped.columns]
    search = Search(names, ends.table.key, settings.validate_.samples, settings.validate_.listed)
    of = GoogleEnd(client, ends.expected, *columns), GoogleEnd(client, ends.clean, *columns)
    failed = attempted(lambda: _search(search, of, (one, other), ends, False))
    located = search.located()
    judged = _different(raw, states, search, located, failed)
    if not failed:
        key = tuple(columns[0])
        typed = tuple((column.warehouse_name, clean_type(column)) for column in ends.mapped.columns)
        hashed = frozenset(place for place, (_, kind) in enumerate(typed) if "SHA256" in CLEAN_CANONICAL[kind])
        expected, clean = (
            GoogleReader(client, place, key, typed, _text_key(ends)) for place in (ends.expected, ends.clean)
        )
        judged = _explained(judged, ends, list(search.names), located, hashed, expected, clean, settings)
    return replace(
        judged, why="; ".join(filter(None, ("in the clean table, against its rules over the raw one", judged.why)))
    )
