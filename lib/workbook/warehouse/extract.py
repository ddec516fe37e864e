"""Extraction: tables of one consistent MySQL snapshot as Parquet files, in bounded memory.

Values cross as the text that MySQL prints and become Arrow values column by column, which is several times faster than
making a Python object of each.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pymysql
from pymysql.converters import conversions
from pymysql.cursors import Cursor, SSCursor

from workbook.catalog import Table
from workbook.errors import Refused, TerminalError
from workbook.mapping.objects import TableMap
from workbook.mapping.types import RULES, TypeRule
from workbook.names import mysql_path, quote_mysql, with_values
from workbook.servers import Server
from workbook.wire import Row, Wire, WireError, text_reader

_RULE = {rule.name: rule for rule in RULES}
# Encoders stay; without decoders every value arrives as bytes.
_AS_BYTES = {kind: convert for kind, convert in conversions.items() if not isinstance(kind, int)}
# Rows that are converted at once: their values are Python objects, which are to stay in the processor's own memory.
_BATCH_ROWS, _BATCH_VALUES = (500, 10_000), 8_000
_BATCH_BYTES = 8 << 20
_GROUP_BYTES = 4 << 20  # a row group of a file, in Arrow's memory
# Each file is a third of all before it, within these bounds: one is loaded beside the next, little is left to load at the
# end, and a large table has few.
_FILE_BYTES = 16 << 20, 128 << 20
_NUMBER_BYTES = 70  # DECIMAL(65,30) with sign and point
_TRIES = 20
_REPEATABLE = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"
_BEGIN = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
# A WHERE clause of the target's dialect (empty for all rows), and the values of its places.
Where = tuple[str, Sequence[Any]]
EVERYWHERE: Where = ("", ())


class Reader:
    """A read-only transaction: PyMySQL's, and another on the same picture by mysqlclient, where that is installed.

    Long answers come by mysqlclient, which makes their rows in C.
    """

    def __init__(self, server: Server):
        self.connection = server.raw(use_unicode=False, conv=_AS_BYTES, autocommit=False)
        self._wire: Wire | None = None
        # What mysqlclient's library cannot do with this server PyMySQL may.
        with contextlib.suppress(WireError):
            self._wire = text_reader(server.address())

    def begin(self) -> None:
        """Take the picture that all later statements see. Raises pymysql.MySQLError and WireError."""
        with self.connection.cursor(Cursor) as cursor:
            cursor.execute(_REPEATABLE)
            cursor.execute(_BEGIN)
        if self._wire is not None:
            self._wire.run(_BEGIN)

    @property
    def two(self) -> bool:
        """Whether PyMySQL's connection is free while rows stream."""
        return self._wire is not None

    def alone(self) -> None:
        """Go on with one transaction, which always agrees with itself."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def stream(self, sql: str, values: Sequence[Any] | None, size: int) -> Iterator[Sequence[Row]]:
        """The rows of a statement, at most `size` at a time. Raises pymysql.MySQLError and WireError."""
        if self._wire is not None:
            with self.connection.cursor(Cursor) as cursor:
                text = cursor.mogrify(sql, values)
            yield from self._wire.stream(text, size)
            return
        # Closing reads the answer to its end: not for one that was broken off.
        cursor = self.connection.cursor(SSCursor)
        cursor.execute(sql, values)
        while rows := cursor.fetchmany(size):
            yield rows
        cursor.close()

    def close(self) -> None:
        """Close without reading a half-read answer to its end, which PyMySQL would do."""
        self.alone()
        connection: Any = self.connection
        result = connection._result
        if result is not None:
            result.unbuffered_active = False
            connection._result = None
        connection._force_close()


@dataclass(frozen=True)
class Snapshot:
    """Readers that see the same state of the server, and the GTID set that names it (empty without GTIDs)."""

    server: Server
    readers: tuple[Reader, ...]
    gtid_executed: str
    taken: float  # Unix seconds


@dataclass(frozen=True)
class ParquetFile:
    """A file of extracted rows, with its size in bytes."""

    path: Path
    rows: int
    bytes: int


@contextlib.contextmanager
def snapshot(server: Server, workers: int) -> Iterator[Snapshot]:
    """Up to `workers` read-only transactions on one consistent picture of `server`; rolled back at the end.

    Cloud SQL grants no global read lock, so the GTID set is read before and after the transactions begin, and they
    begin again while it moves. A server that never rests, or has no GTIDs, gets one transaction: one always agrees
    with itself.
    """
    gtids = server.scalar("SELECT @@GLOBAL.gtid_mode") == "ON"
    with contextlib.ExitStack() as stack:
        readers: tuple[Reader, ...] = ()
        for _ in range(workers if gtids else 1):
            readers += (stack.enter_context(contextlib.closing(Reader(server))),)
        if not gtids:
            readers[0].alone()
        for attempt in range(_TRIES):
            before = _executed(server)
            try:
                for reader in readers:
                    reader.begin()
            except (pymysql.MySQLError, WireError) as error:
                raise server.explained(error, "beginning a snapshot") from None
            # A commit shows in the tables shortly before it shows in the GTID set.
            time.sleep(0.02)
            if _executed(server) == before:
                break
            if attempt == _TRIES - 2:
                readers = readers[:1]
                readers[0].alone()
        yield Snapshot(server, readers, before, time.time())


def extract_select(table: Table, mapped: TableMap) -> str:
    """The MySQL SELECT of a table's columns in the order of the mapping, each as its type rule extracts it."""
    columns = ",\n  ".join(_of(_RULE[column.rule].extract, column.name) for column in mapped.columns)
    return f"SELECT\n  {columns}\nFROM {mysql_path(*table.path)}"


