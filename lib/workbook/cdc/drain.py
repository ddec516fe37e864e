"""From the outbox into the log of changes in the warehouse: in chunks, each of them once, however often it is begun."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path as File
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workbook.catalog import Table
from workbook.cdc.merge_statements import MARKS, OPS, loaded_since, log_name, log_schema, marks
from workbook.cdc.outbox import ABSENT, NULL, unpacked
from workbook.errors import TerminalError
from workbook.mapping.objects import TableMap
from workbook.servers import Session
from workbook.warehouse.extract import ParquetFile, arrow_schema, record_batch
from workbook.warehouse.jobs import Jobs
from workbook.warehouse.statements import Place
from workbook.warehouse.streamed import Leg, Streamed, layout

# BigQuery takes 1,500 load jobs a table and day, so one holds as much as can be; of which parts are in memory.
_CHUNK_ROWS = 1_000_000
_PART_ROWS, _PART_BYTES = 20_000, 64 << 20
_MICROS = 1_000_000
_KINDS = (pa.string(), pa.timestamp("us", tz="UTC"), pa.string(), *[pa.int64()] * 4)


@dataclass(frozen=True)
class Way:
    """A table that changes go to: where it lies, and what the target holds under its name."""

    place: Place
    table: Table

    @property
    def mapped(self) -> TableMap:
        return self.place.mapped


@dataclass
class Drained:
    """What went from the outbox into the log: changes by leg, and those that could not go, by the reason."""

    changes: dict[int, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)


class Drain:
    """Empties the outbox, while the warehouse's lock is held by `session`.

    `ready` makes the log of a table where it is not there, and answers why it cannot be; `ways` are tables by their path.
    """

    def __init__(
        self,
        session: Session,
        streamed: Streamed,
        jobs: Jobs,
        environment: str,
        ways: Mapping[tuple[str, str], Way],
        ready: Callable[[Way], str],
    ):
        self._session, self._streamed, self._jobs = session, streamed, jobs
        self._environment, self._ways, self._ready = environment, ways, ready
        self._legs = {leg.number: leg for leg in streamed.read(session)}
        self.done = Drained()

    def run(self) -> Drained:
        """Empty it up to the change that is the last one now."""
        last = int(self._session.scalar(f"SELECT COALESCE(MAX(seq), 0) FROM {self._streamed.outbox}"))
        (state,) = self._session.rows(f"SELECT epoch, intended FROM {self._streamed.drain}")
        with tempfile.TemporaryDirectory(prefix="changes-") as folder:
            if state["intended"] is not None:
                self._chunk(int(state["intended"]), state["epoch"], File(folder), again=True)
            while end := self._end(last):
                self._session.execute(f"UPDATE {self._streamed.drain} SET intended = %s", (end,))
                self._chunk(end, state["epoch"], File(folder), again=False)
        return self.done

    def _end(self, last: int) -> int:
        """The number of the last change of the next chunk; 0 where there is none."""
        return int(
            self._session.scalar(
                f"SELECT COALESCE(MAX(seq), 0) FROM (SELECT seq FROM {self._streamed.outbox} WHERE seq <= %s ORDER BY seq"
                " LIMIT %s) AS head",
                (last, _CHUNK_ROWS),
            )
        )

    def _parts(self, end: int) -> Iterator[list[dict[str, Any]]]:
        """The changes up to `end`, in parts that fit into memory."""
        begun = 0
        while rows := self._session.rows(
            "SELECT * FROM (SELECT held.*, SUM(COALESCE(LENGTH(image), 0)) OVER (ORDER BY seq) AS total, ROW_NUMBER() OVER"
            f" (ORDER BY seq) AS place FROM (SELECT * FROM {self._streamed.outbox} WHERE seq > %s AND seq <= %s ORDER BY seq"
            " LIMIT %s) AS held) AS sized WHERE place = 1 OR total <= %s ORDER BY seq",
            (begun, end, _PART_ROWS, _PART_BYTES),
        ):
            yield rows
            begun = rows[-1]["seq"]

    def _chunk(self, end: int, epoch: str, folder: File, again: bool) -> None:
        files: dict[int, _File] = {}
        for rows in self._parts(end):
            by_leg: dict[int, list[dict[str, Any]]] = {}
            for row in rows:
                by_leg.setdefault(row["leg"], []).append(row)
            for number, items in by_leg.items():
                leg = self._legs.get(number)
                why = "its table is not known" if leg is None else self._write(leg, items, folder, files)
                if why:
                    self._skip(number, leg, why, len(items))
        for number, file in files.items():
            self._load(self._ways[self._legs[number].path], number, file, epoch, again)
        session = self._session
        session.execute("START TRANSACTION")
        for number in files:
            leg = self._legs[number]
            session.execute(
                f"UPDATE {self._streamed.legs} SET pending = %s, truncated = %s, first_at = %s, last_at = %s, low = %s,"
                " high = %s, nulls = %s WHERE leg = %s",
                (leg.pending, leg.truncated, leg.first, leg.last, leg.low, leg.high, leg.nulls, number),
            )
        session.execute(f"DELETE FROM {self._streamed.outbox} WHERE seq <= %s", (end,))
        session.execute(f"UPDATE {self._streamed.drain} SET intended = NULL")
        session.execute("COMMIT")

    def _skip(self, number: int, leg: Leg | None, why: str, changes: int) -> None:
        self.done.skipped[why] = self.done.skipped.get(why, 0) + changes
        if leg is not None and not leg.stopped:
            self._streamed.stop(why, number)
            self._legs[number] = replace(leg, stopped=why)

    def _write(self, leg: Leg, rows: Sequence[dict[str, Any]], folder: File, files: dict[int, "_File"]) -> str:
        """Put changes of one leg into its file; why they cannot be."""
        way = self._ways.get(leg.path)
        shape = None if way is None else layout(way.mapped, way.table)
        if way is None or any(row["layout"] != shape for row in rows):
            return "its definition or its mapping has changed since it was loaded"
        if any(row["image"] is None for row in rows):
            return "a row is larger than max_allowed_packet of Cloud SQL"
        try:
            batch = log_batch(way, rows)
        except TerminalError as error:
            return error.found
        if why := self._ready(way):
            return why
        if leg.number not in files:
            path = folder / f"{leg.number}.parquet"
            writer = pq.ParquetWriter(path, batch.schema, compression="snappy", version="2.6")
            files[leg.number] = _File(path, writer, rows[0]["seq"])
        files[leg.number].take(batch, rows)
        self._legs[leg.number] = advanced(leg, rows, way)
        return ""

    def _load(self, way: Way, number: int, file: "_File", epoch: str, again: bool) -> None:
        file.writer.close()
        name = log_name(way.place)
        # Cut off before, the load may have ended all the same.
        sql = loaded_since(way.place, file.first, file.last, file.moments)
        if not again or not int(self._jobs.run(sql, f"looking into {name}")[0]["number"]):
            parquet = ParquetFile(file.path, file.rows, file.path.stat().st_size)
            identity = f"workbook-{self._environment}-{epoch}-{number}-{file.first}-{file.last}"
            self._jobs.append(parquet, name, log_schema(way.mapped, way.table), identity)
        file.path.unlink()
        self.done.changes[number] = self.done.changes.get(number, 0) + file.rows


@dataclass
class _File:
    """The changes of one leg in a chunk, on their way into its log."""

    path: File
    writer: pq.ParquetWriter
    first: int
    last: int = 0
    rows: int = 0
    moments: tuple[float, float] = (float("inf"), 0.0)

    def take(self, batch: pa.RecordBatch, rows: Sequence[dict[str, Any]]) -> None:
        """Take some more."""
        self.writer.write_batch(batch)
        self.last, self.rows = rows[-1]["seq"], self.rows + len(rows)
        committed = [row["committed"] for row in rows]
        self.moments = min(self.moments[0], *committed), max(self.moments[1], *committed)


def log_batch(way: Way, rows: Sequence[dict[str, Any]]) -> pa.RecordBatch:
    """Changes from the outbox as rows of the log. Raises TerminalError for a value that its column cannot hold."""
    rules, schema = arrow_schema(way.mapped)
    values = record_batch([_values(way, row) for row in rows], schema, rules, way.mapped)
    told = [
        (
            OPS[row["op"].encode()],
            round(row["committed"] * _MICROS),
            row["gtid"],
            row["file"],
            row["pos"],
            row["within"],
        )
        for row in rows
    ]
    columns = [*zip(*told, strict=True), [row["seq"] for row in rows]]
    arrays = [pa.array(column, kind) for column, kind in zip(columns, _KINDS, strict=True)]
    mark = marks(way.mapped)
    fields = [pa.field(f"{mark.prefix}{name}", kind, nullable=False) for name, kind in zip(MARKS, _KINDS, strict=True)]
    return pa.RecordBatch.from_arrays([*arrays, *values.columns], schema=pa.schema([*fields, *schema]))


def _values(way: Way, row: Mapping[str, Any]) -> tuple[bytes | None, ...]:
    """The values of a change in the order of the columns: of a deletion those of the key."""
    found = unpacked(row["image"])
    if row["op"] == "u":
        return found
    key = dict(zip(way.table.key, found, strict=True)) if row["op"] == "d" else {}
    return tuple(key.get(column.name) for column in way.mapped.columns)


def advanced(leg: Leg, rows: Sequence[dict[str, Any]], way: Way) -> Leg:
    """The leg after these changes are in the log: what waits, and which partitions it touches."""
    fresh = [row for row in rows if row["seq"] > leg.merged]
    if not fresh:
        return leg
    moments = [row["committed"] for row in fresh]
    touched = list(_touched(way, fresh))
    numbers = [int(value) for value in touched if value is not None]
    known = [leg.low, leg.high]
    numbers += [number for number in known if number is not None]
    return replace(
        leg,
        pending=fresh[-1]["seq"],
        truncated=max([leg.truncated, *(row["seq"] for row in fresh if row["op"] == "t")]),
        first=min([*moments, *([] if leg.first is None else [leg.first])]),
        last=max([*moments, *([] if leg.last is None else [leg.last])]),
        low=min(numbers, default=None),
        high=max(numbers, default=None),
        nulls=leg.nulls or None in touched,
    )


def _touched(way: Way, rows: Sequence[dict[str, Any]]) -> Iterator[bytes | None]:
    """The values of the partitioning column that changed rows had or have."""
    name = way.mapped.partition_by
    if name is None:
        return
    place = [column.name for column in way.mapped.columns].index(name)
    for row in rows:
        if row["op"] == "u" or (row["op"] == "d" and name in way.table.key):
            yield _values(way, row)[place]
        old = row["old"]
        if old != ABSENT.encode():
            yield None if old == NULL.encode() else old
