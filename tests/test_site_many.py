"""A site of a thousand runs: small pages, everything reached, and a run's page that costs what it costs alone."""

import datetime
import json
import os
import random
import re
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from test_site import HOSTILE, Watched
from workbook.phases.order import PHASES
from workbook.site import build_index, memory, nights, render_run, trends
from workbook.site.signatures import digest

HOPS = ("source-target", "target-warehouse", "source-warehouse")
START = datetime.datetime(2023, 11, 1, 2, 0, 7, tzinfo=datetime.UTC)


def night(
    reports: Path, number: int, *, environment: str = "live", status: str = "", late: int = 0, **more: Any
) -> Path:
    """The folder of a run as the phases leave it, `number` nights after the first; every 29th is bad."""
    chooser = random.Random(number)
    began = START + datetime.timedelta(days=number, seconds=late)
    status = status or ("failed" if number % 29 == 28 else "ok")
    verdict = "same" if status == "ok" else "different"
    folder = reports / f"{began:%Y%m%dT%H%M%SZ}-{environment}-{number:04x}"
    folder.mkdir(parents=True)
    phases = []
    for kind in PHASES[:8]:
        bad = kind.name == "validate" and status != "ok"
        phase = {"name": kind.name, "status": status if bad else "ok", "verdict": verdict if kind.number == 8 else "ok"}
        seconds = round(20 * kind.number * (1 + number / 2000) * chooser.uniform(0.9, 1.1), 1)
        files = {"notebook": f"{kind.stem}.ipynb", "html": f"{kind.stem}.html", "result": f"{kind.name}.json"}
        phases.append({**phase, "seconds": seconds, **files})
    rows = 1_000_000 + 300 * number
    tables = [
        {
            "database": "shop",
            "table": "orders",
            "hop": hop,
            "rows_source": rows,
            "rows_target": rows,
            "verdict": verdict,
        }
        | {"similarity": 1.0 if verdict == "same" else 0.9987}
        for hop in HOPS
    ]
    results = {"validate": {"verdict": verdict, "tables": tables}, "bulk_load": {"verdict": "ok", "rows": rows}}
    if number % 3 == 0:
        history = [[float(second), chooser.uniform(0.1, 2.0), 10.0] for second in range(5)]
        results["cdc"] = {"verdict": "ok", "status": {"lag_seconds": 0.0, "history": history}}
    for name, content in results.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    for phase in phases[:: 1 if number % 50 == 0 else 8]:
        (folder / str(phase["html"])).write_text("<!doctype html><!-- phases --><!-- end of phases -->")
        (folder / str(phase["notebook"])).write_text("{}")
    record = {
        "run_id": folder.name,
        "environment": environment,
        "status": status,
        "started": began.isoformat(),
        "ended": (began + datetime.timedelta(minutes=12)).isoformat(),
        "git_commit": "0" * 40,
        "params_sha256": "1" * 64,
        "versions": {"python": "3.11"},
        "late_seconds": late,
        "phases": phases,
        **more,
    }
    (folder / "run.json").write_text(json.dumps(record))
    return folder


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A thousand nights and their site."""
    reports = tmp_path_factory.mktemp("thousand") / "reports"
    for number in range(1000):
        folder = night(reports, number, late=7200 if number == 990 else 0)
        if number < 990:
            # As built on its own night.
            (folder / "index.html").write_text("<!doctype html>")
    build_index(reports)
    return reports


def test_the_index_of_a_thousand_runs_is_small_and_every_run_is_reached(thousand: Path) -> None:
    index = thousand / "index.html"
    assert index.stat().st_size < 1_000_000
    reached = set()
    pages = [index, *(thousand / "archive").glob("*.html")]
    for page in pages:
        assert page.stat().st_size < 1_000_000
        for link in re.findall(r'href="([^"#:]+)"', page.read_text()):
            assert (page.parent / link).exists(), f"{page.name} leads to {link}"
            reached.add((page.parent / link).resolve())
    assert {folder / "index.html" for folder in thousand.glob("2*-live-*")} <= reached
    assert (thousand / "trends.html").stat().st_size < 1_500_000
    text = index.read_text()
    assert "began 2 h late" in text
    # The newest sixty have cards, failures first; the others stand in their months.
    assert text.count('<li class="run ') == 60
    assert len(pages) - 1 == len(set(re.findall(r'href="(archive/[^"]+)"', text)))


def test_the_page_of_one_run_reads_no_other_runs_but_the_one_before(
    thousand: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    original = memory.read_run
    monkeypatch.setattr(memory, "read_run", lambda folder, *known: read.append(folder.name) or original(folder, *known))
    names = sorted(path.name for path in thousand.glob("2*-live-*"))
    folder = thousand / names[500]
    (folder / "index.html").unlink()
    page = render_run(folder).read_text()
    assert read == [names[499]]
    assert names[499] in page


def test_building_again_writes_nothing_of_old_runs_and_reads_no_result_again(
    thousand: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = {path: path.stat().st_mtime_ns for path in thousand.glob("2*/*.html")}
    found: list[str] = []
    monkeypatch.setattr(memory, "_summary", lambda path: found.append(path) or {})
    memory._summary.__name__ = "_summary"
    build_index(thousand)
    assert {path: path.stat().st_mtime_ns for path in pages} == pages
    assert found == []


def test_a_signature_is_looked_at_again_only_where_a_file_was_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = night(tmp_path / "reports", 0)
    fields = dict.fromkeys(
        ("signed_at", "environment", "verdict", "git_commit", "params_sha256", "mapping_sha256"), "x"
    )
    files = {name: digest(folder / name) for name in ("validate.json", "run.json")}
    numbers = {"criteria": 1, "accepted": [], "tolerated": 0, "snapshot": {}, "run_id": folder.name, "signed_by": "Ada"}
    (folder / "signatures.json").write_text(json.dumps([{**fields, **numbers, "files": files}]))
    build_index(tmp_path / "reports")
    page = folder / "index.html"
    made = page.stat().st_mtime_ns
    build_index(tmp_path / "reports")
    assert page.stat().st_mtime_ns == made
    # Changed, and its time set back: it shows all the same.
    state = (folder / "validate.json").stat()
    (folder / "validate.json").write_text((folder / "validate.json").read_text().replace("1000000", "1000001"))
    os.utime(folder / "validate.json", ns=(state.st_atime_ns, state.st_mtime_ns))
    build_index(tmp_path / "reports")
    assert "validate.json was changed after it was signed" in page.read_text()


def test_the_latest_verdict_is_there_for_others(tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    night(reports, 0)
    night(reports, 28)
    night(reports, 30, status="error", phases=[{"name": "profile", "status": "error"}])
    night(reports, 1, environment=HOSTILE.replace("/", "_")).rename(reports / "20231103T020007Z-x-0001")
    build_index(reports)
    told = json.loads((reports / "latest" / "live.json").read_text())
    assert told["verdict"] == "different"
    assert told["validation"]["started"] == "2023-11-29T02:00:07Z"
    assert told["validation"]["similarity"]["source → target"] == pytest.approx(0.9987)
    assert told["run"]["status"] == "error"
    assert (reports / "latest" / told["run"]["page"]).resolve().exists()
    badge = ElementTree.fromstring((reports / "latest" / "live.svg").read_text())
    assert badge.attrib["aria-label"] == "live: different · 2023-11-29"
    assert sorted(path.name for path in (reports / "latest").iterdir()) == ["live.json", "live.svg"]


def test_a_night_is_as_bad_as_its_worst_run_unless_a_later_one_mended_it(tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    night(reports, 0, status="failed", late=10)
    night(reports, 0, status="ok", late=3600)
    night(reports, 1, status="ok", late=10)
    night(reports, 1, status="error", late=20)
    runs = memory.read_all(reports)
    assert [found.tone for found in nights.nights_of(runs).values()] == ["good", "bad"]
    calendar = nights.calendar(runs)
    assert calendar.count("<a ") == 2
    assert "Thursday 02 November 2023: ok, error" in calendar


def test_trends_hold_what_the_runs_measured(tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    for number in (0, 1, 28):
        night(reports, number)
    runs = memory.read_all(reports)
    lines = {
        figure.layout.title.text: {trace.name: list(trace.y) for trace in figure.data}
        for figure in trends.figures(runs)
    }
    assert list(lines) == [
        "How long the phases took",
        "How many rows there were",
        "How alike the sides were",
        "How far change capture was behind at most",
    ]
    assert lines["How many rows there were"]["loaded"] == [1_000_000, 1_000_300, 1_008_400]
    assert lines["How alike the sides were"]["source → target"] == [1.0, 1.0, 0.9987]
    assert len(lines["How far change capture was behind at most"]["lag"]) == 1


@pytest.mark.parametrize("width", [1280, 390])
def test_the_large_index_and_the_trends_in_a_browser(browser: Any, thousand: Path, width: int) -> None:
    for name in ("index.html", "trends.html", "archive/2024-03.html"):
        watched = Watched(browser, thousand / name, width, "light")
        assert watched.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, f"{name} is too wide"
        assert watched.wrong == []
        if shots := os.environ.get("WORKBOOK_TEST_SHOTS"):
            watched.page.screenshot(
                path=f"{shots}/{name.replace('/', '-')}-{width}.png", full_page=name != "index.html"
            )
        watched.context.close()


@pytest.mark.soak
def test_the_large_site_is_fast(browser: Any, thousand: Path) -> None:
    """Figures, printed: the index is open in under a second, one more run has its page and the index in under three."""
    page = browser.new_context().new_page()
    opened = []
    for _ in range(5):
        began = time.monotonic()
        page.goto((thousand / "index.html").as_uri(), wait_until="load")
        opened.append(time.monotonic() - began)
    folder = night(thousand, 1000)
    began = time.monotonic()
    render_run(folder)
    one = time.monotonic() - began
    began = time.monotonic()
    build_index(thousand)
    whole = time.monotonic() - began
    size = (thousand / "index.html").stat().st_size
    print(
        f"index {size:,} bytes, open in {min(opened):.2f} s; one page {one:.2f} s, with the index {one + whole:.2f} s"
    )
    assert min(opened) < 1
    assert one + whole < 3
