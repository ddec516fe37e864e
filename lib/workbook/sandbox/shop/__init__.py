"""The sample shop: a transactional MySQL database that holds what real databases hold, the same at every load.

Nearly all of it stands in the `.sql` files of `sql/`. Rows that grow with the scale are made by the server, from
numbers and CRC32; rows that are awkward are spelled out and there at every scale. Nothing asks a clock or a die.
"""

import re
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

import pymysql

from workbook.errors import Refused
from workbook.names import mysql_account, mysql_string, quote_mysql
from workbook.sandbox.shop import mariadb
from workbook.sandbox.shop.statements import split_statements

DATABASE = "shop"

#: Which tables move together. `type_vectors` is there on MySQL 9.0 and later only.
SEGMENTS: dict[str, list[str]] = {
    "customers": [
        "countries",
        "loyalty_tiers",
        "customers",
        "addresses",
        "customer_preferences",
        "newsletter_import",
        "departments",
        "employees",
        'customer "aliases"',
    ],
    "catalog": [
        "categories",
        "suppliers",
        "products",
        "product variants",
        "product_descriptions",
        "product_photos",
        "product_price_history",
        "stock_levels",
        "stores",
        "store_hours",
        "größen & 尺寸",
    ],
    "orders": ["coupons", "orders", "order_items", "order_status_history", "shipments", "returns", "order"],
    "payments": [
        "currencies",
        "exchange_rates",
        "payments",
        "refunds",
        "invoices",
        "gift_cards",
        "bank_export",
        "in/out",
    ],
    "telemetry": [
        "devices",
        "device_readings",
        "page_views",
        "click_log",
        "live_sessions",
        "search_terms",
        "archive_of_the_first_shop_before_it_was_moved_in_october_of_2021",
        "type_integers",
        "type_fractions",
        "type_times",
        "type_texts",
        "type_bytes",
        "type_choices",
        "type_documents",
        "type_shapes",
        "type_vectors",
    ],
}

#: The accounts and roles of the sample, as (user, host).
ACCOUNTS: list[tuple[str, str]] = [
    ("shop_owner", "localhost"),
    ("shop_app", "%"),
    ("report_reader", "%"),
    ("analyst", "10.1.%"),
    ("analyst", "192.168.0.0/255.255.0.0"),
    ("till", "till-%.shop.example"),
    ("auditor", "%"),
    ("file_importer", "%"),
    ("old_dba", "%"),
    ('o\'brien "100%" `x` ü', "%"),
    ("two roles", "%"),
    ("shop_reader", "%"),
    ("shop_writer", "%"),
    ("shop_manager", "%"),
    ("unused role", "%"),
]

_TABLES = (
    "tables_customers",
    "tables_catalog",
    "tables_payments",
    "tables_orders",
    "payments_keys",
    "tables_telemetry",
    "tables_types",
)
# Two halves that read nothing of each other, so that two cores can make them at once.
_GROWING_ROWS = (
    ("rows_numbers", "rows_catalog", "rows_currencies", "rows_orders", "rows_payments"),
    ("rows_numbers", "rows_customers", "rows_telemetry", "rows_types"),
)
_LAST_ROWS = ("rows_awkward", "rows_after_load")
_OBJECTS = ("accounts", "routines", "accounts_routines", "views", "triggers", "events")

# Rows at scale 1; the rest follows from these.
_AT_SCALE_ONE = {
    "customers": 12_000,
    "products": 1_500,
    "orders": 31_000,
    "page_views": 21_000,
    "clicks": 9_000,
    "readings": 9_000,
}
_LEAST = {"customers": 60, "products": 48, "orders": 120, "page_views": 60, "clicks": 120, "readings": 40}


