"""The classifier: every one of the 49 defects is planted in variants on each hop and found, by its class and its exact rows."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

import planted_rows
from conftest import Scratch
from migration import Migration
from planted import TABLES, damage, fill, google_value, mysql_value, places
from workbook.mapping import Mapping
from workbook.names import quote_mysql
from workbook.sandbox import lifecycle
from workbook.servers import SESSION_SQL_MODE
from workbook.validate import run
from workbook.validate.content import Servers
from workbook.validate.defects import DEFECTS, defect_of
from workbook.validate.result import Finding, Validation
from workbook.validate.rows import RowDifference

Rows = frozenset[str]
WAREHOUSE_HOPS = ("target-warehouse", "source-warehouse")


@dataclass
class Stage:
    """A migrated database whose warehouse was damaged, then its target; what was found after either."""

    migration: Migration
    database: str
    user: str
    warehouse: Validation
    target: Validation


class Roots:
    """One connection as root of a server, for many statements."""

    def __init__(self, scratch: Scratch, role: str, database: str | None):
        self.connection = lifecycle.root_connection(scratch.state, role, database=database)
        self.run(f"SET SESSION sql_mode = '{SESSION_SQL_MODE}', foreign_key_checks = 0, time_zone = '+00:00'")

    def run(self, sql: str) -> list[tuple[object, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())


def make(scratch: Scratch, database: str, user: str) -> None:
    source = Roots(scratch, "source", database)
    for name, columns in TABLES.items():
        for statement in fill(name, columns):
            source.run(statement)
    for item in planted_rows.ROWS:
        source.run(f"CREATE TABLE {item.table} {item.create}")
        source.run(item.fill.replace("{t}", item.table))
    source.run(f"CREATE TABLE pairs {planted_rows.PAIRS_CREATE}")
    source.run(planted_rows.PAIRS_FILL.replace("{t}", "pairs"))
    for statement in (*planted_rows.ORPHANS_CREATE, *planted_rows.OBJECTS_CREATE):
        source.run(statement)
    for number in (1, 2):
        scratch.account(f"{user}{number}")
        source.run(f"CREATE USER {user}{number} IDENTIFIED BY 'pw'")
    scratch.account(f"{user}_role")
    source.run(f"CREATE ROLE {user}_role")
    source.run(f"GRANT SELECT, INSERT ON {quote_mysql(database)}.* TO {user}1")
    source.run(f"GRANT SELECT ON {quote_mysql(database)}.* TO {user}_role")
    source.run(f"GRANT {user}_role TO {user}2")
    source.run(f"SET DEFAULT ROLE {user}_role TO {user}2")


def damage_warehouse(migration: Migration) -> None:
    scratch, raw = migration.scratch, migration.settings.warehouse.raw_dataset
    source = Roots(scratch, "source", None)
    path = lambda table: scratch.table_path(raw, table)  # noqa: E731
    for name, columns in TABLES.items():
        sets = []
        for number, column in enumerate(columns):
            if "w" not in column.hops:
                continue
            cases = []
            for row, (_, after) in zip(places(number, column), column.values, strict=True):
                digits = ""
                if column.google == "geometry":
                    digits = str(source.run(f"SELECT LOWER(HEX({mysql_value(column, after)}))")[0][0])
                cases.append(f"WHEN {row} THEN {google_value(column, after, digits)}")
            sets.append(f"c{number} = CASE id {' '.join(cases)} ELSE c{number} END")
        scratch.google(f"UPDATE {path(name)} SET {', '.join(sets)} WHERE id > 0")
    for item in planted_rows.ROWS:
        for statement in item.warehouse or ():
            scratch.google(statement.replace("{t}", path(item.table)))
    for pair in planted_rows.PAIRS:
        scratch.google(pair.warehouse.replace("{t}", path("pairs")))
    scratch.google(f"DELETE FROM {path('above')} WHERE id IN (3, 4)")
    casts = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in planted_rows.RETYPED.items())
    scratch.google(f"CREATE OR REPLACE TABLE {path('objects')} AS SELECT * REPLACE ({casts}) FROM {path('objects')}")


def damage_target(migration: Migration, database: str, user: str) -> None:
    target = Roots(migration.scratch, "target", database)
    for name, columns in TABLES.items():
        for statement in damage(name, columns):
            target.run(statement)
    for item in planted_rows.ROWS:
        for statement in item.target or ():
            target.run(statement.replace("{t}", item.table))
    for pair in planted_rows.PAIRS:
        target.run(pair.target.replace("{t}", "pairs"))
    target.run("DELETE FROM above WHERE id IN (3, 4)")
    for thing in planted_rows.OBJECTS:
        for statement in thing.damage.replace("{d}", quote_mysql(database)).replace("{u}", user).split(";;"):
            target.run(statement)


def with_zero_dates(mapping: Mapping, path: tuple[str, str]) -> Mapping:
    """The mapping with zero dates as text, so that they reach the warehouse and can be lost there."""
    table = mapping.tables[path]
    zero = {f"c{number}" for number, column in enumerate(TABLES["times"]) if column.number == 19}
    columns = tuple(replace(item, rule="temporal-text") if item.name in zero else item for item in table.columns)
    return replace(mapping, tables={**mapping.tables, path: replace(table, columns=columns)})


@pytest.fixture(scope="module")
def stage(sandbox: dict, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    scratch = Scratch(sandbox, tmp_path_factory.mktemp("defects"))
    try:
        database = scratch.database()
        user = f"u_{database[-4:]}"
        make(scratch, database, user)
        migration = Migration.of(scratch, [database], validate={"samples": 1000})
        migration.mapping = with_zero_dates(migration.mapping, (database, "times"))
        migration.whole()
        damage_warehouse(migration)
        warehouse = migration.validate()
        damage_target(migration, database, user)
        with pytest.MonkeyPatch.context() as patch:
            # The rows of the warehouse are not looked at again: the emulator would take most of the time of this file.
            patch.setattr(run, "Servers", lambda source, target, _, *rest: Servers(source, target, None, *rest))
            yield Stage(migration, database, user, warehouse, migration.validate())
    finally:
        for thing in planted_rows.OBJECTS:
            if thing.mend:
                scratch.execute_target_root(thing.mend)
        scratch.close()


def befallen(samples: tuple[RowDifference, ...]) -> Rows:
    return frozenset(str(row.key[0][1]) for row in samples)


def found_in(validation: Validation, hop: str) -> dict[tuple[str, str | None], dict[int, Rows]]:
    """By table and column the defects that were named, with the rows that show them."""
    found: dict[tuple[str, str | None], dict[int, Rows]] = defaultdict(dict)
    for item in validation.findings:
        if item.hop == hop and item.number is not None and item.samples:
            rows = found[item.object.split(".")[-1], item.column]
            rows[item.number] = rows.get(item.number, frozenset()) | befallen(item.samples)
    return found


def wrong_values(found: dict[tuple[str, str | None], dict[int, Rows]], hop: str) -> list[str]:
    wrong = []
    for name, columns in TABLES.items():
        for number, column in enumerate(columns):
            there = found.get((name, f"c{number}"), {})
            planted = frozenset(map(str, places(number, column))) if hop in column.hops else frozenset()
            expected = {column.number: planted} if planted else {}
            if there != expected:
                wrong.append(f"{column.number} {column.variant}: planted {expected}, found {there}")
    return wrong


@pytest.mark.parametrize("hop", ["source-target", *WAREHOUSE_HOPS])
def test_every_defect_of_values_is_named_with_its_rows(stage: Stage, hop: str) -> None:
    found = found_in(stage.target if hop == "source-target" else stage.warehouse, hop)
    wrong = wrong_values(found, "t" if hop == "source-target" else "w")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("hop", ["source-target", *WAREHOUSE_HOPS])
def test_every_defect_of_rows_is_named_with_its_rows(stage: Stage, hop: str) -> None:
    on_target = hop == "source-target"
    found = found_in(stage.target if on_target else stage.warehouse, hop)
    wrong = []
    for item in planted_rows.ROWS:
        if (item.target if on_target else item.warehouse) is None:
            continue
        rows = found.get((item.table, item.column), {})
        keys = item.warehouse_keys if item.warehouse_keys and not on_target else item.keys
        if not on_target and item.table == "r35b":
            keys = frozenset(str(18262 + n) for n in range(66, 91))
        if rows != {item.number: keys}:
            wrong.append(f"{item.number} {item.variant}: planted {sorted(keys)}, found {rows}")
    for pair in planted_rows.PAIRS:
        for column in pair.columns:
            if not pair.keys <= found.get(("pairs", column), {}).get(pair.number, frozenset()):
                wrong.append(
                    f"{pair.number} {pair.variant}: planted {sorted(pair.keys)}, found {found['pairs', column]}"
                )
    assert not wrong, "\n".join(wrong)


def named(findings: tuple[Finding, ...], number: int, word: str) -> list[Finding]:
    return [item for item in findings if item.number == number and word in item.object + item.explanation]


@pytest.mark.parametrize("thing", planted_rows.OBJECTS, ids=lambda thing: f"{thing.number} {thing.variant}")
def test_every_defect_of_objects_is_named(stage: Stage, thing: planted_rows.PlantedObject) -> None:
    word = thing.named.replace("{u}", stage.user)
    assert named(stage.target.findings, thing.number, word), [
        (item.number, item.object, item.explanation) for item in stage.target.findings if word in item.object
    ]


def test_a_column_that_computes_otherwise_shows_in_its_values_too(stage: Stage) -> None:
    found = [item for item in stage.target.findings if item.column == "h" and item.hop == "source-target"]
    assert [(item.number, item.rows) for item in found if item.object.endswith("objects")] == [(44, 20)]


@pytest.mark.parametrize("hop", WAREHOUSE_HOPS)
def test_a_column_of_another_type_in_the_warehouse_is_named(stage: Stage, hop: str) -> None:
    found = {item.column for item in stage.warehouse.findings if item.number == 45 and item.hop == hop}
    assert found == set(planted_rows.RETYPED)


@pytest.mark.parametrize("table", planted_rows.ORPHANS)
def test_orphans_are_counted_against_the_source(stage: Stage, table: str) -> None:
    for validation, hop in ((stage.warehouse, "source-warehouse"), (stage.target, "source-target")):
        found = [item for item in named(validation.findings, 36, table) if item.hop == hop]
        assert [item.rows for item in found] == [2]


def test_a_damaged_warehouse_casts_no_doubt_on_cloud_sql(stage: Stage) -> None:
    assert stage.warehouse.hop_verdict("source-target") == "same"
    assert [item for item in stage.warehouse.findings if item.hop == "source-target"] == []


def planted_variants() -> dict[int, set[tuple[str, str]]]:
    """By defect the hops and variants that are planted."""
    found: dict[int, set[tuple[str, str]]] = defaultdict(set)
    for columns in TABLES.values():
        for column in columns:
            found[column.number] |= {(hop, column.variant) for hop in column.hops}
    for item in (*planted_rows.ROWS, *planted_rows.PAIRS):
        found[item.number] |= {("t", item.variant)} if item.target else set()
        found[item.number] |= {("w", item.variant)} if item.warehouse else set()
    for thing in planted_rows.OBJECTS:
        found[thing.number].add(("t", thing.variant))
    found[45] |= {("w", name) for name in planted_rows.RETYPED}
    for table in planted_rows.ORPHANS:
        found[36] |= {("t", table), ("w", table)}
    return found


def test_each_of_the_49_is_planted_in_three_variants_on_each_hop_where_it_can_occur() -> None:
    variants = planted_variants()
    for number, planted in sorted(variants.items()):
        counts = [sum(on == hop for on, _ in planted) for hop in ("t", "w")]
        # What was found of these is asserted above, hop by hop.
        print(f"{number:2} {defect_of(number).name:40} planted: Cloud SQL {counts[0]}, BigQuery {counts[1]}")
    assert set(variants) == {defect.number for defect in DEFECTS}
    few = {
        (number, hop): len([1 for on, _ in found if on == hop])
        for number, found in variants.items()
        for hop in ("t", "w")
        if (hop == "t" or defect_of(number).warehouse) and len([1 for on, _ in found if on == hop]) < 3
    }
    assert few == {}
