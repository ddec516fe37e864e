"""The page of a validation: bounded however many tables and rows differ, nothing cut in silence, and a short way to the broken row."""

import csv
import html
import io
import json
import resource
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from conftest import Scratch
from migration import Migration
from workbook import faces
from workbook.phases.context import Phase
from workbook.site import render_page
from workbook.validate.alike import Alike, alike_rows, differing_share
from workbook.validate.bounds import Kept
from workbook.validate.content import Servers, compare_in, compare_table
from workbook.validate.drilldown import FINDINGS
from workbook.validate.explain import TableDefect
from workbook.validate.findings import findings_of
from workbook.validate.heatmap import MOST_LINES, TABLES
from workbook.validate.hops import HOPS
from workbook.validate.listing import files_of
from workbook.validate.locate import MOST_ROWS
from workbook.validate.replay_verdict import InteractionVerdict
from workbook.validate.result import TableVerdict, Validation
from workbook.validate.rows import RowDifference
from workbook.validate.since import Since
from workbook.validate.statistics import bins, bounds_of
from workbook.validate.table_face import COLUMNS, ROWS

HOSTILE = "<script>alert(1)</script>"
NAMES = ("id", HOSTILE, *(f"c{number}" for number in range(8)))


def table(number: int, hop: str, verdict: str, database: str = "shop") -> TableVerdict:
    """A table of 900 rows; a different one has 30 changed rows in each of two columns, with long hostile values."""
    states = dict.fromkeys(NAMES, "proven" if verdict == "same" else verdict)
    name = f"t{number:04}{HOSTILE}"
    if verdict != "different":
        return TableVerdict(
            database, name, hop, verdict, 900, 900, states, similarity=1.0 if verdict == "same" else None
        )
    long = HOSTILE + "x" * 5_000
    rows = tuple(
        RowDifference("changed", (("id", str(row)),), ((HOSTILE, long, "b"), ("c1", "1", None))) for row in range(10)
    )
    classes = tuple(
        TableDefect(1, column, "changed", 30, 30, 30, f"cut, as {HOSTILE}", rows) for column in (HOSTILE, "c1")
    )
    states = {column: "different" if column in (HOSTILE, "c1") else "proven" for column in NAMES}
    return TableVerdict(
        database,
        name,
        hop,
        "different",
        900,
        900,
        states,
        changed=30,
        samples=rows,
        similarity=870 / 900,
        classes=classes,
    )


def validation(count: int, different: int) -> Validation:
    tables = tuple(
        table(number, hop, "different" if number < different and hop != "target-warehouse" else "same")
        for number in range(count)
        for hop in HOPS
    )
    segments = {(one.database, one.table): f"segment {int(one.table[1:5]) % 3}" for one in tables}
    findings = findings_of(tables, (), ())
    made = Validation(tables, (), (), findings, {"source": "", "target": ""}, show_values=True, segments=segments)
    made.files.update(files_of(made.by_table, {}, findings))
    return made


def whole_page(found: Validation) -> faces.Html:
    return faces.stack(
        found.summary(),
        found.findings_table(),
        found.since(None),
        found.heat_map(),
        found.statistics_table(),
        found.tables_in_detail(),
        found.objects_table(),
    )


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_page_of_300_tables_is_bounded_and_cuts_nothing_in_silence() -> None:
    found = validation(300, 150)
    assert len(found.findings) == 600
    page = whole_page(found)
    assert len(page) < 3_500_000
    assert HOSTILE not in page
    assert html.escape(HOSTILE) in page
    # Each table has its line in the heat map; the lines beyond the bound are folded.
    assert page.count('class="wb-line"') == 300
    assert f"The other {300 - MOST_LINES:,} tables: 90 different, 150 same; their columns:" in page
    assert "tables.csv" in page
    # What does not fit is counted, and lies whole in a file.
    shown = page.count('id="finding-')
    assert 0 < shown < 600
    assert f"The first {shown:,} of 600 findings; all are in" in page
    assert [line["number"] for line in lines(found.files[FINDINGS])] == [str(number) for number in range(1, 601)]
    opened = page.count('id="table-')
    assert 0 < opened < 300
    assert f"The worst {opened:,} of 300 tables; the columns of all are in" in page
    assert len(lines(found.files[TABLES])) == 900
    assert len(lines(found.files[COLUMNS])) == 3_000
    # A link to what did not fit would lead nowhere.
    for finding in found.findings[shown:]:
        assert f'id="finding-{finding.id}"' not in page


