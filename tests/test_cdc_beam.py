"""Changes applied by the Beam pipeline: Google's own emulator before it, Cloud SQL's stand-in and the warehouse behind it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Scratch
from stream import Stream
from test_cdc import KINDS, KINDS_CHANGES, run
from test_cdc_apply import TABLES, Source
from test_cdc_warehouse import apart, merged
from unruly import Unruly
from workbook.cdc import orders, relay
from workbook.cdc.change import Change
from workbook.cdc.engine import Batch, EngineEnded
from workbook.cdc.pubsub import PubSub, place
from workbook.cdc.sequence import Piece, attributes, pieces
from workbook.cdc.waiting import Waiting
from workbook.errors import TransientError


@pytest.fixture(scope="module")
def endpoint(sandbox: dict[str, Any]) -> Iterator[str]:
    found = sandbox["pubsub"]["endpoint"]
    if found is None:
        pytest.skip("no Pub/Sub emulator: the Google Cloud CLI with pubsub-emulator is not on PATH")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
        yield found


SOME = (
    KINDS
    + """
CREATE TABLE seats (id INT PRIMARY KEY, seat VARCHAR(10) UNIQUE, other INT);
CREATE TABLE `grö ße,n & %s "x" ``尺` (`select` VARCHAR(20) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY, `ä %d ``` VARCHAR(20));
INSERT INTO seats VALUES (1, 'a', 0), (2, 'b', 0), (3, 'c', 0);
INSERT INTO `grö ße,n & %s "x" ``尺` VALUES ('Abc', '1'), ('straße', '2');
"""
)
SOME_CHANGES = (
    KINDS_CHANGES
    + """
BEGIN;
UPDATE seats SET seat = 'x', other = 1 WHERE id = 1;
UPDATE seats SET seat = 'a', other = 1 WHERE id = 2;
UPDATE seats SET seat = 'b', other = 1 WHERE id = 1;
DELETE FROM seats WHERE id = 3;
INSERT INTO seats VALUES (4, 'c', 2);
COMMIT;
UPDATE `grö ße,n & %s "x" ``尺` SET `select` = 'ABC' WHERE `select` = 'Abc';
TRUNCATE TABLE `grö ße,n & %s "x" ``尺`;
INSERT INTO `grö ße,n & %s "x" ``尺` VALUES ('STRASSE', '%s %d "x"'), ('%', NULL);
"""
)


def test_from_the_emulator_to_target_and_warehouse_the_pipeline_leaves_what_the_direct_transport_leaves(
    scratch: Scratch, endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As test_cdc and test_cdc_warehouse show it of the direct transport: on the target are all rows of the source, in the
    warehouse what a load brings. Here messages change places, come again and come late."""
    from workbook.cdc import pipeline

    monkeypatch.setenv("WORKBOOK_REPORTS", str(tmp_path / "reports"))
    unruly, bundles = Unruly(7), list[int]()
    monkeypatch.setattr(PubSub, "publish", lambda *given, **how: unruly(*given, **how))
    bundle = pipeline.bundle
    monkeypatch.setattr(pipeline, "bundle", lambda told, found: [bundles.append(len(found)), bundle(told, found)][1])
    database = scratch.database()
    run(scratch, database, SOME)
    cdc = {"transport": "pubsub", "apply": "beam", "pubsub_endpoint": endpoint, "message_changes": 2, "warehouse": True}
    stream = Stream.of(scratch, [database], cdc=cdc)
    stream.migration.warehouse()
    run(scratch, database, SOME_CHANGES)
    stream.start()
    try:
        stream.caught_up()
        # Where the machine is busy, all that went before came in one bundle.
        run(scratch, database, "UPDATE seats SET other = 3 WHERE id = 4;")
        stream.caught_up()
    finally:
        stream.stop()
    assert not stream.differences()
    assert stream.ledger.letters(stream.target) == ()
    found = merged(stream)
    assert found.left == ()
    assert not apart(stream)
    assert len(bundles) > 1
    assert min(unruly.repeated, unruly.delayed) > 5


def line(change: Change) -> bytes:
    """A change as Debezium writes it."""
    file, pos, within = change.order
    place = {"file": f"binlog.{file:06d}", "pos": pos, "db": change.path[0], "table": change.path[1], "ts_ms": 1000}
    content = {"before": change.before, "after": change.after, "source": place, "op": change.op}
    return json.dumps({**content, "transaction": {"total_order": within}}).encode() + b"\n"


