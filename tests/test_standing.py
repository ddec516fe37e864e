"""Where a migration stands: the picture, the ways back, the restore points, and the notebook that shows them."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

from workbook import params
from workbook.phases.ledger import PROVING, UNDOING, Ledger
from workbook.phases.order import PHASES
from workbook.phases.standing import standing
from workbook.phases.status import print_status
from workbook.site.signatures import FILE, digest

START = params.CHECKOUT / "notebooks" / "00_start.ipynb"
DEFAULT = [kind.name for kind in PHASES if kind.by_default]
CONTENT = {
    "environment": "night",
    "source": {"url": "mysql://root@127.0.0.1:1", "databases": ["shop"]},
    "target": {"url": "mysql://root@127.0.0.1:2"},
    "warehouse": {"project": "local-project", "dataset": "shop"},
}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> params.Settings:
    monkeypatch.setenv("WORKBOOK_REPORTS", str(tmp_path / "reports"))
    return params.from_values(CONTENT, tmp_path, "the test")


@pytest.fixture
def done(settings: params.Settings) -> Callable[..., Ledger]:
    """Phases that are done, each that writes with two steps."""

    def make(*names: str, status: str = "done") -> Ledger:
        ledger = Ledger(settings.environment)
        for kind in PHASES:
            if kind.name in names:
                entry = ledger.begin(kind.name, "20260101T000000Z-night-0000", {"target": {"table": "0" * 100}})
                for number in range(2 * kind.writes):
                    ledger.journal(kind.name).intend(f"table {number}", f"DROP TABLE {kind.name}{number}")
                ledger.end(entry, status if kind.name == names[-1] else "done", {"target": {}}, None)
        return ledger

    return make


def test_nothing_done_leads_to_the_first_notebook(settings: params.Settings) -> None:
    found = standing(settings)
    assert found.ways_back == ()
    assert found.following is PHASES[0]
    assert 'href="01_profile.ipynb"' in found.next_step()
    assert "nothing to take back" in found.way_back()


def test_each_step_back_says_what_it_undoes(settings: params.Settings, done: Callable[..., Ledger]) -> None:
    done("profile", "assess", "map", "schema", "accounts")
    ways = standing(settings).ways_back
    assert [(way.to, way.phases, way.statements) for way in ways] == [
        ("schema", ("accounts",), 2),
        ("map", ("accounts", "schema"), 4),
        ("assess", ("accounts", "schema", "map"), 4),
        ("profile", ("accounts", "schema", "map", "assess"), 4),
        ("start", ("accounts", "schema", "map", "assess", "profile"), 4),
    ]
    # Nobody has gone back yet, so nobody knows how long it takes.
    assert {way.seconds for way in ways} == {None}


def test_how_long_a_step_back_takes_is_what_it_took_before(
    settings: params.Settings, done: Callable[..., Ledger]
) -> None:
    ledger = done("profile", "assess", "map", "schema", "accounts")
    ledger.note(PROVING, 3.0)
    ledger.note(UNDOING.format("accounts"), [4, 8.0])
    assert [way.seconds for way in standing(settings).ways_back] == [7.0, None, None, None, None]
    ledger.note(UNDOING.format("schema"), [2, 1.0])
    assert [way.seconds for way in standing(settings).ways_back] == [7.0, 8.0, 8.0, 8.0, 8.0]
    assert "8 s" in standing(settings).way_back()


def test_a_phase_that_failed_comes_next_and_is_no_place_to_go_back_to(
    settings: params.Settings, done: Callable[..., Ledger]
) -> None:
    done("profile", "assess", "map", "schema", status="failed")
    found = standing(settings)
    assert found.following
    assert found.following.name == "schema"
    assert found.ways_back[0].to == "map"
    assert "✘ schema" in found.text()


def test_what_restore_points_cost_is_said(settings: params.Settings, done: Callable[..., Ledger]) -> None:
    done("profile", "assess", "map", "schema")
    found = standing(settings, (("the copy read until 2026-01-01", "bulk_load", 5_000_000),))
    assert found.stages[3].kept_bytes > 100
    points = found.restore_points()
    assert "before schema" in points
    assert "before map" not in points
    assert "5.0 MB" in points
    assert "the copy read until 2026-01-01" in points
    assert "cannot be reached" in standing(settings, None).restore_points()


def test_the_signature_stands_beside_the_verdict(
    settings: params.Settings, done: Callable[..., Ledger], capsys: pytest.CaptureFixture[str]
) -> None:
    done(*DEFAULT)
    folder = Path(os.environ["WORKBOOK_REPORTS"]) / "20260101T000000Z-night-0000"
    folder.mkdir(parents=True)
    (folder / "validate.json").write_text("{}")
    fields: dict[str, Any] = dict.fromkeys(("signed_at", "environment", "verdict", "git_commit"), "x")
    fields |= dict.fromkeys(("params_sha256", "mapping_sha256"), "x")
    fields |= {"criteria": 1, "accepted": [], "tolerated": 0, "snapshot": {}, "run_id": folder.name}
    files = {"validate.json": digest(folder / "validate.json")}
    (folder / FILE).write_text(json.dumps([{**fields, "signed_by": "Ada <b>", "files": files}]))
    found = standing(settings)
    assert (found.verdict, found.signed, found.following) == ("same", "signed", None)
    assert "Ada &lt;b&gt;" in found._repr_html_()
    print_status(settings)
    said = capsys.readouterr().out
    assert "Last verdict: same, signed by Ada <b>" in said
    assert "All phases are done" in said
    (folder / "validate.json").write_text("{ }")
    assert standing(settings).signed == "invalid"


def test_the_start_notebook_runs_as_jupyterlab_runs_it(
    settings: params.Settings, done: Callable[..., Ledger], tmp_path: Path
) -> None:
    """With servers that are not there: where one is comes from the ledger."""
    done("profile", "assess")
    notebook = nbformat.read(START, as_version=4)
    assert not [cell for cell in notebook.cells if cell.get("outputs")]
    assert "What good looks like" in notebook.cells[0].source
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source += "".join(f"\n{key} = {value!r}" for key, value in CONTENT.items())
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=120).execute(cwd=str(START.parent))
    shown = "".join(output["data"]["text/html"] for cell in notebook.cells for output in cell.get("outputs", []))
    assert "2 of 8" in shown
    assert '<a href="03_map.ipynb">map</a>' in shown
    assert "cannot be reached" in shown
    for kind in PHASES:
        assert f'href="{kind.stem}.ipynb"' in shown
        assert kind.notebook.exists()
