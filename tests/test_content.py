"""The comparison of content: digests that nothing cancels, differences found with bounded reading, never a false `same`."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from conftest import Scratch
from migration import Migration
from workbook.bulk.throttle import throttle_file
from workbook.catalog import read_catalog
from workbook.mapping import generate
from workbook.servers import Server
from workbook.validate import content, locate, walk
from workbook.validate.canonical import encode_row, row_hash
from workbook.validate.content import Servers, compare_table
from workbook.validate.encoding import fields
from workbook.validate.keys import one_row
from workbook.validate.pace import Pace
from workbook.validate.result import TableVerdict
from workbook.validate.sums import Digest, Reading
from workbook.validate.walk import walk_alone

ROWS = 6000
KEYED = """CREATE TABLE {name} (id INT PRIMARY KEY, word VARCHAR(40), amount DECIMAL(12,4), score DOUBLE, born DATE)"""
FILL = """INSERT INTO {name} WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
          SELECT i * 3, CONCAT('é', i), i / 7, i / 3, '2000-01-01' + INTERVAL i MOD 9000 DAY FROM n"""


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of a thousand rows, so that small tables have several."""
    monkeypatch.setattr(walk, "_MOST", 1000)
    monkeypatch.setattr(walk, "_FEWEST", 1000)


class Both:
    """The same table on source and target, compared."""

    def __init__(self, scratch: Scratch):
        self.scratch = scratch
        self.database = scratch.database()
        scratch.execute_target_root(f"CREATE DATABASE {self.database}")

    def run(self, *statements: str) -> "Both":
        for statement in statements:
            self.scratch.execute("SET SESSION cte_max_recursion_depth = 100000")
            for run in (self.scratch.execute, self.scratch.execute_target_root):
                run(
                    statement.replace("INSERT INTO", "INSERT /*+ SET_VAR(cte_max_recursion_depth = 100000) */ INTO"),
                    self.database,
                )
        return self

    def damage(self, *statements: str) -> "Both":
        for statement in statements:
            self.scratch.execute_target_root(statement, self.database)
        return self

    def compare(
        self,
        source: Server | None = None,
        target: Server | None = None,
        pause: Callable[[], None] = lambda: None,
        **keys: Any,
    ) -> TableVerdict:
        self.scratch.execute("ANALYZE TABLE t", self.database)
        settings = self.scratch.settings([self.database], **keys)
        catalog = read_catalog(self.scratch.source, [self.database])
        (item,) = generate(catalog, None, True).in_scope
        servers = Servers(source or self.scratch.source, target or self.scratch.target, None, pause)
        (found,) = compare_table(servers, catalog.table[item.path], item, settings)
        return found


@pytest.fixture
def both(scratch: Scratch) -> Both:
    return Both(scratch)


def filled(both: Both, rows: int = ROWS) -> Both:
    return both.run(KEYED.format(name="t"), FILL.format(name="t", rows=rows))


def test_ten_changed_rows_are_named_and_only_their_chunks_are_read_again(both: Both) -> None:
    filled(both).damage(
        "UPDATE t SET word = CONCAT(word, ' ') WHERE id IN (3, 6, 9, 9000, 9003, 9006, 9009, 9012, 9015, 9018)"
    )
    before = len(both.scratch.target.statements)
    found = both.compare()
    assert (found.verdict, found.changed, found.missing, found.extra) == ("different", 10, 0, 0)
    assert [dict(row.key)["id"] for row in found.samples] == [
        "3",
        "6",
        "9",
        "9000",
        "9003",
        "9006",
        "9009",
        "9012",
        "9015",
        "9018",
    ]
    assert {name: state for name, state in found.columns.items() if state != "proven"} == {"word": "different"}
    sent = [item.sql for item in list(both.scratch.target.statements)[before:]]
    assert sum("BIT_XOR" in sql for sql in sent) >= 6
    assert 1 <= sum("GROUP_CONCAT" in sql for sql in sent) <= 3
    assert 1 <= sum("SELECT DISTINCT" in sql for sql in sent) <= 3


def test_rows_missing_extra_and_changed_are_counted_exactly_where_most_differ(both: Both) -> None:
    filled(both).damage(
        "UPDATE t SET amount = amount + 1 WHERE id > 1500",
        "DELETE FROM t WHERE id <= 300",
        "INSERT INTO t (id) VALUES (1), (2), (1000000)",
    )
    found = both.compare(validate={"listed": 1000})
    assert (found.verdict, found.changed, found.missing, found.extra) == ("different", ROWS - 500, 100, 3)
    # What was not read with its values is not called proven.
    assert found.columns["amount"] == "different"
    assert set(found.columns.values()) == {"different", "sampled"}
    assert len(found.samples) == 10 + 10 + 3
    assert found.why == ""


