"""Dead letters: read on the phase's page, understood, mended as it says, and replayed by the very commands that it prints."""

from __future__ import annotations

import html
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from conftest import Scratch
from stream import Stream
from test_cdc import run
from workbook.cdc.change import Change
from workbook.cdc.ledger import DeadLetter
from workbook.cdc.letters import ADVICE, Letters, advice, mending
from workbook.cdc.pubsub import PubSub, make_ready, place
from workbook.cli import app
from workbook.phases.cdc import dead_letters

SECRET = "väl<ue> 'of' \"a\" person"


def blocks(page: str) -> list[str]:
    """What stands on a page as program text."""
    found = re.findall(r'<pre class="wb-code"[^>]*><code>(.*?)</code>', page, re.S)
    return [html.unescape(re.sub(r"<[^>]+>", "", text)) for text in found]


def test_a_dead_letter_is_read_understood_mended_and_replayed_by_following_the_page(
    scratch: Scratch, sandbox: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value that the target refuses, and a message of somebody else's; nothing is done but what the page says."""
    endpoint = sandbox["pubsub"]["endpoint"]
    if endpoint is None:
        pytest.skip("no Pub/Sub emulator: the Google Cloud CLI with pubsub-emulator is not on PATH")
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("WORKBOOK_REPORTS", str(tmp_path / "reports"))
    database = scratch.database()
    run(scratch, database, "CREATE TABLE `a``b` (id INT PRIMARY KEY, v INT, note VARCHAR(60));")
    stream = Stream.of(scratch, [database], cdc={"transport": "pubsub", "pubsub_endpoint": endpoint})
    scratch.execute_target_root("ALTER TABLE `a``b` ADD CONSTRAINT `lo``w` CHECK (v < 50)", database)
    scratch.execute("INSERT INTO `a``b` VALUES (1, 1, 'kept'), (2, 60, %s), (3, 3, 'kept')", database, (SECRET,))
    make_ready(stream.settings, stream.migration.notes)
    pubsub = PubSub(place(stream.settings))
    pubsub.publish([(b"no <b>change</b>", {"from": "somebody else"})])

    def command(line: str) -> tuple[int, str]:
        words = shlex.split(line.removeprefix("workbook ").removesuffix(" -p FILE"))
        process = stream.command(*words, cwd=tmp_path)
        said = process.communicate(timeout=120)[0]
        return process.returncode, said

    status, said = command("workbook run cdc -p FILE")
    assert status == 1, said
    (path,) = (tmp_path / "reports").glob("*/09_cdc.html")
    page = path.read_text()
    words = html.unescape(re.sub(r"<[^>]+>", " ", page))
    assert "Dead letters: 2" in words
    assert "Check constraint 'lo`w' is violated." in words
    assert "a constraint of the target forbids the row" in words
    assert "it is no message of the stream" in words
    for secret in (SECRET, html.escape(SECRET), "no <b>change</b>", "no &lt;b&gt;change"):
        assert secret not in page
    shown = blocks(page)
    (mend,) = (block for block in shown if block.startswith("ALTER TABLE "))
    commands = [block for block in shown if block.startswith("workbook cdc ")]
    assert [line.split()[2] for line in commands] == ["stop", "replay-dead-letters", "forget-dead-letters", "run"]
    # Values are shown to who asks for them; nothing is let go without consent.
    assert SECRET in dead_letters(stream.settings, True).text
    words = [*shlex.split(commands[2].replace("FILE", str(stream.file)))]
    refused = CliRunner().invoke(app, [word for word in words[1:] if word != "--yes"])
    assert "Nobody consented" in str(refused.exception)
    assert len(stream.ledger.letters(stream.target)) == 2
    # By the page.
    scratch.execute_target_root(mend, database)
    status, said = command(commands[1])
    assert (status, "1 applied" in said, "1 left" in said) == (1, True, True), said
    status, said = command(commands[2])
    assert (status, "1 let go, 0 left" in said) == (0, True), said
    assert not stream.differences()
    assert dead_letters(stream.settings, False).text == "There are no dead letters."
    for kind, name in reversed(pubsub.where.resources):
        pubsub.remove(kind, name)
    pubsub.close()


def letter(error: str, kind: str = "permanent", **row: Any) -> DeadLetter:
    change = Change("u", ("d", "t"), (1, 2, 3), {"id": 1, **row}, {"id": 1, **row}, "x:1")
    return DeadLetter(1, kind, ("d", "t"), change, error, 2, "2026-01-01 00:00:00")


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (f"`d`.`t`: Duplicate entry '{SECRET}' for key 't.v' (1062)", "Duplicate entry '…' for key 't.v'"),
        (f"`d`.`t`: Incorrect integer value: '{SECRET}' for column 'v' at row 1 (1366)", "value: '…' for column 'v'"),
        (f"`d`.`t`: Truncated incorrect DOUBLE value: '{SECRET}' (1292)", "DOUBLE value: '…' (1292)"),
        ("an event of `d`.`t` cannot be read: invalid literal: 'väl'", "invalid literal: '…'"),
    ],
)
def test_neither_values_nor_what_the_error_quotes_of_them_are_shown_unless_asked_for(error: str, shown: str) -> None:
    found = Letters((letter(error, v=SECRET, email="väl@x"),), 1, keys={("d", "t"): ("id",)})
    for text in (found.text, html.unescape(str(found._repr_html_())), str(found.asdict())):
        assert shown in text
        assert "väl" not in text
    openly = Letters(found.letters, 1, True, found.keys, {("d", "t"): ("email",)})
    assert SECRET in openly.text
    assert "väl@x" not in openly.text.replace(SECRET, "")


def test_every_error_has_an_advice_and_names_are_quoted_in_its_sql() -> None:
    assert advice(letter("something else")) is ADVICE[-1]
    assert advice(letter("`d`.`t`: Data too long for column 'v' at row 1 (1406)")).means.startswith("a column of the")
    assert not mending(letter("`d`.`t`: Data too long for column 'v' at row 1 (1406)"))
    broken = letter("`d`.`a``b`: Check constraint 'x` ; DROP' is violated. (3819)")
    assert mending(broken) == "ALTER TABLE `d`.`a``b` DROP CHECK `x`` ; DROP`;"
