"""The calls of a replay, the same for both sides: arguments by the types of parameters, changes of rows by those of columns."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from workbook.catalog import Column, Table
from workbook.names import mysql_path, quote_mysql, with_values
from workbook.validate.replay_words import Key

Values = tuple[Any, ...]
Settings = tuple[tuple[str, Any], ...]
ROUTINE_CALLS = 12
FUNCTION_CALLS = 48
TABLE_CALLS = 40  # for each of INSERT, UPDATE and DELETE
_LATER = (("timestamp", 2114380800.25),)  # the first day of 2037, after all that a table is likely to hold
_SAMPLED = 4

# Numbers at which ways of rounding part, signs turn and narrow types end; texts that collations tell apart or do not.
_NUMBERS = (
    0,
    1,
    -1,
    Decimal("2.675"),
    Decimal("119.005"),
    10,
    Decimal("-3.335"),
    100,
    1000000,
    Decimal("0.004"),
    7,
    255,
)
_TEXTS = ("a", "A", "é", "e", "É", "", " ", "a ", " a", "ß", "ss", "Zoë 😀 ünï", "50%_\\'\"", "12.5x", "x" * 40)
_DATES = ("2024-02-29", "1999-12-31", "2000-01-01", "2038-01-20", "1970-01-01", "2024-03-31")
_TIMES = ("00:00:00", "23:59:59.999999", "-12:30:00", "100:00:00.5", "01:02:03")
_NUMERIC = ("tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double", "numeric", "real")
_TEXTUAL = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext")
_BINARY = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")
_PREFIXES = ("p_", "in_", "i_", "v_", "_", "the_", "new_", "arg_", "par_")


@dataclass(frozen=True)
class Parameter:
    """A parameter of a routine: its name, mode (IN, OUT, INOUT) and the first word of its type."""

    name: str
    mode: str
    data_type: str


@dataclass(frozen=True)
class Call:
    """One call: what it is in words, its statements, the session's settings.

    `ordered` where the order of the rows it gives is part of the answer.
    """

    said: str
    statements: tuple[tuple[str, Values], ...]
    settings: Settings = ()
    ordered: bool = True


@dataclass(frozen=True)
class Sample:
    """Rows of a table by column name: those that fill the scratch copy, and those that are held back to be inserted."""

    table: Table
    filled: tuple[Mapping[str, Any], ...] = ()
    held: tuple[Mapping[str, Any], ...] = ()
    made_up: bool = field(default=False)


def made_up(table: Table) -> Sample:
    """Rows for a table that has none: every column at values of its type."""
    rows = []
    for number in range(4):
        row = {}
        for column in insertable(table):
            if column.auto_increment:
                row[column.name] = number + 1
                continue
            values = _of_type(column.data_type)
            row[column.name] = fitting(column, values[number % len(values)])
        rows.append(row)
    # What is inserted beside rows that are there lets the counter choose its number.
    held = {name: value for name, value in rows[3].items() if not table.column[name].auto_increment}
    return Sample(table, tuple(rows[:3]), (held,), made_up=True)


def insertable(table: Table) -> tuple[Column, ...]:
    """The columns that a statement gives values to."""
    return table.stored_columns


def routine_calls(
    key: Key, parameters: Sequence[Parameter], samples: Iterable[Sample], settings: Settings = ()
) -> list[Call]:
    """Calls of a function or procedure: combinations of values that are walked so that each meets its neighbours."""
    samples = tuple(samples)
    lists = [_candidates(parameter, samples) for parameter in parameters]
    name = mysql_path(key[1], key[2])
    longest = max((len(values) for values in lists), default=1)
    most = FUNCTION_CALLS if key[0] == "function" else ROUTINE_CALLS
    count = min(most, longest * min(len(lists), 4)) if lists else 1
    calls = []
    for number in range(count):
        lap = number // longest
        # All at the same place first, then each one further than the one before it.
        chosen = [values[(number + place * lap) % len(values)] for place, values in enumerate(lists)]
        if number == count - 1 and count > 2:
            chosen = [None] * len(lists)
        statements: list[tuple[str, Values]] = []
        if key[0] == "function":
            listed = ", ".join("%s" for _ in chosen)
            statements.append((f"SELECT {with_values(name)}({listed}) AS answer", tuple(chosen)))
        else:
            marks: list[str] = []
            for place, (parameter, value) in enumerate(zip(parameters, chosen, strict=True)):
                if parameter.mode != "IN":
                    statements.append((f"SET @workbook_{place} = %s", (value if parameter.mode == "INOUT" else None,)))
                marks.append("%s" if parameter.mode == "IN" else f"@workbook_{place}")
            given = tuple(value for p, value in zip(parameters, chosen, strict=True) if p.mode == "IN")
            statements.append((f"CALL {with_values(name)}({', '.join(marks)})", given))
            out = [mark for mark in marks if mark != "%s"]
            if out:
                statements.append((f"SELECT {', '.join(out)}", ()))
        calls.append(Call(f"call {number + 1} of {count}", tuple(statements), settings))
    if key[0] == "procedure":
        # What goes by the clock may have nothing to do until later.
        calls.append(Call("the first call, years later", calls[0].statements, (*settings, *_LATER)))
    return calls


def table_calls(event: str, sample: Sample, most: int = TABLE_CALLS) -> list[Call]:
    """Changes of the rows of a table by one `event`: INSERT, UPDATE or DELETE."""
    made = {"INSERT": _inserts, "UPDATE": _updates, "DELETE": _deletes}[event](sample)
    return [Call(said, (statement,)) for said, statement in made][:most]


def view_call(key: Key, ordered: bool) -> Call:
    """All rows of a view."""
    return Call(
        "all its rows", ((with_values(f"SELECT * FROM {mysql_path(key[1], key[2])} LIMIT 2000"), ()),), ordered=ordered
    )


def _inserts(sample: Sample) -> Iterable[tuple[str, tuple[str, Values]]]:
    for number, row in enumerate(sample.held, 1):
        yield f"INSERT of row {number}", insert(sample.table, [row])
    for row in sample.held[:1]:
        needed = {
            column.name: row[column.name]
            for column in insertable(sample.table)
            if column.name in row and not column.nullable and column.default is None and not column.auto_increment
        }
        yield "INSERT of what has no default", insert(sample.table, [needed])
        for name, value in _variations(sample, row):
            yield f"INSERT with another {name!r}", insert(sample.table, [{**row, name: value}])


def _updates(sample: Sample) -> Iterable[tuple[str, tuple[str, Values]]]:
    path = mysql_path(*sample.table.path)
    for number, row in enumerate((*sample.filled[:1], *sample.filled[1:][-1:]), 1):
        where, values = _where(sample.table, row)
        for name, value in _variations(sample, row):
            if name not in sample.table.key:
                said = f"UPDATE of {name!r} in row {number}"
                statement = with_values(f"UPDATE {path} SET {quote_mysql(name)} = ") + f"%s{where}"
                yield said, (statement, (value, *values))
    numeric = [c for c in insertable(sample.table) if c.data_type in ("decimal", "double", "float")]
    for column in numeric:
        name = with_values(quote_mysql(column.name))
        yield (
            f"UPDATE of {column.name!r} in all rows",
            (f"UPDATE {with_values(path)} SET {name} = {name} * 1.0725 + 0.015", ()),
        )


def _deletes(sample: Sample) -> Iterable[tuple[str, tuple[str, Values]]]:
    for number, row in enumerate(sample.filled, 1):
        where, values = _where(sample.table, row)
        yield f"DELETE of row {number}", (with_values(f"DELETE FROM {mysql_path(*sample.table.path)}") + where, values)


def insert(table: Table, rows: Sequence[Mapping[str, Any]]) -> tuple[str, Values]:
    """The statement that puts rows of the same columns into a table, and its values."""
    names = with_values(", ".join(map(quote_mysql, rows[0])))
    marks = ", ".join(f"({', '.join('%s' for _ in row)})" for row in rows)
    values = tuple(value for row in rows for value in row.values())
    return f"INSERT INTO {with_values(mysql_path(*table.path))} ({names}) VALUES {marks}", values


def _where(table: Table, row: Mapping[str, Any]) -> tuple[str, Values]:
    """The condition that finds a row: by its key, or by all its columns where there is none."""
    names = [name for name in table.key if name in row] or list(row)
    found = " AND ".join(f"{with_values(quote_mysql(name))} <=> %s" for name in names)
    return f" WHERE {found} LIMIT 1", tuple(row[name] for name in names)


def _variations(sample: Sample, row: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Other values for one column after the other: first one a column, then a second, so that a cut is fair."""
    lists = []
    for column in insertable(sample.table):
        if column.name not in row or column.auto_increment:
            continue
        others: list[Any] = []
        for other in (*sample.filled, *sample.held):
            value = other.get(column.name)
            if value != row[column.name] and value not in others and len(others) < 2:
                others.append(value)
        made = [fitting(column, value) for value in _of_type(column.data_type)[2:5]]
        own = _near(column, row[column.name])
        lists.append(
            (column.name, [*own, *others[:1], *made[:1], *others[1:], *([None] if column.nullable else []), *made[1:]])
        )
    for turn in range(max((len(values) for _, values in lists), default=0)):
        for name, values in lists:
            if turn < len(values):
                yield name, values[turn]


