"""Moving the rows of one chunk: raw rows from the source's snapshot into LOAD DATA on the target, with no file in between.

A worker imports this and little else. Everything it is told is plain text and numbers, made by `copy.job`.
"""

import contextlib
import hashlib
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

from workbook.bulk.masking import Token, masked
from workbook.errors import TerminalError
from workbook.wire import Loader, Row, Wire, WireError

_TELL_SECONDS = 0.5
_GATHERED_BYTES, _GATHERED_ROWS = 1 << 18, 1000


@dataclass(frozen=True)
class Job:
    """What moves one chunk: the SELECT, the LOAD DATA, and the chunk ledger's statements.

    `noted` is the ledger's UPDATE, before and after the values that are set; `known` asks whether the chunk is loaded
    already. `free_text` and `choices` (ENUM) are places of columns that need a look; `batch` is rows read at a time;
    `masks` are places of columns whose values become tokens on the way.
    """

    label: str
    select: str
    load: str
    free_text: tuple[int, ...]
    choices: tuple[int, ...]
    batch: int
    noted: tuple[str, str] | None = None
    known: str | None = None
    notes: bool = True
    masks: tuple[tuple[int, Token], ...] = ()


@dataclass(frozen=True)
class Moved:
    """What moving a chunk came to: rows, bytes as sent, their checksum, and when (Unix seconds)."""

    rows: int
    bytes: int
    checksum: str
    started: float
    ended: float


class Valve:
    """Holds the stream to a pace; set from another thread while rows flow."""

    def __init__(self) -> None:
        self._rate: float | None = None
        self._due = 0.0

    def set(self, rate: float | None) -> None:
        """Bytes a second from now on: 0 holds the stream, None lets it run."""
        self._rate = rate

    def let_through(self, size: int) -> None:
        """Wait until `size` bytes may follow those before them."""
        now = time.monotonic()
        # What was not used is not saved up, but for a moment: a limit is a limit at any time.
        self._due = max(self._due, now - 0.05)
        charged = False
        while True:
            rate = self._rate
            if rate is None:
                return
            if rate > 0 and not charged:
                self._due += size / rate
                charged = True
            if charged and rate > 0:
                wait = self._due - time.monotonic()
                if wait <= 0:
                    return
                if wait > size / rate + 1:  # the pace was raised meanwhile
                    self._due = time.monotonic() + size / rate
            time.sleep(min(max(self._due - time.monotonic(), 0.02), 0.2) if rate > 0 else 0.1)


def no_news(rows: int, size: int) -> None:
    """Tells nobody how far a chunk is."""


def move(
    job: Job, source: Wire, target: Loader, valve: Valve | None = None, tell: Callable[[int, int], None] = no_news
) -> Moved:
    """Copy the rows of a chunk and note it in the ledger, in one transaction.

    Raises TerminalError where a row was refused, changed or lost on the way, WireError where a server or the way to it
    failed. Nothing of the chunk is then on the target, and the source's transaction still stands unless it was lost.
    """
    started = time.time()
    feed = Feed(job, masked(source, job.masks), valve or Valve(), tell)
    try:
        target.run(f"SET SESSION sql_notes = {int(job.notes)}")
        target.run("START TRANSACTION")
        with contextlib.closing(feed.pieces()) as pieces:
            loaded = target.load(job.load, pieces)
        warnings = int(target.rows("SHOW COUNT(*) WARNINGS")[0][0] or 0)
        _check(target, job, feed, loaded, warnings)
        moved = Moved(feed.rows, feed.bytes, feed.checksum(), started, time.time())
        if job.noted is not None:
            _note(target, job, moved)
        target.run("COMMIT")
    except BaseException:
        with contextlib.suppress(WireError):
            target.run("ROLLBACK")
        raise
    return Moved(feed.rows, feed.bytes, moved.checksum, started, time.time())


def measure(job: Job, server: Wire) -> Moved:
    """Read a chunk as `move` does, and write it nowhere: rows and checksum of what a server holds."""
    started = time.time()
    feed = Feed(job, server, Valve(), no_news)
    for _ in feed.pieces():
        pass
    return Moved(feed.rows, feed.bytes, feed.checksum(), started, time.time())


