"""Pages of executed notebooks and the index of runs: read as text, and opened in a browser where there is one."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from workbook.errors import TerminalError
from workbook.sandbox.binaries import cache_folder
from workbook.site import build_index, memory, render_page, runs

HOSTILE = "<script>alert(1)</script>"
ESCAPED = html.escape(HOSTILE)

PARAMETERS = new_code_cell('params = "params/local.yaml"  # the params file', metadata={"tags": ["parameters"]})
GOOD = [
    new_markdown_cell(
        "# Validate the copy\n\nIs it **the same**?\n\n<script>alert('prose')</script> <img src=x onerror=\"alert('prose')\">"
        "\n\n[a link](javascript:alert('link')) ![a picture](https://example.invalid/picture.png)"
    ),
    PARAMETERS,
    new_markdown_cell("## Customers\n\nNone is lost."),
    new_code_cell(
        "import sys\nimport pandas\nimport plotly.graph_objects as go\nfrom workbook import faces\nfaces.plot_theme()"
    ),
    new_code_cell(
        f"name = {HOSTILE!r}\nfaces.table([{{'customer': name, 'mail': 'a@x.org\\t', 'orders': 1200}}], caption=name)"
    ),
    new_code_cell("faces.boxes(('tables', 38), ('hop', '37 of 38', 'different'))"),
    new_markdown_cell("## Rows\n\n### A plot"),
    new_code_cell(
        "bars = [go.Bar(name=side, x=['orders', name], y=[5, 7]) for side in ('source', 'target')]\n"
        "go.Figure(bars).update_layout(title='Rows per table')"
    ),
    new_code_cell("go.Figure(go.Pie(labels=['in', 'out'], values=[3, 1]))"),
    new_code_cell("pandas.DataFrame({'name': [name]})"),
    new_code_cell("for number in range(30):\n    print('a line of the log', number, file=sys.stderr)\nprint(name)"),
    new_code_cell(
        "class Loud:\n    def _repr_html_(self):\n        return '<b onclick=alert(2)>loud</b>' + name\nLoud()"
    ),
]
BAD = [
    new_markdown_cell("# Load\n\n## Rows"),
    PARAMETERS,
    new_code_cell("from workbook.errors import TerminalError\nfrom workbook.progress import Progress"),
    new_code_cell(
        f"with Progress('load', 100) as progress:\n    progress.advance(43)\n"
        f"    raise TerminalError('The target refused {HOSTILE}.', 'Rows would be lost.', 'Make room, then run again.')"
    ),
    new_markdown_cell("## What comes next"),
]


def run_cells(cells: list[Any], folder: Path, name: str) -> Path:
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), folder / f"source_{name}")
    try:
        papermill.execute_notebook(
            str(folder / f"source_{name}"), str(folder / name), parameters={"params": "x.yaml"}, progress_bar=False
        )
    except papermill.PapermillExecutionError:
        assert cells is BAD
    return folder / name


@pytest.fixture(scope="session")
def executed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("executed")
    return {"good": run_cells(GOOD, folder, "good.ipynb"), "bad": run_cells(BAD, folder, "bad.ipynb")}


def record(
    folder: Path, status: str, verdict: str, *, environment: str = "local", minute: int = 0, rows: int = 100
) -> dict[str, Any]:
    """A run's folder with its JSON files, as the phases leave it; what run.json holds."""
    folder.mkdir(parents=True)
    phases = [
        {"name": "bulk_load", "status": "ok", "verdict": "ok", "seconds": 3.0},
        {"name": "validate", "status": status, "verdict": verdict, "seconds": 2.0},
    ]
    for number, phase in enumerate(phases, 6):
        stem = f"{number:02}_{phase['name']}"
        phase |= {"notebook": f"{stem}.ipynb", "html": f"{stem}.html", "result": f"{phase['name']}.json"}
        for name in ("notebook", "html", "result"):
            (folder / str(phase[name])).write_text("{}")
    table = {"database": "shop", "table": "orders", "hop": "source-target", "rows_source": rows, "rows_target": rows}
    validation = {"verdict": verdict, "tables": [{**table, "verdict": verdict}]}
    (folder / "validate.json").write_text(json.dumps(validation))
    run = {
        "run_id": folder.name,
        "environment": environment,
        "status": status,
        "started": f"2026-01-02T03:{minute:02}:00+00:00",
        "ended": f"2026-01-02T03:{minute:02}:05+00:00",
        "git_commit": "0" * 40,
        "params_sha256": "1" * 64,
        "versions": {"python": "3.11", HOSTILE: HOSTILE},
        "phases": phases,
    }
    (folder / "run.json").write_text(json.dumps(run))
    return run


