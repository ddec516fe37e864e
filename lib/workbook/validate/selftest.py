"""The self-test of a validation: a small copy is damaged on purpose, and what was planted must be found by the same code.

A comparison that finds nothing proves something only where it would have found it. So in each run rows of some tables,
chosen so that every type rule and character set in scope occurs, go into temporary tables of the target; one copy gets a
changed value and a NULL in every column, loses a row and gets one twice; then both are compared as all tables are. In the
warehouse the damage is done in a query, so that nothing is written there.
"""

import hashlib
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbook import faces
from workbook.bulk.chunks import Chunk
from workbook.catalog import Column, Table
from workbook.errors import WorkbookError
from workbook.names import bigquery_rows, mysql_path, quote_bigquery, quote_mysql
from workbook.servers import Server, Session
from workbook.validate import rows as rowwise
from workbook.validate.encoding import Field, google_hash, google_value, mysql_value
from workbook.validate.locate import GoogleEnd, MysqlEnd, Region, Search
from workbook.validate.sums import Reading, bucket_count, google_bucket, google_sides, mysql_sums

if TYPE_CHECKING:
    from google.cloud import bigquery

# As many tables as it takes to see each class of column once, but no more than these; and of each a few rows.
_MOST_TABLES, _MOST_WAREHOUSE_TABLES, _ROWS = 10, 1, 40
_MOST_READ = 10_000
_ROW = "workbook_row"
_MEMBER = re.compile(r"'(?:[^']|'')*'")


@dataclass(frozen=True)
class Damage:
    """How a value of some MySQL types is changed: the expression of the quoted column {c}, and what a NULL becomes."""

    types: tuple[str, ...]
    change: str
    from_null: str


_DAMAGES = (
    Damage(("tinyint", "smallint", "mediumint", "int", "bigint"), "IF({c} > 0, {c} - 1, {c} + 1)", "1"),
    Damage(("year",), "IF({c} = 2000, 2001, 2000)", "2000"),
    Damage(("decimal",), "IF({c} > 0, {c} - {step}, {c} + {step})", "0"),
    # One unit in the last place.
    Damage(("double",), "IF(ABS({c}) < 1e-300, 1, {c} * 0.9999999999999999e0)", "0"),
    Damage(("float",), "IF(ABS({c}) < 1e-30, 1, {c} * 0.9999998e0)", "0"),
    Damage(("enum",), "1 + CAST({c} AS UNSIGNED) MOD {members}", "1"),
    Damage(("bit",), "CAST({c} AS UNSIGNED) ^ 1", "0"),
    Damage(("set",), "CAST({c} AS UNSIGNED) ^ 1", "1"),
    Damage(("date",), "IF({c} = '2000-01-01', '2000-01-02', '2000-01-01')", "'2000-01-01'"),
    Damage(("datetime", "timestamp"), "IF({c} = '2000-01-01', '2000-01-02', '2000-01-01')", "'2000-01-01'"),
    Damage(("time",), "IF({c} = '00:00:01', '00:00:02', '00:00:01')", "'00:00:01'"),
    Damage(
        ("char", "varchar", "tinytext", "text", "mediumtext", "longtext"),
        "IF(CHAR_LENGTH({c}) = 0, 'x', LEFT({c}, CHAR_LENGTH({c}) - 1))",
        "''",
    ),
    Damage(
        ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"),
        "IF(LENGTH({c}) = 0, 0x01, CONCAT(CHAR(ASCII({c}) ^ 1 USING binary), SUBSTRING({c}, 2)))",
        "''",
    ),
    Damage(("json",), "IF(CAST({c} AS CHAR) = '[1]', JSON_ARRAY(2), JSON_ARRAY(1))", "JSON_ARRAY()"),
)
# Two shapes of each type of geometry: one that the value becomes, and one for where it is that already.
_SHAPES = {
    "geometry": ("POINT(1 2)", "POINT(2 1)"),
    "point": ("POINT(1 2)", "POINT(2 1)"),
    "linestring": ("LINESTRING(0 0,1 1)", "LINESTRING(0 0,1 2)"),
    "polygon": ("POLYGON((0 0,0 1,1 1,0 0))", "POLYGON((0 0,0 2,2 2,0 0))"),
    "multipoint": ("MULTIPOINT(1 2)", "MULTIPOINT(2 1)"),
    "multilinestring": ("MULTILINESTRING((0 0,1 1))", "MULTILINESTRING((0 0,1 2))"),
    "multipolygon": ("MULTIPOLYGON(((0 0,0 1,1 1,0 0)))", "MULTIPOLYGON(((0 0,0 2,2 2,0 0)))"),
    "geomcollection": ("GEOMETRYCOLLECTION(POINT(1 2))", "GEOMETRYCOLLECTION(POINT(2 1))"),
    "geometrycollection": ("GEOMETRYCOLLECTION(POINT(1 2))", "GEOMETRYCOLLECTION(POINT(2 1))"),
}
_SHAPE = "IF(CAST({c} AS BINARY) = CAST({one} AS BINARY), {other}, {one})"
_BY_TYPE = {name: damage for damage in _DAMAGES for name in damage.types}
# In the warehouse: by type or type rule, the change of {c}, which makes a value of a NULL too.
_WAREHOUSE_CHANGES = {
    # As text a number has many forms: what takes away a zero at its end is no damage.
    "decimal-text": "IF({c} IS NULL OR NOT REGEXP_CONTAINS({c}, '[1-9]'), '1', '0')",
    "STRING": "IF({c} IS NULL OR {c} = '', 'x', SUBSTR({c}, 1, CHAR_LENGTH({c}) - 1))",
    "INT64": "IF({c} IS NULL OR {c} != 0, 0, 1)",
    "NUMERIC": "IF({c} IS NULL OR {c} != 0, NUMERIC '0', NUMERIC '1')",
    "FLOAT64": "IF({c} IS NULL OR {c} != 0, 0.0, 1.0)",
    "BOOL": "({c} IS NULL OR NOT {c})",
    "DATE": "IF({c} IS NULL OR {c} != DATE '2000-01-01', DATE '2000-01-01', DATE '2000-01-02')",
    "DATETIME": "IF({c} IS NULL OR {c} != DATETIME '2000-01-01 00:00:00', DATETIME '2000-01-01 00:00:00', DATETIME '2000-01-02 00:00:00')",
    "TIMESTAMP": "IF({c} IS NULL OR {c} != TIMESTAMP '2000-01-01 00:00:00+00', TIMESTAMP '2000-01-01 00:00:00+00', TIMESTAMP '2000-01-02 00:00:00+00')",
    "BYTES": "IF({c} IS NULL OR BYTE_LENGTH({c}) > 0, FROM_HEX(''), FROM_HEX('01'))",
}  # fmt: skip