def _near(column: Column, value: Any) -> list[Any]:
    """A value a little beside the one that is there."""
    if isinstance(value, bool | None):
        return []
    if isinstance(value, int):
        return [value + 1 if value < 100 else value - 1]
    if isinstance(value, Decimal):
        return [value + Decimal(1).scaleb(-(column.scale or 0))]
    if isinstance(value, float):
        return [value * 1.5 + 0.125]
    if isinstance(value, datetime.date | datetime.datetime):
        # The first day that Python knows has none before it.
        day = datetime.timedelta(days=1)
        return [value + day if value.year == 1 else value - day]
    if isinstance(value, str) and column.data_type in _TEXTUAL and column.length:
        return [f" {value.swapcase()} "[: column.length]]
    return []


def fitting(column: Column, value: Any) -> Any:
    """A value that a column can hold, near to `value`."""
    if isinstance(value, str) and column.data_type in _TEXTUAL and column.length:
        if column.charset not in ("utf8mb4", "utf16", "utf32", None):
            value = "".join(letter if ord(letter) < 128 else "e" for letter in value)
        return value[: column.length]
    if isinstance(value, bytes) and column.length:
        return value[: column.length]
    if column.data_type in _NUMERIC:
        number = abs(value) if column.unsigned else value
        if column.data_type == "decimal" and column.precision is not None:
            whole = column.precision - (column.scale or 0)
            return number if abs(number) < 10**whole else 1 if whole else Decimal("0.5")
        return min(number, 100) if column.data_type == "tinyint" else min(number, 30000)
    return value