@pytest.fixture
def reports(tmp_path: Path, executed: dict[str, Path]) -> Path:
    """Three runs of two environments with their pages, one run whose record is broken, and the index."""
    reports = tmp_path / "reports"
    record(reports / "20260102T030000Z-local-0001", "ok", "same", minute=0)
    record(reports / "20260102T030500Z-live-0002", "ok", "same", environment=HOSTILE, minute=5)
    latest = reports / "20260102T031000Z-local-0003"
    run = record(latest, "failed", "different", minute=10, rows=130)
    for source, phase in (("bad", run["phases"][0]), ("good", run["phases"][1])):
        shutil.copy(executed[source], latest / phase["notebook"])
        render_page(latest / phase["notebook"], latest / phase["html"], title=phase["name"], run=run)
    broken = reports / "20260102T040000Z-local-0004"
    broken.mkdir()
    (broken / "run.json").write_text('{"run_id": ' + HOSTILE)
    build_index(reports)
    return reports


def page_of(reports: Path, name: str) -> str:
    return (reports / "20260102T031000Z-local-0003" / name).read_text()


def outside_data(page: str) -> str:
    """The page without its own scripts and styles and without the data of plots."""
    return re.sub(r"(?s)<(script|style)\b.*?</\1>", "", page)


def test_values_stay_text_everywhere(reports: Path) -> None:
    for path in reports.rglob("*.html"):
        if path.stat().st_size < 10:
            continue
        shown = path.read_text()
        assert HOSTILE not in shown, path.name
        assert "onerror=" not in re.sub(r"&lt;img.*?&gt;", "", outside_data(shown))
    assert ESCAPED in page_of(reports, "07_validate.html")
    assert "<b>loud</b>" in page_of(reports, "07_validate.html")


def test_a_page_asks_no_other_host(reports: Path) -> None:
    for path in reports.rglob("*.html"):
        shown = outside_data(path.read_text())
        for address in re.findall(r"""(?:src|href)=["']?([^"'\s>]+)""", shown):
            assert not re.match(r"(https?:)?//", address), f"{path.name} asks {address}"
    page = page_of(reports, "07_validate.html")
    (shared,) = re.findall(r'<script nonce="[^"]+" src="([^"]+)"', page)
    assert (reports / "20260102T031000Z-local-0003" / shared).resolve().parent == reports / "assets"
    assert len(list((reports / "assets").glob("*.js"))) == 1
    assert len(page) < 500_000


def test_markdown_cannot_run_scripts(reports: Path) -> None:
    page = page_of(reports, "07_validate.html")
    assert "&lt;script&gt;alert(" in page
    assert "<img" not in page
    assert 'href="javascript:' not in page
    assert "example.invalid" not in page


def test_contents_code_and_log_are_there_and_folded(reports: Path) -> None:
    page = page_of(reports, "07_validate.html")
    assert re.findall(r"<h1>(.*?)</h1>", page) == ["Validate the copy"]
    assert page.count('<a href="#at-customers">Customers</a>') == 2
    assert "Parameters of this run" in page
    assert not re.search(r"<details class=\"fold code\"[^>]* open", page)
    assert "Log, 30 lines" in page
    assert "<title>bulk_load" in page_of(reports, "06_bulk_load.html")


