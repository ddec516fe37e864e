"""The canonical encoding: MySQL, the emulator and Google's own evaluator give the same text for every value."""

import math
import struct
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Scratch
from values import table_of_boundaries
from workbook.catalog import read_catalog
from workbook.mapping import generate
from workbook.mapping.types import RULES, rule_for
from workbook.names import mysql_path, quote_bigquery
from workbook.validate.encoding import Kind, fields, google_value, mysql_value
from workbook.validate.rows import decoded
from workbook.warehouse import load_warehouse

SHARED: Kind = "shared"


class NoJournal:
    def intend(self, object: str, undo: str | None, server: str = "target") -> int:
        return 0

    def confirm(self, number: int) -> None:
        pass

    def cancel(self, number: int) -> None:
        pass


def test_every_value_of_every_type_is_encoded_alike_by_mysql_and_the_warehouse(scratch: Scratch) -> None:
    database = scratch.database()
    for statement in table_of_boundaries():
        scratch.execute(statement, database)
    configured = scratch.settings([database])
    catalog = read_catalog(scratch.source, [database])
    mapping = generate(catalog, None, True)
    # The extraction reads whichever MySQL it is given; here it reads the source itself.
    load_warehouse(scratch.source, scratch.warehouse, catalog, mapping, configured, NoJournal(), set())
    table, mapped = catalog.table[database, "boundaries"], mapping.tables[database, "boundaries"]
    chosen = fields(table, mapped)
    here = scratch.source.rows(
        f"SELECT {', '.join(f'{mysql_value(item, SHARED)} AS v{number}' for number, item in enumerate(chosen))}"
        f" FROM {mysql_path(*table.path)} ORDER BY id"
    )
    path = scratch.table_path(configured.warehouse.raw_dataset, mapped.warehouse_name)
    there = scratch.google(
        f"SELECT {', '.join(f'CONCAT({google_value(item.warehouse_name, item.rule.google, item.rule.free)})' for item in chosen)}"
        f" FROM {path} ORDER BY {quote_bigquery(mapped.column['id'].warehouse_name)}"
    )
    assert len(here) == len(there) > 80
    different = [
        (item.name, table.column[item.name].type, left, right)
        for row, other in zip(here, there, strict=True)
        for item, left, right in zip(chosen, row.values(), other, strict=True)
        if (left.decode() if isinstance(left, bytes) else left) != right
    ]
    assert different == []


def test_every_rule_of_the_type_map_is_reached_by_the_boundaries_or_by_name(scratch: Scratch) -> None:
    database = scratch.database()
    scratch.execute(table_of_boundaries()[0], database)
    table = read_catalog(scratch.source, [database]).table[database, "boundaries"]
    reached = {rule_for(column, emulated).name for column in table.columns for emulated in (True, False)}
    assert {rule.name for rule in RULES} - reached == {"bool", "time", "temporal-text"}


@settings(max_examples=60, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_mantissa_and_exponent_of_a_double_are_exact(value: float) -> None:
    # The reference: the value as an integer mantissa times a power of two.
    mantissa, exponent = (0, 0) if value == 0 else _exact(value)
    if value:
        assert abs(mantissa) >= 2**53
        assert struct.pack("<d", _scaled(mantissa, exponent)) == struct.pack("<d", value)


def _exact(value: float) -> tuple[int, int]:
    exponent = math.floor(math.log(abs(value)) / math.log(2) + 1e-9) - 54
    half = int(exponent / 2)
    return int(value / 2.0**half / 2.0 ** (exponent - half)), exponent


def _scaled(mantissa: int, exponent: int) -> float:
    return float(Fraction(mantissa) * Fraction(2) ** exponent)


def test_a_null_is_none_of_the_texts() -> None:
    assert decoded("~;") is None
    assert decoded("=2:~;;") == "~;"
    assert decoded("=0:;") == ""
    assert decoded("42;") == "42"