def load(
    connect: Callable[[], pymysql.Connection],
    scale: float = 1.0,
    say: Callable[[str], None] = print,
    passwords: Callable[[str], str] | None = None,
) -> dict[str, int]:
    """Make the database `shop` with all its objects and accounts; the rows in each table come back.

    `connect` gives a fresh connection of a privileged account (autocommit, utf8mb4). `scale` 1 is about 250,000 rows.
    `passwords` gives the password for the name of an account; without it they are made up and known to no one.
    Raises Refused where a database `shop` is there already.
    """
    password = passwords or (lambda name: secrets.token_urlsafe(24))
    sizes = {name: max(_LEAST[name], round(rows * scale)) for name, rows in _AT_SCALE_ONE.items()}
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s", (DATABASE,))
        if cursor.fetchone() != (0,):
            raise Refused(
                f"The server already holds a database {DATABASE}.",
                "The sample is made from nothing; it would mix with what is there.",
                f"Load the sample into another server, or drop the database {DATABASE} first.",
            )
        on_mariadb = "mariadb" in connection.get_server_info().lower()
        collation = mariadb.COLLATION if on_mariadb else "utf8mb4_0900_ai_ci"
        cursor.execute(f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4 COLLATE {collation}")
        vectors = () if on_mariadb or int(connection.get_server_info().split(".")[0]) < 9 else ("tables_vectors",)
    started = time.monotonic()
    _run(connect, (*_TABLES, *vectors), {}, password)
    parameters = {"numbers": max(2000, *sizes.values()), **sizes}
    with ThreadPoolExecutor(len(_GROWING_ROWS)) as pool:
        list(pool.map(lambda names: _run(connect, names, parameters, password), _GROWING_ROWS))
    _run(connect, _LAST_ROWS, parameters, password)
    _run(connect, _OBJECTS, {}, password)
    counts = count_rows(connect)
    say(f"sample shop: {sum(counts.values()):,} rows in {len(counts)} tables, {time.monotonic() - started:.1f} s")
    return counts


def drop(connect: Callable[[], pymysql.Connection]) -> None:
    """Remove the sample again: the database and its accounts."""
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        cursor.execute("SELECT User FROM mysql.user WHERE Host = ''")
        roles = {user for (user,) in cursor.fetchall()}
        for user, host in ACCOUNTS:
            # On MariaDB a role has no host.
            role = user in roles
            cursor.execute(
                f"DROP {'ROLE' if role else 'USER'} IF EXISTS {quote_mysql(user) if role else mysql_account(user, host)}"
            )


def count_rows(connect: Callable[[], pymysql.Connection]) -> dict[str, int]:
    """The rows of each table of the sample that the server holds, in the order of `SEGMENTS`."""
    counts = {}
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s", (DATABASE,))
        there = {name for (name,) in cursor.fetchall()}
        for table in (table for tables in SEGMENTS.values() for table in tables if table in there):
            cursor.execute(f"SELECT COUNT(*) FROM {DATABASE}.{quote_mysql(table)}")
            (counts[table],) = cursor.fetchone() or (0,)
    return counts


def _run(
    connect: Callable[[], pymysql.Connection],
    names: tuple[str, ...],
    parameters: dict[str, int],
    password: Callable[[str], str],
) -> None:
    """Run files of `sql/` on one connection, with `parameters` as its user variables."""
    with connect() as connection, connection.cursor() as cursor:
        connection.select_db(DATABASE)
        on_mariadb = "mariadb" in connection.get_server_info().lower()
        # Everything the rows depend on is said here; nothing is left to the settings of the server.
        cursor.execute(f"SET NAMES utf8mb4 COLLATE {mariadb.COLLATION if on_mariadb else 'utf8mb4_0900_ai_ci'}")
        cursor.execute("SET time_zone = '+00:00', sql_mode = 'NO_AUTO_VALUE_ON_ZERO,STRICT_ALL_TABLES'")
        for name, value in parameters.items():
            cursor.execute(f"SET @{name} = %s", (value,))
        for name in names:
            text = _text(mariadb.FILES.get(name, name) if on_mariadb else name)
            text = mariadb.for_mariadb(text) if on_mariadb else text
            for statement in split_statements(text):
                try:
                    cursor.execute(_with_passwords(statement, password))
                except pymysql.Error as error:
                    error.add_note(f"in {name}.sql: {statement[:300]}")
                    raise


def _text(name: str) -> str:
    return files(__name__).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


def _with_passwords(statement: str, password: Callable[[str], str]) -> str:
    return re.sub(r"\{password:(\w+)\}", lambda found: mysql_string(password(found.group(1))), statement)
