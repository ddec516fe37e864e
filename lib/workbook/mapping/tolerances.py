"""What a mapping lets through: a class of defect on a column, with a bound, because somebody wrote it down beforehand."""

import difflib
import re
from dataclasses import dataclass
from typing import Any, Literal

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from workbook.catalog import Column, Table
from workbook.mapping.nodes import Reader

Unit = Literal["ulp", "unit", "second"]
_TEXTS = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext")
_CHOICES = ("enum", "set")
_INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint")
_FLOATS = ("float", "double")
_MOMENTS = ("datetime", "timestamp")
_BYTES = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "vector")
_UNITS: dict[str, Unit] = {
    **dict.fromkeys(_FLOATS, "ulp"),
    **dict.fromkeys((*_INTEGERS, "decimal"), "unit"),
    **dict.fromkeys(("date", *_MOMENTS, "time"), "second"),
}
UNIT_WORDS: dict[Unit, str] = {
    "ulp": "steps from one FLOAT or DOUBLE to the next",
    "unit": "units of the number",
    "second": "seconds",
}


@dataclass(frozen=True)
class Tolerable:
    """A class of defect that a mapping may let through: its number and name, and the MySQL types that can show it.

    `sized`: whether `within` may bound the size of the change.
    """

    number: int
    name: str
    types: tuple[str, ...]
    what: str
    sized: bool = False


# Classes that a single cell shows by itself. What takes several rows or columns to tell (swapped columns, missing rows,
# a chunk twice) has no bound in one column, and neither has "some other value".
TOLERABLE: tuple[Tolerable, ...] = (
    Tolerable(1, "text cut", _TEXTS, "the text begins as it was and is shorter"),
    Tolerable(2, "mojibake", (*_TEXTS, *_CHOICES), "the bytes of the text were read as another character set"),
    Tolerable(3, "character became ?", (*_TEXTS, *_CHOICES), "characters became a replacement"),
    Tolerable(4, "space at the end lost", (*_TEXTS, *_CHOICES), "spaces or tabs at the end are gone"),
    Tolerable(5, "case or accent changed", (*_TEXTS, *_CHOICES), "the same letters but for case and accents"),
    Tolerable(6, "Unicode form changed", (*_TEXTS, *_CHOICES), "the same text, composed or decomposed"),
    Tolerable(7, "NULL and empty exchanged",
              (*_TEXTS, *_CHOICES, *_INTEGERS, "decimal", *_FLOATS, "year", "bit", *_BYTES), "NULL for '' or 0, '' for NULL"),
    Tolerable(8, "text read as NULL", (*_TEXTS, *_CHOICES), "a word for nothing, such as \\N or null, became NULL"),
    Tolerable(11, "number rounded", ("decimal", *_FLOATS), "fewer places", sized=True),
    Tolerable(12, "number went through a double", (*_INTEGERS, "decimal"), "as many digits as a double holds", sized=True),
    Tolerable(13, "double off by its last bit", ("double",), "the next double"),
    Tolerable(14, "float drifted", _FLOATS, "near, as far as single precision or six digits go", sized=True),
    Tolerable(15, "number wrapped or clamped", (*_INTEGERS, "decimal"), "held to the end of a range", sized=True),
    Tolerable(16, "fraction of a second lost", (*_MOMENTS, "time"), "fewer digits of the fraction", sized=True),
    Tolerable(17, "time shifted by a zone", ("date", "timestamp", "time"), "moved by a step that zones make", sized=True),
    Tolerable(18, "DATETIME treated as an instant", ("datetime",), "moved by a step that zones make", sized=True),
    Tolerable(19, "zero or partial date lost", ("date", *_MOMENTS), "a zero or partial date became NULL or another"),
    Tolerable(20, "date clamped", ("date", *_MOMENTS), "held to the end of a calendar"),
    Tolerable(21, "TIME beyond a day changed", ("time",), "a negative or long time became another"),
    Tolerable(22, "YEAR changed", ("year",), "the year 0000, or the century"),
    Tolerable(24, "number became a truth value", ("tinyint",), "other numbers became 0 or 1"),
    Tolerable(28, "JSON number changed its type", ("json",),
              "the same document, a number in it written otherwise: 1 for 1.0, or a DECIMAL as a double"),
)  # fmt: skip
_BY_NAME = {item.name: item for item in TOLERABLE}


