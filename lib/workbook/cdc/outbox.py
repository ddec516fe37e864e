"""The applier's way to the warehouse: rows as they stand after a change, put into the outbox by the transaction of the change.

The target itself makes what is put there, by the expressions with which the load of the warehouse reads, so that a row that
arrives by the stream is the one that a load would bring.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from workbook.catalog import Catalog
from workbook.cdc.change import Change, Path
from workbook.cdc.tables import TablePlan
from workbook.mapping import TableMap
from workbook.mapping.types import RULES
from workbook.names import mysql_path, mysql_string, quote_mysql
from workbook.params import Settings
from workbook.servers import Server
from workbook.warehouse.streamed import SCHEMA, Streamed, layout, unfit
from workbook.wire import Wire, WireError

_RULE = {rule.name: rule for rule in RULES}
_ROWS = 500  # keys in one statement
#: Stands in an image where a narrowing rule is refuted by the value; nothing can be made of it.
REFUTED = "!"
#: What `old` holds where the row was not there, and where it was in the partition of NULL.
ABSENT, NULL = "", "-"
Named = tuple[TablePlan, tuple[str, ...], Change]


@dataclass(frozen=True)
class Route:
    """How changes of one table are put into the outbox, in the names of the target."""

    leg: int
    layout: str
    mapped: TableMap
    key: tuple[str, ...]
    texts: frozenset[str]  # key columns that are text, of which the target takes several spellings for one

    @property
    def keys(self) -> str:
        """The temporary table that takes the keys of a batch."""
        return mysql_path(SCHEMA, f"cdc_keys_{self.leg}")

    @property
    def partition(self) -> str | None:
        """The column that tells the partition, where a row can leave one without another key."""
        name = self.mapped.partition_by
        return name if name is not None and name not in self.key else None


class Outbox:
    """Writes into the outbox through the applier's connection; `target` stops legs on connections of its own.

    `tables` are those of the mapping in the names of the target, and `look` reads the target's definitions. `silent` says
    that the source does not log what its foreign keys do.
    """

    def __init__(
        self,
        wire: Wire,
        target: Server,
        settings: Settings,
        tables: Mapping[Path, TableMap],
        look: Callable[[], Catalog],
        silent: bool,
    ):
        self._wire, self._look, self._silent = wire, look, silent
        self._streamed = Streamed(target, settings.environment)
        self._tables, self._most = tables, settings.cdc.outbox_rows
        self._room = 0
        self._routes: dict[Path, Route] = {}
        self._standing: tuple[tuple[str | bytes | int | None, ...], ...] | None = None
        self._made: set[int] = set()
        self._taken: list[Route] = []
        self._late: list[Named] = []

    def begin(self) -> None:
        """Look which legs are wanted now; at the beginning of each transaction, since a load begins them anew."""
        standing = tuple(self._wire.rows(f"SELECT leg, base, name, layout, wanted FROM {self._streamed.legs}"))
        if standing == self._standing:
            return
        self._routes = {}
        catalog = self._look()
        moved = _moved(catalog) if self._silent else {}
        for number, base, name, shape, wanted in standing:
            path = _text(base), _text(name)
            if not int(wanted or 0):
                continue
            why = self._unfit(path, _text(shape), catalog, moved)
            if why:
                self._streamed.stop(why, int(number or 0))
                continue
            table = catalog.table[path]
            texts = frozenset(column for column in table.key if table.column[column].charset)
            self._routes[path] = Route(int(number or 0), _text(shape), self._tables[path], table.key, texts)
        self._standing = standing

    def _unfit(self, path: Path, shape: str, catalog: Catalog, moved: Mapping[Path, str]) -> str:
        table, mapped = catalog.table.get(path), self._tables.get(path)
        if table is None or mapped is None:
            return "it is not on Cloud SQL any more, or not in scope"
        if layout(mapped, table) != shape:
            return "its definition or its mapping has changed since it was loaded"
        if path in moved:
            return f"its rows follow the foreign keys of {moved[path]}, and the source does not log what they do"
        return unfit(mapped, table)

    def replanned(self) -> None:
        """Definitions have changed: look again what that means for the legs."""
        self._standing = None

    def overtaken(self, named: Iterable[Named]) -> None:
        """Know of changes that came too late: the row may be there in another spelling of their key, so theirs is gone."""
        self._late += [item for item in named if item[0].collated]

    def before(self, named: Iterable[Named]) -> None:
        """Take the keys of rows that are about to be written, and note the partitions that they are in."""
        by_route: dict[int, tuple[Route, list[Named]]] = {}
        late, self._late = self._late, []
        for item in (*named, *late):
            route = self._routes.get(item[0].target)
            if route is not None:
                by_route.setdefault(route.leg, (route, []))[1].append(item)
        self._taken = []
        for route, items in by_route.values():
            # In the log a row stands where its last change does.
            items.sort(key=lambda item: item[2].order)
            if self._sure(route, lambda route=route, items=items: self._take(route, items)):  # type: ignore[misc]
                self._taken.append(route)

    def _take(self, route: Route, items: Sequence[Named]) -> None:
        wire, table = self._wire, mysql_path(*route.mapped.path)
        if route.leg not in self._made:
            columns = ", ".join(f"{quote_mysql(name)} AS k{number}" for number, name in enumerate(route.key))
            wire.run(f"DROP TEMPORARY TABLE IF EXISTS {route.keys}")
            wire.run(
                f"CREATE TEMPORARY TABLE {route.keys} (place INT PRIMARY KEY, file BIGINT, pos BIGINT, within BIGINT,"
                f" committed DOUBLE, gtid VARCHAR(120), old VARBINARY(24)) SELECT {columns} FROM {table} LIMIT 0"
            )
            self._made.add(route.leg)
        wire.run(f"DELETE FROM {route.keys}")
        names = ", ".join(f"k{number}" for number in range(len(route.key)))
        for start in range(0, len(items), _ROWS):
            rows = ",".join(
                f"({start + place},{change.order[0]},{change.order[1]},{change.order[2]},{change.at!r},"
                f"{mysql_string(change.transaction)},'{ABSENT}',{','.join(_in_order(plan, key, route))})"
                for place, (plan, key, change) in enumerate(items[start : start + _ROWS])
            )
            wire.run(
                f"INSERT INTO {route.keys} (place, file, pos, within, committed, gtid, old, {names}) VALUES {rows}"
            )
        if route.partition is not None:
            value = _read(route.mapped, route.partition, "t")
            wire.run(
                f"UPDATE {route.keys} AS x JOIN {table} AS t ON {_on(route)} SET x.old = IFNULL({value}, '{NULL}')"
            )

    def after(self) -> None:
        """Put the rows whose keys were taken into the outbox as they stand now; those that are not there are deletions."""
        for route in self._taken:
            self._sure(route, lambda route=route: self._put(self._written(route)))  # type: ignore[misc]
        self._taken = []

    def _written(self, route: Route) -> str:
        mapped = route.mapped
        row = _packed(_read(mapped, column.name, "t") for column in mapped.columns)
        key = _packed(_extract(mapped, name, f"x.k{number}") for number, name in enumerate(route.key))
        spelled = "".join(
            f" AND CAST(t.{quote_mysql(name)} AS BINARY) = CAST(x.k{number} AS BINARY)"
            for number, name in enumerate(route.key)
            if name in route.texts
        )
        # A zero date in a NOT NULL column IS NULL, so the keys are asked by another operator.
        gone = f"t.{quote_mysql(route.key[0])} <=> NULL"
        return (
            f"INSERT INTO {self._streamed.outbox} (leg, layout, op, file, pos, within, committed, gtid, old, image)"
            f" SELECT {route.leg}, '{route.layout}', IF({gone}, 'd', 'u'), x.file, x.pos, x.within, x.committed, x.gtid,"
            f" x.old, IF({gone}, {key}, {row})"
            f" FROM {route.keys} AS x LEFT JOIN {mysql_path(*mapped.path)} AS t ON {_on(route)}{spelled} ORDER BY x.place"
        )

    def truncated(self, target: Path, change: Change) -> None:
        """Note that all rows of a table are gone."""
        route = self._routes.get(target)
        if route is not None:
            file, pos, within = change.order
            self._put(
                f"INSERT INTO {self._streamed.outbox} (leg, layout, op, file, pos, within, committed, gtid, old, image) VALUES"
                f" ({route.leg}, '{route.layout}', 't', {file}, {pos}, {within}, {change.at!r},"
                f" {mysql_string(change.transaction)}, '{ABSENT}', '')"
            )

    def _sure(self, route: Route, action: Callable[[], None]) -> bool:
        """Do it, or stop the leg: what is wrong on the way to the warehouse must not keep Cloud SQL from its changes."""
        try:
            action()
        except WireError as error:
            if error.passing:
                raise
            self._streamed.stop(
                f"its rows could not be noted for the warehouse: {error.text} ({error.code})", route.leg
            )
            self._routes.pop(route.mapped.path, None)
            return False
        return True

    def _put(self, statement: str) -> None:
        self._room -= self._wire.run(statement)
        if self._room < 0:
            waiting = int(self._wire.rows(f"SELECT COUNT(*) FROM {self._streamed.outbox}")[0][0] or 0)
            self._room = self._most - waiting
            if self._room < 0:
                self._streamed.stop(
                    f"{waiting:,} changes waited for the warehouse, more than cdc.outbox_rows: mend what keeps the merge"
                    " (workbook cdc merge says it), then load the warehouse"
                )


def unpacked(image: bytes) -> tuple[bytes | None, ...]:
    """The values of an image, as the load of the warehouse reads them."""
    found: list[bytes | None] = []
    place = 0
    while place < len(image):
        if image[place] == 0x2D:  # a minus: NULL
            found.append(None)
            place += 1
            continue
        colon = image.index(b":", place)
        end = colon + 1 + int(image[place:colon])
        found.append(image[colon + 1 : end])
        place = end
    return tuple(found)


def _packed(values: Iterable[str]) -> str:
    """The SQL of an image: of each value its length and its bytes, or a minus where it is NULL."""
    parts = [f"IFNULL(CONCAT(LENGTH({value}), ':', {value}), '-')" for value in values]
    return f"CAST(CONCAT({', '.join(parts)}) AS BINARY)"


def _read(mapped: TableMap, name: str, table: str) -> str:
    return _extract(mapped, name, f"{table}.{quote_mysql(name)}")


def _extract(mapped: TableMap, name: str, quoted: str) -> str:
    """The SQL of a value as the load of the warehouse reads it, in bytes."""
    rule = _RULE[mapped.column[name].rule]
    value = f"CAST({rule.extract.replace('{c}', quoted)} AS BINARY)"
    if rule.proof is None or rule.loss != "none":
        return value
    # What a load would refuse must not become another value in silence.
    return f"IF({rule.proof.replace('{c}', quoted)}, CAST('{REFUTED}' AS BINARY), {value})"


def _on(route: Route) -> str:
    return " AND ".join(f"t.{quote_mysql(name)} = x.k{number}" for number, name in enumerate(route.key))


def _in_order(plan: TablePlan, key: Sequence[str], route: Route) -> list[str]:
    """The SQL of a key's values in the order of the target's key."""
    values = {plan.way[name].target: value for name, value in zip(plan.key, key, strict=True)}
    return [values[name] for name in route.key]


def _moved(catalog: Catalog) -> dict[Path, str]:
    """Tables in which foreign keys change rows, with the parent whose keys do."""
    acting = {"CASCADE", "SET NULL"}
    return {
        table.path: mysql_path(key.parent_database, key.parent_table)
        for table in catalog.tables
        for key in table.foreign_keys
        if key.on_delete.upper() in acting or key.on_update.upper() in acting
    }


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
