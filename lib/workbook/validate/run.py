"""The validation: all tables on all hops, all objects, all relations, and what each difference means."""

import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from google.cloud import bigquery

from workbook.catalog import Catalog
from workbook.mapping import Mapping
from workbook.mapping.flow import carried_table, kept_table
from workbook.mapping.types import ENCODING_VERSION
from workbook.names import bigquery_path
from workbook.params import Settings
from workbook.progress import Progress
from workbook.servers import Server
from workbook.validate.content import Servers, compare_table
from workbook.validate.encoding import fields, on_target
from workbook.validate.objects import compare_objects, read_definitions
from workbook.validate.relations import compare_relations
from workbook.validate.replay import compare_interactions
from workbook.validate.replay_verdict import InteractionVerdict
from workbook.validate.result import Finding, ObjectVerdict, RelationVerdict, TableVerdict, Validation
from workbook.validate.selftest import SelfTest, Subject, self_test

_OBJECT_DEFECTS = {
    "index": "an index is lost or changed",
    "foreign key": "a foreign key is lost or changed",
    "check": "a check is lost or changed",
    "grant": "a privilege is lost or changed",
    "grants": "a privilege is lost or changed",
    "account": "an account is lost or changed",
    "user": "an account is lost or changed",
    "role": "a role is lost or changed",
    "trigger": "a trigger is lost or changed",
    "view": "a view is lost or changed",
    "event": "an event is lost or changed",
    "table": "a table's definition is changed",
}


def validate_copy(
    source: Server,
    target: Server,
    warehouse: bigquery.Client,
    catalog: Catalog,
    mapping: Mapping,
    settings: Settings,
    owned: Collection[str],
) -> Validation:
    """Compare every table in scope on every hop, every object, and every relation.

    The snapshot's identity (executed GTID sets) is read before and after: where the source moved meanwhile, the notes
    of the coverage say so.
    """
    started = time.monotonic()
    before = _gtids(source), _gtids(target)
    servers = Servers(source, target, warehouse)
    tables: list[TableVerdict] = []
    items = sorted(mapping.in_scope, key=lambda item: -catalog.table[item.path].data_bytes)
    rows = sum(max(catalog.table[item.path].rows_estimate, 1) for item in items)
    with (
        Progress("Comparing content", rows, "rows") as progress,
        ThreadPoolExecutor(settings.validate_.workers) as pool,
    ):
        futures = {
            item.path: pool.submit(compare_table, servers, catalog.table[item.path], item, settings) for item in items
        }
        for path, future in futures.items():
            tables += future.result()
            progress.advance(max(catalog.table[path].rows_estimate, 1), path[1])
    selftest = self_test(target, warehouse, _subjects(tables, catalog, mapping, warehouse.project, settings))
    definitions = cache(lambda: read_definitions(source, target, catalog, mapping))
    objects = compare_objects(source, target, catalog, mapping, owned, definitions)
    relations = compare_relations(source, target, warehouse, catalog, mapping, settings)
    after = _gtids(source), _gtids(target)
    # Last, since the scratch copy moves the target's own GTID set.
    interactions = compare_interactions((source, target), definitions, mapping, tables, before[0], settings)
    notes = [
        f"the {role} changed while it was compared (GTID set {old} became {new})"
        for role, old, new in zip(("source", "target"), before, after, strict=True)
        if old != new
    ]
    return Validation(
        tables=tuple(tables),
        objects=tuple(objects),
        relations=tuple(relations),
        findings=(*_findings(tables, objects, relations, interactions), *_blind(selftest)),
        snapshot={"source": before[0], "target": before[1], "encoding_version": ENCODING_VERSION},
        show_values=settings.validate_.show_values,
        seconds=time.monotonic() - started,
        notes=tuple(notes),
        selftest=selftest,
        interactions=tuple(interactions),
    )


def _subjects(
    tables: Sequence[TableVerdict], catalog: Catalog, mapping: Mapping, project: str, settings: Settings
) -> list[Subject]:
    """The tables that the self-test may damage copies of: those that could be read, and hold rows."""
    rows = {((table.database, table.table), table.hop): table.rows_target for table in tables}
    found = []
    for item in mapping.in_scope:
        table = catalog.table[item.path]
        if rows.get((item.path, "source-target")):
            raw = bigquery_path(project, settings.warehouse.raw_dataset, item.warehouse_name)
            there = raw if rows.get((item.path, "target-warehouse")) else ""
            # Copies are made of what the target holds, which has its own names.
            columns = on_target(fields(kept_table(table, item.flow), item), item.flow)
            found.append(Subject(carried_table(table, item.flow), item.target_path, columns, there))
    return found


def _gtids(server: Server) -> str:
    with server.session() as session:
        return session.gtids()


def _findings(
    tables: Sequence[TableVerdict],
    objects: Sequence[ObjectVerdict],
    relations: Sequence[RelationVerdict],
    interactions: Sequence[InteractionVerdict],
) -> list[Finding]:
    found = []
    for table in tables:
        name = f"{table.database}.{table.table}"
        if table.verdict == "incomparable":
            found.append(Finding("could not be compared", table.hop, name, None, None, table.why))
            continue
        if table.verdict == "same":
            continue
        if not (table.missing or table.extra or table.changed):
            found.append(Finding("table differs", table.hop, name, None, None, table.why or "its checksums differ"))
        for count, defect, meaning in (
            (table.missing, "rows missing", "rows of the hop's source that its target does not have"),
            (table.extra, "rows extra", "rows of the hop's target that its source does not have"),
        ):
            if count:
                found.append(Finding(defect, table.hop, name, None, count, _with(meaning, table.why)))
        for column, state in table.columns.items():
            if state == "different":
                count = sum(any(changed[0] == column for changed in row.columns) for row in table.samples)
                meaning = f"the value differs in rows that both ends have; seen in {count} of the sampled rows"
                found.append(
                    Finding("value changed", table.hop, name, column, table.changed, _with(meaning, table.why))
                )
    for item in objects:
        if item.verdict in ("different", "incomparable"):
            defect = (
                "could not be compared"
                if item.verdict == "incomparable"
                else _OBJECT_DEFECTS.get(item.kind, f"a {item.kind} differs")
            )
            found.append(Finding(defect, "source-target", f"{item.kind} {item.name}", None, None, item.detail))
    for relation in relations:
        if relation.verdict != "same":
            counts = f"{relation.orphans_source} / {relation.orphans_target} / {relation.orphans_warehouse}"
            meaning = relation.detail or f"rows without a parent on source / Cloud SQL / BigQuery: {counts}"
            found.append(
                Finding(
                    "a foreign key does not hold as on the source",
                    "",
                    f"{relation.child}.{relation.name}",
                    None,
                    None,
                    meaning,
                )
            )
    for act in interactions:
        if act.verdict == "different":
            found.append(
                Finding("interaction differs", "source-target", f"{act.kind} {act.name}", None, None, act.detail)
            )
    return found


def _blind(selftest: SelfTest) -> Iterator[Finding]:
    """What the self-test says against this validation itself."""
    for item in selftest.missed:
        said = f"{item.what} on purpose in a copy on the {item.place}, and the comparison did not see it: it proves nothing"
        yield Finding("could not be compared", "", item.table, item.column, None, said)
    for why in selftest.why:
        yield Finding("could not be compared", "", "the self-test", None, None, why)


def _with(meaning: str, why: str) -> str:
    return f"{meaning} ({why})" if why else meaning