class Feed:
    """The rows of a chunk as LOAD DATA takes them, a batch at a time, counted and summed as they pass."""

    def __init__(self, job: Job, connection: Wire, valve: Valve, tell: Callable[[int, int], None]):
        self._job = job
        self._connection = connection
        self._valve = valve
        self._tell = tell
        self._hash = hashlib.sha256()
        self.rows = 0
        self.bytes = 0
        self.empty_choices = 0

    def checksum(self) -> str:
        """128 bits of SHA-256 over all that was sent."""
        return self._hash.hexdigest()[:32]

    def pieces(self) -> Generator[bytes, None, None]:
        """Each batch; what is left of the answer when this is closed is read and dropped."""
        told = time.monotonic()
        stream = self._connection.stream(self._job.select, self._job.batch)
        try:
            for rows in gathered(stream) if self._job.batch == 1 else stream:
                text = lines(rows, self._job.free_text)
                for place in self._job.choices:
                    self.empty_choices += sum(row[place] == b"0" for row in rows)
                self.rows += len(rows)
                self.bytes += len(text)
                self._hash.update(text)
                self._valve.let_through(len(text))
                yield text
                if time.monotonic() - told > _TELL_SECONDS:
                    told = time.monotonic()
                    self._tell(self.rows, self.bytes)
        except GeneratorExit:
            # Nobody takes any more. The rest is read and dropped: the snapshot lives in this connection.
            for _ in stream:
                pass
            raise


def gathered(stream: Iterator[Sequence[Row]]) -> Iterator[Sequence[Row]]:
    """Rows that are read one by one, because any may be large, as lists of about `_GATHERED_BYTES`."""
    held: list[Row] = []
    size = 0
    for rows in stream:
        held += rows
        size += sum([len(value) for row in rows for value in row if value is not None])
        if size > _GATHERED_BYTES or len(held) >= _GATHERED_ROWS:
            yield held
            held, size = [], 0
    if held:
        yield held


def lines(rows: Sequence[Row], free_text: Sequence[int]) -> bytes:
    """The rows as LOAD DATA takes them: tabs between, a newline behind each, \\N for NULL, backslash before what is special.

    Looking at every value costs more than all the rest, so a batch is joined first: where it then holds just the tabs
    and newlines of its own and no backslash, nothing in it needed one.
    """
    joined, nulls = [], 0
    for row in rows:
        try:
            joined.append(b"\t".join(row))  # type: ignore[arg-type]
        except TypeError:  # there is a NULL; to ask each value first would cost more than all the rest
            values = list(row)
            for place in [place for place, value in enumerate(row) if value is None]:
                values[place] = b"\\N"
                nulls += 1
            joined.append(b"\t".join(values))  # type: ignore[arg-type]
    text = b"\n".join(joined)
    special = free_text and not (
        text.count(b"\\") == nulls
        and text.count(b"\n") == len(rows) - 1
        and text.count(b"\t") == len(rows) * (len(rows[0]) - 1)
    )
    if special:
        text = b"\n".join([_escaped(row, free_text) for row in rows])
    return text + b"\n"


def _escaped(row: Row, free_text: Sequence[int]) -> bytes:
    values = list(row)
    for place in free_text:
        value = values[place]
        if value is not None:
            if b"\\" in value:
                value = value.replace(b"\\", b"\\\\")
            if b"\t" in value:
                value = value.replace(b"\t", b"\\t")
            if b"\n" in value:
                value = value.replace(b"\n", b"\\n")
            values[place] = value
    return b"\t".join([b"\\N" if value is None else value for value in values])


def _note(target: Wire, job: Job, moved: Moved) -> None:
    assert job.noted is not None
    before, after = job.noted
    values = f"loaded_rows = {moved.rows}, loaded_bytes = {moved.bytes}, checksum = '{moved.checksum}'"
    if target.run(before + values + after) != 1:
        # A worker whose parent was killed may have finished its last chunk after all.
        raise TerminalError(
            f"{job.label} was loaded by another worker meanwhile.",
            "Its rows would be there twice, so this copy of them is not committed.",
            "Run the phase again: it goes on with the chunks that are missing.",
        )


def _check(target: Wire, job: Job, feed: Feed, loaded: int, warnings: int) -> None:
    """LOAD DATA LOCAL turns errors into warnings, so rows and warnings are counted."""
    # The empty error value of an ENUM warns each time it is stored, though it is stored as it was.
    if loaded == feed.rows and warnings == feed.empty_choices:
        return
    first = next(
        (
            (text or b"").decode("utf-8", "replace")
            for _, code, text in target.rows("SHOW WARNINGS LIMIT 64")
            if code != b"1265" or not feed.empty_choices
        ),
        "no warning shown",
    )
    raise TerminalError(
        f"Of {feed.rows:,} rows of {job.label}, the target took {loaded:,}, with {warnings:,} warnings: {first}",
        "A row would be missing, or its value would not be the source's.",
        "Mend the cause on the source or leave the table out of scope in the mapping; then run the phase again.",
    )
