"""The validation: all tables on all hops, all objects, all relations, and what each difference means."""

import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from google.cloud import bigquery

from workbook.catalog import Catalog
from workbook.mapping import Mapping
from workbook.mapping.types import ENCODING_VERSION
from workbook.params import Settings
from workbook.progress import Progress
from workbook.servers import Server
from workbook.validate.content import Servers, compare_table
from workbook.validate.findings import findings_of
from workbook.validate.objects import compare_objects, compare_relations
from workbook.validate.repair import file_text, plan_repairs
from workbook.validate.result import TableVerdict, Validation


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
    objects = compare_objects(source, target, catalog, mapping, owned)
    relations = compare_relations(source, target, warehouse, catalog, mapping, settings)
    after = _gtids(source), _gtids(target)
    notes = [
        f"the {role} changed while it was compared (GTID set {old} became {new})"
        for role, old, new in zip(("source", "target"), before, after, strict=True)
        if old != new
    ]
    repairs, findings = plan_repairs(tables, objects, findings_of(tables, objects, relations), catalog, mapping)
    return Validation(
        tables=tuple(tables),
        objects=tuple(objects),
        relations=tuple(relations),
        findings=findings,
        snapshot={"source": before[0], "target": before[1], "encoding_version": ENCODING_VERSION},
        show_values=settings.validate_.show_values,
        seconds=time.monotonic() - started,
        notes=tuple(notes),
        repairs=tuple(repair.asdict() for repair in repairs),
        files={
            repair.file: file_text(repair, catalog.table.get(repair.path), mapping.tables.get(repair.path))
            for repair in repairs
        },
    )


def _gtids(server: Server) -> str:
    with server.session() as session:
        return session.gtids()
