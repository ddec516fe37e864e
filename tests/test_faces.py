"""Fragments escape what they are given, keep what is ours, and say in words what they show in colours."""

import datetime
import re
from decimal import Decimal

import pytest

from workbook import faces, looks
from workbook.faces import Html, bare, escape
from workbook.progress import Progress

HOSTILE = "<script>alert(1)</script>"


def words(fragment: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", bare(fragment))).strip()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (HOSTILE, "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("\"'&", "&quot;&#x27;&amp;"),
        (1234567, "1,234,567"),
        (-0.5, "-0.5"),
        (12345.678, "12,345.68"),
        (float("nan"), "nan"),
        (Decimal("1234.500"), "1,234.500"),
        (Decimal("NaN"), "NaN"),
        (True, "yes"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.datetime(2026, 1, 2, 3, 4), "2026-01-02 03:04:00"),
        ([1000, "<"], "1,000, &lt;"),
        ({"<": ">"}, "&lt;: &gt;"),
        (Html("<b>x</b>"), "<b>x</b>"),
        ("zwölf 🙂", "zwölf 🙂"),
    ],
)
def test_values_are_escaped(value: object, shown: str) -> None:
    assert escape(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "NULL"),
        (b"\x00\xff", "0x00ff"),
        (bytearray(300), "0x" + "00" * 100 + " … (300 bytes)"),
        (memoryview(bytes(3)), "0x000000"),
        ("a\tb\nc\rd\0e", "a TAB b LF c CR d NUL e"),
        ("\u202eevil\u2066", "U+202E evil U+2066"),
        ("\ud800", "U+D800"),
        ("\u200b\ufeff", "ZWSP BOM"),
        ("x" * 3_000_000, "x" * 2_000 + " … (3,000,000 characters)"),
    ],
)
def test_what_is_not_seen_or_too_long_is_said(value: object, shown: str) -> None:
    made = escape(value)
    assert words(made) == shown
    made.encode()


def test_a_null_is_not_the_word_null() -> None:
    assert escape(None) != escape("NULL")


def test_markup_that_was_changed_is_escaped_again() -> None:
    assert escape(Html("<b>") + HOSTILE) == "&lt;b&gt;&lt;script&gt;alert(1)&lt;/script&gt;"


def test_a_table_keeps_fragments_and_escapes_the_rest() -> None:
    rows = [{HOSTILE: HOSTILE, "rows_read": 12000, "verdict": faces.badge("same")}, {HOSTILE: None, "rows_read": None}]
    made = bare(faces.table(rows, caption=HOSTILE))
    assert HOSTILE not in made
    assert made.count("<th scope=") == 5
    assert '<td class="wb-number">12,000</td>' in made
    assert "rows read" in made
    assert "<svg" in made
    assert made.count("<caption>") == 1


def test_a_table_says_what_it_leaves_out() -> None:
    made = faces.table([{"n": number} for number in range(1_234)], limit=3)
    assert made.count("<tr>") == 4
    assert "The first 3 of 1,234 rows." in made
    assert "No rows." in faces.table([], caption="nothing")


def test_a_caption_cannot_leave_its_attribute() -> None:
    made = bare(faces.table([{"a": 1}], caption='" onfocus="alert(1)'))
    assert 'onfocus="alert' not in made


@pytest.mark.parametrize(
    "verdict",
    [
        "same",
        "different",
        "incomparable",
        "ok",
        "failed",
        "error",
        "blocker",
        "mend",
        "decide",
        "note",
        "proven",
        "tolerated",
        "sampled",
        "running",
        "skipped",
    ],
)
def test_a_badge_says_its_verdict_in_a_word_and_a_shape(verdict: str) -> None:
    made = faces.badge(verdict)
    assert words(made) == verdict
    assert "<svg" in made


def test_the_same_colour_never_has_the_same_shape_for_unlike_verdicts() -> None:
    assert (
        len({str(faces.icon(word)) for word in ("same", "different", "incomparable", "mend", "note", "skipped")}) == 6
    )


def test_an_unknown_verdict_is_shown_as_it_is() -> None:
    assert words(faces.badge(HOSTILE)) == "&lt;script&gt;alert(1)&lt;/script&gt;"
    assert faces.tone("odd") == "plain"


def test_fragments_in_one_another_carry_one_style() -> None:
    inner = faces.stack(faces.table([{"a": faces.badge("ok")}]), faces.boxes(("a", 1, "same")), faces.bar(0.5))
    made = faces.stack(faces.details("more", inner), None, "", faces.code("SELECT 1"))
    assert made.count("<style") == 1
    assert made.startswith(looks.STYLE_MARK)
    assert "<style" not in faces.without_style(made)
    assert words(faces.details("more", HOSTILE)) == "more &lt;script&gt;alert(1)&lt;/script&gt;"


def test_code_keeps_its_lines() -> None:
    assert "SELECT\t1\n&lt;" in faces.code("SELECT\t1\n<")


@pytest.mark.parametrize(
    ("fraction", "shown"),
    [(0, "0%"), (0.00001, "under 0.1%"), (0.125, "12.5%"), (0.99999, "over 99.9%"), (1, "100%"), (None, "no value")],
)
def test_a_share_never_rounds_to_all_or_nothing(fraction: float | None, shown: str) -> None:
    assert words(faces.bar(fraction)) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.25, "250 ms"),
        (0.9999, "1 s"),
        (12.34, "12.3 s"),
        (59.97, "1 min"),
        (125, "2 min 5 s"),
        (3599.7, "1 h"),
        (7500, "2 h 5 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_durations_in_words(seconds: float, shown: str) -> None:
    assert faces.human_seconds(seconds) == shown


def test_amounts_in_words() -> None:
    assert [faces.human_bytes(count) for count in (0, 999, 1_000, 1_250_000, 10**12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "1.2 MB",
        "1.0 TB",
    ]
    assert [faces.human_count(count) for count in (0, 99_999, 250_412, 5_000_000)] == ["0", "99,999", "250 k", "5.0 M"]


def test_the_plot_theme_is_the_default() -> None:
    import plotly.io as pio

    before = pio.templates.default
    try:
        faces.plot_theme()
        assert pio.templates.default == "workbook"
    finally:
        pio.templates.default = before
    assert faces.plot_text("<a href='x'>" + "y" * 100).startswith("&lt;a href='x'&gt;yyy")


def test_progress_logs_and_keeps_its_last_state(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORKBOOK_LOG", raising=False)
    with Progress(f"load {HOSTILE}\n", 1_000) as progress:
        progress.advance(250, "first")
        progress.set(1_000)
    said = capsys.readouterr().err
    assert "100% (1,000 of 1,000 rows), done after" in said
    assert said.count("\n") == 1
    shown = progress._repr_html_()
    assert HOSTILE not in shown
    assert "done" in words(shown)


def test_progress_says_where_it_stopped(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    log = tmp_path / "run.log"
    monkeypatch.setenv("WORKBOOK_LOG", str(log))
    progress = Progress("load", 1_000)

    def stop_half_way() -> None:
        with progress:
            progress.advance(430)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stop_half_way()
    assert "43% (430 of 1,000 rows), stopped after" in log.read_text()
    assert "stopped at 43%" in words(progress._repr_html_())
    assert capsys.readouterr().err == ""


def test_a_full_disk_under_the_log_does_not_stop_the_work(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBOOK_LOG", str(tmp_path / "no such folder" / "run.log"))
    with Progress("load", None) as progress:
        progress.advance(3)
    assert progress.state == "done"
