"""The delta validation: only what was touched since is read, with the same guarantee; what cannot be told is read in full."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import Scratch
from migration import Migration
from workbook.catalog import ForeignKey, read_catalog
from workbook.errors import VerdictFailed
from workbook.gtids import GtidSet
from workbook.mapping import generate
from workbook.names import mysql_path
from workbook.phases.context import Phase
from workbook.phases.ledger import Ledger
from workbook.phases.order import phase_named
from workbook.validate.behind import Behind
from workbook.validate.binlog import Reader, Touched, Wanted
from workbook.validate.delta import Earlier, cursor_of, since
from workbook.validate.encoding import fields, mysql_digest
from workbook.validate.fence import Fence
from workbook.validate.keyed import Keyed
from workbook.validate.result import ObjectVerdict, TableVerdict, Validation
from workbook.validate.sums import key_fields
from workbook.validate.touched import cascaded, judge, place

SHOP = [
    "CREATE TABLE people (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(40), score DOUBLE)",
    """INSERT INTO people (name, score) WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 900)
       SELECT CONCAT('Zoë ', n), n / 7 FROM c""",
    """CREATE TABLE orders (person INT, place VARCHAR(20) CHARACTER SET latin1, amount DECIMAL(12,4), PRIMARY KEY (place, person),
       FOREIGN KEY (person) REFERENCES people (id) ON DELETE CASCADE)""",
    "INSERT INTO orders SELECT id, CONCAT('é', id), id / 3 FROM people",
    "CREATE TABLE clicks (what VARCHAR(20), at DATETIME(3))",
    "INSERT INTO clicks VALUES ('twice', '2024-01-01'), ('twice', '2024-01-01'), ('once', NULL)",
    "CREATE TABLE quiet (id INT PRIMARY KEY)",
    "INSERT INTO quiet SELECT id FROM people",
]


class Proven:
    """A migration that was proven in full, and deltas that go on from there."""

    def __init__(self, migration: Migration):
        self.migration = migration
        self.scratch = migration.scratch
        (self.database,) = migration.settings.source.databases
        self.first = migration.validate()
        assert self.first.verdict == "same", self.first.findings
        settings = migration.settings
        wanted = settings.validate_.model_copy(update={"mode": "delta"})
        migration.settings = settings.model_copy(update={"validate_": wanted})
        self.earlier = self.earlier_of(self.first, "first")

    @staticmethod
    def earlier_of(found: Validation, run: str) -> Earlier:
        """What the ledger and validate.json would hand to the next validation."""
        notes = json.loads(json.dumps(found.notes_when_good))
        return Earlier({**notes["proof"], "run": run}, json.loads(json.dumps(found.asdict(), default=str)), "")

    def both(self, *statements: str) -> None:
        for statement in statements:
            self.scratch.execute(statement, self.database)
            self.scratch.execute_target_root(statement, self.database)

    def delta(self, earlier: Earlier | None = None) -> Validation:
        return self.migration.validate(earlier or self.earlier)


@pytest.fixture(scope="module")
def proven(sandbox: dict, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proven]:
    """A finished copy, proven once; each test of the module starts from what the one before left, alike on both sides."""
    scratch = Scratch(sandbox, tmp_path_factory.mktemp("delta"))
    try:
        database = scratch.database()
        for statement in SHOP:
            scratch.execute(statement, database)
        yield Proven(Migration.of(scratch, [database]).whole())
    finally:
        scratch.close()


def hop(found: Validation, table: str, which: str = "source-target") -> TableVerdict:
    return next(item for item in found.tables if (item.table, item.hop) == (table, which))


def test_nothing_touched_is_the_same_without_reading_a_row(proven: Proven) -> None:
    before = len(proven.scratch.target.statements)
    found = proven.delta()
    assert found.verdict == "same"
    assert found.proof.why == ""
    assert found.proof.whole == ()
    assert {(table.proof, table.proven_in, table.touched) for table in found.tables} == {("delta", "first", 0)}
    assert hop(found, "people").rows_source == 900
    assert found.asdict()["coverage"]["proof"]["run"] == "first"
    assert not [
        item.sql
        for item in list(proven.scratch.target.statements)[before:]
        if "SHA2" in item.sql and f"`{proven.database}`.`people`" in item.sql
    ]


def keys(table: TableVerdict) -> set[str]:
    return {dict(row.key).get("id") or dict(row.key)["place"] or "" for row in table.samples}


def test_defects_among_the_touched_rows_and_elsewhere_on_the_target_are_found_by_their_keys(proven: Proven) -> None:
    root = proven.scratch.execute_target_root
    proven.both(
        "UPDATE people SET score = score + 1 WHERE id MOD 9 = 0",
        "DELETE FROM orders WHERE person = 30",
        "INSERT INTO orders VALUES (30, 'neu', 1.5)",
    )
    planted = (
        "UPDATE people SET name = 'zoë 18' WHERE id = 18",  # among those that the source touched
        "UPDATE people SET name = CONCAT(name, ' ') WHERE id = 500",  # by nobody but the target
        "INSERT INTO orders VALUES (41, 'Ünseen', 2)",
    )
    with proven.scratch.target_root_connection(proven.database) as cursor:
        cursor.execute("SET SESSION binlog_transaction_compression = ON")
        for statement in planted:
            cursor.execute(statement)
    found = proven.delta()
    assert found.verdict == "different"
    people, orders = hop(found, "people"), hop(found, "orders")
    assert (people.proof, people.proven_in, people.touched) == ("delta", "first", 101)
    assert (people.verdict, people.changed, keys(people)) == ("different", 2, {"18", "500"})
    assert people.columns["name"] == "different"
    assert people.columns["score"] == "proven"
    assert (orders.verdict, orders.extra, orders.missing, keys(orders)) == ("different", 1, 0, {"Ünseen"})
    assert (people.rows_source, people.rows_target) == (900, 900)
    assert (orders.rows_source, orders.rows_target) == (900, 901)
    assert {finding.object.rpartition(".")[2] for finding in found.findings if finding.number is not None} >= {"people"}
    # Mended, the rows are the same again; the warehouse was loaded before they changed, and is known to be behind.
    root("UPDATE people SET name = CONCAT('Zoë ', id) WHERE id IN (18, 500)", proven.database)
    root("DELETE FROM orders WHERE place = 'Ünseen'", proven.database)
    found = proven.delta()
    assert found.hop_verdict("source-target") == "same", found.findings
    lake = hop(found, "people", "target-warehouse")
    assert (lake.verdict, lake.behind) == ("incomparable", 101)
    assert hop(found, "quiet", "target-warehouse").verdict == "same"
    # An incomparable verdict is not a good one; the cursor stays with the ledger as it was.
    assert found.verdict == "incomparable"
    assert {item.verdict for item in found.relations} == {"same"}


def test_what_the_binlog_cannot_tell_is_read_in_full_and_said(proven: Proven) -> None:
    proven.both("INSERT INTO clicks VALUES ('new', NULL)", "OPTIMIZE TABLE quiet")
    with proven.scratch.target_root_connection(proven.database) as cursor:
        cursor.execute("SET SESSION binlog_row_image = MINIMAL")
        cursor.execute("UPDATE people SET score = score + 1 WHERE id = 3")
    found = proven.delta()
    proven.scratch.execute_target_root("UPDATE people SET score = score - 1 WHERE id = 3", proven.database)
    reasons = {json.loads(table)[1]: why for table, why in found.proof.whole}
    assert reasons == {
        "clicks": "source: it has no key by which its rows could be asked for",
        "quiet": "source: a statement changed it: OPTIMIZE TABLE",
        "people": "target: its binlog holds parts of rows (binlog_row_image is not FULL)",
    }
    assert {name: hop(found, name).proof for name in ("clicks", "quiet", "people", "orders")} == {
        "clicks": "full",
        "quiet": "full",
        "people": "full",
        "orders": "delta",
    }
    assert (hop(found, "people").verdict, hop(found, "people").changed) == ("different", 1)
    assert hop(found, "clicks").verdict == "same"
    assert reasons["quiet"] in str(found.proof._repr_html_())


def test_a_proof_that_cannot_be_gone_on_from_says_why(proven: Proven) -> None:
    migration, scratch = proven.migration, proven.scratch
    servers = scratch.source, scratch.target
    now, _ = cursor_of(
        (place(servers[0]), place(servers[1])), migration.catalog, migration.mapping, None, migration.settings
    )

    def why(earlier: Earlier) -> str:
        return since(earlier, now, "", *servers, migration.catalog, migration.mapping, migration.settings).why

    kept = dict(proven.earlier.cursor)
    assert why(Earlier()) == "nothing was proven yet"
    assert "encoded" in why(replace(proven.earlier, cursor={**kept, "encoding": 0}))
    assert "server_uuid" in why(replace(proven.earlier, cursor={**kept, "target": {**kept["target"], "server": "x"}}))
    elsewhere = {**kept, "source": {**kept["source"], "gtids": ""}}
    scratch.execute("FLUSH BINARY LOGS")
    scratch.execute("PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 DAY")
    assert why(replace(proven.earlier, cursor=elsewhere)) == "binlogs that are needed were purged"
    # Another mapping of one table reads that table in full.
    name = json.dumps([proven.database, "quiet"])
    changed = {
        **kept,
        "tables": {**kept["tables"], name: "another"},
        "source": now["source"],
        "warehouse": now["warehouse"],
    }
    known = since(
        replace(proven.earlier, cursor=changed),
        now,
        "",
        *servers,
        migration.catalog,
        migration.mapping,
        migration.settings,
    )
    assert known.whole[proven.database, "quiet"] == "its definition or its mapping changed since"


def test_the_cursor_moves_after_a_good_verdict_alone_and_ends_with_a_load_or_a_rollback(
    proven: Proven, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBOOK_REPORTS", str(tmp_path))
    ledger = Ledger(proven.migration.settings.environment)
    ledger.end(ledger.begin("bulk_load", "loaded", {}), "done", {}, None)

    def opened(run: str) -> Phase:
        (tmp_path / run).mkdir()
        return Phase(phase_named("validate"), proven.migration.settings, tmp_path / run)

    assert opened("one").earlier_proof().why == "nothing was proven yet"
    opened("two").finish(proven.first)
    after = opened("three").earlier_proof()
    assert (after.why, after.cursor["run"]) == ("", "two")
    assert after.cursor["source"] == proven.earlier.cursor["source"]
    assert {table["verdict"] for table in after.result["tables"]} == {"same"}
    bad = replace(proven.first, objects=(ObjectVerdict("table", "t", "different"),))
    with pytest.raises(VerdictFailed):
        opened("four").finish(bad)
    assert opened("five").earlier_proof() == after
    # Another load, and a load that was taken back, are both another copy.
    ledger.end(ledger.begin("bulk_load", "again", {}), "done", {}, None)
    assert "written to the target" in opened("six").earlier_proof().why
    ledger.mark_undone("bulk_load")
    assert "taken back" in opened("seven").earlier_proof().why
    ledger.end(ledger.begin("bulk_load", "loaded", {}), "done", {}, None)
    opened("eight").finish(proven.first)
    (tmp_path / "eight" / "validate.json").unlink()
    assert "is gone" in opened("nine").earlier_proof().why


KEYS = {
    "TINYINT": [-128, -1, 0, 127],
    "MEDIUMINT UNSIGNED": [0, 1, 16777215],
    "BIGINT UNSIGNED": [0, 2**63, 2**64 - 1],
    "BIGINT": [-(2**63), -1, 2**63 - 1],
    "YEAR": [0, 1901, 2155],
    "DECIMAL(30,11)": ["-1234567890123456789.00000000001", "-0.5", "0", "9999999999999999999.99999999999"],
    "DECIMAL(5,0)": [-99999, 0, 12],
    "VARCHAR(300) COLLATE utf8mb4_0900_ai_ci": ["", "'\\\"`%s", "größe 🦀", "x" * 300],
    "VARCHAR(40) CHARACTER SET latin1": ["é€", "~", " lead"],
    "CHAR(90)": ["a", "ß" * 90],
    "BINARY(4)": [b"\0\0\0\0", b"a\0", b"\xff"],
    "VARBINARY(300)": [b"", b"\0", b"z" * 300],
    "DATE": ["0000-00-00", "2019-02-31", "1000-01-01", "9999-12-31"],
    "DATETIME(3)": ["0000-00-00 00:00:00", "2024-02-29 23:59:59.999", "9999-12-31 23:59:59.123"],
    "DATETIME": ["1000-01-01 00:00:00"],
    "TIMESTAMP(6)": ["0000-00-00 00:00:00", "1970-01-01 00:00:01", "2038-01-19 03:14:07.499999"],
}


def test_every_key_that_can_be_cut_by_is_told_from_the_binlog(scratch: Scratch) -> None:
    database = scratch.database()
    names = [f"k{number}" for number in range(len(KEYS))]
    for name, kind in zip(names, KEYS, strict=True):
        # NULLs and long values lie before, between and behind the key.
        scratch.execute(
            f"CREATE TABLE {name} (a VARCHAR(300), k {kind} NOT NULL, j JSON, l INT NOT NULL, b BIT(9), e ENUM('x', 'y'),"
            " t TIME(2), PRIMARY KEY (l, k))",
            database,
        )
    before = place(scratch.source)
    with scratch.source_root_connection(database) as cursor:
        for name, values in zip(names, KEYS.values(), strict=True):
            cursor.execute(f"SET SESSION binlog_transaction_compression = {int(name[1:]) % 2}")
            for number, value in enumerate(values):
                cursor.execute(
                    f"INSERT INTO {name} VALUES (%s, %s, %s, 7, 3, 'y', '-01:00:00.5')",
                    ("é" * number * 100 or None, value, '{"a": [1]}' if number % 2 else None),
                )
    catalog = read_catalog(scratch.source, [database])
    mapping = generate(catalog, None, True)
    wanted = {}
    for path, table in catalog.table.items():
        columns = [column.name for column in table.columns]
        wanted[path] = Wanted(len(columns), tuple(columns.index(name) for name in table.key), 1000)
    reader = Reader(wanted, judge(wanted))
    reader.read(scratch.source, before.gtids)
    behind = Behind(scratch.source, Fence(scratch.source, scratch.source, "x", 0), catalog.table, before.gtids)
    for kind, name, values in zip(KEYS, names, KEYS.values(), strict=True):
        table, item = catalog.table[database, name], mapping.tables[database, name]
        touched = reader.found[table.path]
        assert (touched.full, touched.inserted, len(touched.keys)) == ("", len(values), len(values)), kind
        assert touched.layout is not None
        literals = list(map(touched.layout.literals([table.column[one] for one in table.key]), touched.keys))
        for literal in literals:
            count = scratch.execute(f"SELECT COUNT(*) FROM {mysql_path(*table.path)} WHERE (l, k) IN ({literal})")
            assert count == ((1,),) or count == [(1,)], (kind, literal)
        chosen = fields(table, item)
        digest = mysql_digest(key_fields(chosen), "shared")
        hashed = {
            int(row["h"][:16], 16)
            for row in scratch.source.rows(f"SELECT {digest} AS h FROM {mysql_path(*table.path)}")
        }
        told, why, _ = behind._changed(table.path, chosen)
        if why:
            # Bytes of a character set that Python reads otherwise are no guess.
            assert "cannot be told" in why
            continue
        assert set(told.tolist()) == hashed, kind


@pytest.mark.parametrize(
    ("statement", "changed"),
    [
        ("ANALYZE TABLE t", False),
        ("CREATE DEFINER=`root`@`%` TRIGGER x BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1", False),
        ("CREATE OR REPLACE ALGORITHM=UNDEFINED SQL SECURITY INVOKER VIEW v AS SELECT * FROM t", False),
        ("GRANT SELECT ON t TO x", False),
        ("CREATE TABLE `elsewhere`.`t` LIKE `shop`.`t`", False),
        ("CREATE TABLE other AS SELECT * FROM t", False),
        ("DROP DATABASE `_workbook-replay-1`", False),
        ("XA START 'a'", False),
        ("CREATE TABLE IF NOT EXISTS `T` (a INT)", True),
        ("/* ApplicationName */ ALTER TABLE `t` ADD c INT", True),
        ("alter table `shop`.`t` drop c", True),
        ("RENAME TABLE u TO t", True),
        ("TRUNCATE t", True),
        ("DROP TABLE IF EXISTS u, `t`", True),
        ("CREATE UNIQUE INDEX i ON t (a)", True),
        ("UPDATE u SET a = 1", True),
        ("CALL p()", True),
        ("DROP DATABASE shop", True),
        ("XA COMMIT 'a'", True),
    ],
)
def test_a_statement_in_the_binlog_sends_the_tables_that_it_may_have_changed_to_the_full_proof(
    statement: str, changed: bool
) -> None:
    judged = judge([("shop", "t")])
    assert bool(judged("shop", statement)) is changed
    assert not judged("_workbook-replay-1", "ALTER TABLE t AUTO_INCREMENT = 1")
    assert judged("shop", None)


def test_children_of_a_cascade_that_no_binlog_names_are_read_in_full(proven: Proven) -> None:
    tables = dict(proven.migration.catalog.table)
    found = {(proven.database, "people"): Touched(deleted=1)}
    cascaded(tables, found)
    assert "foreign key" in found[proven.database, "orders"].full
    key: ForeignKey = tables[proven.database, "orders"].foreign_keys[0]
    tables[proven.database, "orders"] = replace(
        tables[proven.database, "orders"], foreign_keys=(replace(key, on_delete="RESTRICT", on_update="NO ACTION"),)
    )
    found = {(proven.database, "people"): Touched(deleted=1)}
    cascaded(tables, found)
    assert set(found) == {(proven.database, "people")}


ORIGIN = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


def test_gtid_sets_are_sets() -> None:
    one = GtidSet.parse(f"{ORIGIN}:1-5:7:9-12,\n{ORIGIN.replace('3e', '4e').upper()}:tagged:1-3")
    assert str(GtidSet.parse(str(one))) == str(one)
    assert one.tagged
    other = GtidSet.parse(f"{ORIGIN}:3-10")
    assert str(one.among({ORIGIN}).without(other)) == f"{ORIGIN}:1-2:11-12"
    assert str(other.without(one)) == f"{ORIGIN}:6:8"
    assert str(one.among({ORIGIN}).beyond(other)) == f"{ORIGIN}:11-12"
    assert one.holds(GtidSet.parse(f"{ORIGIN}:2-4"))
    assert not one.holds(other)
    assert one.holds(GtidSet.parse(""))
    assert other.wire() == bytes.fromhex(
        "0100000000000000" + ORIGIN.replace("-", "") + "010000000000000003000000000000000b00000000000000"
    )
    # A position of MariaDB stands for all up to it.
    assert GtidSet.parse("0-1-100,1-2-5").holds(GtidSet.parse("0-7-99"))
    assert not GtidSet.parse("0-1-100").holds(GtidSet.parse("0-1-101"))


def test_keys_that_follow_each_other_are_read_as_one_range() -> None:
    keys = ("-3", "-2", "-1", "0", "7", "9", "10", "11", "12", "18446744073709551615")
    where = Keyed("d", "t", 1, ("i`d",), None, None, None, keys, True).where()
    name = "`i``d`"
    wanted = f"{name} BETWEEN -3 AND 0 OR {name} BETWEEN 9 AND 12 OR {name} IN (7, 18446744073709551615)"
    assert where == (f" WHERE ({wanted})", [])
