"""GoogleSQL as Google's own analyzer and reference evaluator have it, in WebAssembly: the judge where engines disagree."""

import contextlib
from typing import Any

import wasmtime
import zetasql.api as zetasql
import zetasql.types as zetatypes
from zetasql.core import wasm_client

_KINDS = {"FLOAT64": "TYPE_DOUBLE"}


class _Kept(wasmtime.Config):
    """zetasql compiles for most of a minute; the compiled code is kept in the user's cache folder for the next time."""

    def __init__(self) -> None:
        super().__init__()
        with contextlib.suppress(wasmtime.WasmtimeError):
            self.cache = True


wasm_client.Config = _Kept


def analyzer(tables: dict[str, list[tuple[str, str]]] | None = None) -> zetasql.Analyzer:
    """zetasql's analyzer over tables {dataset.table: [(column, type)]} of the project local-project."""
    language = zetatypes.LanguageOptions.maximum_features()
    # What BigQuery has, and the analyzer takes for not quite finished.
    language.enabled_language_features.append(zetatypes.LanguageFeature.FEATURE_CREATE_TABLE_CLONE)
    builtin = zetatypes.ZetaSQLBuiltinFunctionOptions(language_options=language)
    datasets: dict[str, list[Any]] = {}
    for path, columns in (tables or {}).items():
        dataset, name = path.split(".", 1)
        builder = zetasql.TableBuilder(name)
        for column, kind in columns:
            builder = builder.add_column(column, getattr(zetatypes.TypeKind, _KINDS.get(kind, f"TYPE_{kind}")))
        datasets.setdefault(dataset, []).append(builder.build())
    nested = [zetatypes.SimpleCatalog(name=dataset, table=made) for dataset, made in datasets.items()]
    project = zetatypes.SimpleCatalog(name="local-project", table=[], catalog=nested)
    root = zetatypes.SimpleCatalog(name="root", table=[], catalog=[project], builtin_function_options=builtin)
    return zetasql.Analyzer(zetatypes.AnalyzerOptions(language_options=language), root)


def evaluated(sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query without tables, by zetasql's reference evaluator; JSON as its text."""
    language = zetatypes.LanguageOptions.maximum_features()
    builtin = zetatypes.ZetaSQLBuiltinFunctionOptions(language_options=language)
    catalog = zetasql.CatalogBuilder("none").with_builtin_functions(builtin).build()
    options = zetatypes.AnalyzerOptions(language_options=language)
    query = zetasql.PreparedQuery.builder().set_sql(sql).set_analyzer_options(options).set_catalog(catalog).prepare()
    return [tuple(_value(cell) for cell in row.cell) for row in query.execute().content.table_data.row]


def _value(cell: Any) -> Any:
    for name in ("string_value", "int64_value", "bool_value", "json_value", "double_value"):
        found = getattr(cell, name, None)
        if found is not None:
            return found
    return None
