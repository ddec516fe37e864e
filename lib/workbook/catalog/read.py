"""Reading a catalog: a dozen queries for the whole server, however many tables it holds."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from itertools import groupby
from typing import Any, TypeVar

from workbook.catalog.mariadb import as_mysql, collation_of
from workbook.catalog.objects import (
    Account,
    Catalog,
    Check,
    Column,
    Database,
    Event,
    ForeignKey,
    Index,
    IndexPart,
    Partition,
    Routine,
    Table,
    Trigger,
    View,
    version_number,
)
from workbook.errors import Refused, TerminalError
from workbook.servers import Server, Session

_OLDEST_MARIADB = (10, 6, 0)
_SYSTEM = ("mysql", "sys", "information_schema", "performance_schema", "_workbook")
Row = dict[str, Any]
Part = TypeVar("Part")


def read_catalog(server: Server, databases: Sequence[str] | None = None, bodies: bool = True) -> Catalog:
    """The catalog of `databases` (all but the system's and the workbook's own where none are named).

    Raises Refused where a named database is not there, or (with `bodies`) where the account sees the
    bodies of views or routines as empty: what cannot be read would be lost without a word.
    """
    started = time.monotonic()
    with server.session() as session:
        # Cached statistics would give the sizes of yesterday.
        version = session.version
        flavour = session.flavour
        number = version_number(version)
        if flavour == "mariadb" and number < _OLDEST_MARIADB:
            raise Refused(
                f"The {server.role} at {server.host}:{server.port} is MariaDB {version}.",
                "Its catalogue lacks what the workbook reads, so something could be left behind without a word.",
                "Upgrade it to MariaDB 10.6 or later first.",
            )
        if flavour == "mysql":
            session.execute("SET SESSION information_schema_stats_expiry = 0")
        variables = {
            str(row["Variable_name"]).lower(): str(row["Value"]) for row in session.rows("SHOW GLOBAL VARIABLES")
        }
        found = session.rows(
            "SELECT SCHEMA_NAME AS name, DEFAULT_CHARACTER_SET_NAME AS charset, DEFAULT_COLLATION_NAME AS collation"
            " FROM information_schema.SCHEMATA ORDER BY SCHEMA_NAME"
        )
        if databases is None:
            databases = [row["name"] for row in found if row["name"].lower() not in _SYSTEM]
        missing = sorted(set(databases) - {row["name"] for row in found})
        if missing:
            raise Refused(
                f"The {server.role} at {server.host}:{server.port} shows no database {missing[0]!r} to {server.user!r}.",
                "What is not seen would be left behind without a word.",
                "Check source.databases in the params, and that the account holds SELECT on them.",
            )
        chosen = tuple(databases)
        read: Callable[..., list[Row]] = lambda name, **form: (  # noqa: E731
            session.rows(_query(name).format(**form) if form else _query(name), (chosen,)) if chosen else []
        )
        mysql = flavour == "mysql"
        columns = read("columns", srid="SRS_ID" if mysql else "NULL")
        indexes = read(
            "indexes",
            visible="IS_VISIBLE = 'YES'" if mysql else "IGNORED = 'NO'",
            expression="EXPRESSION" if mysql else "NULL",
        )
        parts: dict[str, dict[tuple[str, str], tuple[Any, ...]]] = {
            "columns": _grouped(columns, _column if mysql else lambda row: as_mysql(_column(row), number)),
            "indexes": {
                path: _indexes(list(rows))
                for path, rows in groupby(indexes, key=lambda row: (row["database"], row["table"]))
            },
            "foreign_keys": {
                path: _foreign_keys(list(rows))
                for path, rows in groupby(read("foreign_keys"), key=lambda row: (row["database"], row["table"]))
            },
            "checks": _grouped(read("checks" if mysql else "checks_mariadb"), _check),
            "partitions": _grouped(read("partitions"), _partition),
        }
        tables = tuple(_table(row, parts) for row in read("tables"))
        views = tuple(
            View(
                **row, columns=tuple(column.name for column in parts["columns"].get((row["database"], row["name"]), ()))
            )
            for row in read("views")
        )
        routines = tuple(Routine(**{**row, "deterministic": row["deterministic"] == "YES"}) for row in read("routines"))
        catalog = Catalog(
            server=repr(server),
            version=version,
            flavour=flavour,
            variables=variables,
            gtid_executed=session.gtids(),
            databases=tuple(
                Database(row["name"], row["charset"], row["collation"] if mysql else collation_of(row["collation"])[0])
                for row in found
                if row["name"] in chosen
            ),
            tables=tables if mysql else tuple(replace(it, collation=collation_of(it.collation)[0]) for it in tables),
            views=views,
            routines=routines,
            triggers=tuple(Trigger(**row) for row in read("triggers")),
            events=tuple(Event(**row) for row in read("events")),
            accounts=_accounts(session, "accounts" if mysql else "accounts_mariadb"),
            sequences=() if mysql else tuple((row["database"], row["name"]) for row in read("sequences")),
            seconds=time.monotonic() - started,
        )
    if bodies:
        _refuse_unseen_bodies(server, catalog)
    return catalog


@cache
def _query(name: str) -> str:
    return files("workbook.catalog").joinpath(f"{name}.sql").read_text(encoding="utf-8")


def _grouped(rows: list[Row], make: Callable[[Row], Part]) -> dict[tuple[str, str], tuple[Part, ...]]:
    found: dict[tuple[str, str], list[Part]] = defaultdict(list)
    for row in rows:
        found[row["database"], row["table"]].append(make(row))
    return {path: tuple(made) for path, made in found.items()}


def _table(row: Row, parts: dict[str, dict[tuple[str, str], tuple[Any, ...]]]) -> Table:
    path = (row["database"], row["name"])
    return Table(
        database=row["database"],
        name=row["name"],
        engine=row["engine"] or "",
        row_format=row["row_format"] or "",
        rows_estimate=int(row["table_rows"] or 0),
        data_bytes=int(row["data_bytes"] or 0),
        index_bytes=int(row["index_bytes"] or 0),
        auto_increment=row["auto_increment"],
        collation=row["collation"] or "",
        options=row["options"] or "",
        comment=row["comment"] or "",
        **{name: found.get(path, ()) for name, found in parts.items()},
    )


def _column(row: Row) -> Column:
    extra = row["extra"].upper()
    generated = "VIRTUAL" if "VIRTUAL GENERATED" in extra else "STORED" if "STORED GENERATED" in extra else None
    on_update = row["extra"][extra.index("ON UPDATE") + 10 :].split(" INVISIBLE")[0] if "ON UPDATE" in extra else None
    return Column(
        name=row["name"],
        position=int(row["position"]),
        data_type=_text(row["data_type"]).lower(),
        type=_text(row["type"]),
        nullable=row["nullable"] == "YES",
        default=None if row["default"] is None else _text(row["default"]),
        default_is_expression="DEFAULT_GENERATED" in extra,
        on_update=on_update,
        charset=row["charset"],
        collation=row["collation"],
        generated=generated,
        expression=_text(row["expression"]) if generated else None,
        invisible="INVISIBLE" in extra,
        auto_increment="AUTO_INCREMENT" in extra,
        srid=row["srid"],
        length=row["length"],
        octets=row["octets"],
        precision=row["precision"],
        scale=row["scale"],
        fraction=row["fraction"],
        comment=row["comment"],
    )


def _indexes(rows: list[Row]) -> tuple[Index, ...]:
    made = []
    for name, group in groupby(rows, key=lambda row: row["name"]):
        parts = list(group)
        first = parts[0]
        made.append(
            Index(
                name=name,
                unique=not int(first["non_unique"]),
                kind=first["kind"],
                visible=bool(first["visible"]),
                parts=tuple(
                    IndexPart(
                        column=part["column"],
                        expression=None if part["expression"] is None else _text(part["expression"]),
                        # A spatial index reports a prefix of 32 bytes that nobody asked for.
                        prefix=None if part["prefix"] is None or part["kind"] == "SPATIAL" else int(part["prefix"]),
                        descending=part["direction"] == "D",
                    )
                    for part in parts
                ),
                comment=first["comment"],
            )
        )
    return tuple(made)


def _foreign_keys(rows: list[Row]) -> tuple[ForeignKey, ...]:
    made = []
    for name, group in groupby(rows, key=lambda row: row["name"]):
        parts = list(group)
        first = parts[0]
        made.append(
            ForeignKey(
                name=name,
                columns=tuple(part["column"] for part in parts),
                parent_database=first["parent_database"],
                parent_table=first["parent_table"],
                parent_columns=tuple(part["parent_column"] for part in parts),
                on_update=first["on_update"],
                on_delete=first["on_delete"],
            )
        )
    return tuple(made)


def _check(row: Row) -> Check:
    return Check(row["name"], _text(row["clause"]), row["enforced"] == "YES")


def _partition(row: Row) -> Partition:
    return Partition(row["name"], row["subpartition"], row["method"], row["expression"], row["description"])


def _accounts(session: Session, query: str) -> tuple[Account, ...] | None:
    try:
        rows = session.rows(_query(query))
    except TerminalError:
        return None
    return tuple(
        Account(
            user=_text(row["user"]),
            host=_text(row["host"]),
            plugin=_text(row["plugin"]),
            locked=bool(row["locked"]),
            password_set=bool(row["password_set"]),
            password_expired=bool(row["password_expired"]),
            is_role=bool(row["is_role"]),
        )
        for row in rows
    )


def _refuse_unseen_bodies(server: Server, catalog: Catalog) -> None:
    hidden = [f"{item.kind.lower()} {item.database}.{item.name}" for item in catalog.routines if item.body is None]
    hidden += [f"view {item.database}.{item.name}" for item in catalog.views if not item.definition]
    if hidden:
        raise Refused(
            f"The account {server.user!r} may not read the body of {hidden[0]} on the {server.role}"
            + (f" and of {len(hidden) - 1} more." if len(hidden) > 1 else "."),
            "An object whose body is hidden would be lost.",
            "Grant SHOW_ROUTINE (for routines) and SHOW VIEW with SELECT (for views), then run again.",
        )


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
