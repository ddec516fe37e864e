"""AUTO_INCREMENT counters: no number that either side has given out comes again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from workbook.catalog import Catalog
from workbook.names import mysql_path, mysql_string
from workbook.servers import Server

_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
Path = tuple[str, str]


@dataclass(frozen=True)
class Counter:
    """The next number of a table: on both sides before, and where it is raised to."""

    path: Path
    here: int
    there: int
    wanted: int

    @property
    def statement(self) -> str:
        """What raises it."""
        return f"ALTER TABLE {mysql_path(*self.path)} AUTO_INCREMENT = {self.wanted}"


def plan_counters(
    pairs: Iterable[tuple[Path, Path]],
    here: Mapping[Path, int],
    there: Mapping[Path, int],
    most: Mapping[Path, int],
    headroom: int,
) -> tuple[Counter, ...]:
    """The counters of the destination that have to be raised; `pairs` are the tables' paths on origin and destination.

    `most` is the highest number that a column holds: near its end the headroom gets smaller.
    """
    found = []
    for one, other in pairs:
        highest = max(here.get(one, 0), there.get(other, 0))
        if other not in there or not highest:
            continue
        wanted = min(highest + headroom, max(most[other], highest))
        if wanted > there[other]:
            found.append(Counter(other, here.get(one, 0), there[other], wanted))
    return tuple(found)


def raise_counters(
    origin: Server, destination: Server, catalog: Catalog, pairs: Iterable[tuple[Path, Path]], headroom: int
) -> tuple[Counter, ...]:
    """Raise the counters of `destination`, whose tables `catalog` holds; those that were raised."""
    pairs = list(pairs)
    planned = plan_counters(
        pairs,
        next_numbers(origin, [one for one, _ in pairs]),
        next_numbers(destination, [other for _, other in pairs]),
        {path: _most(catalog, path) for _, path in pairs},
        headroom,
    )
    with destination.session() as session:
        for counter in planned:
            session.execute(counter.statement)
    return planned


def next_numbers(server: Server, paths: Iterable[Path]) -> dict[Path, int]:
    """The next number of each of these tables that counts."""
    wanted = set(paths)
    names = ", ".join(mysql_string(name) for name in sorted({path[0] for path in wanted})) or "NULL"
    with server.session() as session:
        # The catalogue's figures are up to a day old otherwise.
        session.execute("SET SESSION information_schema_stats_expiry = 0")
        rows = session.rows(
            "SELECT t.TABLE_SCHEMA AS d, t.TABLE_NAME AS n, t.AUTO_INCREMENT AS a FROM information_schema.TABLES t"
            f" WHERE t.TABLE_SCHEMA IN ({names}) AND EXISTS (SELECT 1 FROM information_schema.COLUMNS c WHERE"
            " c.TABLE_SCHEMA = t.TABLE_SCHEMA AND c.TABLE_NAME = t.TABLE_NAME AND c.EXTRA LIKE '%auto_increment%')"
        )
    return {(row["d"], row["n"]): int(row["a"] or 1) for row in rows if (row["d"], row["n"]) in wanted}


def _most(catalog: Catalog, path: Path) -> int:
    table = catalog.table.get(path)
    column = next((item for item in table.columns if item.auto_increment), None) if table is not None else None
    if column is None:
        return 0
    bits = _BITS.get(column.data_type, 24)
    return int(2**bits - 1 if column.unsigned else 2 ** (bits - 1) - 1)
