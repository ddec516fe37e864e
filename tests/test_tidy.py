"""Old runs and restore points go; what is needed to go back, to sign and to compare stays."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from conftest import Scratch
from test_kills import run_phase, settings_for
from workbook import params
from workbook.errors import UsageError
from workbook.phases.fingerprint import differences, target_fingerprint
from workbook.phases.ledger import Ledger
from workbook.phases.rollback import rollback
from workbook.phases.tidy import plan_tidying, print_tidying, tidy

# The folders' names are of the second.
NOW = datetime.now(UTC).replace(microsecond=0)
FINGERPRINT = {"target": {"table `shop`.`t`": "0"}}


class Runs:
    """Runs of an environment as folders and entries of the ledger, one a night, the oldest first."""

    def __init__(self, folder: Path, environment: str = "live", **retention: Any):
        content = {
            "environment": environment,
            "source": {"url": "mysql://root@127.0.0.1:1", "databases": ["shop"]},
            "target": {"url": "mysql://root@127.0.0.1:2"},
            "warehouse": {"project": "local-project", "dataset": "shop"},
            "retention": retention,
        }
        self.settings = params.from_values(content, folder, "the test")
        self.reports = folder / "reports"
        self.ledger = Ledger(environment)

    def night(self, days_ago: float, status: str = "ok", *phases: str, ended: bool = True) -> str:
        """A run of so many days ago, with the results of `phases`, which all end as `status` says; its name."""
        started = NOW - timedelta(days=days_ago)
        name = f"{started:%Y%m%dT%H%M%SZ}-{self.settings.environment}-0000"
        folder = self.reports / name
        folder.mkdir(parents=True)
        verdict = {"ok": "ok", "failed": "different"}.get(status)
        record = {
            "run_id": name,
            "environment": self.settings.environment,
            "status": status,
            "ended": "2026-01-01T00:00:00Z" if ended else None,
            "phases": [{"name": phase, "status": status, "verdict": verdict} for phase in phases],
        }
        (folder / "run.json").write_text(json.dumps(record))
        for phase in phases:
            path = folder / f"{phase}.json"
            path.write_text(json.dumps({"verdict": verdict}))
            entry = self.ledger.begin(phase, name, {"target": {"before": name}})
            self.ledger.end(entry, "done" if status == "ok" else "failed", FINGERPRINT, str(path))
        return name

    def going(self) -> set[str]:
        return {folder.name for folder in plan_tidying(self.settings, NOW).going}

    def there(self) -> set[str]:
        return {path.parent.name for path in self.reports.glob("*/run.json")}


@pytest.fixture(autouse=True)
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBOOK_REPORTS", str(tmp_path / "reports"))


@pytest.mark.parametrize(
    ("retention", "going"),
    [
        ({}, []),
        ({"runs": 3}, [5, 4]),
        ({"days": 2.5}, [5, 4]),
        ({"runs": 2, "days": 4.5}, [5]),
        ({"runs": 4, "days": 1}, [5]),
        ({"runs": 100}, []),
    ],
)
def test_runs_beyond_the_number_and_the_age_go(tmp_path: Path, retention: dict[str, Any], going: list[int]) -> None:
    runs = Runs(tmp_path, **retention)
    nights = {days: runs.night(days, "ok", "profile") for days in (9, 5, 4, 2, 1, 0)}
    # The oldest stays for nobody; the one of nine days is referred to by none either.
    expected = {nights[days] for days in going} | ({nights[9]} if going else set())
    assert runs.going() == expected


def test_what_somebody_needs_stays_however_old_it_is(tmp_path: Path) -> None:
    runs = Runs(tmp_path, runs=1)
    ledgers = runs.night(90, "ok", "schema")
    noted, signed = runs.night(86, "ok", "profile"), runs.night(85, "ok", "profile")
    (runs.reports / signed / "signatures.json").write_text("[]")
    runs.ledger.note("proof", {"run": noted, "result": str(runs.reports / noted / "validate.json")})
    goes = {runs.night(84, "ok", "profile")}
    latest_good_validate = runs.night(80, "ok", "validate")
    goes.add(runs.night(70, "failed", "validate"))
    latest_validate = runs.night(60, "failed", "validate")
    latest_good_run = runs.night(50, "ok", "profile")
    goes.add(runs.night(2, "error", ended=False))
    under_way, latest = runs.night(0.1, "error", ended=False), runs.night(0, "error")
    assert runs.going() == goes
    tidy(runs.settings, lambda line: None)
    assert runs.there() == {
        ledgers, noted, signed, latest_good_validate, latest_validate, latest_good_run, under_way, latest
    }  # fmt: skip


def test_another_environment_and_what_is_no_run_are_left_alone(tmp_path: Path) -> None:
    runs, other = Runs(tmp_path, runs=1), Runs(tmp_path, "shop-live", runs=1)
    others = {other.night(days, "ok", "profile") for days in (9, 8, 7)}
    mine = {runs.night(days, "ok", "profile") for days in (6, 5, 4)}
    broken = runs.reports / "20250101T000000Z-live-0000"
    broken.mkdir()
    (broken / "run.json").write_text("{")
    (runs.reports / ".going-20250102T000000Z-live-0000").mkdir()
    tidy(runs.settings, lambda line: None)
    assert runs.there() == others | {max(mine)} | {broken.name}
    assert list(runs.reports.glob(".going-*")) == []


def test_the_ledger_forgets_what_no_rollback_needs(tmp_path: Path) -> None:
    runs = Runs(tmp_path, runs=1)
    nights = [runs.night(30 - day, "ok", "bulk_load") for day in range(20)]
    for night in nights:
        runs.ledger.note(f"result of bulk_load in {night}", "0" * 64)
    before = runs.ledger.phases()["bulk_load"]
    tidy(runs.settings, lambda line: None)
    after = runs.ledger.phases()["bulk_load"]
    assert after == before
    assert after.before == {"target": {"before": nights[0]}}
    assert [night for night in nights if runs.ledger.of_run("bulk_load", night)] == [nights[0], *nights[-3:]]
    assert [bool(runs.ledger.noted(f"result of bulk_load in {night}")) for night in nights] == [False] * 19 + [True]


def test_what_would_go_is_listed_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = Runs(tmp_path, runs=1)
    gone, signed, last = (runs.night(days, "ok", "profile") for days in (3, 2, 1))
    (runs.reports / signed / "signatures.json").write_text("[]")
    print_tidying(runs.settings)
    said = capsys.readouterr().out
    assert f"goes   {gone}" in said
    assert f"stays  {signed}: it is signed" in said
    assert runs.there() == {gone, signed, last}
    with pytest.raises(UsageError, match="keep every run"):
        print_tidying(Runs(tmp_path).settings)


def test_the_rollback_after_tidying_proves_the_state_of_before(scratch: Scratch) -> None:
    """Real servers: the schema made in one run, made again in later ones, all of them let go but the last."""
    database = scratch.database()
    scratch.execute("CREATE TABLE t (id INT PRIMARY KEY)", database)
    settings_file = settings_for(scratch, [database])
    settings = params.load(settings_file, {"retention.runs": 1})
    reports = Path(os.environ["WORKBOOK_REPORTS"])
    before = target_fingerprint(scratch.target)
    for day in range(3):
        name = f"2026010{day + 1}T000000Z-{settings.environment}-0000"
        (reports / name).mkdir(parents=True)
        assert run_phase(scratch, settings_file, "schema", run_dir=reports / name) == 0
        phases = [{"name": "schema", "status": "ok", "verdict": "ok"}]
        record = {"environment": settings.environment, "status": "ok", "ended": "x", "phases": phases}
        (reports / name / "run.json").write_text(json.dumps(record))
    assert len(tidy(settings, lambda line: None).going) == 2
    assert differences(before, target_fingerprint(scratch.target)) != []
    rollback(settings, "start", say=lambda line: None)
    assert differences(before, target_fingerprint(scratch.target)) == []
