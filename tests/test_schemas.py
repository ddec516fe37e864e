"""Schemas of other ages and styles go over whole, in one run: discovered in cases/migration, one folder each.

Written anew after the documentation of well-known public databases: a film rental, an HR system, a blog engine, a
shop, an airline. The library there goes through the command line in test_migration.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import Scratch
from migration import Migration
from workbook import schema
from workbook.catalog import read_catalog
from workbook.mapping import load_mapping, merge
from workbook.mapping.nodes import parse, round_trip

CASES = sorted(
    path
    for path in (Path(__file__).parent / "cases" / "migration").iterdir()
    if path.is_dir() and path.name != "library"
)


@pytest.fixture(scope="module")
def moved(sandbox: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Migration]:
    """All cases as one migration, from the schema to the warehouse."""
    scratch = Scratch(sandbox, tmp_path_factory.mktemp("schemas"))
    try:
        for case in CASES:
            database = scratch.database(f"case_{case.name}")
            scratch.script((case / "source.sql").read_text(encoding="utf-8"), database)
        yield migration_of(scratch, CASES).whole()
    finally:
        scratch.close()


def migration_of(scratch: Scratch, cases: list[Path]) -> Migration:
    """The databases of the cases with a mapping file; a case may hold a `target.yaml` with choices for its tables."""
    databases = [f"case_{case.name}" for case in cases]
    catalog = read_catalog(scratch.source, databases)
    content = parse(merge(None, catalog, None, True), "generated")
    for case in cases:
        choices = case / "target.yaml"
        if choices.exists():
            for segment in content["segments"].values():
                for table in (segment["tables"].get(f"case_{case.name}") or {}).values():
                    table["target"] = yaml.safe_load(choices.read_text())
    path = scratch.folder / "mapping.yaml"
    with path.open("w", encoding="utf-8") as file:
        round_trip().dump(content, file)
    settings = scratch.settings(databases, mapping=str(path), bulk={"workers": 2, "chunk_rows": 500})
    return Migration(scratch, settings, catalog, load_mapping(path, catalog, emulated=True))


def test_the_content_of_every_schema_is_validated_same_on_every_hop(moved: Migration) -> None:
    validation = moved.validate()
    assert [
        (table.database, table.table, table.hop, table.why) for table in validation.tables if table.verdict != "same"
    ] == []
    assert [(item.kind, item.name, item.detail) for item in validation.objects if item.verdict == "different"] == []
    assert [item for item in validation.relations if item.verdict != "same"] == []
    assert validation.verdict == "same"
    assert {table.database for table in validation.tables} == {f"case_{case.name}" for case in CASES}


def test_a_second_plan_of_every_schema_is_empty(moved: Migration) -> None:
    scratch = moved.scratch
    again = schema.plan_schema(scratch.source, scratch.target, moved.catalog, moved.mapping, moved.notes.objects)
    assert again.steps == ()
    result = schema.check_schema(again, scratch.target, moved.notes.objects)
    assert result.verdict == "ok"
    # A view whose table is gone is left out, and said.
    assert any(left.name == "`case_staff`.`contractor_names`" for left in again.left)


def test_text_of_latin1_and_utf8mb3_is_utf8mb4_on_the_target_and_the_same_text(moved: Migration) -> None:
    scratch = moved.scratch
    charsets = (
        "SELECT DISTINCT CHARACTER_SET_NAME FROM information_schema.COLUMNS"
        " WHERE TABLE_SCHEMA = 'case_weblog' AND CHARACTER_SET_NAME IS NOT NULL ORDER BY 1"
    )
    assert {row[0] for row in scratch.execute(charsets)} >= {"latin1", "utf8mb3"}
    assert scratch.execute_target_root(charsets) == [("utf8mb4",)]
    names = "SELECT display_name, HEX(CONVERT(display_name USING utf8mb4)) FROM wl_users ORDER BY ID"
    here = scratch.execute(names, "case_weblog")
    assert ("Renée €", "Renée €".encode().hex().upper()) in here
    assert scratch.execute_target_root(names, "case_weblog") == here


def test_a_keyless_table_has_an_invisible_key_that_no_one_else_sees(moved: Migration) -> None:
    scratch = moved.scratch
    log = "SELECT COUNT(*), COUNT(DISTINCT my_row_id) FROM wl_referer_log"
    (rows, keys), *_ = scratch.execute_target_root(log, "case_weblog")
    assert rows == keys > 200
    assert len(scratch.execute_target_root("SELECT * FROM wl_referer_log LIMIT 1", "case_weblog")[0]) == 4
    raw = scratch.warehouse.get_table(
        f"{scratch.warehouse.project}.{moved.settings.warehouse.raw_dataset}.case_weblog__wl_referer_log"
    )
    assert [field.name for field in raw.schema] == ["seen", "url", "hits", "ratio"]
