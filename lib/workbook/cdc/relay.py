"""From the engine over Pub/Sub and back: what the engine reads is published, pulled, put into order, and acknowledged
once it is committed on the target. What is here stands where the engine itself stands in the direct transport."""

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from workbook.cdc.engine import Batch, Engine, EngineEnded
from workbook.cdc.pubsub import Arrived, PubSub
from workbook.cdc.sequence import Piece, Queue, Unreadable, attributes, pieces, read_piece, whole
from workbook.cdc.waiting import Waiting
from workbook.errors import WorkbookError
from workbook.servers import Server

_AT_ONCE = 5000
_PULLED, _PULL_SECONDS = 1000, 5.0
_LOOK_SECONDS = 2.0
# So many messages that came early wait in memory, however short they are.
_EARLY = 5000


@dataclass(frozen=True)
class Unread:
    """A message that cannot be read: its name at Pub/Sub, content, attributes, and why."""

    name: str
    data: bytes
    attributes: dict[str, str]
    why: str


class Publisher:
    """A thread that publishes what the engine reads. `ended` says why it has ended, or nothing."""

    def __init__(self, engine: Engine, pubsub: PubSub, stream: str, epoch: int):
        self._engine, self._pubsub, self._stream, self._epoch = engine, pubsub, stream, epoch
        self._stop = threading.Event()
        self.ended = ""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """End it, and the engine."""
        self._stop.set()
        self._engine.end()
        self._thread.join(5)

    def _run(self) -> None:
        number = 1
        try:
            while not self._stop.is_set():
                found: list[Piece] = []
                for batch in self._engine.take(0.2, _AT_ONCE):
                    parts = pieces(batch, self._epoch, number)
                    found += parts
                    number += len(parts)
                self._pubsub.publish([(piece.data, attributes(piece, self._stream)) for piece in found])
        except EngineEnded as ended:
            self.ended = str(ended)
        except Exception as error:
            self.ended = f"its changes could not be published: {error}"


class Published:
    """The engine and its publisher. It hands on nothing: a pipeline elsewhere applies what is published.

    A number for which later ones wait on the target longer than `patience` (seconds) ends the epoch.
    """

    def __init__(
        self, engine: Engine, pubsub: PubSub, waiting: Waiting, target: Server, stream: str, epoch: int, patience: float
    ):
        self._engine, self._pubsub, self._stream, self._epoch = engine, pubsub, stream, epoch
        self._waiting, self._target, self._patience = waiting, target, patience
        self._found = self._missed = ""
        self._looked = self._moved = time.monotonic()
        self._publisher = Publisher(engine, pubsub, stream, epoch)

    @property
    def pid(self) -> int:
        """The engine's process."""
        return self._engine.pid

    @property
    def spoke(self) -> bool:
        """Whether anything has come yet."""
        return self._engine.spoke

    @property
    def past_history(self) -> bool:
        """Whether the engine has all definitions."""
        return self._engine.past_history

    def take(self, seconds: float, most: int) -> list[Batch]:
        """Nothing, after so many seconds. Raises EngineEnded."""
        time.sleep(seconds)
        self._look()
        return []

    def done(self, batches: Sequence[Batch]) -> None:
        """These batches are committed on the target."""

    def unread(self) -> list[Unread]:
        """The messages that cannot be read and were not put aside yet."""
        return []

    def put_aside(self, unread: Sequence[Unread]) -> None:
        """These are noted on the target: they go to the topic of the dead, and are acknowledged."""

    def silent(self) -> float:
        """Seconds since the engine was heard last."""
        return self._engine.silent()

    def end(self) -> None:
        """End engine and publisher."""
        self._publisher.end()
        self._pubsub.close()

    def _look(self) -> None:
        """Raise EngineEnded where nothing more will come."""
        if self._publisher.ended:
            raise EngineEnded(self._publisher.ended)
        missing = self._missing()
        if not missing or missing != self._missed:
            self._missed, self._moved = missing, time.monotonic()
        elif time.monotonic() - self._moved > self._patience:
            raise EngineEnded(f"{missing} did not come within {self._patience:.0f} s, later ones did")

    def _missing(self) -> str:
        """What later messages wait for, or nothing."""
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._looked = time.monotonic()
            with contextlib.suppress(WorkbookError):  # a target that is away is waited for where changes are applied
                first = self._waiting.first(self._target, self._epoch)
                self._found = f"a message before number {first}" if first else ""
        return self._found


class Pulled(Published):
    """The same, and the subscription: messages arrive here as they come."""

    def __init__(
        self,
        engine: Engine,
        pubsub: PubSub,
        waiting: Waiting,
        target: Server,
        stream: str,
        epoch: int,
        patience: float,
        most_bytes: int,
    ):
        self._arrived: queue.SimpleQueue[Arrived] = queue.SimpleQueue()
        self.heard = time.monotonic()
        self._spoke = False
        self._most_bytes, self._held = most_bytes, 0
        self._held_lock = threading.Lock()
        self._broken = ""
        self._ending = threading.Event()
        self._pubsub = pubsub
        self._puller = threading.Thread(target=self._pull, daemon=True)
        self._puller.start()
        super().__init__(engine, pubsub, waiting, target, stream, epoch, patience)

    @property
    def spoke(self) -> bool:
        """Whether anything has come yet."""
        return self._spoke

    def silent(self) -> float:
        """Seconds since something came last."""
        return time.monotonic() - self.heard

    def end(self) -> None:
        """End engine, publisher and subscriber; what is under way is left to a later epoch."""
        # A pull that is given up takes messages with it that come again only after their deadline.
        self._ending.set()
        self._puller.join(_PULL_SECONDS + 1)
        super().end()

    def _came(self) -> None:
        self.heard, self._spoke = time.monotonic(), True

    def _pull(self) -> None:
        while not self._ending.is_set():
            if self._held > self._most_bytes:
                time.sleep(0.02)
                continue
            try:
                found = self._pubsub.pull(_PULLED, _PULL_SECONDS)
            except Exception as error:
                self._broken = f"its messages could not be pulled: {error}"
                return
            with self._held_lock:
                self._held += sum(len(message.data) for message in found)
            for message in found:
                self._arrived.put(message)

    def _messages(self, wait: float, most: int) -> Iterator[Arrived]:
        """What has arrived; waits for the first message."""
        with contextlib.suppress(queue.Empty):
            yield self._arrived.get(timeout=wait) if wait else self._arrived.get_nowait()
            for _ in range(most - 1):
                yield self._arrived.get_nowait()

    def _acknowledge(self, messages: Sequence[Arrived]) -> None:
        if messages:
            self._pubsub.acknowledge(messages)
            with self._held_lock:
                self._held -= sum(len(message.data) for message in messages)

    def _look(self) -> None:
        super()._look()
        if self._broken:
            raise EngineEnded(self._broken)