def test_where_more_rows_differ_than_are_looked_at_the_counts_are_said_to_be_at_least(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locate, "MOST_PAIRS", 2500)
    found = filled(both).damage("UPDATE t SET score = -score").compare()
    assert found.verdict == "different"
    assert 2500 <= found.changed < ROWS
    assert found.why.startswith("at least")


@pytest.mark.parametrize("index", ["", ", KEY by_v (v)"], ids=["one chunk", "cut by an index"])
def test_rows_twice_in_a_keyless_table_do_not_cancel(both: Both, index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "_LARGE_CHUNK", 1000)
    both.run(
        f"CREATE TABLE t (v INT NOT NULL, w VARCHAR(9){index})",
        "INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000) SELECT i DIV 2, 'x' FROM n",
    )
    assert both.compare().verdict == "same"
    # XOR would call both the same: 7, 7 became 9999, 9999.
    found = both.damage("UPDATE t SET v = 9999 WHERE v = 7").compare()
    assert (found.verdict, found.missing, found.extra) == ("different", 2, 2)
    assert {dict(row.key)["v"] for row in found.samples} == {"7", "9999"}
    found = both.damage("UPDATE t SET v = 7 WHERE v = 9999", "DELETE FROM t WHERE v = 20 LIMIT 1").compare()
    assert (found.verdict, found.missing, found.extra) == ("different", 1, 0)


@pytest.mark.parametrize("key", ["PRIMARY KEY", ""], ids=["keyed", "keyless"])
def test_the_servers_digests_are_those_of_python(both: Both, key: str) -> None:
    dates = ["2024-02-29", "0000-00-00", "2019-02-31", None]
    rows = [(n, None if n % 5 == 0 else f"ж;~{n}", dates[n % 4]) for n in range(40)] + (
        [] if key else [(1, "a", None)] * 3
    )
    both.scratch.execute(f"CREATE TABLE t (id INT {key}, w VARCHAR(20), d DATE)", both.database)
    for row in rows:
        both.scratch.execute("INSERT INTO t VALUES (%s, %s, %s)", both.database, row)
    catalog = read_catalog(both.scratch.source, [both.database])
    (item,) = generate(catalog, None, True).in_scope
    table = catalog.table[item.path]
    with both.scratch.source.session() as session:
        side = walk_alone(Reading(session, table.path, fields(table, item)), table, bool(table.key))
    for kind in ("exact", "shared"):
        hashes = [row_hash(encode_row(["integer", "text", "date"], row, kind)) for row in rows]
        each = [Digest(1, tuple(int.from_bytes(one[at : at + 4], "big") for at in range(0, 16, 4))) for one in hashes]
        assert side.total[kind] == reduce(lambda one, two: one.plus(two, bool(key)), each, Digest())
    assert side.losses == {"d": 20}


def test_keys_that_the_target_orders_otherwise_make_no_difference(both: Both) -> None:
    both.run("CREATE TABLE t (word VARCHAR(40) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY, v INT)")
    both.damage("ALTER TABLE t MODIFY word VARCHAR(40) COLLATE utf8mb4_bin")
    both.run(
        "INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)"
        " SELECT CONCAT(ELT(1 + i MOD 4, 'a', 'B', 'ç', 'Z'), SHA2(i, 256) COLLATE utf8mb4_bin), i FROM n".replace(
            "VARCHAR(40)", ""
        ).replace("SHA2(i, 256)", "LEFT(SHA2(i, 256), 30)")
    )
    assert both.compare().verdict == "same"
    found = both.damage("UPDATE t SET v = -v WHERE v = 17").compare()
    assert (found.verdict, found.changed, found.missing, found.extra) == ("different", 1, 0, 0)


def test_rows_beyond_the_estimate_and_outside_the_sources_keys_are_found(both: Both) -> None:
    filled(both).damage("INSERT INTO t (id) VALUES (-2147483648), (2147483647), (1)", "DELETE FROM t WHERE id = 3")
    found = both.compare()
    assert (found.verdict, found.missing, found.extra) == ("different", 1, 3)


# --- Never `same` where nothing was proven ----------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["source", "target"])
@pytest.mark.parametrize("granted", [None, "SELECT (id, word)"], ids=["no privilege", "not every column"])
def test_a_table_that_may_not_be_read_is_incomparable(both: Both, role: str, granted: str | None) -> None:
    filled(both, 10)
    account = both.scratch.account("'blind'@'%'")
    run = both.scratch.execute if role == "source" else both.scratch.execute_target_root
    run(f"CREATE USER {account} IDENTIFIED BY 'pw'")
    if granted:
        run(f"GRANT {granted} ON {both.database}.t TO {account}")
    given: Server = getattr(both.scratch, role)
    blind = Server(given.role, given.host, given.port, "blind", "pw")
    found = both.compare(**{role: blind})  # type: ignore[arg-type]
    assert found.verdict == "incomparable"
    assert set(found.columns.values()) == {"incomparable"}
    assert found.why.startswith(f"{role}: ")
    assert "privilege" in found.why