def _of_type(data_type: str) -> Sequence[Any]:
    for types, values in _BY_TYPE:
        if data_type in types:
            return values
    return ("1", "2", "3")


_BY_TYPE: tuple[tuple[tuple[str, ...], Sequence[Any]], ...] = (
    (_NUMERIC, _NUMBERS),
    (_TEXTUAL, _TEXTS),
    (_BINARY, (b"a", b"\x00\xff", b"A", b"", b"e ")),
    (("date",), _DATES),
    (("datetime", "timestamp"), [f"{day} {time}" for day, time in zip(_DATES, ("12:34:56.5", "23:59:59.9", "00:00:01", "03:14:08", "02:30:00", "01:30:00"), strict=True)]),
    (("time",), _TIMES),
    (("year",), (2024, 1999, 2000, 1901)),
    (("json",), ('{"a": 1, "b": [1.50, "é"]}', "[]", '"A"', "null", '{"b": {"c": true}}')),
    (("enum", "set"), (1, 2, 1, 2, 3)),
    (("bit",), (1, 0, 1, 0, 1)),
    (("geometry", "point"), (b"\0\0\0\0\1\1\0\0\0" + b"\0" * 16,)),
)  # fmt: skip


def _candidates(parameter: Parameter, samples: Sequence[Sample]) -> list[Any]:
    """Values for a parameter: of columns of a like name first, then what its type is told by."""
    values: list[Any] = []
    for sample in samples:
        for column in sample.table.columns:
            if _alike(parameter, column, sample.table):
                for row in sample.filled:
                    value = row.get(column.name)
                    if value is not None and value not in values and len(values) < _SAMPLED:
                        values.append(value)
    return values + [value for value in _of_type(parameter.data_type) if value not in values]


def _alike(parameter: Parameter, column: Column, table: Table) -> bool:
    name = parameter.name.lower()
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    singular = table.name.lower().removesuffix("s")
    own = column.name.lower()
    classes = [
        next((types for types, _ in _BY_TYPE if kind in types), None)
        for kind in (parameter.data_type, column.data_type)
    ]
    if classes[0] != classes[1]:
        return False
    return own in (name, f"{name}_id", f"{name}id") or (
        own == "id" and name in (singular, f"{singular}_id", f"{singular}id")
    )