def test_where_no_table_differs_the_front_says_what_does() -> None:
    good = Validation((table(0, "source-target", "same"),), (), (), (), {})
    act = InteractionVerdict("trigger", "`shop`.`a`", "different", "row 1")
    bad = replace(good, interactions=(act,), findings=findings_of(good.tables, (), (), (act,)))
    front = bad._repr_html_()
    assert "No table of 1 table differs; 1 of the triggers, routines, events and views does something else." in front


def test_the_result_holds_values_in_part_and_says_how_long_they_are() -> None:
    content = json.dumps(validation(100, 100).asdict(), ensure_ascii=False)
    assert "… (5,025 characters)" in content
    assert len(content) < 100 * 2 * 80_000


def test_2000_tables_that_are_the_same_make_a_small_page() -> None:
    found = validation(2_000, 0)
    page = whole_page(found)
    assert len(page) < 3_000_000
    assert page.count('class="wb-line"') == 2_000
    assert "Every row and every column of 2,000 tables is the same on every hop" in found.summary()
    # The front page stays one: of each of the three segments 40 marks, and the legend.
    assert found.summary().count('class="wb-sq wb-is-proven"') == 3 * 40 + 1
    assert found.summary().count("more same") == 3


def test_what_is_kept_of_the_rows_has_a_bound_over_all_tables_and_the_counts_have_none() -> None:
    kept = Kept(keys=10, listed=10, shown=45)
    first, second = kept.held([table(1, HOPS[0], "different"), table(2, HOPS[0], "different")])
    assert (len(first.samples), len(second.samples)) == (10, 1)
    assert [len(item.samples) for item in second.classes] == [1, 1]
    assert (first.changed, second.changed) == (30, 30)


def test_rows_alike_and_the_share_of_a_column_have_their_denominators() -> None:
    different = table(1, HOPS[0], "different")
    assert alike_rows(different) == Alike(870, 900)
    assert differing_share(different, "c1") == 30 / 900
    assert differing_share(different, "id") is None
    assert alike_rows(table(1, HOPS[0], "same")) == Alike(900, 900)
    assert alike_rows(table(1, HOPS[0], "incomparable")) is None
    summary = validation(9, 3).summary()
    assert summary.count("2,670 of 2,700") == 3
    assert "3 of 9 tables differ" in summary


def many_rows_that_differ(scratch: Scratch, count: int) -> Migration:
    database = scratch.database()
    rows = f"WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {count}) SELECT n, n, 'a', '=1' FROM c"
    scratch.execute("CREATE TABLE many (id INT PRIMARY KEY, v INT, w VARCHAR(9), same VARCHAR(9))", database)
    depth = count + 1
    scratch.script(
        f"SET SESSION cte_max_recursion_depth = {depth};\nINSERT INTO many {rows};\nANALYZE TABLE many;\n", database
    )
    migration = Migration.of(scratch, [database])
    migration.schema()
    scratch.execute_target_root(
        f"INSERT INTO many SELECT /*+ SET_VAR(cte_max_recursion_depth = {depth}) */ n, n + 1, 'b', '=1' FROM ({rows}) AS c (n, v, w, s)",
        database,
    )
    return migration


@pytest.mark.soak
def test_a_million_rows_that_differ_are_counted_in_bounded_memory_and_make_a_small_page(scratch: Scratch) -> None:
    migration = many_rows_that_differ(scratch, 1_000_000)
    (item,) = migration.mapping.in_scope
    whole = migration.catalog.table[item.path]
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    (found,) = compare_table(Servers(scratch.source, scratch.target, None), whole, item, migration.settings)
    assert (found.changed, found.missing, found.extra) == (1_000_000, 0, 0)
    made = Validation((found,), (), (), findings_of([found], (), ()), {})
    page = whole_page(made)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{grown:.0f} MB more, {time.monotonic() - started:.0f} s, page of {len(page):,} characters")
    assert len(page) < 100_000
    assert grown < 200


def test_50_000_rows_that_differ_are_all_counted_listed_up_to_a_bound_and_the_rest_is_said(scratch: Scratch) -> None:
    migration = many_rows_that_differ(scratch, 50_000)
    (item,) = migration.mapping.in_scope
    whole = migration.catalog.table[item.path]
    (found,) = compare_table(Servers(scratch.source, scratch.target, None), whole, item, migration.settings)
    assert (found.changed, found.missing, found.extra) == (50_000, 0, 0)
    assert [name for name, state in found.columns.items() if state == "different"] == ["v", "w"]
    assert MOST_ROWS <= len(found.listed) <= MOST_ROWS + 1_000
    assert {row.columns for row in found.listed} == {"v, w"}
    assert len(found.samples) == migration.settings.validate_.samples
    assert alike_rows(found) == Alike(0, 50_000)
    made = Validation((found,), (), (), findings_of([found], (), ()), {})
    page = whole_page(made)
    assert len(page) < 100_000
    assert "50,000 of 50,000 rows differ" in page
    assert f"{len(found.listed):,} of them are listed by key" in page
    assert "more with a larger validate.listed" in page
    listed = lines(files_of(made.by_table, {}, made.findings)[ROWS])
    assert len(listed) == len(found.listed)
    assert listed[0]["key"].startswith("id = ")
    # The whole list, for who asks for it.
    asked = scratch.settings(migration.settings.source.databases, validate={"listed": 50_000, "samples": 0})
    with scratch.source.session() as source, scratch.target.session() as target:
        (all_of_them,) = compare_in(source, target, Servers(scratch.source, scratch.target, None), whole, item, asked)
    assert len({row.key for row in all_of_them.listed}) == 50_000
    assert set(all_of_them.columns.values()) == {"proven", "different"}