def test_bundles_of_the_beam_pipeline_in_any_order_leave_the_rows_of_the_source(
    scratch: Scratch, endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beam's runner over shuffled and repeated messages; one bundle fails after its changes are committed, and runs again."""
    from workbook.cdc import pipeline

    monkeypatch.setenv("WORKBOOK_REPORTS", str(tmp_path / "reports"))
    database = scratch.database()
    scratch.script(TABLES.strip() + "\n", database)
    cdc = {"transport": "pubsub", "apply": "beam", "pubsub_endpoint": endpoint, "patience_s": 2}
    stream = Stream.of(scratch, [database], cdc=cdc)
    source = Source(scratch, database, 3)
    for _ in range(120):
        source.step()
    source.connection.close()
    stream.set_up()
    waiting, name = Waiting(stream.settings.environment), stream.settings.environment
    epoch = waiting.begin_epoch(stream.target)
    sent: list[Piece] = []
    for start in range(0, len(source.events), 3):
        lines = tuple(line(change) for change in source.events[start : start + 3])
        sent += pieces(Batch(lines, {"file": "x", "pos": start, "gtids": ""}, 1.0), epoch, len(sent) + 1, size=400)
    elements = [(f"m{piece.number}", piece.data, attributes(piece, name)) for piece in sent]
    delivered = elements + source.dice.sample(elements, len(elements) // 2)
    delivered += [("foreign", b"x", {}), ("old", b"x", attributes(Piece(epoch - 1, 1, False, b""), name))]
    source.dice.shuffle(delivered)
    store, failing = Waiting.store, [True]

    def fails_once(own: Waiting, target: Any, found: Any) -> None:
        position = stream.ledger.position(stream.target)
        if failing and found and position is not None and "number" in position.offset:
            failing.pop()
            raise TransientError("planted", "", "")
        store(own, target, found)

    monkeypatch.setattr(Waiting, "store", fails_once)
    told, counters = orders.orders(stream.settings), dict.fromkeys(pipeline.COUNTERS, 0)
    size = len(delivered) // 5 + 1
    for start in range(0, len(delivered), size):
        for counter, count in pipeline.bundle(told, delivered[start : start + size]):
            counters[counter] += count
    pipeline.close(told)
    assert not failing
    assert [letter.path[1] for letter in stream.ledger.letters(stream.target)] == ["foreign"]
    assert counters["unread"] == 1
    assert min(counters["early"], counters["old"]) > 5
    position = stream.ledger.position(stream.target)
    assert position is not None
    assert position.offset["number"] == len(sent)
    assert stream.target.scalar(f"SELECT COUNT(*) FROM {waiting.table}") == 1
    assert not stream.differences()


class Silent:
    """An engine that has read everything: what is published is not the matter here."""

    pid, spoke, past_history = 0, True, True

    def take(self, seconds: float, most: int) -> list[Batch]:
        time.sleep(0.02)
        return []

    def end(self) -> None:
        pass


def test_a_message_that_never_comes_ends_the_epoch_though_a_pipeline_elsewhere_applies(
    scratch: Scratch, endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits on the target shows it; as long as that moves, nothing ends."""
    monkeypatch.setenv("WORKBOOK_REPORTS", str(tmp_path / "reports"))
    monkeypatch.setattr(relay, "_LOOK_SECONDS", 0.0)
    database = scratch.database()
    run(scratch, database, "CREATE TABLE t (id INT PRIMARY KEY)")
    stream = Stream.of(scratch, [database], cdc={"transport": "pubsub", "apply": "beam", "pubsub_endpoint": endpoint})
    stream.set_up()
    waiting, target, name = Waiting(stream.settings.environment), stream.target, stream.settings.environment
    epoch = waiting.begin_epoch(target)
    silent: Any = Silent()
    published = relay.Published(silent, PubSub(place(stream.settings)), waiting, target, name, epoch, 1)
    try:
        for number in range(3, 40, 3):
            waiting.store(target, [Piece(epoch, number, False, b"x")])
            assert published.take(0.1, 1) == []
            waiting.forget(target, epoch, number)
        waiting.store(target, [Piece(epoch, 50, False, b"x")])
        with pytest.raises(EngineEnded, match="a message before number 50 did not come within 1 s"):
            stream.wait_for(lambda: bool(published.take(0.1, 1)), 20)
    finally:
        published.end()