def test_a_failure_is_told_on_top_in_three_parts(reports: Path) -> None:
    page = outside_data(page_of(reports, "06_bulk_load.html"))
    banner = page[page.index('<section class="failure"') : page.index('<div class="cells">')]
    assert "The phase stopped" in banner
    for part in (
        f"<dd>The target refused {ESCAPED}.</dd>",
        "<dd>Rows would be lost.</dd>",
        "<dd>Make room, then run again.</dd>",
    ):
        assert part in banner
    assert 'href="#stopped-here"' in banner
    assert page.count("id=stopped-here") == 1
    assert "papermill-error" not in page
    assert "stopped at 43%" in page


def test_a_notebook_that_only_looks_finished_is_not_shown_as_good(tmp_path: Path) -> None:
    """A kernel that was killed leaves no error in any cell: the run's record knows better."""
    run = record(tmp_path / "run", "error", "")
    notebook = new_notebook(cells=[new_code_cell("1", outputs=[new_output("stream", text="1")])])
    nbformat.write(notebook, tmp_path / "run" / "07_validate.ipynb")
    render_page(tmp_path / "run" / "07_validate.ipynb", tmp_path / "run" / "07_validate.html", title="x", run=run)
    assert "ended without finishing" in (tmp_path / "run" / "07_validate.html").read_text()


def test_a_single_file_needs_nothing_beside_it(tmp_path: Path, executed: dict[str, Path]) -> None:
    page = tmp_path / "alone" / "page.html"
    render_page(executed["good"], page, title="alone", run=None, single_file=True, show_code=True)
    assert [path.name for path in page.parent.iterdir()] == ["page.html"]
    assert [path.name for path in tmp_path.iterdir()] == ["alone"]
    assert not re.search(r"<script[^>]* src=", page.read_text())
    assert re.search(r"<details class=\"fold code\"[^>]* open", page.read_text())


def test_the_index_has_failures_first_then_the_newest(reports: Path) -> None:
    index = (reports / "index.html").read_text()
    places = [index.rindex(f"20260102T{start}Z") for start in ("040000", "031000", "030500", "030000")]
    assert places == sorted(places)
    assert "run.json cannot be read" in index
    assert "Needs attention" in index
    for name in ("validate", "shop.orders (source → target)", "rows, source → target"):
        assert f'<span class="subject">{name}</span>' in index
    assert "(+30)" in index


def test_links_lead_to_files_that_exist(reports: Path) -> None:
    for path in [reports / "index.html", *reports.glob("*/index.html"), *reports.glob("*0003/0*.html")]:
        for address in re.findall(r'href="([^"#]+)"', outside_data(path.read_text())):
            if not address.startswith("data:"):
                assert (path.parent / address).exists(), f"{path.name} leads to {address}"


def test_building_the_index_leaves_the_pages_of_other_runs_alone(reports: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in reports.glob("*/*.html")}
    record(reports / "20260102T050000Z-local-0005", "ok", "same", minute=50)
    build_index(reports)
    assert (reports / "20260102T050000Z-local-0005" / "index.html").exists()
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_page_lists_the_phases_as_the_run_ended(tmp_path: Path, executed: dict[str, Path]) -> None:
    """The first page is made while the second phase has not begun."""
    folder = tmp_path / "20260102T030000Z-local-0001"
    run = record(folder, "ok", "same")
    early = json.loads(json.dumps(run))
    early["phases"][1] |= {"status": "pending", "verdict": None, "html": None}
    shutil.copy(executed["good"], folder / "06_bulk_load.ipynb")
    page = folder / "06_bulk_load.html"
    render_page(folder / "06_bulk_load.ipynb", page, title="x", run=early)
    assert 'validate<span class="unseen">: pending' in page.read_text()
    build_index(tmp_path)
    assert 'validate<span class="unseen">: same' in page.read_text()
    assert 'href="07_validate.html"' in page.read_text()


