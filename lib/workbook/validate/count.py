"""The statistics of all tables in scope, counted on every side after the contents were compared."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from workbook.bulk.salts import tokens_of
from workbook.catalog import Catalog, Table
from workbook.errors import WorkbookError
from workbook.mapping import Mapping as Mapped
from workbook.mapping import TableMap
from workbook.mapping.flow import kept_table
from workbook.names import bigquery_path, bigquery_rows, mysql_path
from workbook.params import Settings
from workbook.profile.personal import personal_by_name
from workbook.progress import Progress
from workbook.servers import Server
from workbook.validate.encoding import Field, fields, on_target
from workbook.validate.result import TableVerdict
from workbook.validate.statistics import (
    COLUMNS_A_STATEMENT,
    HALF,
    ColumnStatistics,
    Figures,
    Number,
    TableStatistics,
    bins,
    bounds_of,
    family_of,
    google_bins,
    google_figures,
    mysql_bins,
    mysql_figures,
    plain,
)

if TYPE_CHECKING:
    from google.cloud import bigquery

# Tables of about so many columns go through together: a job of the warehouse takes its time, however small it is.
_COLUMNS_A_BATCH = 100
Path = tuple[str, str]
Asked = list[tuple[str, str, str]]  # column, figure, SQL
Taken = dict[tuple[str, str], Number | None]
# The rows and the figures of a table, the reason why there are none, or None where it was not asked.
Answer = tuple[int, Taken] | str | None
Bounds = Mapping[str, tuple[Number, ...]]


@dataclass(frozen=True)
class Subject:
    """A table with its columns; `distinct` where it is small enough for distinct values and histograms.

    `personal` are columns whose lowest and highest values are not shown.
    """

    table: Table
    mapped: TableMap
    fields: tuple[Field, ...]
    distinct: bool
    personal: frozenset[str] = frozenset()


class Side(Protocol):
    """A server that is asked for aggregates."""

    @property
    def name(self) -> str:
        """source, target or warehouse."""
        ...

    def figures(self, item: Subject) -> Asked:
        """What to ask of a table."""
        ...

    def bins(self, item: Subject, bounds: Bounds) -> Asked:
        """What to ask for its histograms."""
        ...

    def ask(self, batch: Sequence[tuple[Subject, Asked]]) -> list[Answer]:
        """The answer for each table."""
        ...


@dataclass(frozen=True)
class MysqlSide:
    """Source or target."""

    name: str
    server: Server

    def _fields(self, item: Subject) -> tuple[Field, ...]:
        return item.fields if self.name == "source" else on_target(item.fields, item.mapped.flow)

    def figures(self, item: Subject) -> Asked:
        """What to ask of a table."""
        return mysql_figures(self._fields(item), item.distinct)

    def bins(self, item: Subject, bounds: Bounds) -> Asked:
        """What to ask for its histograms."""
        return _numbered(self._fields(item), bounds, mysql_bins)

    def ask(self, batch: Sequence[tuple[Subject, Asked]]) -> list[Answer]:
        """Statement by statement, on one connection."""
        with self.server.session() as session:
            return [_attempted(partial(self._one, session, item, asked)) for item, asked in batch]

    def _one(self, session: Any, item: Subject, asked: Asked) -> tuple[int, Taken]:
        path, only = item.mapped.target_path, ""
        if self.name == "source":
            path, only = item.table.path, f" WHERE ({item.mapped.flow.where})" if item.mapped.flow.where else ""
        rows, taken = 0, Taken()
        for part in _parts(asked):
            listed = ", ".join(f"{sql} AS f{place}" for place, (_, _, sql) in enumerate(part))
            (row,) = session.rows(f"SELECT COUNT(*) AS n{', ' * bool(part)}{listed} FROM {mysql_path(*path)}{only}")
            rows = int(row["n"])
            taken |= {(column, name): plain(row[f"f{place}"]) for place, (column, name, _) in enumerate(part)}
        return rows, taken


@dataclass(frozen=True)
class GoogleSide:
    """The raw tables of the warehouse, all of a batch in one job; those that are `proven` by their hashes are not counted."""

    client: "bigquery.Client"
    settings: Settings
    proven: frozenset[Path] = frozenset()
    name: str = "warehouse"

    def figures(self, item: Subject) -> Asked:
        """What to ask of a table."""
        return google_figures(item.fields, item.distinct)

    def bins(self, item: Subject, bounds: Bounds) -> Asked:
        """What to ask for its histograms."""
        return _numbered(item.fields, bounds, google_bins)

    def ask(self, batch: Sequence[tuple[Subject, Asked]]) -> list[Answer]:
        """One job; where it fails one for each table, so that the one at fault is known."""
        wanted = [one for one in batch if one[0].table.path not in self.proven]
        found = _attempted(partial(self._together, wanted)) if wanted else []
        if isinstance(found, str):
            found = [_attempted(partial(self._alone, one)) for one in wanted]
        answers = {item.table.path: answer for (item, _), answer in zip(wanted, found, strict=True)}
        return [answers.get(item.table.path) for item, _ in batch]

    def _alone(self, one: tuple[Subject, Asked]) -> tuple[int, Taken]:
        return self._together([one])[0]

    def _together(self, batch: Sequence[tuple[Subject, Asked]]) -> list[tuple[int, Taken]]:
        dataset = self.settings.warehouse.raw_dataset
        parts = []
        for number, (item, asked) in enumerate(batch):
            path = bigquery_path(self.client.project, dataset, item.mapped.warehouse_name)
            # An array holds no NULL, and the figures are of several types.
            listed = ", ".join(f"IFNULL(CAST({sql} AS STRING), '')" for _, _, sql in asked)
            parts.append(
                f"SELECT {number} AS place, COUNT(*) AS n, [{listed or repr('')}] AS figures FROM {bigquery_rows(path)}"
            )
        found: list[tuple[int, Taken]] = [(0, {})] * len(batch)
        for row in self.client.query(" UNION ALL ".join(parts)).result():
            asked = batch[row["place"]][1]
            doubles = {item.warehouse_name for item in batch[row["place"]][0].fields if family_of(item) == "float"}
            found[row["place"]] = (
                row["n"],
                {
                    (column, name): _read(text, column in doubles and name in ("low", "high", "total"))
                    for (column, name, _), text in zip(asked, row["figures"], strict=False)
                },
            )
        return found


def take_statistics(
    source: Server,
    target: Server,
    client: "bigquery.Client",
    catalog: Catalog,
    mapping: Mapped,
    settings: Settings,
    tables: Sequence[TableVerdict],
) -> tuple[TableStatistics, ...]:
    """The statistics of every table in scope, as far as the params ask for them. What cannot be counted says why.

    Source and target are always counted, which is cheap and does not rest on the hashes; the warehouse, where every job
    has its price, only where the `tables` are not proven to hold there what Cloud SQL holds, or where all is asked for.
    Of a table that a delta did not read in full nothing is counted: that would take a look at every row.
    """
    wanted, most = settings.validate_.statistics, settings.validate_.statistics_rows
    if wanted == "none":
        return ()
    alike = [item for item in tables if item.hop == "target-warehouse" and item.verdict == "same"]
    proven = frozenset((item.database, item.table) for item in alike) if wanted == "needed" else frozenset()
    sides: tuple[Side, ...] = (
        MysqlSide("source", source),
        MysqlSide("target", target),
        GoogleSide(client, settings, proven),
    )
    items = []
    full = {(item.database, item.table) for item in tables if item.proof == "full"}
    for mapped in mapping.in_scope:
        if mapped.path not in full:
            continue
        table = kept_table(catalog.table[mapped.path], mapped.flow)
        chosen = fields(table, mapped, tokens_of(table, mapped, settings))
        shown = settings.validate_.show_values
        personal = frozenset(c.name for c in table.columns if not shown and personal_by_name(c) is not None)
        items.append(Subject(table, mapped, chosen, table.rows_estimate <= most, personal))
    found: list[TableStatistics] = []
    with Progress("Taking statistics", max(len(items), 1), "tables") as progress, ThreadPoolExecutor(3) as pool:
        for batch in _batches(items):
            found += _of_batch(sides, batch, pool)
            progress.advance(len(batch), batch[-1].mapped.name)
    return tuple(found)


def _of_batch(sides: Sequence[Side], batch: Sequence[Subject], pool: ThreadPoolExecutor) -> list[TableStatistics]:
    first = list(pool.map(lambda side: side.ask([(item, side.figures(item)) for item in batch]), sides))
    bounds = [_bounds(item, [answers[place] for answers in first]) for place, item in enumerate(batch)]
    second = list(
        pool.map(
            lambda side: side.ask(
                [(item, side.bins(item, limits)) for item, limits in zip(batch, bounds, strict=True)]
            ),
            sides,
        )
    )
    return [
        _statistics(
            item,
            {side.name: answers[place] for side, answers in zip(sides, first, strict=True)},
            {side.name: answers[place] for side, answers in zip(sides, second, strict=True)},
            bounds[place],
        )
        for place, item in enumerate(batch)
    ]


def _bounds(item: Subject, answers: Sequence[Answer]) -> Bounds:
    """The bounds of the histograms, the same for all sides: from the lowest to the highest value of any of them."""
    if not item.distinct:
        return {}
    taken = [answer[1] for answer in answers if isinstance(answer, tuple)]
    found = {}
    for field in item.fields:
        ends = [
            [value for one in taken if (value := one.get((field.warehouse_name, name))) is not None]
            for name in ("low", "high")
        ]
        found[field.warehouse_name] = bounds_of(min(ends[0], default=None), max(ends[1], default=None))
    return found


def _statistics(
    item: Subject,
    figures: Mapping[str, Answer],
    above: Mapping[str, Answer],
    bounds: Bounds,
) -> TableStatistics:
    why = [f"{side}: {answer}" for side, answer in figures.items() if isinstance(answer, str)]
    if not item.distinct:
        why.append("too many rows for distinct values and histograms (validate.statistics_rows)")
    counted = {side: answer for side, answer in figures.items() if isinstance(answer, tuple)}
    columns = []
    for field in item.fields:
        name, limits = field.warehouse_name, bounds.get(field.warehouse_name, ())
        sides = {}
        for side, (rows, taken) in counted.items():
            if (name, "nulls") not in taken:
                continue
            of_it = {figure: value for (column, figure), value in taken.items() if column == name}
            nulls = int(of_it.pop("nulls") or 0)
            upper, lower = of_it.pop("upper", None), of_it.pop("lower", None)
            if upper is not None and lower is not None:
                of_it["total"] = int(upper) * HALF + int(lower)
            bars: tuple[int, ...] = ()
            answer = above.get(side)
            if limits and isinstance(answer, tuple) and (name, "0") in answer[1]:
                values = rows - nulls - int(of_it.get("unreal") or 0)
                bars = bins(values, [answer[1].get((name, str(number))) for number in range(len(limits))])
            sides[side] = Figures(nulls, bins=bars, **of_it)  # type: ignore[arg-type]
        masked = field.stands is not None or field.token is not None
        columns.append(
            ColumnStatistics(
                field.name, family_of(field), field.rule.name, sides, limits, masked, field.name in item.personal
            )
        )
    return TableStatistics(
        item.mapped.path, {side: rows for side, (rows, _) in counted.items()}, tuple(columns), "; ".join(why)
    )


def _numbered(
    chosen: Sequence[Field], bounds: Bounds, of: Callable[[Field, Sequence[Number]], list[str]]
) -> list[tuple[str, str, str]]:
    return [
        (item.warehouse_name, str(number), sql)
        for item in chosen
        if item.token is None
        for number, sql in enumerate(of(item, bounds.get(item.warehouse_name, ())))
    ]


def _batches(items: Sequence[Subject]) -> Iterator[list[Subject]]:
    batch: list[Subject] = []
    for item in items:
        if batch and sum(len(one.fields) for one in batch) + len(item.fields) > _COLUMNS_A_BATCH:
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch


def _parts(asked: Asked) -> Iterator[Asked]:
    """What is asked, in statements of a bearable number of columns."""
    columns = list(dict.fromkeys(column for column, _, _ in asked))
    for start in range(0, max(len(columns), 1), COLUMNS_A_STATEMENT):
        chosen = set(columns[start : start + COLUMNS_A_STATEMENT])
        yield [one for one in asked if one[0] in chosen]


def _attempted(ask: Callable[[], Any]) -> Any:
    """What was answered, or the reason why there is no answer."""
    from google.cloud.exceptions import GoogleCloudError

    try:
        return ask()
    except WorkbookError as error:
        return error.found
    except GoogleCloudError as error:
        return f"the warehouse answered: {str(error)[:200]}"


def _read(text: str, double: bool) -> Number | None:
    if text == "":
        return None
    return float(text) if double else plain(text)