@pytest.mark.parametrize("key", ["PRIMARY KEY", ""], ids=["keyed", "keyless"])
def test_rows_that_a_server_cannot_hash_are_incomparable(both: Both, key: str) -> None:
    both.run(f"CREATE TABLE t (id INT {key}, a VARCHAR(9000), b VARCHAR(9000)) CHARACTER SET latin1")
    both.run("INSERT INTO t VALUES (1, 'x', 'y'), (2, REPEAT('a', 9000), REPEAT('b', 9000))")
    assert both.compare().verdict == "same"
    try:
        for run in (both.scratch.execute, both.scratch.execute_target_root):
            run("SET GLOBAL max_allowed_packet = 16384")
        found = both.compare()
    finally:
        for run in (both.scratch.execute, both.scratch.execute_target_root):
            run("SET GLOBAL max_allowed_packet = 67108864")
    assert found.verdict == "incomparable", found
    assert "have no hash" in found.why


# --- The throttle -----------------------------------------------------------------------------------------------------


@pytest.fixture
def paused(scratch: Scratch, both: Both) -> Iterator[tuple[Pace, Path]]:
    """A pace whose file says that the work is paused."""
    settings = scratch.settings([both.database])
    file = throttle_file(settings)
    file.write_text("pause: true\n")
    try:
        yield Pace(settings, scratch.source), file
    finally:
        file.unlink(missing_ok=True)


def test_the_throttles_pause_holds_the_comparison_until_it_is_gone(both: Both, paused: tuple[Pace, Path]) -> None:
    pace, file = paused
    filled(both)
    found: list[TableVerdict] = []
    worker = threading.Thread(target=lambda: found.append(both.compare(pause=pace.wait)))
    worker.start()
    deadline = time.monotonic() + 60
    while not pace.changes and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [change.limit_mb_s for change in pace.changes] == [0.0]
    assert not any("BIT_XOR" in item.sql for item in list(both.scratch.source.statements))
    file.unlink()
    worker.join(60)
    assert [item.verdict for item in found] == ["same"]
    assert pace.changes[-1].limit_mb_s is None


def test_a_whole_validation_minds_the_throttle(scratch: Scratch) -> None:
    database = scratch.database()
    scratch.execute("CREATE TABLE t (id INT PRIMARY KEY)", database)
    scratch.execute("INSERT INTO t VALUES (1)", database)
    moving = Migration.of(scratch, [database]).whole()
    file = throttle_file(moving.settings)
    file.write_text("pause: true\n")
    before = len(scratch.source.statements)
    worker = threading.Thread(target=moving.validate)
    try:
        worker.start()
        deadline = time.monotonic() + 60
        while len(scratch.source.statements) == before and time.monotonic() < deadline:
            time.sleep(0.02)
        assert worker.is_alive()
    finally:
        file.unlink()
        worker.join(60)
    assert not worker.is_alive()


@pytest.mark.parametrize("text", ["a\u00a0b", "soft\u00adhyphen", "tab\t", "👩\u200d🚀", "日本", "é", "it's \\"])
def test_a_key_of_any_text_is_looked_up_under_any_collation(scratch: Scratch, text: str) -> None:
    database = scratch.database()
    kinds = (
        "utf8mb4 COLLATE utf8mb4_general_ci", "utf8mb4 COLLATE utf8mb4_0900_as_cs", "utf8mb4 COLLATE utf8mb4_bin", "utf8mb3",
        "latin1", "ascii",
    )  # fmt: skip
    for number, kind in enumerate(kinds):
        scratch.execute(f"CREATE TABLE t{number} (k VARCHAR(20) CHARACTER SET {kind} PRIMARY KEY)", database)
        scratch.execute(f"INSERT IGNORE INTO t{number} VALUES (%s)", database, (text,))
        table = read_catalog(scratch.source, [database]).table[database, f"t{number}"]
        ((kept,),) = scratch.execute(f"SELECT CAST(CONVERT(k USING utf8mb4) AS BINARY) FROM t{number}", database)
        condition = one_row(table, (f"={len(text.encode())}:{text};",), "exact")
        found = scratch.execute(f"SELECT COUNT(*) FROM t{number} WHERE {condition}".replace("%", "%%"), database, ())
        assert found == [(int(kept == text.encode()),)], kind