def test_an_empty_folder_has_an_index(tmp_path: Path) -> None:
    assert "No runs yet" in build_index(tmp_path / "reports").read_text()


@pytest.mark.parametrize("content", ["[]", "null", '{"phases": 3}', '{"phases": [1]}', "", "\x00", "[" * 100_000])
def test_a_broken_record_is_listed_as_broken(tmp_path: Path, content: str) -> None:
    (tmp_path / "20260102T030000Z-local-0001").mkdir()
    (tmp_path / "20260102T030000Z-local-0001" / "run.json").write_text(content)
    assert "run.json cannot be read" in build_index(tmp_path).read_text()


@pytest.mark.parametrize(
    "content", ["[]", "7", '{"tables": [1]}', '{"tables": {"a": 1}}', '{"tables": [{"rows_source": "x"}]}', "{"]
)
def test_a_broken_validation_does_not_stop_the_index(tmp_path: Path, content: str) -> None:
    folder = tmp_path / "20260102T030000Z-local-0001"
    record(folder, "ok", "same")
    (folder / "validate.json").write_text(content)
    assert "20260102T030000Z-local-0001" in build_index(tmp_path).read_text()


@pytest.mark.parametrize(
    "name", ["../../secret.html", "javascript:alert(1)", "/etc/passwd", "", None, 7, "a\0b", "missing.html"]
)
def test_a_record_leads_nowhere_outside_its_folder(tmp_path: Path, name: object) -> None:
    (tmp_path / "secret.html").write_text("x")
    folder = tmp_path / "reports" / "run"
    folder.mkdir(parents=True)
    made = runs.read({"phases": [{"name": "x", "html": name, "seconds": float("nan")}]}, folder)
    assert made.phases[0].page is None
    assert made.phases[0].seconds is None


def test_changes_are_found_only_against_the_same_environment(reports: Path) -> None:
    found = memory.read_all(reports)
    assert [run.folder[-4:] for run in found] == ["0001", "0002", "0003", "0004"]
    latest = found[2]
    before = runs.before(found)
    then = before[latest.folder]
    assert then.folder.endswith("0001")
    assert found[1].folder not in before
    assert [(one.subject, one.before, one.now) for one in runs.changes(then, latest)] == [
        ("validate", "same", "different"),
        ("shop.orders (source → target)", "same", "different"),
        ("rows, source → target", "100", "130"),
    ]


def test_what_cannot_be_written_or_read_is_told_in_three_parts(tmp_path: Path, executed: dict[str, Path]) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TerminalError, match="could not be written"):
        build_index(tmp_path / "file")
    (tmp_path / "cut.ipynb").write_text('{"cells": [')
    with pytest.raises(TerminalError, match=r"cut\.ipynb cannot be read"):
        render_page(tmp_path / "cut.ipynb", tmp_path / "cut.html", title="x", run=None)
    assert not (tmp_path / "cut.html").exists()


# In a browser


@pytest.fixture(scope="session")
def axe() -> str:
    """The accessibility checker, from the cache or fetched into it by npm."""
    script = cache_folder() / "axe-core" / "axe.min.js"
    if not script.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("axe-core is not in the cache and there is no npm to fetch it: accessibility was not checked")
        script.parent.mkdir(parents=True, exist_ok=True)
        packed = subprocess.run(
            [npm, "pack", "axe-core", "--silent"],
            cwd=script.parent,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if packed.returncode:
            pytest.skip(f"npm could not fetch axe-core: accessibility was not checked ({packed.stderr.strip()[-200:]})")
        archive = script.parent / packed.stdout.split()[-1]
        shutil.unpack_archive(archive, script.parent, filter="data")
        (script.parent / "package" / "axe.min.js").replace(script)
        shutil.rmtree(script.parent / "package")
        archive.unlink()
    return script.read_text()


class Watched:
    """An open page with everything it did that it must not do."""

    def __init__(self, browser: Any, path: Path, width: int, scheme: str):
        self.context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        self.page = self.context.new_page()
        self.wrong: list[str] = []
        self.page.on("console", lambda said: self.wrong.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.wrong.append(f"dialog {dialog.message}"), dialog.dismiss()))
        self.page.on(
            "request",
            lambda asked: None if asked.url.startswith(("file:", "data:", "blob:")) else self.wrong.append(asked.url),
        )
        self.page.goto(path.as_uri())
        if self.page.query_selector("figure.plot"):
            self.page.wait_for_selector("html[data-drawn]", timeout=20_000, state="attached")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (320, "light")])
