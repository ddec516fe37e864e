"""What a worker elsewhere needs to apply changes: the settings, with references in the place of secrets, go with the
pipeline; the mapping, with the names of tables, waits on the target."""

import json
from pathlib import Path

from workbook import params
from workbook.beam.login import logins
from workbook.bulk.ledger import SCHEMA
from workbook.catalog import read_catalog
from workbook.cdc.follow import Follower
from workbook.errors import UsageError
from workbook.mapping import mapping_of
from workbook.names import mysql_path
from workbook.params import Settings
from workbook.plan import Journal
from workbook.servers import Server, connect_source, connect_target


def _table(stream: str) -> str:
    return mysql_path(SCHEMA, f"cdc_mapping_{stream}")


def keep(target: Server, settings: Settings, mapping: str, journal: Journal) -> None:
    """Keep the text of the mapping on the target."""
    table = _table(settings.environment)
    number = journal.intend(f"table {table}", f"DROP TABLE IF EXISTS {table}")
    target.execute(f"CREATE TABLE IF NOT EXISTS {table} (one INT PRIMARY KEY, mapping LONGTEXT NOT NULL)")
    target.execute(f"REPLACE INTO {table} VALUES (1, %s)", (mapping,))
    journal.confirm(number)


def orders(settings: Settings) -> str:
    """The settings as a pipeline carries them. Raises UsageError for what would be secret, or out of a worker's reach."""
    for login in logins(settings):
        if login.instance is not None:
            raise UsageError(
                f"The params lead to the {login.role} by the Cloud SQL connector (beam.{login.role}_instance).",
                "Change capture reads definitions over plain connections, which the connector does not give.",
                f"Take beam.{login.role}_instance out and give the private address in {login.role}.url.",
            )
    # Addresses of people and of hooks are none of a worker's business.
    left = {"mapping", "notify", "retention"}
    content = settings.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=left)
    return json.dumps({"settings": content, "folder": str(settings.folder.resolve())})


def settings_of(text: str) -> Settings:
    """The settings in orders."""
    told = json.loads(text)
    return params.from_values(told["settings"], Path(told["folder"]), "the pipeline's orders")


def follower_of(settings: Settings, folder: Path) -> Follower:
    """One who applies changes as the settings and the mapping on the target say; `folder` is for passing files."""
    source, target = connect_source(settings), connect_target(settings)
    catalog = read_catalog(source, settings.source.databases)
    text = str(target.scalar(f"SELECT mapping FROM {_table(settings.environment)}"))
    mapping = mapping_of(text, catalog, emulated=settings.warehouse.endpoint is not None)
    return Follower(source, target, catalog, mapping, settings, folder, lambda line: None)
