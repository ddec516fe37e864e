"""Change capture over Pub/Sub: Google's own emulator between the real engine and the target, however it delivers."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from conftest import Scratch
from migration import Notes
from outages import kill_server
from stream import Stream
from test_cdc import BUSY, CHANGES, DEFINITIONS, MOST, Writer, run
from unruly import Unruly
from workbook.cdc.engine import Batch
from workbook.cdc.pubsub import PubSub, make_ready, place, take_away
from workbook.cdc.sequence import Piece, Queue, Unreadable, attributes, pieces, read_piece, whole
from workbook.cdc.waiting import Waiting
from workbook.phases import open_phase
from workbook.sandbox import lifecycle, pubsub_emulator


@dataclass
class Emulator:
    """Google's emulator for these tests alone, so that it can be killed: it then forgets every topic and message."""

    log: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        if not self.port:
            with socket.socket() as held:
                held.bind(("127.0.0.1", 0))
                self.port = held.getsockname()[1]
        command = pubsub_emulator.command(self.port)
        if command is None:
            pytest.skip("no Pub/Sub emulator: the Google Cloud CLI with pubsub-emulator is not on PATH")
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    made = Emulator(tmp_path_factory.mktemp("pubsub") / "log")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
        made.start()
        yield made
    made.kill()


@dataclass
class Unsteady:
    """One stream for the tests of this file, delivered without order from its beginning to its end."""

    stream: Stream
    database: str
    unruly: Unruly
    stored: list[int] = field(default_factory=list)

    def same(self) -> None:
        """The target has all of the source, and nothing was refused."""
        self.stream.caught_up(120)
        assert [(letter.error, letter.path) for letter in self.stream.ledger.letters(self.stream.target)] == []
        assert not self.stream.differences()
        assert self.stream.ledger.stopped(self.stream.target) == ()


@contextlib.contextmanager
def unsteady(scratch: Scratch, emulator: Emulator, reports: Path, seed: int, **cdc: Any) -> Iterator[Unsteady]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBOOK_REPORTS", str(reports))
        unruly = Unruly(seed)
        patch.setattr(PubSub, "publish", lambda *given, **how: unruly(*given, **how))
        database = scratch.database()
        run(scratch, database, MOST)
        keys = {"transport": "pubsub", "pubsub_endpoint": emulator.endpoint, "message_changes": 2, "waiting_mb": 0.001}
        stream = Stream.of(scratch, [database], cdc={**keys, **cdc})
        run(scratch, database, CHANGES)
        made = Unsteady(stream, database, unruly)
        store = Waiting.store
        patch.setattr(Waiting, "store", lambda own, target, found: [made.stored.append(1), store(own, target, found)])
        stream.start()
        try:
            yield made
        finally:
            stream.stop()


@pytest.fixture(scope="module")
def given(sandbox: dict[str, Any], emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Unsteady]:
    folder = tmp_path_factory.mktemp("stream")
    scratch = Scratch(sandbox, folder)
    try:
        with unsteady(scratch, emulator, folder / "reports", 1, patience_s=4) as made:
            yield made
    finally:
        scratch.close()


def test_messages_shuffled_repeated_and_late_leave_the_rows_of_the_source(given: Unsteady) -> None:
    given.same()
    run(given.stream.migration.scratch, given.database, DEFINITIONS)
    given.same()
    unruly = given.unruly
    assert min(unruly.published, unruly.repeated, unruly.delayed) > 5
    assert given.stored, "no message waited on the target for those before it"
    # What waited on the target has been taken away; the line that is left is the epoch's own.
    waiting = Waiting(given.stream.settings.environment).table
    given.stream.wait_for(lambda: given.stream.target.scalar(f"SELECT COUNT(*) FROM {waiting}") == 1, 20)


def test_an_emulator_that_forgets_every_message_loses_none(given: Unsteady, emulator: Emulator) -> None:
    emulator.kill()
    run(
        given.stream.migration.scratch,
        given.database,
        "UPDATE kinds SET tiny = 8;\nINSERT INTO seats VALUES (9, 'z', 1);",
    )
    emulator.start()
    given.same()


def test_what_is_no_message_of_the_stream_is_put_aside_by_name_and_the_stream_goes_on(given: Unsteady) -> None:
    stream, where = given.stream, place(given.stream.settings)
    pubsub = PubSub(where)
    epoch = Waiting(stream.settings.environment).epoch(stream.target)
    foreign = [
        (b"\xff\x00 hello", {}),
        (b"{}", {"stream": "another", "epoch": str(epoch), "number": "1"}),
        (b"{}", {"stream": stream.settings.environment, "epoch": str(epoch), "number": "x"}),
        (b"{}", {"stream": stream.settings.environment, "epoch": str(epoch + 1), "number": "1"}),
    ]
    given.unruly.publish(pubsub, foreign)
    old = (b"{}", {"stream": stream.settings.environment, "epoch": str(epoch - 1), "number": "1"})
    given.unruly.publish(pubsub, [old])
    stream.wait_for(lambda: len(stream.ledger.letters(stream.target)) == 4)
    letters = stream.ledger.letters(stream.target)
    assert {letter.kind for letter in letters} == {"unread"}
    for words in ("no message of the stream", "no epoch and number", "was never begun"):
        assert any(words in letter.error for letter in letters)
    assert any("\\xff" in letter.change.statement for letter in letters)
    # The messages themselves are in the topic of the dead, with the reason and the name that the letter has.
    found = pubsub.dead_messages(10)
    assert sorted(message.data for message in found) == sorted(data for data, _ in foreign)
    assert {message.attributes["message"] for message in found} == {letter.path[1] for letter in letters}
    pubsub.close()
    run(stream.migration.scratch, given.database, "UPDATE kinds SET tiny = 9;")
    stream.caught_up()
    assert not stream.differences()