def test_pages_in_a_browser(browser: Any, axe: str, reports: Path, width: int, scheme: str) -> None:
    latest = reports / "20260102T031000Z-local-0003"
    for path in (
        reports / "index.html",
        latest / "index.html",
        latest / "07_validate.html",
        latest / "06_bulk_load.html",
    ):
        watched = Watched(browser, path, width, scheme)
        if watched.page.query_selector("#code"):
            watched.page.click("#code")
        assert watched.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, (
            f"{path.name} is too wide"
        )
        watched.page.evaluate(axe)
        violations = watched.page.evaluate("axe.run()")["violations"]
        serious = [
            f"{path.name}: {found['id']}: {found['nodes'][0]['html'][:200]}"
            for found in violations
            if found["impact"] in ("serious", "critical")
        ]
        assert serious == []
        assert watched.wrong == []
        watched.context.close()


def test_theme_code_and_plots_in_a_browser(browser: Any, reports: Path) -> None:
    path = reports / "20260102T031000Z-local-0003" / "07_validate.html"
    watched = Watched(browser, path, 1280, "light")
    page = watched.page
    assert page.locator("figure.plot .main-svg").count() >= 2
    assert (
        page.locator("figure.plot").first.get_attribute("aria-label")
        == "Rows per table: bar chart, with source, target"
    )
    assert page.locator(".fold.code:visible").count() == 0
    page.click("#code")
    assert page.locator(".fold.code .highlight:visible").count() >= 6
    ink = "getComputedStyle(document.querySelector('.plot .xtick text')).fill"
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ink), page.evaluate(ground)
    page.click("#theme")
    dark = page.evaluate(ink), page.evaluate(ground)
    assert light[0] != dark[0]
    assert light[1] != dark[1]
    page.goto((reports / "index.html").as_uri())
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert watched.wrong == []
    watched.context.close()


def test_filters_in_a_browser_and_the_page_without_scripts(browser: Any, reports: Path) -> None:
    watched = Watched(browser, reports / "index.html", 1280, "light")
    assert watched.page.locator(".run:visible").count() == 4
    watched.page.select_option("#by-environment", HOSTILE)
    assert watched.page.locator(".run:visible").count() == 1
    assert watched.page.inner_text("#found") == "1 of 4 runs"
    watched.page.select_option("#by-environment", "")
    watched.page.select_option("#by-status", "failed")
    assert watched.page.locator(".run:visible").count() == 1
    assert watched.wrong == []
    watched.context.close()

    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((reports / "index.html").as_uri())
    assert page.locator(".run:visible").count() == 4
    assert page.locator(".filters:visible").count() == 0
    page.goto((reports / "20260102T031000Z-local-0003" / "07_validate.html").as_uri())
    assert page.locator(".fold.code summary:visible").count() >= 6
    assert page.locator(".plot-numbers summary:visible").count() >= 1
    context.close()


def test_an_error_of_ours_stands_in_a_notebook_in_its_three_parts_without_our_code(executed: dict[str, Path]) -> None:
    found = nbformat.read(executed["bad"], as_version=4)
    (error,) = [output for cell in found.cells for output in cell.get("outputs", []) if output.output_type == "error"]
    first, last = error.traceback
    assert first == f"TerminalError: {error.evalue}"
    assert re.fullmatch(r"  Raised in: \d+\.py, line 3", last)
    assert [line.split(":")[0] for line in error.evalue.splitlines()[-2:]] == ["  Why it matters", "  What to do"]
