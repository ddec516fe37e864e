"""The verdict: one byte, one row, one index, one grant that differs is found, by table, column and key, on its hop."""

from collections.abc import Iterator
from dataclasses import asdict, replace

import pytest

from conftest import Scratch
from migration import Migration
from workbook.mapping import Dedupe, Reject
from workbook.names import quote_mysql
from workbook.validate.result import Validation
from workbook.validate.rows import compare

SHOP = [
    """CREATE TABLE `cust``omers` (id INT PRIMARY KEY AUTO_INCREMENT, `full name` VARCHAR(80) COLLATE utf8mb4_0900_ai_ci,
       mail VARCHAR(80), score DOUBLE, born DATE, note LONGTEXT, raw VARBINARY(20), KEY by_mail (mail))""",
    """INSERT INTO `cust``omers` (`full name`, mail, score, born, note, raw)
       WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 900)
       SELECT CONCAT('Zoë ', n), CONCAT(' Mail', n, '@x.example'), n / 7, '2000-01-01' + INTERVAL n DAY, REPEAT('x', n), n FROM c""",
    "UPDATE `cust``omers` SET born = '0000-00-00' WHERE id = 5",
    """CREATE TABLE orders (customer INT, place VARCHAR(20) CHARACTER SET latin1, amount DECIMAL(12,4), PRIMARY KEY (customer, place),
       CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES `cust``omers` (id))""",
    "INSERT INTO orders SELECT id, CONCAT('é', id), id / 3 FROM `cust``omers`",
    "CREATE TABLE clicks (what VARCHAR(20), at DATETIME(3))",
    "INSERT INTO clicks VALUES ('twice', '2024-01-01'), ('twice', '2024-01-01'), ('once', NULL)",
    """CREATE TABLE `we"ird %s` (id INT PRIMARY KEY, `1st ``%s` INT, place VARCHAR(20) CHARACTER SET latin1,
       FOREIGN KEY (`1st ``%s`, place) REFERENCES orders (customer, place))""",
    """INSERT INTO `we"ird %s` SELECT id, IF(id % 3, 1 + id % 40, NULL), CONCAT('é', 1 + id % 40) FROM `cust``omers`""",
    "CREATE VIEW `v%s` AS SELECT id FROM `cust``omers`",
]  # fmt: skip


@pytest.fixture(scope="module")
def migrated(sandbox: dict, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Migration]:
    """A finished copy that all tests of this module share; each takes its damage back."""
    scratch = Scratch(sandbox, tmp_path_factory.mktemp("validate"))
    try:
        database = scratch.database('val`id"ate é')
        for statement in SHOP:
            scratch.execute(statement, database)
        account = scratch.account("'clerk'@'%'")
        scratch.execute(f"CREATE USER {account} IDENTIFIED BY 'pw'")
        scratch.execute(f"GRANT SELECT, INSERT ON {quote_mysql(database)}.`cust``omers` TO {account}")
        yield Migration.of(scratch, [database]).whole()
    finally:
        scratch.close()


@pytest.fixture
def database(migrated: Migration) -> str:
    return migrated.settings.source.databases[0]


def states(found: Validation) -> dict[tuple[str, str], str]:
    return {(table.table, table.hop): table.verdict for table in found.tables}


def test_a_faithful_copy_is_the_same_and_says_what_was_tolerated(migrated: Migration) -> None:
    found = migrated.validate()
    assert found.findings == ()
    assert found.verdict == "same"
    assert set(states(found).values()) == {"same"}
    columns = {(t.table, t.hop): t.columns for t in found.tables}
    assert columns["cust`omers", "source-target"]["born"] == "proven"
    # A zero date became NULL in the warehouse: by rule, and said.
    assert columns["cust`omers", "target-warehouse"]["born"] == "tolerated"
    assert columns["cust`omers", "target-warehouse"]["mail"] == "proven"
    assert {relation.verdict for relation in found.relations} == {"same"}
    of_customer = next(relation for relation in found.relations if relation.name == "of_customer")
    assert [asdict(side) for _, side in of_customer.sides] == 3 * [
        {"parents": 900, "none": 0, "one": 900, "few": 0, "many": 0, "most": 1}
    ]
    assert [(item.kind, item.verdict, item.proof) for item in found.interactions] == [
        ("view", "same", "scratch copy and in place")
    ]


