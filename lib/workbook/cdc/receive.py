"""Messages as a pipeline hands them over, in any order and number, become rows of the target: each call by itself.

Nothing is remembered between calls but on the target, so a worker may be lost, replaced or doubled at any moment.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from workbook.cdc.apply import Outcome
from workbook.cdc.engine import Batch
from workbook.cdc.follow import Follower
from workbook.cdc.pubsub import PubSub
from workbook.cdc.sequence import Piece, Queue, Unreadable, read_piece, whole
from workbook.cdc.waiting import Waiting
from workbook.errors import TerminalError, TransientError
from workbook.servers import Server


class Received(NamedTuple):
    """A message: its name at Pub/Sub, content and attributes."""

    name: str
    data: bytes
    attributes: Mapping[str, str]


@dataclass(frozen=True)
class Taken:
    """What became of messages: changes applied, stale and refused; messages that wait, are of old epochs, are unreadable."""

    outcome: Outcome
    early: int
    old: int
    unread: int


class Receiver:
    """Applies what is due, and keeps on the target what is early. `make` gives one who applies by the mapping of now, which
    is another one at the earliest where another epoch begins."""

    def __init__(self, make: Callable[[], Follower], target: Server, stream: str, pubsub: PubSub, batch_rows: int):
        self._make, self._epoch = make, -1
        self._made: Follower | None = None
        self._target, self._stream, self._pubsub = target, stream, pubsub
        self._waiting, self._batch_rows = Waiting(stream), batch_rows

    def receive(self, messages: Sequence[Received]) -> Taken:
        """Take messages over; when this returns they may be acknowledged, all of them."""
        self._renew(self._waiting.epoch(self._target))
        with self._follower.alone() as position:
            epoch = self._waiting.epoch(self._target)
            if epoch != self._epoch:
                raise TransientError(
                    "The stream was started anew just now.",
                    "The mapping may be another one.",
                    "Nothing: the messages are delivered again.",
                )
            known = position.offset.get("number", 0) if position.offset.get("epoch") == epoch else 0
            queue = Queue(epoch, int(known) + 1)
            old = 0
            unread: list[tuple[Received, str]] = []
            for message in messages:
                try:
                    piece = read_piece(message.data, message.attributes, self._stream)
                    if piece.epoch > epoch:
                        raise Unreadable(f"its epoch {piece.epoch} was never begun; that of now is {epoch}")
                except Unreadable as error:
                    unread.append((message, str(error)))
                    continue
                if piece.epoch < epoch or not queue.offer(piece):
                    old += 1
            self._put_aside(unread)
            outcome, left = self._apply(queue)
            self._waiting.store(self._target, left)
        return Taken(outcome, len(left), old, len(unread))

    def close(self) -> None:
        """Let the connections go."""
        if self._made is not None:
            self._made.disconnect()
        self._pubsub.close()

    def _renew(self, epoch: int) -> None:
        """Go on with another follower where the stream was started again since."""
        if epoch != self._epoch:
            if self._made is not None:
                self._made.disconnect()
            self._made, self._epoch = self._make(), epoch

    @property
    def _follower(self) -> Follower:
        assert self._made is not None
        return self._made

    def _apply(self, queue: Queue) -> tuple[Outcome, list[Piece]]:
        """Apply what is due, also of what waits on the target; and what is left."""
        outcome, done = Outcome(), queue.next - 1
        batches: list[Batch] = []
        parts: list[Piece] = []
        while True:
            start = queue.next
            for piece in self._waiting.read(self._target, queue.epoch, start):
                queue.offer(piece)
            for group in queue.batches():
                batches.append(_batch(group))
                parts += group
                if sum(len(batch.lines) for batch in batches) >= self._batch_rows and not self._follower.halved(
                    batches
                ):
                    outcome += self._follower.apply(batches)
                    done, batches, parts = parts[-1].number, [], []
            # Pieces of a batch that is not whole are a step too: the next may wait on the target.
            if queue.next == start:
                break
        if batches and not self._follower.halved(batches):
            outcome += self._follower.apply(batches)
            done, parts = parts[-1].number, []
        self._waiting.forget(self._target, queue.epoch, done)
        return outcome, [*parts, *queue.unfinished]

    def _put_aside(self, unread: Sequence[tuple[Received, str]]) -> None:
        for message, why in unread:
            self._follower.bury(message.name, message.data, why)
        self._pubsub.publish(
            [
                (message.data, {**message.attributes, "why": why[:1000], "message": message.name})
                for message, why in unread
            ],
            dead=True,
        )


def _batch(group: Sequence[Piece]) -> Batch:
    try:
        return whole(group)
    except Unreadable as error:
        raise TerminalError(
            f"A batch of changes is damaged: {error}.",
            "The changes after it must not be applied without it.",
            "Run `workbook cdc run` again: it publishes them anew from where the target is.",
        ) from None