STATISTICS = [
    """CREATE TABLE figures (id BIGINT PRIMARY KEY, amount DECIMAL(20,4), big BIGINT UNSIGNED, score DOUBLE, born DATE,
       at DATETIME(6), span TIME, what VARCHAR(40), raw VARBINARY(20), note LONGTEXT, yes TINYINT(1))""",
    """INSERT INTO figures WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 120)
       SELECT n * 70000000000 - 4000000000000, n / 7 - 5, 18446744073709551615 - n, n / 3, '2000-01-01' + INTERVAL n DAY,
         '2001-01-01 00:00:00.000001' + INTERVAL n HOUR, SEC_TO_TIME(n * 1000 - 50000), CONCAT('Zoë 😀', n), n, REPEAT('é', n),
         n % 2 FROM c""",
    "UPDATE figures SET born = '0000-00-00', what = NULL WHERE id = 70000000000 - 4000000000000",
]  # fmt: skip


def test_the_statistics_of_a_copy_are_exact_and_alike_and_a_changed_value_stands_out(scratch: Scratch) -> None:
    database = scratch.database()
    for statement in STATISTICS:
        scratch.execute(statement, database)
    migration = Migration.of(scratch, [database], validate={"statistics": "all", "replay": False})
    migration.schema()
    migration.bulk()
    migration.warehouse()
    found = migration.validate()
    (counted,) = found.statistics
    assert counted.why == ""
    assert dict(counted.rows) == {"source": 120, "target": 120, "warehouse": 120}
    assert {
        column.name: column.unlike(side) for column in counted.columns for side in column.sides if column.unlike(side)
    } == {}
    columns = {column.name: column for column in counted.columns}
    assert all(set(column.sides) == {"source", "target", "warehouse"} for column in counted.columns)
    ids = [number * 70_000_000_000 - 4_000_000_000_000 for number in range(1, 121)]
    assert columns["id"].sides["warehouse"].total == sum(ids)
    assert columns["big"].sides["warehouse"].total == sum(18446744073709551615 - number for number in range(1, 121))
    assert columns["amount"].sides["source"].low == Decimal("-4.8571")
    assert columns["born"].sides["source"].unreal == 1
    assert (columns["born"].sides["source"].nulls, columns["born"].sides["warehouse"].nulls) == (0, 1)
    assert columns["what"].sides["warehouse"].nulls == 1
    assert columns["what"].sides["warehouse"].high == len("Zoë 😀120")
    assert columns["note"].sides["warehouse"].total == sum(range(1, 121))
    assert columns["id"].sides["source"].distinct == columns["id"].sides["warehouse"].distinct == 120
    for column in counted.columns:
        if column.bounds:
            values = 120 - column.sides["source"].nulls - (column.sides["source"].unreal or 0)
            assert sum(column.sides["source"].bins) == values, column.name
    assert f"All {counted.figures:,} figures of 1 tables are the source" in found.statistics_table()
    scratch.execute_target_root("UPDATE figures SET amount = 99, what = '' WHERE id = 0 - 3930000000000", database)
    found = migration.validate()
    (counted,) = found.statistics
    unlike = {column.name: column.unlike("target") for column in counted.columns if column.unlike("target")}
    assert set(unlike) == {"amount", "what"}
    assert {"total", "high"} <= set(unlike["amount"])
    assert "figures are not the source" in found.statistics_table()
    assert 'class="wb-short wb-unlike"' in found.tables_in_detail()


def test_bins_part_what_lies_between_two_values_exactly() -> None:
    assert bounds_of(5, 5) == ()
    assert bounds_of(None, 1) == ()
    assert bounds_of(0, 12) == tuple(range(1, 12))
    assert all(isinstance(bound, int) for bound in bounds_of(-(10**18), 10**18))
    assert bounds_of(Decimal("0.01"), Decimal("0.03")) == (Decimal("0.01"), Decimal("0.02"), Decimal("0.03"))
    assert bins(10, [7, 3]) == (3, 4, 3)