@pytest.mark.parametrize(
    ("damage", "mend", "column", "key"),
    [
        ("UPDATE `cust``omers` SET `full name` = 'zoe 77' WHERE id = 77", "UPDATE `cust``omers` SET `full name` = 'Zoë 77' WHERE id = 77", "full name", {"id": "77"}),
        ("UPDATE `cust``omers` SET mail = 'Mail8@x.example ' WHERE id = 8", "UPDATE `cust``omers` SET mail = ' Mail8@x.example' WHERE id = 8", "mail", {"id": "8"}),
        ("UPDATE `cust``omers` SET score = score * (1 + 2.3e-16) WHERE id = 9", "UPDATE `cust``omers` SET score = 9 / 7 WHERE id = 9", "score", {"id": "9"}),
        ("UPDATE `cust``omers` SET born = NULL WHERE id = 5", "UPDATE `cust``omers` SET born = '0000-00-00' WHERE id = 5", "born", {"id": "5"}),
        ("UPDATE `cust``omers` SET raw = 0x00 WHERE id = 3", "UPDATE `cust``omers` SET raw = 3 WHERE id = 3", "raw", {"id": "3"}),
        ("UPDATE orders SET amount = amount + 0.0001 WHERE customer = 4", "UPDATE orders SET amount = 4 / 3 WHERE customer = 4", "amount", {"customer": "4", "place": "é4"}),
    ],
    ids=["accent", "space", "one ulp", "zero date", "bytes", "decimal"],
)  # fmt: skip
def test_one_changed_cell_of_the_target_is_found_by_table_column_and_key(
    migrated: Migration, database: str, damage: str, mend: str, column: str, key: dict[str, str]
) -> None:
    migrated.scratch.execute_target_root(damage, database)
    try:
        found = migrated.validate()
    finally:
        migrated.scratch.execute_target_root(mend, database)
    assert found.verdict == "different"
    table = next(t for t in found.tables if t.hop == "source-target" and t.verdict == "different")
    assert [name for name, state in table.columns.items() if state == "different"] == [column]
    assert (table.changed, table.missing, table.extra) == (1, 0, 0)
    assert dict(table.samples[0].key) == key
    assert any(item.column == column and item.hop == "source-target" for item in found.findings)
    # The values of the row are masked, unless the params ask for them.
    assert "masked" in str(found.asdict()["tables"][found.tables.index(table)]["samples"][0]["columns"])


def test_a_row_deleted_from_the_target_is_missing_by_its_key(migrated: Migration, database: str) -> None:
    migrated.scratch.execute_target_root("DELETE FROM orders WHERE customer = 500", database)
    try:
        found = migrated.validate()
    finally:
        migrated.scratch.execute_target_root("INSERT INTO orders VALUES (500, 'é500', 500 / 3)", database)
    table = next(t for t in found.tables if (t.table, t.hop) == ("orders", "source-target"))
    assert (table.verdict, table.missing) == ("different", 1)
    assert dict(table.samples[0].key) == {"customer": "500", "place": "é500"}
    assert table.rows_source == 900
    assert table.rows_target == 899
    # The warehouse was loaded before the row went: it now has one that Cloud SQL has not, and agrees with the source.
    assert states(found)["orders", "target-warehouse"] == "different"
    assert states(found)["orders", "source-warehouse"] == "same"
    (echo,) = [item for item in found.findings if item.hop == "target-warehouse"]
    assert "BigQuery agrees with the source" in echo.explanation


def test_a_lost_duplicate_of_a_keyless_table_is_found(migrated: Migration, database: str) -> None:
    migrated.scratch.execute_target_root("DELETE FROM clicks WHERE what = 'twice' LIMIT 1", database)
    try:
        found = migrated.validate()
    finally:
        migrated.scratch.execute_target_root("INSERT INTO clicks VALUES ('twice', '2024-01-01')", database)
    table = next(t for t in found.tables if (t.table, t.hop) == ("clicks", "source-target"))
    assert (table.verdict, table.missing, table.extra) == ("different", 1, 0)


@pytest.mark.parametrize("layer", ["raw", "clean"])
def test_one_changed_cell_of_the_warehouse_is_found_in_both_layers(migrated: Migration, layer: str) -> None:
    scratch, warehouse = migrated.scratch, migrated.settings.warehouse
    dataset = warehouse.raw_dataset if layer == "raw" else warehouse.dataset
    mapped = next(table for table in migrated.mapping.in_scope if table.name == "cust`omers")
    path, name = scratch.table_path(dataset, mapped.warehouse_name), mapped.column["note"].warehouse_name
    scratch.google(f"UPDATE {path} SET `{name}` = CONCAT(`{name}`, 'y') WHERE id = 42")
    try:
        found = migrated.validate()
    finally:
        scratch.google(f"UPDATE {path} SET `{name}` = REPEAT('x', 42) WHERE id = 42")
    table = next(t for t in found.tables if (t.table, t.hop) == ("cust`omers", "target-warehouse"))
    assert (table.verdict, table.changed) == ("different", 1)
    assert table.columns["note"] == "different"
    assert dict(table.samples[0].key) == {"id": "42"}
    assert states(found)["cust`omers", "source-target"] == "same"


