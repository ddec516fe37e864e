"""Profiling: a few statements a table, two tables at once, and what they found put together."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any

from workbook import params
from workbook.catalog import Catalog, Column, Table
from workbook.errors import TerminalError
from workbook.profile import keys, sample
from workbook.profile.measures import (
    COLUMNS_A_STATEMENT,
    aggregate,
    distinct_pairs,
    folds,
    kind_of,
    plain,
    unique_columns,
    values,
)
from workbook.profile.personal import personal_by_content, personal_by_name
from workbook.profile.result import ColumnProfile, ProfileResult, Reference, TableProfile
from workbook.progress import Progress
from workbook.servers import Server, Session

_TABLES_AT_ONCE = 2
_EVERY_ROW = "TRUE"
_WHOLE_NUMBERS = [
    "nulls",
    "distinct",
    "distinct_collated",
    "min_chars",
    "max_chars",
    "min_bytes",
    "max_bytes",
    "non_ascii",
    "empty",
    "spaces",
    "placeholders",
    "zero_dates",
    "partial_dates",
    "impossible_dates",
    "negatives",
    "over_24h",
    "not_bool",
    "choice_errors",
]
_REALS = ("mean", "deviation", "mean_chars", "mean_bytes")
# What would tell a masked value.
_HIDDEN = ("minimum", "maximum", "mean", "deviation")


def profile_tables(source: Server, catalog: Catalog, settings: params.Profile) -> ProfileResult:
    """The profile of every base table in `catalog`, computed on the source.

    One aggregate statement a table (one for each 24 columns of a wide table: every COUNT(DISTINCT) takes memory on
    the source); quantiles, histograms and frequent values come from a second statement over at most 4,000 values of a
    column, and are exact only for tables that small; pairs that may be a key and orphans take one statement each.
    Long text, binary objects, JSON and geometry get NULLs and lengths only.

    Tables with more than `settings.sample_above` rows (by the server's estimate) are sampled: about
    `settings.sample_rows` rows are read, and table, columns and references say `sampled`. Values of columns that look
    personal are masked. Reads are consistent within a statement, not between tables.

    A table that cannot be read is named with the reason, and the verdict is then incomparable. Raises TransientError
    where the source cannot be reached.
    """
    started = time.monotonic()
    names = keys.table_names(catalog)
    weights = {table.path: _weight(table, settings) for table in catalog.tables}
    # The largest first, so that no long one is left for the end.
    waiting = deque(sorted(catalog.tables, key=lambda table: -(table.data_bytes + table.rows_estimate)))
    with Progress("Profiling", sum(weights.values()), "rows") as progress:

        def work() -> list[TableProfile]:
            made = []
            # One connection a worker: opening one takes longer than a small table.
            with source.session() as session:
                while waiting:
                    try:
                        table = waiting.popleft()
                    except IndexError:
                        break
                    made.append(_table(session, table, names, settings))
                    progress.advance(weights[table.path], f"{table.database}.{table.name}")
            return made

        with ThreadPoolExecutor(_TABLES_AT_ONCE) as pool:
            workers = [pool.submit(work) for _ in range(min(_TABLES_AT_ONCE, len(waiting)))]
            wait(workers, return_when=FIRST_EXCEPTION)
            # What the other worker would still begin is of no use after an error.
            if any(worker.done() and worker.exception() for worker in workers):
                waiting.clear()
            made = {table.path: table for worker in workers for table in worker.result()}
    return ProfileResult(
        server=f"{source.host}:{source.port}",
        version=catalog.version,
        sample_above=settings.sample_above,
        tables=tuple(made[table.path] for table in catalog.tables),
        seconds=time.monotonic() - started,
    )


def _weight(table: Table, settings: params.Profile) -> int:
    sampled = table.rows_estimate > settings.sample_above
    return max(1, settings.sample_rows if sampled else table.rows_estimate)


def _table(session: Session, table: Table, names: keys.TableNames, settings: params.Profile) -> TableProfile:
    started = time.monotonic()
    sampled = table.rows_estimate > settings.sample_above
    rows, problem = 0, ""
    columns: dict[str, ColumnProfile] = {}
    candidates: tuple[tuple[str, ...], ...] = ()
    references: tuple[Reference, ...] = ()
    try:
        condition = (
            sample.sample_condition(session, table, settings.sample_rows, table.rows_estimate)
            if sampled
            else _EVERY_ROW
        )
        rows, figures = _figures(session, table, condition)
        seen = _values(session, table, condition, rows)
        columns = {
            column.name: _column(column, rows, sampled, figures[column.name], seen.get(column.name, ()))
            for column in table.columns
        }
        candidates = _candidates(session, table, condition, rows, columns, seen)
        references = tuple(
            counted
            for reference in keys.references_of(table, names)
            if (counted := _counted(session, reference, condition, sampled))
        )
    except TerminalError as error:
        problem = error.found
    return TableProfile(
        database=table.database,
        name=table.name,
        engine=table.engine,
        rows=table.rows_estimate if sampled else rows,
        rows_read=rows,
        sampled=sampled,
        data_bytes=table.data_bytes,
        index_bytes=table.index_bytes,
        columns={} if problem else columns,
        declared_key=table.key,
        candidate_keys=() if problem else candidates,
        references=() if problem else references,
        seconds=time.monotonic() - started,
        problem=problem,
    )


def _figures(session: Session, table: Table, condition: str) -> tuple[int, dict[str, dict[str, Any]]]:
    rows = 0
    figures: dict[str, dict[str, Any]] = {column.name: {} for column in table.columns}
    for first in range(0, max(1, len(table.columns)), COLUMNS_A_STATEMENT):
        statement, wanted = aggregate(table, table.columns[first : first + COLUMNS_A_STATEMENT], condition)
        answer = session.rows(statement)[0]
        # A table that is written to meanwhile may grow between the statements; the shares stay below one.
        rows = max(rows, int(answer["n"]))
        for place, (column, name) in enumerate(wanted):
            figures[column][name] = answer[f"m{place}"]
    for name in unique_columns(table):
        figures[name]["distinct"] = rows
        if kind_of(table.column[name]) == "text" and folds(table.column[name]):
            figures[name]["distinct_collated"] = rows
    return rows, figures


def _values(session: Session, table: Table, condition: str, rows: int) -> dict[str, list[Any]]:
    columns = sample.sampled_columns(table)
    if not columns or not rows:
        return {}
    if rows > sample.VALUES_READ:
        # A little more than wanted, since chance decides how many come; the limit cuts the rest.
        condition = f"{condition} AND RAND(7) < {1.1 * sample.VALUES_READ / rows:.9f}"
    read = session.rows(values(table, columns, condition, sample.VALUES_READ))
    return {column.name: [row[f"v{place}"] for row in read] for place, column in enumerate(columns)}


def _column(column: Column, rows: int, sampled: bool, figures: Mapping[str, Any], seen: Sequence[Any]) -> ColumnProfile:
    kind = kind_of(column)
    ends = [figures.get("minimum"), figures.get("maximum")] if kind == "text" else []
    personal = personal_by_name(column)
    if personal is None and kind in ("text", "number"):
        personal = personal_by_content([*seen, *ends])
    kept: dict[str, Any] = {name: int(figures[name] or 0) for name in _WHOLE_NUMBERS if name in figures}
    kept |= {name: None if figures[name] is None else float(figures[name]) for name in _REALS if name in figures}
    kept |= {name: sample.shown(plain(figures[name])) for name in ("minimum", "maximum") if name in figures}
    if personal:
        kept |= dict.fromkeys(_HIDDEN)
    for name in ("min_chars", "max_chars", "min_bytes", "max_bytes"):
        if figures.get(name, 0) is None:
            kept[name] = None
    return ColumnProfile(
        name=column.name,
        type=column.type,
        kind=kind,
        rows=rows,
        sampled=sampled,
        personal=personal,
        quantiles={} if personal else sample.quantiles(kind, seen),
        histogram=None if personal else sample.histogram(kind, seen),
        top=sample.frequent(kind, seen, personal is not None),
        sampled_values=len(seen),
        **kept,
    )


def _candidates(
    session: Session,
    table: Table,
    condition: str,
    rows: int,
    columns: Mapping[str, ColumnProfile],
    seen: Mapping[str, Sequence[Any]],
) -> tuple[tuple[str, ...], ...]:
    """Single columns; where there is none, pairs that the sample leaves possible and the server confirms."""
    found = keys.single_keys(columns)
    if found or rows < 2:
        return found
    pairs = keys.possible_pairs(table.columns, seen, columns, rows)
    if not pairs:
        return ()
    counted = session.rows(distinct_pairs(table, pairs, condition))[0]
    return tuple((one.name, other.name) for place, (one, other) in enumerate(pairs) if counted[f"p{place}"] == rows)


def _counted(session: Session, reference: Reference, condition: str, sampled: bool) -> Reference | None:
    """`reference` with its counts; None for one that only looked like it: most of its values have no parent."""
    whole, orphans = keys.count_orphans(reference, condition)
    try:
        answer = session.rows(f"SELECT ({whole}) AS checked, ({orphans}) AS orphans")[0]
    except TerminalError as error:
        return _with(reference, 0, None, sampled, error.found) if reference.declared else None
    checked, missing = int(answer["checked"]), int(answer["orphans"])
    if not reference.declared and (not checked or missing > checked / 2):
        return None
    return _with(reference, checked, missing, sampled, "")


def _with(reference: Reference, rows: int, orphans: int | None, sampled: bool, why: str) -> Reference:
    return Reference(
        **{**vars(reference), "rows": rows, "orphans": orphans, "sampled": sampled, "why": why},
    )
