"""The marts of a folder: GoogleSQL files with a header in YAML, in the order in which they can be built."""

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbook import faces
from workbook.errors import UsageError
from workbook.mapping import Mapping as TableMapping
from workbook.mapping import cleaning
from workbook.marts.references import LAYERS, Reference, references, without_end
from workbook.params import Settings

# What the workbook adds to a mart with a history.
HISTORY = {
    "valid_from": "Since when the row is so; the first of a key is so from the beginning.",
    "valid_to": "Until when, that moment not included; 9999-12-31 where it still is.",
    "is_current": "Whether it still is.",
}
_HEADER = re.compile(r"\s*/\*(.*?)\*/", re.S)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,199}")
_WHY = "The analysts' tables are made by it."


class Header(BaseModel):
    """What the header of a mart says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str = Field(description="what a row is, for who opens the table")
    columns: dict[str, str] = Field(description="every column that the query gives, with its description")
    key: tuple[str, ...] = Field((), description="the columns that tell rows apart; tested, and noted as a primary key")
    history: str | None = Field(
        None,
        description="the name of a column to number the versions of a row by: each night's changes are kept, from `valid_from` to `valid_to`",
    )
    references: dict[str, str] = Field(
        {}, description="column: `mart.column` that holds its values; tested, and noted as a foreign key"
    )
    not_null: tuple[str, ...] = Field((), description="columns that hold no NULL; tested")
    unique: tuple[str, ...] = Field((), description="columns that hold no value twice; tested")
    values: dict[str, list[str | int | bool]] = Field(
        {}, description="column: the only values, beside NULL, that it may hold; tested"
    )
    partition_by: str | None = Field(None, description="a DATE, DATETIME or TIMESTAMP column")
    partition_unit: Literal["day", "month", "year"] = Field("month", description="how much of time goes into one")
    cluster_by: tuple[str, ...] = Field((), max_length=4, description="columns, the most telling first")
    labels: dict[str, str] = Field({}, description="labels of the table")


class TestHeader(BaseModel):
    """What the header of a test says."""

    __test__ = False
    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str = Field(description="what holds where the query finds no row")


@dataclass(frozen=True)
class Mart:
    """One table for analysis: its header, the query that makes it, and the tables that this names."""

    name: str
    header: Header
    sql: str
    reads: tuple[Reference, ...]

    @property
    def columns(self) -> dict[str, str]:
        """All columns with their descriptions, those of a history too."""
        if self.header.history is None:
            return self.header.columns
        return {self.header.history: "Tells the versions of a row apart.", **self.header.columns, **HISTORY}

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that tell the rows of the table apart."""
        return self.header.key if self.header.history is None else (self.header.history,)

    @property
    def needs(self) -> frozenset[str]:
        """The marts that must be right before this one can be: those that it reads, and those that hold its values."""
        held = {place.split(".")[0] for place in self.header.references.values()}
        return frozenset({one.table for one in self.reads if one.layer == "marts"} | held) - {self.name}


@dataclass(frozen=True)
class MartTest:
    """A query of one's own that must find no row; the marts that it names wait for it."""

    name: str
    description: str
    sql: str
    reads: tuple[Reference, ...]

    @property
    def marts(self) -> frozenset[str]:
        """The marts that it is about."""
        return frozenset(one.table for one in self.reads if one.layer == "marts")


@dataclass(frozen=True)
class Marts:
    """The marts of a folder in the order in which they are built, with their tests; `folder` is None where there is none."""

    folder: Path | None
    marts: tuple[Mart, ...] = ()
    tests: tuple[MartTest, ...] = ()

    @cached_property
    def named(self) -> dict[str, Mart]:
        """Marts by name."""
        return {mart.name: mart for mart in self.marts}

    def _repr_html_(self) -> str:
        if self.folder is None:
            return faces.text("The params name no folder of marts (`warehouse.marts`): none will be built.")
        return faces.stack(
            faces.boxes(
                ("Marts", len(self.marts)),
                ("With a history", sum(mart.header.history is not None for mart in self.marts)),
                ("Columns", sum(len(mart.columns) for mart in self.marts)),
                ("Tests of your own", len(self.tests)),
            ),
            faces.table(
                [
                    {
                        "name": mart.name,
                        "text": mart.header.description,
                        "reads": list(map(str, mart.reads)),
                        "key": ", ".join(mart.key),
                    }
                    for mart in self.marts
                ],
                {"name": "Mart", "text": "What a row is", "reads": "Reads", "key": "Key"},
                caption="In the order in which they are built",
                limit=300,
            ),
        )


def read_marts(settings: Settings, mapping: TableMapping) -> Marts:
    """The marts in the folder that the params name, in order. Raises UsageError for whatever could not be built."""
    folder = settings.marts_path
    if folder is None:
        return Marts(None)
    if not folder.is_dir():
        raise UsageError(
            f"There is no folder {folder} of marts.",
            _WHY,
            "Mend the key `warehouse.marts` in the params (relative to the params file), or leave it out.",
        )
    marts = [_mart(path) for path in sorted(folder.glob("*.sql"))]
    tests = tuple(_test(path) for path in sorted(folder.glob("tests/*.sql")))
    _check(marts, tests, folder, mapping)
    return Marts(folder, _ordered(marts, folder), tests)


