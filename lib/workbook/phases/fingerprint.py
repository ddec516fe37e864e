"""A fingerprint of target and warehouse: one short hash per object, so that a rollback can name what is not as it was."""

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from workbook.catalog import Catalog, read_catalog
from workbook.errors import WorkbookError
from workbook.mapping.types import rule_for
from workbook.names import mysql_account, mysql_path
from workbook.params import Settings
from workbook.servers import Server
from workbook.validate.encoding import Field, mysql_hash

if TYPE_CHECKING:
    from google.cloud import bigquery

# What a server estimates or counts up by itself is no difference of state.
_ESTIMATES = ("rows_estimate", "data_bytes", "index_bytes", "auto_increment")


def target_fingerprint(target: Server) -> dict[str, str]:
    """Hashes of all objects of the target except those of the server itself and of `_workbook`."""
    catalog = read_catalog(target)
    found: dict[str, str] = {}
    for database in catalog.databases:
        found[f"database {database.name}"] = _hash(asdict(database))
    for table in catalog.tables:
        definition = asdict(table)
        for name in _ESTIMATES:
            definition.pop(name)
        found[f"table {mysql_path(*table.path)}"] = _hash(definition)
    for kind in ("views", "routines", "triggers", "events"):
        for item in getattr(catalog, kind):
            found[f"{kind[:-1]} {mysql_path(item.database, item.name)}"] = _hash(asdict(item))
    found.update(_contents(target, catalog))
    found.update(_accounts(target, catalog))
    return found


def _contents(target: Server, catalog: Catalog) -> dict[str, str]:
    found = {}
    with target.session() as session:
        for table in catalog.tables:
            path = mysql_path(*table.path)
            if not any(part.expression for index in table.indexes for part in index.parts):
                found[f"rows of {path}"] = str(session.rows(f"CHECKSUM TABLE {path}")[0]["Checksum"])
                continue
            # CHECKSUM TABLE answers differently from call to call where an index has several values a row (9.7.4).
            columns = [Field(column.name, "", rule_for(column, True), False) for column in table.columns]
            row = session.rows(f"SELECT COUNT(*) AS n, HEX(BIT_XOR({mysql_hash(columns, 'exact')})) AS h FROM {path}")[
                0
            ]
            found[f"rows of {path}"] = f"{row['n']} {row['h']}"
    return found


def _accounts(target: Server, catalog: Catalog) -> dict[str, str]:
    found = {}
    with target.session() as session:
        for account in catalog.accounts or ():
            if account.user.startswith("mysql."):
                continue
            try:
                grants = session.rows(f"SHOW GRANTS FOR {mysql_account(account.user, account.host)}")
            except WorkbookError:
                # An account that the administrator may not look at is not one that the workbook made.
                continue
            found[f"account {account.name}"] = _hash(
                [asdict(account), sorted(str(list(row.values())) for row in grants)]
            )
    return found


def warehouse_fingerprint(client: "bigquery.Client", settings: Settings) -> dict[str, str]:
    """Hashes of the tables in the datasets of raw and clean tables and of marts: schema and row count."""
    from google.cloud.exceptions import NotFound

    found = {}
    names = settings.warehouse
    for dataset in (names.raw_dataset, names.dataset, names.marts_dataset):
        try:
            tables = list(client.list_tables(f"{client.project}.{dataset}"))
        except NotFound:
            continue
        found[f"dataset {dataset}"] = ""
        for item in tables:
            table = client.get_table(item.reference)
            found[f"warehouse table {dataset}.{item.table_id}"] = _hash(
                [[(field.name, field.field_type) for field in table.schema], table.num_rows]
            )
    return found


def differences(expected: dict[str, str], actual: dict[str, str]) -> list[str]:
    """What is missing, extra or changed in `actual`, one line an object."""
    lines = [f"{name} is missing" for name in sorted(expected.keys() - actual.keys())]
    lines += [f"{name} is there and was not" for name in sorted(actual.keys() - expected.keys())]
    lines += [
        f"{name} is changed" for name in sorted(expected.keys() & actual.keys()) if expected[name] != actual[name]
    ]
    return lines


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]