class Relay(Pulled):
    """The same, and the order: batches come out as the engine made them, and are acknowledged when they are done."""

    def __init__(
        self,
        engine: Engine,
        pubsub: PubSub,
        waiting: Waiting,
        target: Server,
        stream: str,
        epoch: int,
        patience: float,
        waiting_bytes: int,
    ):
        super().__init__(engine, pubsub, waiting, target, stream, epoch, patience, 4 * waiting_bytes)
        self._bound = waiting_bytes
        self._queue = Queue(epoch)
        self._handles: dict[int, list[Arrived]] = {}  # messages to acknowledge, by number
        self._given: deque[int] = deque()  # the last number of each batch that was handed on
        self._committed = 0
        self._stored: set[int] = set()
        self._unread: list[tuple[Unread, Arrived]] = []

    def take(self, seconds: float, most: int) -> list[Batch]:
        """The batches whose turn it is, of about `most` messages; waits up to `seconds`. Raises EngineEnded."""
        deadline = time.monotonic() + seconds
        found: list[Batch] = []
        while True:
            self._sort(max(0.0, deadline - time.monotonic()))
            found += self._due(most)
            if found:
                self._came()
                return found
            self._look()
            if time.monotonic() >= deadline:
                return []

    def done(self, batches: Sequence[Batch]) -> None:
        """These batches, the first of those handed on, are committed on the target."""
        for _ in batches:
            self._committed = self._given.popleft()
        self._let_go([number for number in self._handles if number <= self._committed])
        if old := {number for number in self._stored if number <= self._committed}:
            with contextlib.suppress(WorkbookError):
                self._waiting.forget(self._target, self._queue.epoch, self._committed)
                self._stored -= old

    def unread(self) -> list[Unread]:
        """The messages that cannot be read and were not put aside yet."""
        return [unread for unread, _ in self._unread]

    def put_aside(self, unread: Sequence[Unread]) -> None:
        """These are noted on the target: they go to the topic of the dead, and are acknowledged."""
        self._pubsub.publish(
            [(item.data, {**item.attributes, "why": item.why[:1000], "message": item.name}) for item in unread],
            dead=True,
        )
        self._acknowledge([message for _, message in self._unread[: len(unread)]])
        del self._unread[: len(unread)]

    def _sort(self, wait: float) -> None:
        """Put what has arrived into the order; waits for the first message."""
        again = [message for message in self._messages(wait, _AT_ONCE) if not self._offer(message)]
        self._acknowledge(again)
        if self._queue.size > self._bound or len(self._queue) > _EARLY:
            self._store()

    def _offer(self, message: Arrived) -> bool:
        """Keep a message; False where it may be forgotten."""
        said = message.attributes
        try:
            piece = read_piece(message.data, said, self._stream)
            if piece.epoch > self._queue.epoch:
                raise Unreadable(f"its epoch {piece.epoch} was never begun; that of now is {self._queue.epoch}")
        except Unreadable as error:
            self._unread.append((Unread(message.name, message.data, said, str(error)), message))
            return True
        if piece.epoch < self._queue.epoch or piece.number <= self._committed or piece.number in self._stored:
            return False
        self._handles.setdefault(piece.number, []).append(message)
        self._queue.offer(piece)
        return True

    def _let_go(self, numbers: Iterable[int]) -> None:
        self._acknowledge([message for number in numbers for message in self._handles.pop(number, [])])

    def _store(self) -> None:
        """Keep on the target what waits; then Pub/Sub may forget it, and hands on what is behind."""
        early = self._queue.early
        if not early:
            return
        with contextlib.suppress(WorkbookError):  # a target that is away is waited for where changes are applied
            self._waiting.store(self._target, early)
            numbers = {piece.number for piece in early}
            self._queue.forget(numbers)
            self._stored |= numbers
            self._let_go(numbers)

    def _due(self, most: int) -> list[Batch]:
        if self._queue.next in self._stored:
            with contextlib.suppress(WorkbookError):
                for piece in self._waiting.read(self._target, self._queue.epoch, self._queue.next):
                    self._queue.offer(piece)
        found: list[Batch] = []
        rows = 0
        for parts in self._queue.batches():
            self._given.append(parts[-1].number)
            try:
                found.append(whole(parts))
            except Unreadable as error:
                raise EngineEnded(str(error)) from None
            rows += len(found[-1].lines)
            if rows >= most:
                break
        return found

    def _missing(self) -> str:
        waits = len(self._queue) > 0 or any(number >= self._queue.next for number in self._stored)
        return f"message {self._queue.next}" if waits else ""
