"""Messages put into their order: however they are delivered, batches come out as the engine made them, each once.

A message carries an epoch (one start of the engine) and a number, consecutive within it. Pub/Sub's own ordering keys are
not used: they are not kept across the stages of a pipeline, and an emulator holds all but a hundred messages of one back.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from workbook.cdc.engine import Batch

# A message holds 10 MB at most; a batch that is longer goes in several.
PIECE_BYTES = 4 << 20


class Piece(NamedTuple):
    """A message: part of a batch where `more` pieces of it follow."""

    epoch: int
    number: int
    more: bool
    data: bytes


class Unreadable(Exception):
    """A message that is none of the stream's, or that is damaged: why."""


def pieces(batch: Batch, epoch: int, number: int, size: int = PIECE_BYTES) -> list[Piece]:
    """A batch as messages of at most so many bytes, the first of which has this number."""
    note = json.dumps({"offset": dict(batch.offset), "read_at": batch.read_at}).encode()
    data = b"".join(batch.lines) + b"#" + note + b"\n"
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    return [Piece(epoch, number + place, place + 1 < len(parts), part) for place, part in enumerate(parts)]


def attributes(piece: Piece, stream: str) -> dict[str, str]:
    """What a message says beside its content."""
    said = {"stream": stream, "epoch": str(piece.epoch), "number": str(piece.number)}
    return {**said, "more": "1"} if piece.more else said


def read_piece(data: bytes, said: Mapping[str, str], stream: str) -> Piece:
    """The piece in a message. Raises Unreadable."""
    if said.get("stream") != stream:
        raise Unreadable(f"it is no message of the stream {stream!r}: its attributes are {dict(said)!r}"[:500])
    try:
        epoch, number = int(said["epoch"]), int(said["number"])
    except (KeyError, ValueError):
        raise Unreadable(f"it has no epoch and number: its attributes are {dict(said)!r}"[:500]) from None
    if number < 1 or epoch < 1 or max(epoch, number) >= 1 << 62:
        raise Unreadable(f"its epoch {epoch} or number {number} is out of range")
    return Piece(epoch, number, said.get("more") == "1", data)


def whole(parts: Sequence[Piece]) -> Batch:
    """The batch of all its pieces; its offset tells the number of the last. Raises Unreadable."""
    last = parts[-1]
    *lines, note = b"".join(part.data for part in parts).rstrip(b"\n").split(b"\n")
    try:
        told: Mapping[str, Any] = json.loads(note.removeprefix(b"#"))
        offset = {**told["offset"], "epoch": last.epoch, "number": last.number}
        return Batch(tuple(line + b"\n" for line in lines), offset, float(told["read_at"]))
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"message {last.number} ends without the engine's position: {error!r}") from None


class Queue:
    """The messages of one epoch on their way into order. `next` is the number that is waited for."""

    def __init__(self, epoch: int, next: int = 1):
        self.epoch, self.next = epoch, next
        self.size = 0
        self._early: dict[int, Piece] = {}
        self._begun: list[Piece] = []

    def offer(self, piece: Piece) -> bool:
        """Keep a piece of this epoch; False where it is here or was before."""
        if piece.number < self.next or piece.number in self._early:
            return False
        self._early[piece.number] = piece
        self.size += len(piece.data)
        return True

    def batches(self) -> Iterator[Sequence[Piece]]:
        """The pieces of each batch that is whole and whose turn it is."""
        while (piece := self._early.pop(self.next, None)) is not None:
            self.next += 1
            self.size -= len(piece.data)
            self._begun.append(piece)
            if not piece.more:
                done, self._begun = self._begun, []
                yield done

    def __len__(self) -> int:
        return len(self._early)

    @property
    def early(self) -> list[Piece]:
        """The pieces that wait for another before them, in their order."""
        number = self.next
        while number in self._early:
            number += 1
        return [self._early[later] for later in sorted(self._early) if later > number]

    @property
    def unfinished(self) -> list[Piece]:
        """All pieces of which no batch was made yet."""
        return [*self._begun, *(self._early[number] for number in sorted(self._early))]

    def forget(self, taken: Iterable[int]) -> None:
        """Pieces with these numbers are kept elsewhere."""
        for number in taken:
            if (piece := self._early.pop(number, None)) is not None:
                self.size -= len(piece.data)
