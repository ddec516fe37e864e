"""Snapshots and clones of tables in the emulator, with the clauses that BigQuery takes: IF [NOT] EXISTS, OR REPLACE, OPTIONS.

By itself the emulator knows the bare statements alone. A clone has the description, the labels and the expiration of what it
was made of unless its options say otherwise, and replaces no table that is partitioned otherwise.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlglot
from bqemulator.api.routes import tables
from bqemulator.domain.errors import InvalidQueryError
from bqemulator.jobs import executor
from bqemulator.scripting import interpreter
from bqemulator.storage.sql_identifiers import quoted_table_ref
from bqemulator.versioning.ddl import VersioningDDL, VersioningDDLKind, VersioningDDLRouter
from sqlglot import exp

_PATH = r"(?:`[^`]+`|[\w-]+)(?:\s*\.\s*(?:`[^`]+`|[\w-]+)){1,2}"
_CREATE = re.compile(
    rf"\s*CREATE\s+(?P<replace>OR\s+REPLACE\s+)?(?P<snapshot>SNAPSHOT\s+)?TABLE\s+(?P<lenient>IF\s+NOT\s+EXISTS\s+)?"
    rf"(?P<to>{_PATH})\s+CLONE\s+(?P<of>{_PATH})\s*(?P<options>OPTIONS\s*\(.*\))?\s*;?\s*",
    re.IGNORECASE | re.DOTALL,
)
_DROP = re.compile(rf"\s*DROP\s+SNAPSHOT\s+TABLE\s+(?P<lenient>IF\s+EXISTS\s+)?(?P<to>{_PATH})\s*;?\s*", re.IGNORECASE)
Execute = Callable[[Any, Any], Awaitable[None]]


@dataclass(frozen=True)
class Stated(VersioningDDL):
    """A statement with its clauses. `options` are properties of the table's entry in the catalog."""

    lenient: bool = False
    replace: bool = False
    options: dict[str, Any] = field(default_factory=dict)


def stated(sql: str, project: str) -> Stated | None:
    """The statement, where it is one of a snapshot or a clone."""
    if found := _DROP.fullmatch(sql):
        return Stated(
            VersioningDDLKind.DROP_SNAPSHOT, *_parts(found["to"], project), lenient=found["lenient"] is not None
        )
    found = _CREATE.fullmatch(sql)
    if found is None:
        return None
    kind = VersioningDDLKind.CREATE_SNAPSHOT if found["snapshot"] else VersioningDDLKind.CREATE_CLONE
    return Stated(
        kind,
        *_parts(found["to"], project),
        *_parts(found["of"], project),
        lenient=found["lenient"] is not None,
        replace=found["replace"] is not None,
        options=_options(found["options"] or ""),
    )


def _parts(path: str, project: str) -> tuple[str, str, str]:
    names = [name.strip("`") for name in re.findall(r"`[^`]+`|[\w-]+", path)]
    first, dataset, table = names if len(names) == 3 else (project, *names)
    return first, dataset, table


def _options(clause: str) -> dict[str, Any]:
    if not clause:
        return {}
    made = sqlglot.parse_one(f"CREATE TABLE t (a INT64) {clause}", read="bigquery")
    found: dict[str, Any] = {}
    for option in made.find_all(exp.Property):
        name, value = option.name.lower() or option.this.name.lower(), option.args["value"]
        if name == "expiration_timestamp":
            moment = None if isinstance(value, exp.Null) else datetime.fromisoformat(value.find(exp.Literal).this)
            found["expiration_time"] = moment and moment.astimezone(UTC)
        elif name == "labels":
            found["labels"] = {
                pair.expressions[0].this: pair.expressions[1].this for pair in value.find_all(exp.Tuple, exp.Struct)
            }
        else:
            found[name] = value.this
    return found


def carried_out(execute: Execute) -> Execute:
    """What carries a statement out, with its clauses."""

    async def instead(ddl: Any, ctx: Any) -> None:
        if not isinstance(ddl, Stated):
            await execute(ddl, ctx)
            return
        to = ddl.target_project, ddl.target_dataset, ddl.target_table
        there = ctx.catalog.get_table(*to)
        if ddl.kind is VersioningDDLKind.DROP_SNAPSHOT:
            if there is not None or not ddl.lenient:
                await execute(ddl, ctx)
            return
        if there is not None and ddl.lenient:
            return
        source = ctx.catalog.get_table(ddl.source_project, ddl.source_dataset, ddl.source_table)
        if there is not None and ddl.replace and source is not None:
            if there.time_partitioning != source.time_partitioning:
                raise InvalidQueryError("Cannot replace a table with a different partitioning spec.")
            async with ctx.engine.write_lock():
                ctx.engine.execute(f"DROP TABLE IF EXISTS {quoted_table_ref(*to)}")
                ctx.snapshots.drop_snapshots_for_table(*to, include_user=False)
                ctx.catalog.delete_table(*to)
        await execute(ddl, ctx)
        made = ctx.catalog.get_table(*to)
        said = {name: getattr(source, name) for name in ("description", "labels", "expiration_time")}
        kind = "SNAPSHOT" if ddl.kind is VersioningDDLKind.CREATE_SNAPSHOT else "TABLE"
        ctx.catalog.update_table(made.model_copy(update={**said, **ddl.options, "table_type": kind}))

    return instead


def install() -> None:
    """Have the emulator take the clauses, and tell of expirations."""
    parse, told = VersioningDDLRouter.parse, tables._table_to_rest

    def parsed(router: Any, sql: str) -> Any:
        return stated(sql, router._project_id) or parse(router, sql)

    def with_expiration(table: Any) -> dict[str, Any]:
        moment = table.expiration_time
        more = {} if moment is None else {"expirationTime": str(int(moment.timestamp() * 1000))}
        return {**told(table), **more}

    VersioningDDLRouter.parse = parsed  # type: ignore[assignment,method-assign]
    tables._table_to_rest = with_expiration  # type: ignore[assignment]
    for module in (executor, interpreter):
        module.execute_versioning_ddl = carried_out(module.execute_versioning_ddl)  # type: ignore[attr-defined]