@dataclass(frozen=True)
class Damaged:
    """A damage and the key (encoded) of its row; no field where the row was taken away."""

    field: Field | None
    key: rowwise.Encoded
    what: str


@dataclass(frozen=True)
class Planted:
    """One damage: where, what was done, and whether the comparison found it. `column` is None for a whole row."""

    place: str  # target or warehouse
    table: str
    column: str | None
    rule: str
    what: str
    found: bool


@dataclass(frozen=True)
class SelfTest:
    """What was planted in this run and found again; `why` says what kept the test from being made, if anything did."""

    planted: tuple[Planted, ...]
    why: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def missed(self) -> tuple[Planted, ...]:
        """Damage that the comparison did not find: its word about such columns is then worth nothing."""
        return tuple(item for item in self.planted if not item.found)

    @property
    def passed(self) -> bool:
        """Whether all that was planted was found. In empty tables nothing can be."""
        return not self.missed and not self.why

    def asdict(self) -> dict[str, object]:
        """Plain values, for JSON."""
        return {
            "passed": self.passed,
            "planted": len(self.planted),
            "found": len(self.planted) - len(self.missed),
            "missed": [vars(item) for item in self.missed],
            "why": list(self.why),
            "seconds": round(self.seconds, 1),
        }

    def _repr_html_(self) -> str:
        rules: dict[tuple[str, str], list[Planted]] = {}
        for item in self.planted:
            rules.setdefault((item.place, item.rule), []).append(item)
        rows: list[dict[str, object]] = [
            {
                "place": place,
                "rule": rule,
                "planted": len(items),
                "found": len([item for item in items if item.found]),
                "where": ", ".join(sorted({item.table for item in items})),
            }
            for (place, rule), items in sorted(rules.items())
        ]
        titles = {
            "place": "On",
            "rule": "Kind of column",
            "planted": "Planted",
            "found": "Found",
            "where": "In copies of",
        }
        said = f"{len(self.planted) - len(self.missed)} of {len(self.planted)} planted damages were found"
        return faces.stack(
            faces.boxes(("Self-test", faces.badge("ok" if self.passed else "incomparable")), ("Found", said)),
            *(faces.text(f"Not made: {why}.") for why in self.why),
            faces.table(rows, titles, caption="What was damaged on purpose in this run, and found"),
        )