def _mart(path: Path) -> Mart:
    header, sql, reads = _parts(path, Header)
    assert isinstance(header, Header)
    name = path.stem
    given = [*header.columns, *((header.history, *HISTORY) if header.history else ())]
    twice = next((column for column in given if [other.lower() for other in given].count(column.lower()) > 1), None)
    named = [
        *header.key, *header.references, *header.not_null, *header.unique, *header.values, *header.cluster_by,
        *((header.partition_by,) if header.partition_by else ()),
    ]  # fmt: skip
    unknown = next((column for column in named if column not in given), None)
    if not _NAME.fullmatch(name):
        raise _bad(path, f"its name {name!r} is the table's, and may hold letters, digits and underscores only")
    if twice is not None:
        raise _bad(path, f"the column {twice} is there twice" + (", once of the history" if header.history else ""))
    if unknown is not None:
        raise _bad(path, f"it names the column {unknown}, which `columns` does not list.{_near(unknown, given)}")
    if header.history is not None and not header.key:
        raise _bad(path, "a history needs a `key`: the columns that say whose versions they are")
    if wrong := next((place for place in header.references.values() if place.count(".") != 1), None):
        raise _bad(path, f"the reference {wrong!r} is not of the form mart.column")
    return Mart(name, header, sql, reads)


def _test(path: Path) -> MartTest:
    header, sql, reads = _parts(path, TestHeader)
    assert isinstance(header, TestHeader)
    return MartTest(path.stem, header.description, sql, reads)


def _parts(path: Path, model: type[BaseModel]) -> tuple[BaseModel, str, tuple[Reference, ...]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _bad(path, getattr(error, "strerror", None) or "it is not UTF-8") from None
    found = _HEADER.match(text)
    if found is None:
        raise _bad(path, "it does not begin with a header: /* description: … */")
    try:
        content = yaml.safe_load(found[1])
        if not isinstance(content, dict):
            raise _bad(path, "its header holds no keys")
        header = model.model_validate(content)
        sql = without_end(text[found.end() :])
        return header, sql, references(sql)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise _bad(path, f"its header is not YAML{where}: {getattr(error, 'problem', 'unreadable')}") from None
    except ValidationError as error:
        raise _bad(path, "; ".join(_explained(problem, model) for problem in error.errors())) from None
    except ValueError as error:
        raise _bad(path, f"its query {error}") from None


def _check(marts: Sequence[Mart], tests: Sequence[MartTest], folder: Path, mapping: TableMapping) -> None:
    """Raise UsageError where anything names a table or column that there is not."""
    for name in (names := [mart.name.lower() for mart in marts]):
        if names.count(name) > 1:
            raise _bad(folder, f"two marts are called {name}, but for their case")
    tables = mapping.in_scope
    rejected = [table.rejected_name for table in tables if cleaning.sets_aside(table)]
    clean = [table.warehouse_name for table in tables]
    later = {table.warehouse_name for table in mapping.tables.values()} - set(clean)
    known = {"clean": clean, "raw": clean + rejected, "marts": [mart.name for mart in marts]}
    items: list[Mart | MartTest] = [*marts, *tests]
    for item in items:
        file = folder / (f"{item.name}.sql" if isinstance(item, Mart) else f"tests/{item.name}.sql")
        for one in item.reads:
            if one.layer != "marts" and one.table in later:
                raise _bad(file, f"it reads {one}, whose segment the mapping does not have in scope")
            if one.table not in known[one.layer]:
                raise _bad(
                    file,
                    f"it reads {one}, and there is no such table in that layer.{_near(one.table, known[one.layer])}"
                    f" (An alias cannot be called {', '.join(LAYERS[:2])} or {LAYERS[2]}.)",
                )
        if isinstance(item, MartTest) and not item.marts:
            raise _bad(file, "it reads no mart, so nothing could wait for it")
    raw_names = {name.lower() for name in known["raw"]}
    if clash := next((mart.name for mart in marts if f"{mart.name}__mart".lower() in raw_names), None):
        raise _bad(folder / f"{clash}.sql", f"it is built as {clash}__mart, and the mapping has a table of that name")
    columns = {mart.name: mart.columns for mart in marts}
    for mart in marts:
        for place in mart.header.references.values():
            other, column = place.split(".")
            if column not in columns.get(other, {}):
                places = [f"{name}.{one}" for name, those in columns.items() for one in those]
                raise _bad(
                    folder / f"{mart.name}.sql", f"it refers to {place}, which there is not.{_near(place, places)}"
                )


def _ordered(marts: Sequence[Mart], folder: Path) -> tuple[Mart, ...]:
    named = {mart.name: mart for mart in marts}
    sorter = TopologicalSorter({mart.name: sorted(mart.needs) for mart in marts})
    try:
        return tuple(named[name] for name in sorter.static_order())
    except CycleError as error:
        raise _bad(folder, f"marts that need one another go round in a circle: {' → '.join(error.args[1])}") from None


def _bad(path: Path, what: str) -> UsageError:
    return UsageError(
        f"{path}: {what.rstrip('.')}.", _WHY, "Mend the file; lib/workbook/marts/README.md shows a whole one."
    )


def _near(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f" Did you mean {near[0]}?" if near else ""


def _explained(problem: Mapping[str, Any] | Any, model: type[BaseModel]) -> str:
    where = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        return f"unknown key {where}.{_near(where, model.model_fields)}"
    return f"{where} is missing" if problem["type"] == "missing" else f"{where}: {problem['msg']}"


def markdown() -> str:
    """The keys of a header as a Markdown table, for the README."""
    lines = ["| key | what it says |", "| --- | --- |"]
    for name, field in Header.model_fields.items():
        lines.append(f"| `{name}` | {field.description}{'; required' if field.is_required() else ''} |")
    return "\n".join(lines)