def test_a_row_deleted_from_the_warehouse_is_found(migrated: Migration) -> None:
    scratch = migrated.scratch
    mapped = next(table for table in migrated.mapping.in_scope if table.name == "orders")
    path = scratch.table_path(migrated.settings.warehouse.raw_dataset, mapped.warehouse_name)
    scratch.google(f"DELETE FROM {path} WHERE customer = 7")
    try:
        found = migrated.validate()
    finally:
        migrated.warehouse()
    table = next(t for t in found.tables if (t.table, t.hop) == ("orders", "source-warehouse"))
    assert (table.verdict, table.missing) == ("different", 1)
    of_customer = next(relation for relation in found.relations if relation.name == "of_customer")
    assert of_customer.orphans_warehouse == 0
    assert "parents without a child: 0 on the source, 0 on Cloud SQL, 1 on BigQuery" in of_customer.detail


@pytest.mark.parametrize(
    ("damage", "mend", "kind", "name"),
    [
        ("ALTER TABLE `cust``omers` DROP INDEX by_mail", "ALTER TABLE `cust``omers` ADD INDEX by_mail (mail)", "index", "by_mail"),
        ("REVOKE INSERT ON `cust``omers` FROM clerk", "GRANT INSERT ON `cust``omers` TO clerk", "grant", "clerk"),
        ("DROP VIEW `v%s`", None, "view", "v%s"),
        ("ALTER TABLE orders DROP FOREIGN KEY of_customer", "ALTER TABLE orders ADD CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES `cust``omers` (id)", "foreign key", "of_customer"),
        ("ALTER TABLE orders MODIFY amount DECIMAL(12,3)", "ALTER TABLE orders MODIFY amount DECIMAL(12,4)", "table", "orders"),
    ],
    ids=["index", "grant", "view", "foreign key", "narrower"],
)  # fmt: skip
def test_a_lost_or_changed_object_is_found_by_name(
    migrated: Migration, database: str, damage: str, mend: str | None, kind: str, name: str
) -> None:
    migrated.scratch.execute_target_root(damage, database)
    try:
        found = migrated.validate()
    finally:
        if mend is None:
            migrated.schema()
        else:
            migrated.scratch.execute_target_root(mend, database)
        if name == "orders":
            migrated.scratch.execute_target_root("UPDATE orders SET amount = customer / 3", database)
    assert found.verdict == "different"
    wrong = [item for item in found.objects if item.verdict == "different"]
    assert any(item.kind.startswith(kind) and name in item.name + item.detail for item in wrong), wrong
    assert any(name in item.object + item.explanation for item in found.findings)


def test_a_table_that_cannot_be_read_is_incomparable_or_different_but_never_the_same(
    migrated: Migration, database: str
) -> None:
    migrated.scratch.execute_target_root("RENAME TABLE clicks TO elsewhere", database)
    try:
        found = migrated.validate()
    finally:
        migrated.scratch.execute_target_root("RENAME TABLE elsewhere TO clicks", database)
    assert states(found)["clicks", "source-target"] == "different"
    assert states(found)["clicks", "source-warehouse"] == "same"
    assert found.verdict == "different"


def test_children_that_hang_on_another_parent_are_counted_on_each_side(migrated: Migration, database: str) -> None:
    scratch = migrated.scratch
    scratch.execute_target_root(
        "UPDATE `we\"ird %s` SET `1st ``%s` = 50, place = CONVERT('é50' USING latin1) WHERE id = 1", database
    )
    try:
        found = migrated.validate()
    finally:
        scratch.execute_target_root(
            "UPDATE `we\"ird %s` SET `1st ``%s` = 2, place = CONVERT('é2' USING latin1) WHERE id = 1", database
        )
    weird = next(relation for relation in found.relations if relation.child.endswith('we"ird %s'))
    assert weird.verdict == "different"
    assert weird.orphans_source == weird.orphans_target == 0
    assert weird.children_source is not None
    assert (weird.children_source.parents, weird.children_source.most) == (900, 16)
    assert "parents with one child: 0 on the source, 1 on Cloud SQL" in weird.detail
    assert any(item.defect == "a foreign key does not hold as on the source" for item in found.findings)
    # The key's text is compared by a collation, which the warehouse does not know: it is not asked there.
    assert weird.children_warehouse is None
    assert "0 / 1" in found.relations_table()
    # One bar for each side that was looked at, because they differ.
    assert found.relations_table().count('class="wb-kin"') == len(found.relations) - 1 + 2


