"""The GoogleSQL of restore points: snapshots, clones of them, and the digests that prove both; nothing here connects."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from workbook.mapping.cleaning import google_string
from workbook.names import bigquery_path, bigquery_rows
from workbook.params_warehouse import Warehouse
from workbook.points.point import Held, Point
from workbook.warehouse.statements import LABEL

_PIECES = 4
_COUNTED = 40


def snapshot_name(warehouse: Warehouse, name: str, run: str) -> str:
    """The snapshot of dataset.table before a run: its layer, its name and the run, so that no two are called alike."""
    dataset, table = name.split(".", 1)
    layers = {warehouse.raw_dataset: "raw", warehouse.dataset: "clean", warehouse.marts_dataset: "marts"}
    return f"{layers[dataset]}__{table}__{_run(run)}"


def take(project: str, dataset: str, held: Held, point: Point) -> str:
    """The statement that takes the snapshot of a table, if it is not taken yet."""
    text = f"{held.name} before the run {point.run}, as the run {point.left_by} left it."
    labels = {LABEL[0]: LABEL[1], "before_run": _run(point.run)}
    return (
        f"CREATE SNAPSHOT TABLE IF NOT EXISTS {bigquery_path(project, dataset, held.snapshot)}\n"
        f"CLONE {_quoted(project, held.name)}\n"
        f"{_options(_moment(point.expires), text, labels)}"
    )


def bring_back(project: str, dataset: str, held: Held) -> str:
    """The statement that puts a snapshot into the place of its table, with the description and labels it had then."""
    return (
        f"CREATE OR REPLACE TABLE {_quoted(project, held.name)}\n"
        f"CLONE {bigquery_path(project, dataset, held.snapshot)}\n"
        f"{_options('NULL', held.said.get('description'), held.said.get('labels', {}))}"
    )


def drop_snapshot(project: str, dataset: str, snapshot: str) -> str:
    """The statement that drops a snapshot, if it is there."""
    return f"DROP SNAPSHOT TABLE IF EXISTS {bigquery_path(project, dataset, snapshot)}"


def drop_table(project: str, name: str) -> str:
    """The statement that drops dataset.table, if it is there."""
    return f"DROP TABLE IF EXISTS {_quoted(project, name)}"


def forget_all(project: str, name: str) -> str:
    """The statement that takes all rows out of dataset.table."""
    return f"DELETE FROM {_quoted(project, name)} WHERE TRUE"


def count_rows(project: str, names: Sequence[str]) -> list[str]:
    """The statements that count the rows of tables, by their place in the list; BigQuery bills nothing for them."""
    parts = [
        f"SELECT {place} AS place, COUNT(*) AS number FROM {_quoted(project, name)}" for place, name in enumerate(names)
    ]
    return ["\nUNION ALL\n".join(parts[at : at + _COUNTED]) for at in range(0, len(parts), _COUNTED)]


def digests(project: str, dataset: str, held: Held) -> str:
    """The SELECT of the rows and the digest of a table and of its snapshot; a row that is there twice counts twice."""
    sums = ", ".join(
        f"COALESCE(SUM(CAST(CONCAT('0x', SUBSTR(h, {8 * piece + 1}, 8)) AS INT64)), 0) AS p{piece}"
        for piece in range(_PIECES)
    )
    parts = [
        f"SELECT '{which}' AS which, COUNT(*) AS number, {sums}\n"
        f"FROM (SELECT TO_HEX(SHA256(TO_JSON_STRING(workbook_rows_))) AS h FROM {bigquery_rows(path)})"
        for which, path in (
            ("table", _quoted(project, held.name)),
            ("snapshot", bigquery_path(project, dataset, held.snapshot)),
        )
    ]
    return "\nUNION ALL\n".join(parts)


def _quoted(project: str, name: str) -> str:
    return bigquery_path(project, *name.split(".", 1))


def _run(run: str) -> str:
    """A run's name as a label may hold it; two runs have never the same."""
    return f"{re.sub(r'[^a-z0-9_-]', '_', run.lower())[:50]}-{hashlib.sha256(run.encode()).hexdigest()[:8]}"


def _moment(iso: str) -> str:
    return f"TIMESTAMP '{datetime.fromisoformat(iso):%Y-%m-%d %H:%M:%S}+00'"


def _options(expires: str, text: str | None, labels: Mapping[str, str]) -> str:
    pairs = ", ".join(f"({google_string(name)}, {google_string(value)})" for name, value in labels.items())
    description = "NULL" if text is None else google_string(text)
    return f"OPTIONS (\n  expiration_timestamp = {expires},\n  description = {description},\n  labels = [{pairs}]\n)"