@dataclass(frozen=True)
class Subject:
    """A table that holds rows: its fields, and where it lies in the warehouse (empty: it cannot be read there)."""

    table: Table
    path: tuple[str, str]
    fields: tuple[Field, ...]
    warehouse: str

    @property
    def label(self) -> str:
        """The table as it is shown."""
        return ".".join(self.path)

    @property
    def keyed(self) -> tuple[Field, ...]:
        """The columns that name a row: the key, or all where there is none."""
        return tuple(item for item in self.fields if item.key) or self.fields

    @property
    def keyless(self) -> bool:
        """Whether no key names its rows."""
        return not any(item.key for item in self.fields)

    @property
    def classes(self) -> frozenset[tuple[str, str | None]]:
        """The kinds of columns that can be damaged in it, and whether it has a key."""
        kinds = {(item.rule.name, item.charset) for item in self.fields if not item.key}
        return frozenset(kinds | {("no key" if self.keyless else "key", None)})


def self_test(target: Server, client: "bigquery.Client", tables: Sequence[Subject]) -> SelfTest:
    """Damage copies of some tables and compare; nothing is left on the servers."""
    from google.cloud.exceptions import GoogleCloudError

    started = time.monotonic()
    planted: list[Planted] = []
    why: list[str] = []
    with target.session() as session:
        for number, subject in enumerate(chosen(tables, _MOST_TABLES)):
            try:
                planted += _on_target(session, subject, number)
            except WorkbookError as error:
                why.append(f"{subject.label} on the target: {error.found}")
    for subject in chosen([item for item in tables if item.warehouse], _MOST_WAREHOUSE_TABLES):
        try:
            planted += _in_warehouse(client, subject)
        except (WorkbookError, GoogleCloudError) as error:
            why.append(f"{subject.label} in the warehouse: {str(error)[:200]}")
    return SelfTest(tuple(planted), tuple(why), time.monotonic() - started)


def chosen(tables: Sequence[Subject], most: int) -> list[Subject]:
    """Tables that together show each kind of column, small ones first where they show the same."""
    found: list[Subject] = []
    seen: set[tuple[str, str | None]] = set()
    left = sorted(tables, key=lambda item: (item.table.data_bytes, item.path))
    while left and len(found) < most:
        best = max(left, key=lambda item: len(item.classes - seen))
        if not best.classes - seen:
            break
        found.append(best)
        seen |= best.classes
        left.remove(best)
    return found


def _on_target(session: Session, subject: Subject, number: int) -> list[Planted]:
    good, bad = ((subject.path[0], f"workbook_selftest_{number}_{name}") for name in ("good", "bad"))
    columns = ", ".join(quote_mysql(item.name) for item in subject.fields)
    # Without it the rows that are read would be locked until they are copied.
    session.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
    try:
        for made, read, limit in ((good, subject.path, f" LIMIT {_ROWS}"), (bad, good, f" ORDER BY {_ROW}")):
            session.execute(
                f"CREATE TEMPORARY TABLE {mysql_path(*made)} ({_ROW} INT NOT NULL AUTO_INCREMENT PRIMARY KEY)"
                f" SELECT {columns} FROM {mysql_path(*read)}{limit}"
            )
        expected = _plant(session, subject, good, bad)
        wholes = [Chunk(*path, 1, (), None, None) for path in (good, bad)]
        readings = [Reading(session, path, subject.fields) for path in (good, bad)]
        digests = [
            mysql_sums(reading, not subject.keyless, whole)[0]["exact"]
            for reading, whole in zip(readings, wholes, strict=True)
        ]
        ends = [MysqlEnd(reading, "exact", [(whole, _ROWS)]) for reading, whole in zip(readings, wholes, strict=True)]
        search = _search(subject)
        if digests[0] != digests[1]:
            search.look(ends[0], ends[1], Region())
        return _judged("target", subject, expected, search)
    finally:
        session.execute(f"DROP TEMPORARY TABLE IF EXISTS {mysql_path(*good)}, {mysql_path(*bad)}")


