"""Interactions: faithful code does the same on both sides, damaged code is named, what cannot be told is never called the same."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace as with_

import pytest

from conftest import Scratch
from migration import Migration
from workbook.phases.fingerprint import target_fingerprint
from workbook.sandbox import lifecycle
from workbook.servers import Server
from workbook.validate.objects import read_definitions
from workbook.validate.replay import replay
from workbook.validate.replay_verdict import InteractionVerdict
from workbook.validate.result import TableVerdict, Validation

DATABASE = "re`play é %s"
TABLES = [
    """CREATE TABLE customers (id INT PRIMARY KEY AUTO_INCREMENT, `full name` VARCHAR(60) NOT NULL, mail VARCHAR(80),
       balance DECIMAL(12,3) NOT NULL DEFAULT 0, tier ENUM('new', 'old', 'gold') NOT NULL DEFAULT 'new')""",
    """CREATE TABLE `order` (id INT PRIMARY KEY AUTO_INCREMENT, customer_id INT NOT NULL, net DECIMAL(12,3) NOT NULL,
       vat DECIMAL(12,2), at DATETIME NOT NULL, state VARCHAR(10) NOT NULL DEFAULT 'new',
       CONSTRAINT of_customer FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE CASCADE)""",
    "CREATE TABLE log (what VARCHAR(80), amount DECIMAL(12,3), at DATETIME(3))",
    """CREATE TABLE prices (id INT PRIMARY KEY, net DECIMAL(10,2) NOT NULL, gross DECIMAL(10,2) AS (ROUND(net * 1.19, 2)) STORED,
       CONSTRAINT positive CHECK (net >= 0))""",
    "INSERT INTO customers (`full name`, mail, balance, tier) WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 40)"
    " SELECT CONCAT('Zoë ', n), IF(n % 5, CONCAT('m', n, '@x.example'), NULL), n * 1.115, 1 + n % 3 FROM c",
    "INSERT INTO `order` (customer_id, net, at, state) SELECT 1 + id % 20, id * 3.335, '2024-01-01' + INTERVAL id DAY, IF(id % 3, 'new', 'paid') FROM customers",
    "INSERT INTO prices (id, net) SELECT id, id * 1.37 FROM customers",
]  # fmt: skip
CODE = {
    "function net_of": """CREATE FUNCTION net_of(gross DECIMAL(14,3), rate DECIMAL(5,2)) RETURNS DECIMAL(14,2) DETERMINISTIC NO SQL
       RETURN ROUND(gross / (1 + rate / 100), 2)""",
    "function alike": """CREATE FUNCTION alike(a VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci, b VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci)
       RETURNS INT DETERMINISTIC NO SQL RETURN a = b""",
    "function spent": """CREATE FUNCTION spent(customer INT) RETURNS DECIMAL(14,3) READS SQL DATA
       RETURN (SELECT COALESCE(SUM(net), 0) FROM `order` WHERE customer_id = customer AND state <> 'paid')""",
    "procedure pay": """CREATE PROCEDURE pay(IN p_customer_id INT, OUT paid INT) MODIFIES SQL DATA
       BEGIN
         UPDATE `order` SET state = 'paid' WHERE customer_id = p_customer_id AND state = 'new';
         SET paid = ROW_COUNT();
         IF paid > 1 THEN INSERT INTO log VALUES ('many', paid, NOW(3)); END IF;
       END""",
    "procedure page": """CREATE PROCEDURE page(IN least DECIMAL(12,3)) READS SQL DATA
       SELECT id, `full name` FROM customers WHERE balance > least ORDER BY id""",
    "view totals": "CREATE VIEW totals AS SELECT c.id, c.`full name`, COALESCE(SUM(o.net), 0) AS total FROM customers c LEFT JOIN `order` o ON o.customer_id = c.id GROUP BY c.id, c.`full name`",
    "trigger vat_of": "CREATE TRIGGER vat_of BEFORE INSERT ON `order` FOR EACH ROW SET NEW.vat = ROUND(NEW.net * 0.19, 2)",
    "trigger a_noted": """CREATE TRIGGER a_noted AFTER UPDATE ON customers FOR EACH ROW
       IF NEW.balance <> OLD.balance THEN INSERT INTO log VALUES (CONCAT(NEW.`full name`, ' 100%'), NEW.balance - OLD.balance, NOW(3)); END IF""",
    "trigger gone": "CREATE TRIGGER gone AFTER DELETE ON `order` FOR EACH ROW INSERT INTO log VALUES ('gone', OLD.net, NOW(3))",
    "trigger b_second": "CREATE TRIGGER b_second BEFORE INSERT ON `order` FOR EACH ROW FOLLOWS vat_of SET NEW.state = LOWER(NEW.state)",
    "view nets": "CREATE VIEW nets AS SELECT id, net_of(net, 19.00) AS net FROM prices",
    "event nightly": """CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2099-01-01 00:00:00' DO
       UPDATE customers SET tier = 'gold' WHERE balance > 20""",
    "event once": "CREATE EVENT once ON SCHEDULE AT '2099-01-01 00:00:00' DO BEGIN DELETE FROM log; INSERT INTO log VALUES ('done', 1, NOW(3)); END",
}  # fmt: skip
# Written under another sql_mode than the rest: there || joins texts.
JOINED = (
    "CREATE FUNCTION joined(a VARCHAR(30), b VARCHAR(30)) RETURNS VARCHAR(80) DETERMINISTIC NO SQL RETURN a || ' ' || b"
)
# The same on the target, damaged: each is made again from these, and must be found by its name.
DAMAGED = {
    "function net_of": CODE["function net_of"].replace("RETURN ROUND", "RETURN TRUNCATE"),
    "function alike": CODE["function alike"].replace("0900_ai_ci, b", "bin, b").replace("RETURN a = b", "RETURN a = b COLLATE utf8mb4_bin"),
    "function spent": CODE["function spent"].replace("state <> 'paid'", "state = 'new' OR 1"),
    "procedure pay": CODE["procedure pay"].replace("paid > 1", "paid > 2"),
    "procedure page": CODE["procedure page"].replace("ORDER BY id", "ORDER BY id DESC"),
    "view totals": CODE["view totals"].replace("LEFT JOIN", "JOIN"),
    "trigger vat_of": CODE["trigger vat_of"].replace("ROUND(NEW.net * 0.19, 2)", "TRUNCATE(NEW.net * 0.19, 2)"),
    "trigger a_noted": CODE["trigger a_noted"].replace("NEW.balance <> OLD.balance", "NEW.balance > OLD.balance"),
    "event nightly": CODE["event nightly"].replace("> 20", "> 40"),
}  # fmt: skip
# Nothing of these can be proven by a call: the word that says why.
NOT_TOLD = {
    "procedure exported": ("CREATE PROCEDURE exported() SELECT * FROM customers INTO OUTFILE '/tmp/never'", "file"),
    "function header": ("CREATE FUNCTION header() RETURNS TEXT DETERMINISTIC RETURN LOAD_FILE('/etc/passwd')", "file"),
    "procedure locked": ("CREATE PROCEDURE locked() SELECT GET_LOCK('application', 1)", "lock"),
    "procedure endless": ("CREATE PROCEDURE endless() BEGIN DECLARE CONTINUE HANDLER FOR SQLEXCEPTION SET @e = 1; LOOP SET @x = 1; END LOOP; END", "longer"),
    "function ticket": ("CREATE FUNCTION ticket() RETURNS CHAR(36) NOT DETERMINISTIC NO SQL RETURN UUID()", "each time"),
    "procedure elsewhere": ("CREATE PROCEDURE elsewhere() BEGIN SET @s = CONCAT('DELETE FROM `re``play é %s`.', '`log`'); PREPARE s FROM @s; EXECUTE s; END", "denied"),
    "procedure silent": ("CREATE PROCEDURE silent() BEGIN DECLARE x INT; SET x = 1; END", "shows"),
}  # fmt: skip
# Code that commits or makes its own tables: the copy is made anew behind it.
COMMITS = {
    "procedure rebuilt": "CREATE PROCEDURE rebuilt() BEGIN INSERT INTO log VALUES ('a', 1, NOW(3)); COMMIT; CREATE TABLE made (v INT); INSERT INTO log SELECT 'b', COUNT(*), NOW(3) FROM log; END",
    "procedure kept": "CREATE PROCEDURE kept(IN much DECIMAL(10,2)) BEGIN START TRANSACTION; UPDATE customers SET balance = much WHERE id = 1; COMMIT; END",
}  # fmt: skip


@pytest.fixture(scope="module")
def migrated(sandbox: dict, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Migration]:
    """A finished schema with rows on both servers, which all tests of this module share; each takes its damage back."""
    scratch = Scratch(sandbox, tmp_path_factory.mktemp("replay"))
    try:
        database = scratch.database(DATABASE)
        others = [statement for statement, _ in NOT_TOLD.values()]
        for statement in (*TABLES, *CODE.values(), *others, *COMMITS.values()):
            scratch.execute(statement, database)
        under(scratch, "source", "PIPES_AS_CONCAT", JOINED)
        moved = Migration.of(scratch, [database])
        moved.schema()
        moved.bulk()
        moved.schema()
        yield moved
    finally:
        scratch.close()


def under(scratch: Scratch, role: str, mode: str, statement: str) -> None:
    """Run a statement as root under an sql_mode of its own."""
    connection = lifecycle.root_connection(scratch.state, role, database=DATABASE)
    with connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = %s", (mode,))
        cursor.execute(statement)


def replayed(migrated: Migration, alike: bool = True) -> dict[str, InteractionVerdict]:
    scratch = migrated.scratch
    source, target = read_definitions(scratch.source, scratch.target, migrated.catalog, migrated.mapping)
    with scratch.source.session() as session:
        since = session.gtids()
    found = replay((scratch.source, scratch.target), source, target, lambda path: alike, since, 1.0)
    return {f"{item.kind} {item.name.rpartition('.')[2].strip('`')}": item for item in found}


def test_faithful_code_does_the_same_and_what_cannot_be_told_is_never_called_the_same(migrated: Migration) -> None:
    before = target_fingerprint(migrated.scratch.target), target_fingerprint(migrated.scratch.source)
    found = replayed(migrated)
    for name in (*CODE, *COMMITS, "table prices", "function joined"):
        assert (found[name].verdict, found[name].detail) == ("same", ""), name
        assert found[name].calls > 0
    for name, (_, word) in NOT_TOLD.items():
        assert found[name].verdict == "incomparable", found[name]
        assert word in found[name].detail, found[name]
    assert found["function net_of"].proof == "scratch copy and in place"
    assert found["view totals"].proof == "scratch copy and in place"
    # Nothing stays behind, and the source was not touched.
    assert (target_fingerprint(migrated.scratch.target), target_fingerprint(migrated.scratch.source)) == before


def test_every_subtly_damaged_piece_of_code_is_different_by_its_name_and_nothing_else_is(migrated: Migration) -> None:
    scratch = migrated.scratch
    damaged = [*DAMAGED, "function joined"]
    for name, statement in DAMAGED.items():
        scratch.execute_target_root(f"DROP {name}", DATABASE)
        scratch.execute_target_root(
            statement.replace("STARTS '2099-01-01 00:00:00'", "STARTS '2099-01-01 00:00:00' DISABLE"), DATABASE
        )
    scratch.execute_target_root("DROP FUNCTION joined", DATABASE)
    under(scratch, "target", "", JOINED)
    scratch.execute_target_root(
        "ALTER TABLE prices MODIFY gross DECIMAL(10,2) AS (ROUND(net * 1.19, 1)) STORED", DATABASE
    )
    try:
        found = replayed(migrated)
    finally:
        for name in damaged:
            scratch.execute_target_root(f"DROP {name}", DATABASE)
        scratch.execute_target_root(
            "ALTER TABLE prices MODIFY gross DECIMAL(10,2) AS (ROUND(net * 1.19, 2)) STORED", DATABASE
        )
        migrated.schema()
    for name in (*damaged, "table prices"):
        assert found[name].verdict == "different", found[name]
        assert "with the source's definition" in found[name].detail
    # The view is the same to the letter; the function that it calls is not, and the table that it reads computes otherwise.
    assert found["view nets"].verdict == "different"
    assert "by way of function `re``play é %s`.`net_of`" in found["view nets"].detail
    # It is fired by the same INSERT as the trigger that is damaged: which of the two did it cannot be told.
    assert found["trigger b_second"].verdict == "incomparable"
    assert "vat_of" in found["trigger b_second"].detail
    # What it writes fires the damaged trigger.
    assert "by way of trigger `re``play é %s`.`a_noted`" in found["procedure kept"].detail
    for name in ("trigger gone", "event once", "procedure rebuilt"):
        assert found[name].verdict == "same", found[name]
    # Values are masked, places are not.
    assert "'vat'" in found["trigger vat_of"].detail
    assert "masked" in found["trigger vat_of"].detail
    assert "'amount'" in found["trigger a_noted"].detail or "log" in found["trigger a_noted"].detail


def test_a_lost_trigger_and_one_too_many_are_different_and_in_place_the_rows_themselves_count(
    migrated: Migration,
) -> None:
    scratch = migrated.scratch
    scratch.execute_target_root("UPDATE customers SET `full name` = 'Zoe 20' WHERE id = 20", DATABASE)
    scratch.execute_target_root("DROP TRIGGER gone", DATABASE)
    scratch.execute_target_root(
        "CREATE TRIGGER extra BEFORE UPDATE ON prices FOR EACH ROW SET NEW.net = NEW.net + 1", DATABASE
    )
    try:
        found = replayed(migrated)
    finally:
        scratch.execute_target_root("DROP TRIGGER extra", DATABASE)
        migrated.schema()
        scratch.execute_target_root("UPDATE customers SET `full name` = 'Zoë 20' WHERE id = 20", DATABASE)
    assert (found["trigger gone"].verdict, found["trigger extra"].verdict) == ("different", "different")
    assert (found["view totals"].verdict, found["view totals"].proof) == ("different", "in place")


def test_a_replay_that_was_killed_is_swept_by_the_next_one(migrated: Migration) -> None:
    target = migrated.scratch.target
    before = target_fingerprint(target)
    child = multiprocessing.get_context("fork").Process(target=replayed, args=(migrated,))
    child.start()
    there = "SELECT COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = '_workbook-replay-0'"
    while not target.scalar(there):
        assert child.is_alive()
        time.sleep(0.02)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert target_fingerprint(target) != before
    found = replayed(migrated, alike=False)
    assert found["trigger gone"].verdict == "same"
    # Rows that are not known to be the same say nothing about code that reads them.
    assert (found["view totals"].verdict, found["view totals"].proof) == ("same", "scratch copy")
    assert target_fingerprint(target) == before


def test_without_the_right_to_make_a_scratch_copy_nothing_is_called_the_same_but_what_was_called_in_place(
    migrated: Migration,
) -> None:
    scratch = migrated.scratch
    account = scratch.account("'reader'@'%'")
    scratch.execute_target_root(f"CREATE USER {account} IDENTIFIED BY 'pw'")
    scratch.execute_target_root(
        f"GRANT SELECT, EXECUTE, SHOW VIEW, SHOW_ROUTINE, TRIGGER, EVENT, PROCESS ON *.* TO {account}"
    )
    role, host, port, _, _ = scratch.target.login()
    reader = Server(role, host, port, "reader", "pw")
    source, target = read_definitions(scratch.source, reader, migrated.catalog, migrated.mapping)
    with scratch.source.session() as session:
        since = session.gtids()
    found = replay((scratch.source, reader), source, target, lambda path: True, since, 1.0)
    proven = {item.name.rpartition(".")[2] for item in found if item.verdict == "same"}
    assert proven
    assert {item.kind for item in found if item.verdict == "same"} <= {"view", "function", "procedure"}
    trigger = next(item for item in found if item.kind == "trigger")
    assert trigger.verdict == "incomparable"
    assert "CREATE USER" in trigger.detail


def test_a_difference_decides_the_verdict_and_what_could_not_be_replayed_is_counted() -> None:
    table = TableVerdict("d", "t", "source-target", "same", 1, 1, {"id": "proven"})
    acts = [
        InteractionVerdict("trigger", "`d`.`a`", "same", calls=3),
        InteractionVerdict("event", "`d`.`b`", "incomparable", "why"),
    ]
    good = Validation((table,), (), (), (), {}, interactions=tuple(acts))
    assert good.verdict == "same"
    assert good.coverage["interactions"]["event"]["incomparable"] == 1
    bad = with_(good, interactions=(*acts, InteractionVerdict("view", "`d`.`<c>`", "different", "row 1")))
    assert bad.verdict == "different"
    assert bad.asdict()["interactions"][2]["name"] == "`d`.`<c>`"
    assert "&lt;c&gt;" in bad.interactions_table()