@dataclass(frozen=True)
class Tolerance:
    """A class of defect on one column that is let through, `at_most` in so many rows (int) or in that share (float).

    `within`: the size of the change at most, in the unit of the column's type; None: any size.
    """

    number: int
    defect: str
    at_most: int | float
    within: float | None = None

    def bound(self, rows: int) -> int:
        """How many of a table's rows it lets through."""
        return self.at_most if isinstance(self.at_most, int) else int(self.at_most * rows)

    @property
    def said(self) -> str:
        """The rule in words."""
        most = f"{self.at_most:,} rows" if isinstance(self.at_most, int) else f"{self.at_most * 100:g}% of the rows"
        size = f", by {self.within:g} at most" if self.within is not None else ""
        return f"{self.defect}{size}: at most {most}"

    def asdict(self) -> dict[str, Any]:
        """Plain values, as the mapping file holds them."""
        most = self.at_most if isinstance(self.at_most, int) else f"{self.at_most * 100:g}%"
        return {"defect": self.defect, "at_most": most, **({} if self.within is None else {"within": self.within})}


def tolerances(
    reader: Reader, node: CommentedMap, column: Column, table: Table, key: tuple[str, ...], where: str
) -> tuple[Tolerance, ...]:
    """The tolerances of a column's node. `key` are the columns that name a row of `table` on the target.

    Raises UsageError for a class that does not exist or does not suit the type, and where rows cannot be paired by a key.
    """
    items = node.get("tolerate")
    if items is None:
        return ()
    if not key or column.name in key:
        reader.fail(
            node,
            "tolerate",
            f"tolerate of {where} is about {'a column of the key' if key else 'a table without a key'}",
            "A changed value there makes one row missing and another one extra: nothing tells that they are the same row.",
            "Take it away" + ("." if key else ", or give the table a key on the source."),
        )
    made: list[Tolerance] = []
    for item in items if isinstance(items, CommentedSeq) else [items]:
        if not isinstance(item, CommentedMap):
            reader.fail(
                node,
                "tolerate",
                f"tolerate of {where} is no defect with its bound",
                "What is let through is a class of defect, in so many rows and no more.",
                "Write for example tolerate: {defect: space at the end lost, at_most: 10}.",
            )
        reader.known_keys(item, "tolerate", f"tolerate of {where}")
        made.append(_tolerance(reader, item, column, where))
        if made[-1].number in [other.number for other in made[:-1]]:
            reader.fail(
                item,
                "defect",
                f"tolerate of {where} names {made[-1].defect!r} twice",
                "Two bounds of one class contradict each other.",
                "Leave one of them.",
            )
    return tuple(made)


def _tolerance(reader: Reader, item: CommentedMap, column: Column, where: str) -> Tolerance:
    fitting = [one.name for one in TOLERABLE if column.data_type in one.types]
    name = item.get("defect")
    found = _BY_NAME.get(name) if isinstance(name, str) else None
    if found is None or column.data_type not in found.types:
        near = difflib.get_close_matches(str(name), fitting, n=1, cutoff=0.4)
        why = f"no {column.data_type} can show it" if found else "there is no such defect that a single value can show"
        reader.fail(
            item,
            "defect",
            f"tolerate of {where} names the defect {name!r}" + (f" (did you mean {near[0]}?)" if near else ""),
            f"Only what is named exactly is let through, and {why}.",
            f"Of a {column.data_type} these can be tolerated: {', '.join(fitting) or 'none'}.",
        )
    within = item.get("within")
    if within is not None and not (found.sized and _is_size(within)):
        reader.fail(
            item,
            "within",
            f"within of {where} is {str(within)[:60]!r}",
            f"It bounds the size of a change, which {found.name!r} has not."
            if not found.sized
            else "It must be a number above 0.",
            "Take it away." if not found.sized else f"Write how many {UNIT_WORDS[_UNITS[column.data_type]]}.",
        )
    return Tolerance(found.number, found.name, _at_most(reader, item, where), None if within is None else float(within))


def _is_size(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e300


def _at_most(reader: Reader, item: CommentedMap, where: str) -> int | float:
    value = item.get("at_most")
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return int(value)
    share = re.fullmatch(r"(\d{1,3}(?:\.\d{1,6})?) ?%", value) if isinstance(value, str) else None
    if share and 0 < float(share[1]) <= 100:
        return float(share[1]) / 100
    reader.fail(
        item,
        "at_most" if "at_most" in item else "defect",
        f"at_most of {where} is {'missing' if value is None else repr(str(value)[:60])}",
        "A tolerance without a bound would let anything through.",
        "Write a number of rows, or a share of them as 0.5%.",
    )


def markdown() -> str:
    """The classes that a mapping can let through as a Markdown table, for the README."""
    lines = ["| `defect` | types | what is let through | `within` |", "| --- | --- | --- | --- |"]
    for item in TOLERABLE:
        units = dict.fromkeys(UNIT_WORDS[_UNITS[kind]] for kind in item.types if kind in _UNITS) if item.sized else {}
        types = ", ".join(kind.upper() for kind in item.types)
        lines.append(f"| `{item.name}` | {types} | {item.what} | {'; '.join(units)} |")
    return "\n".join(lines)
