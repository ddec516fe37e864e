"""The cutover and the way back where changes travel over Pub/Sub: what is still there when the source closes is waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from conftest import Scratch
from stream import Stream
from workbook.cdc.pubsub import Message, PubSub, make_ready, place
from workbook.cutover import Cutover
from workbook.errors import TerminalError
from workbook.phases import open_phase
from workbook.phases.cutover import cut_over, take_topics
from workbook.phases.ledger import Ledger

HELD_SECONDS = 2.0
TABLES = """
CREATE TABLE `n %s ü` (id INT AUTO_INCREMENT PRIMARY KEY, side VARCHAR(9) NOT NULL);
CREATE TABLE keyless (side VARCHAR(9) NOT NULL);
INSERT INTO `n %s ü` (side) VALUES ('before'), ('before')
"""


def test_messages_that_wait_at_pubsub_when_the_source_closes_arrive_before_the_target_opens(
    scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written on the target comes back by another way, and no topic sees it."""
    endpoint = scratch.state["pubsub"]["endpoint"]
    if endpoint is None:
        pytest.skip("no Pub/Sub emulator: the Google Cloud CLI with pubsub-emulator is not on PATH")
    monkeypatch.setenv("WORKBOOK_REPORTS", str(tmp_path / "reports"))
    database = scratch.database()
    scratch.script(TABLES.strip() + "\n", database)
    keys = {"transport": "pubsub", "pubsub_endpoint": endpoint, "message_changes": 3}
    stream = Stream.of(scratch, [database], cdc=keys)
    open_phase("cdc", {"params_file": str(stream.file)})
    stream.set_up()
    runs = {"source": scratch.execute, "target": scratch.execute_target_root}

    def write(side: str, rows: int) -> None:
        for _ in range(rows):
            for table in ("`n %s ü`", "keyless"):
                runs[side](f"INSERT INTO {table} (side) VALUES ('{side}')", database)
        runs[side]("UPDATE `n %s ü` SET side = 'changed' WHERE id = 1", database)

    def rows(side: str) -> list[Any]:
        found = [runs[side](f"SELECT * FROM {table} ORDER BY 1", database) for table in ("`n %s ü`", "keyless")]
        return [row for table in found for row in table]

    held, lacking, published = threading.Event(), list[int](), list[bytes]()
    pull, publish = PubSub.pull, PubSub.publish
    freeze, drain, move = Cutover._freeze, Cutover._drain, Cutover._move

    def pull_later(pubsub: PubSub, most: int, seconds: float) -> list[Any]:
        found = pull(pubsub, most, seconds)
        while held.is_set():
            time.sleep(0.05)
        return found

    def publish_and_note(pubsub: PubSub, messages: Sequence[Message], dead: bool = False) -> None:
        published.extend(data for data, _ in messages)
        publish(pubsub, messages, dead)

    def hold_and_freeze(cutover: Cutover) -> str:
        if cutover.to == "target":
            held.set()
            write("source", 10)
        return freeze(cutover)

    def count_and_drain(cutover: Cutover) -> str:
        if cutover.to == "target":
            lacking.append(len(rows("source")) - len(rows("target")))
            threading.Timer(HELD_SECONDS, held.clear).start()
        return drain(cutover)

    def write_and_move(cutover: Cutover) -> str:
        # The side that has opened is written to before changes flow from it.
        write(cutover.to, 10)
        return move(cutover)

    monkeypatch.setattr(PubSub, "pull", pull_later)
    monkeypatch.setattr(PubSub, "publish", publish_and_note)
    for name, act in (("_freeze", hold_and_freeze), ("_drain", count_and_drain), ("_move", write_and_move)):
        monkeypatch.setattr(Cutover, name, act)
    try:
        for to in ("target", "source"):
            phase = open_phase("cutover", {"params_file": str(stream.file), "overrides": {"cutover.to": to}})
            phase.finish(cut_over(phase))
    finally:
        held.clear()
        scratch.execute("SET GLOBAL read_only = OFF")
        scratch.execute("RESET PERSIST")
    assert lacking == [20]
    assert rows("source") == rows("target")
    assert len(rows("source")) == 2 + 3 * 20
    assert not stream.differences()
    text = b"".join(published)
    assert b'"side":"source"' in text
    # Rows with the word `target` were written on the target alone.
    assert b'"side":"target"' not in text
    # What the phase has made at Pub/Sub goes when the way back is given up.
    settings = stream.settings
    ledger, pubsub = Ledger(settings.environment), PubSub(place(settings))
    for kind, name in reversed(pubsub.where.resources):
        pubsub.remove(kind, name)
    make_ready(settings, ledger.journal("cdc"))
    take_topics(settings, ledger, stream.said.append)
    with pytest.raises(TerminalError, match="NotFound"):
        publish(pubsub, [(b"{}", {})])
    for run in runs.values():
        run("DROP DATABASE IF EXISTS _workbook")
