"""What may not be read, is not there or has no proof is `incomparable`, with the reason and the exit status 1; never `same`."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from conftest import Scratch
from migration import Migration
from test_kills import scratch_of_a_module, settings_for
from workbook import params
from workbook.catalog import read_catalog
from workbook.errors import VerdictFailed
from workbook.mapping import load_mapping
from workbook.names import quote_mysql
from workbook.phases import open_phase
from workbook.servers import Server
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
# Everything that a validation needs to see all.
SEEN = ("SELECT", "SHOW VIEW", "TRIGGER", "EVENT", "EXECUTE")


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
        self.accounts = 0

    def login(self, role: str, *grants: str) -> Server:
        """A new account on a server that holds only so much; `{d}` is the database."""
        self.accounts += 1
        name = f"blind{self.accounts}"
        account = self.scratch.account(f"'{name}'@'%'")
        run = self.scratch.execute if role == "source" else self.scratch.execute_target_root
        run(f"CREATE USER {account} IDENTIFIED BY 'pw'")
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


def reasons(result: dict[str, Any]) -> str:
    return "; ".join(
        f"{item['object']}: {item['explanation']}"
        for item in result["findings"]
        if item["defect"] == "could not be compared"
    )


@pytest.mark.parametrize("role", ["source", "target"])
@pytest.mark.parametrize(
    ("grants", "said"),
    [
        (["SELECT, TRIGGER, EVENT, EXECUTE ON {d}.*"], "SHOW VIEW"),
        (["SELECT, SHOW VIEW, EVENT, EXECUTE ON {d}.*"], "TRIGGER"),
        (["SELECT, SHOW VIEW, TRIGGER, EXECUTE ON {d}.*"], "EVENT"),
        (["SELECT, SHOW VIEW, TRIGGER, EVENT ON {d}.*"], "EXECUTE"),
        (["SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE ON {d}.*"], "body of procedure"),
        (["SHOW VIEW, TRIGGER, EVENT, EXECUTE ON {d}.*", "SELECT ON {d}.plain"], "SELECT"),
        (["SHOW VIEW, TRIGGER, EVENT, EXECUTE ON {d}.*", "SELECT ON {d}.plain", "SELECT (id) ON {d}.other"], "SELECT"),
    ],
    ids=["views", "triggers", "events", "routines", "bodies", "a table", "a column"],
)
def test_what_a_login_may_not_see_is_incomparable(copied: Copy, role: str, grants: list[str], said: str) -> None:
    server = copied.login(role, *grants, "SELECT ON mysql.*", "SELECT ON performance_schema.*")
    result = copied.phase(role, server)
    assert result["verdict"] != "same"
    assert said in reasons(result)
