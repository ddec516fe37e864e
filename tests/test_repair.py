"""The repair: nothing runs without consent, the rows become the source's, the way back brings the old ones, all is proven."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Scratch
from migration import Migration
from workbook import cli
from workbook.errors import Refused, UsageError, VerdictFailed
from workbook.mapping import merge
from workbook.params import Settings
from workbook.phases import open_phase
from workbook.phases.repair import proposed, repair
from workbook.phases.rollback import rollback
from workbook.validate.run import validate_copy

TABLES = (
    """CREATE TABLE `or``ders` (id INT AUTO_INCREMENT PRIMARY KEY, `na%me` VARCHAR(60), at DATETIME(6), doc JSON, raw BLOB, price DECIMAL(30,10),
       share DOUBLE, size ENUM('s','','l'), bits BIT(12), zero DATE, double_price DECIMAL(31,10) GENERATED ALWAYS AS (price * 2) STORED, KEY by_name (`na%me`))""",
    """INSERT INTO `or``ders` (`na%me`, at, doc, raw, price, share, size, bits, zero)
       WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 60)
       SELECT CONCAT('Zoë 😀\t', n), '2024-01-01' + INTERVAL n * 1000001 MICROSECOND, JSON_OBJECT('n', n * 1.0), UNHEX(SHA2(n, 256)), n / 7, n / 3,
              1 + n MOD 3, n * 31, '0000-00-00' FROM c""",
    "CREATE TABLE texts (k VARCHAR(30), l DATE, v INT, PRIMARY KEY (k, l))",
    "INSERT INTO texts SELECT CONCAT('Ключ\\'', id), '2024-01-01', id FROM `or``ders`",
    "CREATE TABLE clicks (what VARCHAR(20), at TIME(3))",
    "INSERT INTO clicks VALUES ('twice', '-01:00:00'), ('twice', '-01:00:00'), ('once', NULL)",
    "CREATE TABLE watched (id INT PRIMARY KEY, v INT)",
    "INSERT INTO watched VALUES (1, 1)",
    "CREATE TRIGGER tr BEFORE INSERT ON watched FOR EACH ROW SET NEW.v = NEW.v + 1",
    "CREATE TABLE parts (id INT PRIMARY KEY, of_order INT, CONSTRAINT fk FOREIGN KEY (of_order) REFERENCES `or``ders` (id) ON DELETE CASCADE)",
    "INSERT INTO parts SELECT id, id FROM `or``ders`",
)  # fmt: skip
DAMAGE = (
    "UPDATE `or``ders` SET `na%me` = 'x', doc = NULL WHERE id IN (3, 4)",
    "UPDATE `or``ders` SET doc = '{\"n\": 5}' WHERE id = 5",
    "DELETE FROM `or``ders` WHERE id IN (10, 60)",
    "INSERT INTO texts VALUES ('Ключ only here', '2024-01-01', 7)",
    "UPDATE texts SET k = LOWER(k) WHERE v = 9",
    "DELETE FROM clicks WHERE what = 'twice' LIMIT 1",
    "INSERT INTO clicks VALUES ('once', NULL)",
    "ALTER TABLE `or``ders` DROP INDEX by_name",
    "ALTER TABLE parts DROP FOREIGN KEY fk",
)


@pytest.fixture(scope="module")
def damaged(sandbox: dict, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Migration, Path]]:
    """A copy that was damaged, and its params file."""
    folder = tmp_path_factory.mktemp("repair")
    scratch = Scratch(sandbox, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBOOK_REPORTS", str(folder / "reports"))
        try:
            database = scratch.database()
            for statement in TABLES:
                scratch.execute(statement, database)
            params = scratch.params([database])
            phase = open_phase("map", {"params_file": str(params)})
            phase.keep_mapping(merge(None, phase.catalog, None, phase.emulated))
            phase.ledger.end(phase._entry, "done", {}, None)
            migration = Migration(scratch, load(params), phase.catalog, phase.mapping).whole()
            for statement in DAMAGE:
                scratch.execute_target_root(statement, database)
            yield migration, params
        finally:
            scratch.close()


def load(params: Path) -> Settings:
    from workbook import params as of

    return of.load(params)


def validated(params: Path) -> Path:
    """The run folder of a validation through its phase."""
    phase = open_phase("validate", {"params_file": str(params)})
    found = validate_copy(
        phase.source, phase.target, phase.warehouse, phase.catalog, phase.mapping, phase.settings, phase.owned()
    )
    with pytest.raises(VerdictFailed):
        phase.finish(found)
    return phase.run_dir


def kept(migration: Migration) -> list[object]:
    """The tables in which repairs keep the rows of before."""
    sql = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = '_workbook' AND TABLE_NAME LIKE 'repair%'"
    return migration.scratch.execute_target_root(sql)


def rows(migration: Migration, server: str) -> dict[str, object]:
    run = migration.scratch.execute if server == "source" else migration.scratch.execute_target_root
    database = migration.settings.source.databases[0]
    return {
        table: sorted(run(f"SELECT * FROM `{table}`", database), key=str) for table in ("or``ders", "texts", "clicks")
    }


def test_a_repair_refuses_what_it_cannot_do_as_it_was_read(damaged: tuple[Migration, Path]) -> None:
    migration, params = damaged
    database = migration.settings.source.databases[0]
    migration.scratch.execute_target_root("UPDATE watched SET v = 9", database)
    folder = validated(params)
    plain = json.loads((folder / "validate.json").read_text())
    settings = load(params)
    watched = next(item for item in plain["findings"] if item["object"].endswith("watched"))
    before = rows(migration, "target")
    with pytest.raises(Refused, match="has triggers on the target: tr"):
        repair(settings, [str(watched["id"])], lambda text: None)
    other = next(item for item in plain["findings"] if item["object"].endswith("texts"))
    with (folder / other["repair"]).open("a") as file:
        file.write("-- and more\n")
    with pytest.raises(Refused, match="is not the one that the validation wrote"):
        repair(settings, [str(other["id"])], lambda text: None)
    with pytest.raises(UsageError, match="No repair file mends the finding 999"):
        proposed(settings, ["999"])
    warehouse = next(item for item in plain["findings"] if item["hop"] == "target-warehouse")
    assert warehouse["repair"] is None
    # Cloud SQL alone was damaged here.
    assert "BigQuery is as it should be" in warehouse["mend"]
    assert rows(migration, "target") == before
    migration.scratch.execute_target_root("UPDATE watched SET v = 1", database)


def test_a_repair_runs_on_consent_proves_itself_and_is_taken_back(
    damaged: tuple[Migration, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    migration, params = damaged
    folder = validated(params)
    before = rows(migration, "target")
    assert before != rows(migration, "source")
    settings = load(params)
    plain = json.loads((folder / "validate.json").read_text())
    files = {item["repair"] for item in plain["findings"] if item["repair"]}
    assert {file.name for file in (folder / "repair").iterdir()} == {Path(file).name for file in files}
    text = "".join((folder / file).read_text() for file in files)
    # Rows are named by their keys; no value of another column stands in a file.
    assert "`id` = 10" in text
    assert "Zoë" not in text
    # Listing runs nothing, and neither does a command without consent.
    for words, status in ((["repair", "-p", str(params)], 0), (["repair", "-p", str(params), "--findings", "all"], 2)):
        with pytest.raises(SystemExit) as ended:
            cli.main(words)
        assert ended.value.code == status
    assert "repair/1.sql" in capsys.readouterr().out
    assert rows(migration, "target") == before
    with pytest.raises(SystemExit) as ended:
        cli.main(["repair", "-p", str(params), "--findings", "all", "--yes"])
    assert ended.value.code == 0
    assert len(kept(migration)) == 4
    assert rows(migration, "target") == rows(migration, "source")
    assert migration.validate().hop_verdict("source-target") == "same"
    assert not [item for item in migration.validate().objects if item.verdict == "different"]
    # Children were neither taken along by the cascade nor lost.
    database = settings.source.databases[0]
    assert migration.scratch.execute_target_root("SELECT COUNT(*) FROM `parts`", database) == [(60,)]
    rollback(settings, "validate", lambda text: None)
    assert rows(migration, "target") == before
    assert kept(migration) == []
