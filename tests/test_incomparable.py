"""What may not be read, is not there or has no proof is `incomparable`, with the reason and the exit status 1; never `same`."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.api_core.exceptions import Forbidden

from conftest import Scratch
from migration import Migration
from test_kills import scratch_of_a_module, settings_for
from workbook import params
from workbook.catalog import Catalog, read_catalog
from workbook.errors import VerdictFailed
from workbook.mapping import generate, load_mapping, merge
from workbook.names import quote_mysql
from workbook.phases import open_phase
from workbook.servers import Server
from workbook.validate.blind import blind_spots
from workbook.validate.content import Servers, compare_table
from workbook.validate.objects import compare_objects, read_definitions
from workbook.validate.result import HOPS
from workbook.validate.run import validate_copy

SOURCE = (
    "CREATE TABLE plain (id INT PRIMARY KEY, word VARCHAR(40), secret VARCHAR(40))",
    "INSERT INTO plain VALUES (1, 'one', 'a'), (2, 'two', 'b')",
    "CREATE TABLE other (id INT PRIMARY KEY, plain INT, FOREIGN KEY (plain) REFERENCES plain (id))",
    "INSERT INTO other VALUES (1, 1), (2, 1)",
    "CREATE TRIGGER louder BEFORE INSERT ON plain FOR EACH ROW SET NEW.word = UPPER(NEW.word)",
    "CREATE VIEW some AS SELECT id FROM plain",
    "CREATE PROCEDURE more() SELECT 1",
    "CREATE EVENT later ON SCHEDULE EVERY 1 YEAR DO SELECT 1",
)


class Copy:
    """A whole, clean copy, and validations of it by accounts that may do less."""

    def __init__(self, scratch: Scratch):
        self.scratch = scratch
        self.database = scratch.database()
        for statement in SOURCE:
            scratch.execute(statement, self.database)
        self.params = settings_for(scratch, [self.database])
        self.settings = params.load(self.params)
        assert self.settings.mapping_path
        catalog = read_catalog(scratch.source, [self.database])
        self.mapping = load_mapping(self.settings.mapping_path, catalog, emulated=True)
        self.migration = Migration(scratch, self.settings, catalog, self.mapping).whole()
        self.made = 0
        self.logins: list[tuple[Callable[..., Any], str]] = []

    def login(self, role: str, *grants: str) -> Server:
        """A new account on a server that holds only so much; `{d}` is the database."""
        self.made += 1
        name = f"{self.database}_{self.made}"
        account = f"'{name}'@'%'"
        run = self.scratch.execute if role == "source" else self.scratch.execute_target_root
        run(f"CREATE USER {account} IDENTIFIED BY 'pw'")
        self.logins.append((run, account))
        for grant in grants:
            run(f"GRANT {grant.replace('{d}', quote_mysql(self.database))} TO {account}")
        given: Server = getattr(self.scratch, role)
        return Server(given.role, given.host, given.port, name, "pw")

    def phase(self, role: str, server: Server) -> dict[str, Any]:
        """The result of the phase, run with that login on one side, which must end as bad."""
        content = yaml.safe_load(self.params.read_text())
        secret = self.params.with_name("blind.password")
        secret.write_text("pw")
        content[role] |= {"url": f"mysql://{server.user}@{server.host}:{server.port}", "password": f"file:{secret}"}
        file = self.params.with_name(f"{server.user}.yaml")
        file.write_text(yaml.safe_dump(content))
        folder = self.scratch.folder / "reports" / server.user
        folder.mkdir(parents=True)
        phase = open_phase("validate", {"params_file": str(file), "run_dir": str(folder)})
        found = validate_copy(
            phase.source,
            phase.target,
            phase.warehouse,
            phase.catalog,
            phase.mapping,
            phase.settings,
            phase.owned(),
            phase.notes(),
        )
        # The command ends with exit status 1 for this error, and for no other.
        with pytest.raises(VerdictFailed):
            phase.finish(found)
        result: dict[str, Any] = json.loads((folder / "validate.json").read_text())
        return result


@pytest.fixture(scope="module")
def copied(sandbox: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    with scratch_of_a_module(sandbox, tmp_path_factory.mktemp("incomparable")) as scratch:
        yield Copy(scratch)


@pytest.fixture(autouse=True)
def without_logins(copied: Copy) -> Iterator[None]:
    """The logins of a test are no accounts that the next one compares."""
    yield
    while copied.logins:
        run, account = copied.logins.pop()
        run(f"DROP USER {account}")


def reasons(result: dict[str, Any]) -> str:
    return "; ".join(
        f"{item['object']}: {item['explanation']}"
        for item in result["findings"]
        if item["defect"] == "could not be compared"
    )


HIDING = {
    "views": (["SELECT, TRIGGER, EVENT, EXECUTE ON {d}.*"], "lacks SHOW VIEW"),
    "triggers": (["SELECT, SHOW VIEW, EVENT, EXECUTE ON {d}.*"], "lacks TRIGGER"),
    "events": (["SELECT, SHOW VIEW, TRIGGER, EXECUTE ON {d}.*"], "lacks EVENT"),
    "routines": (["SELECT, SHOW VIEW, TRIGGER, EVENT ON {d}.*"], "lacks EXECUTE"),
    "bodies": (["SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE ON {d}.*"], "body of procedure"),
    "a table": (["SHOW VIEW, TRIGGER, EVENT, EXECUTE ON {d}.*", "SELECT ON {d}.plain"], "lacks SELECT"),
    "accounts": (["SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE ON {d}.*", "SHOW_ROUTINE ON *.*"], "accounts all"),
}


@pytest.mark.parametrize("role", ["source", "target"])
@pytest.mark.parametrize(("grants", "said"), HIDING.values(), ids=HIDING)
def test_objects_that_a_login_is_not_shown_are_incomparable(
    copied: Copy, role: str, grants: list[str], said: str
) -> None:
    logins = {"source": copied.scratch.source, "target": copied.scratch.target}
    logins[role] = copied.login(role, *grants)
    catalog = read_catalog(logins["source"], [copied.database], bodies=False)
    assert copied.settings.mapping_path
    about = catalog, load_mapping(copied.settings.mapping_path, catalog, emulated=True)
    servers = logins["source"], logins["target"]
    found = [
        *compare_objects(*servers, *about, set(), lambda: read_definitions(*servers, *about)),
        *blind_spots(*servers, *about),
    ]
    why = [f"{item.kind} {item.name}: {item.detail}" for item in found if item.verdict == "incomparable"]
    assert any(said in reason for reason in why), (why, [item for item in found if item.verdict != "same"])


@pytest.mark.parametrize(
    ("role", "grants", "said"),
    [
        ("source", ["SELECT ON {d}.other", "SELECT (id, word) ON {d}.plain"], "lacks SELECT"),
        ("target", ["SELECT ON {d}.other", "SELECT (id, word) ON {d}.plain"], "secret"),
    ],
    ids=["source", "target"],
)
def test_a_column_that_may_not_be_read_ends_the_phase_with_a_bad_verdict_and_its_reason(
    copied: Copy, role: str, grants: list[str], said: str
) -> None:
    server = copied.login(role, *grants, "SHOW VIEW, TRIGGER, EVENT, EXECUTE ON {d}.*", "SELECT ON mysql.*")
    result = copied.phase(role, server)
    assert result["verdict"] != "same"
    assert said in reasons(result)
    states = {(item["table"], item["hop"]): item["verdict"] for item in result["tables"]}
    assert states["plain", "source-target"] == "incomparable"
    assert "proven" not in {
        state
        for item in result["tables"]
        for state in item["columns"].values()
        if (item["table"], item["hop"]) == ("plain", "source-target")
    }


def test_a_table_and_a_column_that_the_source_no_longer_shows_are_incomparable(copied: Copy) -> None:
    copied.scratch.execute("RENAME TABLE other TO elsewhere", copied.database)
    copied.scratch.execute("ALTER TABLE plain RENAME COLUMN secret TO gone", copied.database)
    try:
        catalog = read_catalog(copied.scratch.source, [copied.database])
        assert copied.settings.mapping_path
        mapping = load_mapping(copied.settings.mapping_path, catalog, emulated=True)
        found = {
            item.name: item for item in blind_spots(copied.scratch.source, copied.scratch.target, catalog, mapping)
        }
    finally:
        copied.scratch.execute("RENAME TABLE elsewhere TO other", copied.database)
        copied.scratch.execute("ALTER TABLE plain RENAME COLUMN gone TO secret", copied.database)
    database = quote_mysql(copied.database)
    assert {name: item.verdict for name, item in found.items()} == {
        f"{database}.`other`": "incomparable",
        f"{database}.`plain`.`secret`": "incomparable",
    }


# --- Types ---------------------------------------------------------------------------------------------------------------


def with_unknown_type(catalog: Catalog) -> Catalog:
    """The catalog of a server that has a type which nobody has thought of."""
    tables = tuple(
        replace(
            table,
            columns=tuple(
                replace(column, data_type="hologram", type="hologram(3)") if column.name == "secret" else column
                for column in table.columns
            ),
        )
        for table in catalog.tables
    )
    return replace(catalog, tables=tables)


def test_a_column_of_a_type_without_an_encoding_rule_is_incomparable_on_all_hops(copied: Copy) -> None:
    scratch = copied.scratch
    catalog = with_unknown_type(copied.migration.catalog)
    path = (copied.database, "plain")
    servers = Servers(scratch.source, scratch.target, scratch.warehouse)
    found = compare_table(servers, catalog.table[path], copied.mapping.tables[path], copied.settings)
    assert [(item.hop, item.verdict, set(item.columns.values())) for item in found] == [
        (hop, "incomparable", {"incomparable"}) for hop in HOPS
    ]
    assert "hologram" in found[0].why


def test_a_table_that_nobody_has_decided_on_is_incomparable_until_somebody_does(copied: Copy, tmp_path: Path) -> None:
    scratch = copied.scratch
    catalog = with_unknown_type(copied.migration.catalog)
    mapping = generate(catalog, None, True)
    assert [table.name for table in mapping.in_scope] == ["other"]
    (spot,) = blind_spots(scratch.source, scratch.target, catalog, mapping)
    assert (spot.name, spot.verdict) == (f"{quote_mysql(copied.database)}.`plain`", "incomparable")
    assert "hologram(3)" in spot.detail
    decided = tmp_path / "mapping.yaml"
    decided.write_text(merge(None, catalog, None, True).replace("undecided:", "left behind:"))
    assert list(blind_spots(scratch.source, scratch.target, catalog, load_mapping(decided, catalog, True))) == []


# --- The warehouse -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", ["raw", "clean"])
def test_a_table_of_the_warehouse_that_may_not_be_read_is_incomparable(
    copied: Copy, monkeypatch: pytest.MonkeyPatch, layer: str
) -> None:
    """The emulator knows no permissions: its answers for this one table are those that BigQuery gives without them."""
    scratch, settings = copied.scratch, copied.settings.warehouse
    dataset = settings.raw_dataset if layer == "raw" else settings.dataset
    client = scratch.warehouse
    ask, get = client.query, client.get_table
    denied = Forbidden("Access Denied: Table: User does not have permission to query table, or it does not exist.")

    def query(sql: str, *rest: Any, **options: Any) -> Any:
        if f"`{dataset}`.`plain`" in sql:
            raise denied
        return ask(sql, *rest, **options)

    def get_table(table: Any, *rest: Any, **options: Any) -> Any:
        if str(table).endswith(f".{dataset}.plain"):
            raise denied
        return get(table, *rest, **options)

    monkeypatch.setattr(client, "query", query)
    monkeypatch.setattr(client, "get_table", get_table)
    found = copied.migration.validate()
    states = {(item.table, item.hop): item for item in found.tables}
    assert found.verdict == "incomparable"
    assert states["plain", "target-warehouse"].verdict == "incomparable"
    assert "does not have permission" in states["plain", "target-warehouse"].why
    assert states["plain", "source-target"].verdict == states["other", "target-warehouse"].verdict == "same"


def test_a_table_that_is_missing_in_the_warehouse_is_different(copied: Copy) -> None:
    scratch = copied.scratch
    path = scratch.table_path(copied.settings.warehouse.raw_dataset, "other")
    rows = scratch.google(f"SELECT id, plain FROM {path} ORDER BY id")
    scratch.google(f"DROP TABLE {path}")
    try:
        found = copied.migration.validate()
    finally:
        copied.migration.warehouse()
    assert rows == scratch.google(f"SELECT id, plain FROM {path} ORDER BY id")
    states = {(item.table, item.hop): item.verdict for item in found.tables}
    assert (found.verdict, states["other", "target-warehouse"]) == ("different", "different")