def proof_select(table: Table, mapped: TableMap) -> tuple[str, tuple[str, ...]] | None:
    """The MySQL SELECT that counts per column the rows which its rule cannot hold, and the columns; None without any."""
    proofs = [(column.name, _RULE[column.rule].proof) for column in mapped.columns]
    counted = [(name, proof) for name, proof in proofs if proof is not None]
    if not counted:
        return None
    sums = ",\n  ".join(f"COALESCE(SUM({_of(proof, name)}), 0)" for name, proof in counted)
    return f"SELECT\n  {sums}\nFROM {mysql_path(*table.path)}", tuple(name for name, _ in counted)


def count_losses(
    connection: "pymysql.Connection[Any]",
    server: Server,
    table: Table,
    mapped: TableMap,
    wheres: Sequence[Where] = (EVERYWHERE,),
) -> dict[str, int]:
    """Rows per column that become NULL on the way. Raises Refused where a narrowing rule is refuted by the data.

    `wheres` as for `extract`.
    """
    made = proof_select(table, mapped)
    if made is None:
        return {}
    sql, names = made
    counts = [0] * len(names)
    try:
        for where, values in wheres:
            started = time.time()
            with connection.cursor(Cursor) as cursor:
                cursor.execute((with_values(sql) if values else sql) + where, values or None)
                counts = [known + int(count) for known, count in zip(counts, cursor.fetchone() or (), strict=True)]
            server.record(sql + where, started)
    except pymysql.MySQLError as error:
        raise server.explained(error, f"checking {table.database}.{table.name}") from None
    losses = {name: count for name, count in zip(names, counts, strict=True) if count}
    for name, count in losses.items():
        rule = _RULE[mapped.column[name].rule]
        if rule.loss == "none":
            raise Refused(
                f"{count:,} rows of {table.database}.{table.name} hold in {name!r} what the rule {rule.name} cannot hold.",
                f"The rule is for {rule.what}; these values would be changed without a word.",
                f"Take `rule: {rule.name}` of that column out of the mapping, then run again.",
            )
    return losses


def arrow_schema(mapped: TableMap) -> tuple[list[TypeRule], pa.Schema]:
    """The type rules of a table's columns, and the Arrow schema that they make."""
    rules = [_RULE[column.rule] for column in mapped.columns]
    return rules, pa.schema(
        [pa.field(column.warehouse_name, rule.arrow) for column, rule in zip(mapped.columns, rules, strict=True)]
    )


def extract(
    reader: Reader,
    server: Server,
    table: Table,
    mapped: TableMap,
    folder: Path,
    wheres: Sequence[Where] = (EVERYWHERE,),
) -> Iterator[ParquetFile]:
    """The rows of a table as Parquet files in `folder`, one at a time: the next is written when it is asked for.

    There is one file at least, for an empty table too. The caller removes them. `wheres` are clauses that no row meets
    twice, with their values; one SELECT is sent for each.
    """
    rules, schema = arrow_schema(mapped)
    sql, size = extract_select(table, mapped), _batch(table, rules, mapped)

    def batches() -> Iterator[Sequence[Row]]:
        for where, values in wheres:
            started = time.time()
            rows = reader.stream((with_values(sql) if values else sql) + where, values or None, size or 1)
            yield from rows if size else _gathered(rows)
            server.record(sql + where, started)

    try:
        yield from _files(batches(), schema, rules, mapped, folder)
    except BaseException as error:
        reader.close()
        if isinstance(error, pymysql.MySQLError | WireError):
            raise server.explained(error, f"reading {table.database}.{table.name}") from None
        raise