def _plant(session: Session, subject: Subject, good: tuple[str, str], bad: tuple[str, str]) -> list[Damaged]:
    """Damage the copy `bad`; what was done."""
    keys = _keys(session, subject, good)
    order = sorted(keys)
    planned: list[Damaged] = []
    for item, what, expression, where in _changes(subject):
        # The last row is left to be taken away, unless it alone has a value.
        spare = order if where else order[:-1] or order
        for place in _free_rows(subject, item, [keys[number] for number in spare], planned):
            name = quote_mysql(item.name)
            session.execute(f"UPDATE {mysql_path(*bad)} SET {name} = {expression} WHERE {_ROW} = {order[place]}{where}")
            # What the type rounds back to where it was is no damage. A FLOAT's text tells less than its value does, a
            # collation less than the bytes.
            same = f"b.{name} <=> g.{name} AND CAST(b.{name} AS BINARY) <=> CAST(g.{name} AS BINARY)"
            if session.scalar(
                f"SELECT NOT ({same}) FROM {mysql_path(*bad)} AS b JOIN {mysql_path(*good)} AS g USING ({_ROW})"
                f" WHERE {_ROW} = {order[place]}"
            ):
                own = keys[order[place]]
                # Of rows without a key one that became another row would stand in for it.
                if subject.keyless and _keys(session, subject, bad, order[place])[order[place]] in {*keys.values()} - {
                    own
                }:
                    session.execute(
                        f"UPDATE {mysql_path(*bad)} AS b JOIN {mysql_path(*good)} AS g USING ({_ROW})"
                        f" SET b.{name} = g.{name} WHERE {_ROW} = {order[place]}"
                    )
                    continue
                planned.append(Damaged(item, keys[order[place]], what))
                break
    if len(order) > 1 and all(known.key != keys[order[-1]] for known in planned):
        session.execute(f"DELETE FROM {mysql_path(*bad)} WHERE {_ROW} = {order[-1]}")
        planned.append(Damaged(None, keys[order[-1]], "row taken away"))
    return planned


def _keys(
    session: Session, subject: Subject, copy: tuple[str, str], row: int | None = None
) -> dict[int, rowwise.Encoded]:
    """The encoded keys of a copy's rows, or of one, by their number."""
    values = ", ".join(f"{mysql_value(item, 'exact')} AS k{place}" for place, item in enumerate(subject.keyed))
    where = "" if row is None else f" WHERE {_ROW} = {row}"
    rows = session.rows(f"SELECT {_ROW}, {values} FROM {mysql_path(*copy)}{where}")
    return {int(found.pop(_ROW)): tuple(rowwise.text(value) for value in found.values()) for found in rows}


def _free_rows(
    subject: Subject, item: Field, keys: Sequence[rowwise.Encoded], planned: Sequence[Damaged]
) -> Iterator[int]:
    """The places of rows that can take one more damage: without a key each row takes one, else each cell."""
    for turn in range(len(keys)):
        place = (len(planned) + turn) % len(keys)
        taken = [known for known in planned if known.key == keys[place]]
        if not taken or (not subject.keyless and all(known.field != item for known in taken)):
            yield place


def _changes(subject: Subject) -> list[tuple[Field, str, str, str]]:
    """What is done to the columns: a changed value, and a NULL where there was none or the other way round.

    As field, what it is, expression, and a condition on the row.
    """
    found: list[tuple[Field, str, str, str]] = []
    for item in subject.fields:
        column, name = subject.table.column[item.name], quote_mysql(item.name)
        # A DOUBLE(10,4) is rounded as a DECIMAL is.
        fixed = column.data_type in ("float", "double") and column.scale is not None
        damage = _BY_TYPE.get("decimal" if fixed else column.data_type) or _shape(column)
        members = len(_MEMBER.findall(column.type)) if column.data_type == "enum" else 0
        if item.key:
            continue
        if damage is not None and column.length != 0 and members != 1:
            change = damage.change.replace("{members}", str(members)).replace("{step}", _step(column))
            found.append((item, "value changed", f"IFNULL({change.replace('{c}', name)}, {damage.from_null})", ""))
        if column.nullable and damage is not None:
            found.append((item, "NULL changed", f"IF({name} IS NULL, {damage.from_null}, NULL)", ""))
        elif column.nullable:
            found.append((item, "NULL changed", "NULL", f" AND {name} IS NOT NULL"))
    return found