class Kept(Notes):
    """A journal that forgets what was cancelled."""

    def cancel(self, number: int) -> None:
        self.undo[number - 1] = ("none", "")


def test_a_rollback_takes_away_the_topics_that_were_made_here_and_leaves_those_of_others(
    scratch: Scratch, emulator: Emulator
) -> None:
    settings = scratch.settings(["x"], cdc={"transport": "pubsub", "pubsub_endpoint": emulator.endpoint})
    pubsub, notes = PubSub(place(settings)), Kept()
    assert pubsub.make("topic", pubsub.where.dead)
    make_ready(settings, notes)
    make_ready(settings, notes)
    made = [undo for server, undo in reversed(notes.undo) if server == "pubsub"]
    assert len(made) == 3
    take_away(settings, made)
    assert [pubsub.make(*resource) for resource in pubsub.where.resources] == [True, False, True, True]
    for kind, name in reversed(pubsub.where.resources):
        pubsub.remove(kind, name)
    pubsub.close()


def test_the_environment_names_the_emulator_and_where_there_is_none_the_sandbox_says_so(
    scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = scratch.settings(["x"], cdc={"pubsub_endpoint": "127.0.0.1:1", "topic": "changes"})
    assert place(settings).endpoint == "127.0.0.1:1"
    assert place(settings).resources[2] == ("subscription", "changes-apply")
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:2")
    assert place(settings).endpoint == "127.0.0.1:2"
    assert lifecycle._start_pubsub(tmp_path, 3) == "127.0.0.1:2"
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert lifecycle._start_pubsub(tmp_path, 3) is None
    assert lifecycle.status(tmp_path) == []


@pytest.mark.soak
def test_a_message_that_never_comes_is_published_again_in_another_epoch(given: Unsteady) -> None:
    waiting = Waiting(given.stream.settings.environment)
    given.same()
    before = waiting.epoch(given.stream.target)
    given.unruly.losing = 1
    run(given.stream.migration.scratch, given.database, "UPDATE kinds SET tiny = 7;\nDELETE FROM seats WHERE id = 1;")
    given.stream.wait_for(lambda: waiting.epoch(given.stream.target) > before, 60)
    assert given.unruly.dropped == 1
    given.same()


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 22))
def test_delivery_without_order_leaves_the_rows_of_the_source_every_time(
    scratch: Scratch, emulator: Emulator, tmp_path: Path, seed: int
) -> None:
    with unsteady(scratch, emulator, tmp_path / "reports", seed) as made:
        made.same()
        run(scratch, made.database, DEFINITIONS)
        made.same()


def test_pieces_come_out_as_the_batches_that_went_in_whatever_the_order() -> None:
    dice = Random(5)
    for _ in range(50):
        batches = [
            Batch(tuple(b"%d:%d\n" % (number, line) for line in range(dice.randrange(4))), {"pos": number}, 1.5)
            for number in range(20)
        ]
        sent: list[Piece] = []
        for batch in batches:
            sent += pieces(batch, 7, len(sent) + 1, size=dice.choice((10, 1000)))
        delivered = sent + dice.sample(sent, len(sent) // 2)
        dice.shuffle(delivered)
        queue, found = Queue(7), list[Batch]()
        for piece in delivered:
            queue.offer(read_piece(piece.data, attributes(piece, "s"), "s"))
            found += [whole(parts) for parts in queue.batches()]
        assert [batch.lines for batch in found] == [batch.lines for batch in batches]
        assert [batch.offset["pos"] for batch in found] == list(range(20))
        assert (queue.size, len(queue), found[-1].offset["number"]) == (0, 0, len(sent))
    with pytest.raises(Unreadable, match="position"):
        whole([Piece(1, 1, False, b"{}\n")])


@pytest.mark.soak
def test_random_kills_of_every_part_leave_the_rows_of_the_source(
    scratch: Scratch, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Engine, applier, servers and Pub/Sub killed at random moments under a writer; the whole content compared after it."""
    monkeypatch.setenv("WORKBOOK_REPORTS", str(tmp_path / "reports"))
    dice = Random(int(os.environ.get("SEED", "1")))
    database = scratch.database()
    run(scratch, database, BUSY)
    keys = {"transport": "pubsub", "pubsub_endpoint": emulator.endpoint, "message_changes": 20, "patience_s": 300}
    stream = Stream.of(scratch, [database], cdc=keys)
    writer = Writer(scratch.state, database)
    open_phase("cdc", {"params_file": str(stream.file)})
    process = stream.command("cdc", "run")
    kills = 0
    end = time.monotonic() + 60 * float(os.environ.get("MINUTES", "2"))
    try:
        while time.monotonic() < end:
            time.sleep(dice.uniform(2, 12))
            assert process.poll() is None, process.communicate()[0]
            part = dice.choice(("engine", "engine", "applier", "applier", "pubsub", "target", "source"))
            kills += 1
            if part == "engine":
                with contextlib.suppress(ProcessLookupError, IndexError, KeyError):
                    os.kill(stream.told()["engine"][0], signal.SIGKILL)
            elif part == "applier":
                process.kill()
                process.wait()
                process = stream.command("cdc", "run")
            elif part == "pubsub":
                emulator.kill()
                time.sleep(dice.uniform(0, 3))
                emulator.start()
            else:
                kill_server(scratch.state, part)
    finally:
        writer.end()
    stream.caught_up(300)
    process.terminate()
    assert process.wait(60) == 0
    print(f"{kills} kills, {writer.transactions} transactions")
    assert stream.ledger.letters(stream.target) == ()
    assert not stream.differences()