def _files(
    batches: Iterator[Sequence[Row]],
    schema: pa.Schema,
    rules: list[TypeRule],
    mapped: TableMap,
    folder: Path,
) -> Iterator[ParquetFile]:
    number, written, more = 0, 0, True
    # Numbers and times seldom repeat: a dictionary of them is begun in vain.
    text = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    options: Any = {"compression": "snappy", "version": "2.6", "use_dictionary": text, "write_statistics": False}
    while more:
        size = min(max(_FILE_BYTES[0], written // 3), _FILE_BYTES[1])
        path, rows, number = folder / f"{number}.parquet", 0, number + 1
        with pq.ParquetWriter(path, schema, **options) as writer:
            more = False
            for group in _groups(record_batch(batch, schema, rules, mapped) for batch in batches):
                writer.write_table(group)
                rows += group.num_rows
                if path.stat().st_size >= size:
                    more = True
                    break
        written += path.stat().st_size
        # The last file is left out where the one before it took the last row.
        if rows or number == 1:
            yield ParquetFile(path, rows, path.stat().st_size)


def _groups(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches of some 4 MB together."""
    held: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        held.append(batch)
        size += batch.nbytes
        if size >= _GROUP_BYTES:
            yield pa.Table.from_batches(held)
            held, size = [], 0
    if held:
        yield pa.Table.from_batches(held)


def _gathered(one_by_one: Iterator[Sequence[Row]]) -> Iterator[Sequence[Row]]:
    """Rows that come singly in batches of at most some 8 MB."""
    held_rows: list[Row] = []
    held = 0
    for (row,) in one_by_one:
        held_rows.append(row)
        held += sum(map(len, filter(None, row)))
        if held >= _BATCH_BYTES or len(held_rows) >= _BATCH_ROWS[1]:
            yield held_rows
            held_rows, held = [], 0
    if held_rows:
        yield held_rows


def _batch(table: Table, rules: list[TypeRule], mapped: TableMap) -> int | None:
    """How many rows take at most some 8 MB; None where they can be so wide that counting their bytes is cheaper."""
    width = 0
    for column, rule in zip(mapped.columns, rules, strict=True):
        octets = table.column[column.name].octets
        if octets is None and rule.arrow in (pa.large_string(), pa.large_binary()):
            return None
        width += octets or _NUMBER_BYTES
    fewest, most = _BATCH_ROWS
    rows = max(fewest, min(_BATCH_VALUES // len(rules), most))
    return rows if width * rows <= _BATCH_BYTES else None


def record_batch(rows: Sequence[Row], schema: pa.Schema, rules: list[TypeRule], mapped: TableMap) -> pa.RecordBatch:
    """Rows as MySQL prints them, as Arrow values. Raises TerminalError for a value that its rule cannot hold."""
    arrays = []
    for values, rule, column in zip(zip(*rows, strict=True), rules, mapped.columns, strict=True):
        try:
            arrays.append(as_arrow(values, rule.arrow))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OverflowError) as error:
            raise TerminalError(
                f"A value of {mapped.database}.{mapped.name}, column {column.name!r}, does not fit the rule {rule.name}: "
                f"{type(error).__name__}.",
                "It would be lost or changed on the way to the warehouse.",
                "Look at the column in the profile, and give it another rule in the mapping.",
            ) from None
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def as_arrow(values: tuple[bytes | None, ...], kind: pa.DataType) -> pa.Array:
    """The text of MySQL as an Arrow array; dates and times come as whole numbers."""
    if pa.types.is_large_binary(kind) or pa.types.is_large_string(kind):
        # The cast to text checks that it is UTF-8.
        return pa.array(values, pa.large_binary()).cast(kind)
    plain = pa.array(values, pa.binary())
    if pa.types.is_binary(kind) or pa.types.is_string(kind):
        return plain.cast(kind)
    text = plain.cast(pa.string())
    if pa.types.is_decimal(kind) or pa.types.is_floating(kind):
        return text.cast(kind)
    whole = text.cast(pa.int64())
    return whole.cast(pa.int32()).cast(kind) if pa.types.is_date32(kind) else whole.cast(kind)


def _of(expression: str, column: str) -> str:
    return expression.replace("{c}", quote_mysql(column))


def _executed(server: Server) -> str:
    return str(server.scalar("SELECT @@GLOBAL.gtid_executed") or "").replace("\n", "")