def _shape(column: Column) -> Damage | None:
    """How a geometry is changed, in the column's own system of coordinates."""
    if column.data_type not in _SHAPES:
        return None
    one, other = (f"ST_GeomFromText('{text}', {column.srid or 0})" for text in _SHAPES[column.data_type])
    return Damage((column.data_type,), _SHAPE.replace("{one}", one).replace("{other}", other), one)


def _step(column: Column) -> str:
    """One unit of the last digit of a DECIMAL, as one."""
    scale = column.scale or 0
    return f"CAST({'0.' + '0' * (scale - 1) + '1' if scale else '1'} AS DECIMAL(65,{scale}))"


def _in_warehouse(client: "bigquery.Client", subject: Subject) -> list[Planted]:
    """Rows of one bucket, and the same rows damaged by a query."""
    values = [google_value(item.warehouse_name, item.rule.google, item.rule.free) for item in subject.fields]
    key = [value for value, item in zip(values, subject.fields, strict=True) if item in subject.keyed]
    buckets = bucket_count(subject.table.rows_estimate)
    good = f"(SELECT * FROM {bigquery_rows(subject.warehouse)} WHERE {google_bucket(google_hash(key), buckets)} = 0)"
    before = GoogleEnd(client, good, key, values).some(_MOST_READ)
    places = [place for place, item in enumerate(subject.fields) if item in subject.keyed]
    keys = sorted({tuple(row[place] for place in places) for row in before})[:_ROWS]
    planned: list[Damaged] = []
    changes: dict[str, str] = {}
    row_hash = _unused("workbook_row_hash", [item.warehouse_name for item in subject.fields])
    for item in subject.fields:
        change = _WAREHOUSE_CHANGES.get(item.rule.name) or _WAREHOUSE_CHANGES.get(item.rule.warehouse_type)
        free = () if item.key or change is None else _free_rows(subject, item, keys[:-1] or keys, planned)
        row = next(iter(free), None)
        if row is not None and change is not None:
            name, digest = quote_bigquery(item.warehouse_name), _digest(keys[row])
            changes[name] = f"IF({row_hash} = '{digest}', {change.replace('{c}', name)}, {name}) AS {name}"
            planned.append(Damaged(item, keys[row], "value changed"))
    if not planned:
        return []
    bad = (
        f"(SELECT * EXCEPT ({row_hash}) REPLACE ({', '.join(changes.values())})"
        f" FROM (SELECT *, {google_hash(key)} AS {row_hash} FROM {good})"
    )
    if len(keys) > 1:
        bad += f" WHERE {row_hash} != '{_digest(keys[-1])}'"
        planned.append(Damaged(None, keys[-1], "row taken away"))
    if subject.keyless:
        # A row that becomes another one would stand in for it: then that one is missed by nobody.
        left = Counter(GoogleEnd(client, f"{bad})", key, values).some(_MOST_READ))
        were = Counter(before)
        planned = [item for item in planned if left[item.key] < were[item.key]]
    names = [item.warehouse_name for item in subject.fields]
    sides = google_sides(client, [good, f"{bad})"], names, values, not subject.keyless, 1)
    search = _search(subject)
    if sides[0].total["shared"] != sides[1].total["shared"]:
        search.look(GoogleEnd(client, good, key, values), GoogleEnd(client, f"{bad})", key, values), Region())
    return _judged("warehouse", subject, planned, search)


def _search(subject: Subject) -> Search:
    key = [item.name for item in subject.fields if item.key]
    return Search([item.name for item in subject.fields], key, _MOST_READ, at_once=False)


def _digest(key: rowwise.Encoded) -> str:
    return hashlib.sha256("".join(key).encode()).hexdigest()


def _unused(name: str, known: Sequence[str]) -> str:
    while name.lower() in {other.lower() for other in known}:
        name += "_"
    return name


def _judged(place: str, subject: Subject, planned: Sequence[Damaged], search: Search) -> list[Planted]:
    """Which of the damages the comparison names."""
    located = search.located()
    gone = {tuple(value for _, value in row.key) for row in located.rows if row.kind == "missing"}
    changed = {
        (tuple(value for _, value in row.key), column)
        for row in located.rows
        if row.kind == "changed"
        for column, _, _ in row.columns
    }
    found = []
    for item in planned:
        row = tuple(map(rowwise.decoded, item.key))
        whole = item.field is None or subject.keyless
        seen = row in gone if whole else (row, item.field.name if item.field else "") in changed
        rule = item.field.rule.name if item.field else "row"
        found.append(Planted(place, subject.label, item.field.name if item.field else None, rule, item.what, seen))
    return found
