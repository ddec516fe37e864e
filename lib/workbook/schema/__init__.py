"""The schema of the target: what is missing is made, what is there is compared, what hinders a load is put off."""

from workbook.schema.choices import converted_columns
from workbook.schema.compare import ObjectDifference, compare
from workbook.schema.definitions import Definitions, Scope, read_definitions, read_target, scope_of
from workbook.schema.held import Held
from workbook.schema.loading import deferral_plan
from workbook.schema.phase import (
    SchemaResult,
    apply_schema,
    check_schema,
    compare_schema,
    plan_again,
    plan_deferral,
    plan_schema,
    read_source,
    read_wanted,
)
from workbook.schema.planning import SchemaPlan, plan
from workbook.schema.table import Part, TableDefinition, split_table

__all__ = [
    "Definitions",
    "Held",
    "ObjectDifference",
    "Part",
    "SchemaPlan",
    "SchemaResult",
    "Scope",
    "TableDefinition",
    "apply_schema",
    "check_schema",
    "compare",
    "compare_schema",
    "converted_columns",
    "deferral_plan",
    "plan",
    "plan_again",
    "plan_deferral",
    "plan_schema",
    "read_definitions",
    "read_source",
    "read_target",
    "read_wanted",
    "scope_of",
    "split_table",
]