def test_what_changed_since_the_run_before_is_told_by_finding_table_and_coverage(tmp_path: Path) -> None:
    then, now = validation(6, 3), validation(6, 2)
    changed = (*now.tables, table(9, HOPS[0], "different", "new"))
    now = Validation(changed, (), (), findings_of(changed, (), ()), {})
    before = json.loads(json.dumps(then.asdict()))
    found = Since("earlier", before, now.asdict())
    assert {item["object"] for item in found.new} == {f"new.t0009{HOSTILE}"}
    assert {item["object"] for item in found.gone} == {f"shop.t0002{HOSTILE}"}
    assert len(found.still) == 2 * 2 * 2
    tables = {item["table"]: (item["then"], item["now"]) for item in found.tables}
    assert tables == {
        f"shop.t0002{HOSTILE}": ("different", "same"),
        f"new.t0009{HOSTILE}": ("not compared", "different"),
    }
    page = found._repr_html_()
    assert HOSTILE not in page
    assert "Coverage, then and now" in page
    assert "first validation" in Since("", None, now.asdict())._repr_html_()
    # The run before is the latest of the same environment, and never the run itself or a later one.
    for name, environment in (
        ("20260101T000000Z-live-0001", "live"), ("20260102T000000Z-live-0002", "live"),
        ("20260103T000000Z-very-live-0003", "very-live"), ("20260104T000000Z-live-0004", "live"),
        ("20260105T000000Z-live-0005", "live"),
    ):  # fmt: skip
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(json.dumps({"environment": environment}))
        (tmp_path / name / "validate.json").write_text(json.dumps({"name": name}))
    phase: Any = SimpleNamespace(
        settings=SimpleNamespace(environment="live"),
        kind=SimpleNamespace(name="validate"),
        run_dir=tmp_path / "20260104T000000Z-live-0004",
    )
    assert Phase.previous(phase) == ("20260102T000000Z-live-0002", {"name": "20260102T000000Z-live-0002"})


def page_of(found: Validation, folder: Path) -> Path:
    """The page as the notebook makes it."""
    cells = []
    for title, shown in (
        ("The verdict", found.summary()),
        ("What is wrong", found.findings_table()),
        ("Tables by columns", found.heat_map()),
        ("Table by table", found.tables_in_detail()),
    ):
        output = new_output("display_data", {"text/html": str(shown)})
        cells += [new_markdown_cell(f"## {title}"), new_code_cell("x", outputs=[output])]
    nbformat.write(new_notebook(cells=cells), folder / "page.ipynb")
    render_page(folder / "page.ipynb", folder / "page.html", title="validate", run=None, assets=folder)
    return folder / "page.html"


@pytest.mark.parametrize("width", [390, 1280])
def test_from_the_verdict_to_the_broken_row_it_is_two_keys_of_the_keyboard(
    browser: Any, tmp_path: Path, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 844})
    try:
        page.goto(page_of(validation(40, 8), tmp_path).as_uri())
        link = page.locator(".wb-lead a")
        link.focus()
        page.keyboard.press("Enter")
        page.wait_for_timeout(100)
        assert page.evaluate("location.hash") == "#at-what-is-wrong"
        # The next thing that the keyboard reaches is a finding, or the link of its heading.
        for _ in range(3):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.tagName") == "SUMMARY":
                break
        page.keyboard.press("Enter")
        row = page.locator("#finding-1").get_by_text("id = 0", exact=True)
        row.wait_for(state="visible", timeout=5_000)
        # From a mark of the heat map to its table, which unfolds.
        page.locator(".wb-heat .wb-line a").first.click()
        page.locator("#table-1 table").first.wait_for(state="visible", timeout=5_000)
        # Nothing runs past the right edge but what scrolls in its own box.
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        search = page.locator(".wb-filter input")
        search.fill("t0039")
        assert page.locator(".wb-line:visible").count() == 1
    finally:
        page.close()


def test_printed_the_front_page_is_whole_and_has_room_for_a_signature(browser: Any, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": 700, "height": 1000})
    try:
        page.goto(page_of(validation(12, 3), tmp_path).as_uri())
        page.emulate_media(media="print")
        assert page.locator(".wb-sign").is_visible()
        assert not page.locator(".wb-filter").is_visible()
        cut = page.evaluate(
            "[...document.querySelectorAll('.wb-scroll')].filter(b => b.offsetParent && b.scrollHeight > b.clientHeight + 2 &&"
            " getComputedStyle(b).overflowY !== 'visible').length"
        )
        assert cut == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 700
    finally:
        page.close()
