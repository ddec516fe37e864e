"""`make demo`: the whole migration of the sample shop, its servers up before and gone after it."""

import json
from pathlib import Path

from lab import Lab
from test_documentation import SANDBOX, WHOLE
from workbook.params import CHECKOUT
from workbook.phases.order import PHASES


def test_the_sandbox_comes_up_and_goes_down_as_the_readme_says(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(SANDBOX[0].replace("0.1", "0.01"))
    lab.run(".venv/bin/workbook sandbox status")
    lab.run(SANDBOX[1])
    assert not (tmp_path / "sandbox").exists()


def test_the_demo_ends_with_a_validated_copy_and_an_index(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    assert WHOLE.removeprefix(".venv/") in (CHECKOUT / ".ci" / "demo").read_text().replace(
        '"$bin/workbook"', "bin/workbook"
    )
    lab.run("make demo")
    assert (tmp_path / "reports" / "index.html").exists()
    record = json.loads(next((tmp_path / "reports").glob("*/run.json")).read_text())
    assert record["status"] == "ok"
    assert [phase["name"] for phase in record["phases"]] == [kind.name for kind in PHASES if kind.by_default]
    assert "pipelines" not in {phase["name"] for phase in record["phases"]}
    validated = json.loads(next((tmp_path / "reports").glob("*/validate.json")).read_text())
    assert validated["verdict"] == "same"
    assert {table["verdict"] for table in validated["tables"]} == {"same"}
    assert not (tmp_path / "sandbox").exists()