def test_keyless_rows_are_compared_as_multisets() -> None:
    before, after = [("=1:a;",), ("=1:a;",), ("=1:b;",)], [("=1:a;",), ("=1:b;",), ("=1:c;",)]
    found = compare(["v"], [], before, after, 10)
    assert (found.missing, found.extra) == (1, 1)


def test_samples_are_of_every_kind_though_one_kind_is_many() -> None:
    before = [(f"{number};", "0;") for number in range(100)]
    after = [(f"{number};", "1;") for number in range(50)]
    found = compare(["id", "v"], ["id"], before, after, 3)
    assert (found.changed, found.missing) == (50, 50)
    assert {row.kind for row in found.rows} == {"changed", "missing"}
    assert found.columns == ("v",)


def test_a_zero_date_is_a_parent_like_any_other(scratch: Scratch) -> None:
    database = scratch.database()
    scratch.script(
        "CREATE TABLE days (d DATE NOT NULL PRIMARY KEY);\nCREATE TABLE notes (id INT PRIMARY KEY, d DATE,"
        " CONSTRAINT of_day FOREIGN KEY (d) REFERENCES days (d));\nINSERT INTO days VALUES ('0000-00-00'), ('2020-01-01');\n"
        "INSERT INTO notes VALUES (1, '0000-00-00'), (2, '2020-01-01'), (3, NULL);\nSET foreign_key_checks = 0;\n"
        "INSERT INTO notes VALUES (4, '1999-01-01');\n",
        database,
    )
    (relation,) = Migration.of(scratch, [database]).whole().validate().relations
    assert (relation.verdict, relation.orphans_source, relation.orphans_target) == ("same", 1, 1), relation


def test_a_column_may_have_the_name_of_its_table_and_those_of_our_own_statements(scratch: Scratch) -> None:
    """In GoogleSQL the name of a table, and of a WITH clause, hides a column that has it too."""
    database = scratch.database()
    scratch.script(
        "CREATE TABLE note (id INT PRIMARY KEY, note VARCHAR(20), cleaned VARCHAR(20), judged INT, checked INT, rows_ INT);\n"
        "INSERT INTO note VALUES (1, ' a ', ' x', 1, 1, 1), (2, 'A', NULL, 2, NULL, 2), (3, 'b', 'y ', 30, 3, 3);\n"
        "CREATE TABLE judged (judged VARCHAR(9) PRIMARY KEY, stage0 VARCHAR(9));\nINSERT INTO judged VALUES ('q', ' z'), ('r', 'z');\n",
        database,
    )
    migration = Migration.of(scratch, [database])
    rules = {"note": ("trim", "lower"), "cleaned": ("trim",), "stage0": ("trim",)}
    tables = {}
    for path, table in migration.mapping.tables.items():
        columns = tuple(replace(column, clean=rules.get(column.name, ())) for column in table.columns)
        table = replace(table, columns=columns)
        if table.name == "note":
            table = replace(
                table, reject=(Reject("too many", "judged > 20"),), dedupe=Dedupe(("note",), "last", ("rows_",))
            )
        tables[path] = table
    migration.mapping = replace(migration.mapping, tables=tables)
    found = migration.whole().validate()
    assert found.verdict == "same", [(item.hop, item.verdict, item.why) for item in found.tables]
    dataset = migration.settings.warehouse.dataset
    rows = scratch.google(
        f"SELECT n.note, n.cleaned, n.judged FROM {scratch.table_path(dataset, 'note')} AS n ORDER BY 3"
    )
    assert rows == [("a", None, 2)]
    rows = scratch.google(f"SELECT j.judged, j.stage0 FROM {scratch.table_path(dataset, 'judged')} AS j ORDER BY 1")
    assert rows == [("q", "z"), ("r", "z")]
    scratch.execute_target_root("UPDATE note SET note = 'changed', cleaned = 'changed' WHERE id = 2", database)
    worse = migration.validate()
    table = next(item for item in worse.tables if (item.table, item.hop) == ("note", "target-warehouse"))
    assert table.columns["note"] == table.columns["cleaned"] == "different"
    assert [dict(row.key)["id"] for row in table.samples] == ["2"]
