"""The validation: all tables on all hops, all objects, all relations, and what each difference means."""

import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
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
from workbook.validate.alike import by_table
from workbook.validate.behind import Behind
from workbook.validate.blind import blind_spots, half_seen
from workbook.validate.bounds import MOST_LISTED, Kept
from workbook.validate.content import Servers
from workbook.validate.count import take_statistics
from workbook.validate.criteria import Criteria, Facts, accept, judge
from workbook.validate.delta import Earlier, compare_since, cursor_of, proof_of, since
from workbook.validate.encoding import fields, on_target
from workbook.validate.fence import Fence
from workbook.validate.findings import findings_of
from workbook.validate.hops import HOPS
from workbook.validate.listing import files_of
from workbook.validate.objects import at_rest, compare_objects, read_definitions
from workbook.validate.pace import Pace
from workbook.validate.relations import compare_relations
from workbook.validate.repair import file_text, plan_repairs
from workbook.validate.replay import compare_interactions
from workbook.validate.replay_scratch import sweep_leftovers
from workbook.validate.result import MOST_FINDINGS, Finding, TableVerdict, Validation, unread
from workbook.validate.resume import Notes
from workbook.validate.selftest import SelfTest, Subject, self_test
from workbook.validate.steady import Steady
from workbook.validate.touched import place


def validate_copy(
    source: Server,
    target: Server,
    warehouse: bigquery.Client,
    catalog: Catalog,
    mapping: Mapping,
    settings: Settings,
    owned: Collection[str],
    notes: Notes | None = None,
    earlier: Earlier = Earlier(),  # noqa: B008
) -> Validation:
    """Compare every table in scope on every hop, every object, and every relation.

    `notes` are what a validation that did not end has read; they are used where that is still sound, and forgotten. With
    `validate: {mode: delta}` in the settings only rows touched since the `earlier` proof are read, where the binlogs can
    tell them.

    The snapshot's identity (executed GTID sets) is read before and after: where the source moved meanwhile, the notes
    of the coverage say so.
    """
    started, taken = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    # What a validation that was killed has left at work would be a difference.
    sweep_leftovers(target)
    cursor, no_cursor = cursor_of((place(source), place(target)), catalog, mapping, warehouse, settings)
    known = since(earlier, cursor, no_cursor, source, target, catalog, mapping, settings)
    before = _gtids(source), _gtids(target)
    whole: dict[tuple[str, str], str] = {}
    fence = Fence(source, target, settings.environment, settings.validate_.fence_s)
    there = {item.target_path: carried_table(catalog.table[item.path], item.flow) for item in mapping.in_scope}
    behind = Behind(target, fence, there, earlier.loaded, earlier.merged)
    servers = Servers(source, target, warehouse, Pace(settings, source).wait, notes, fence, behind)
    hidden = half_seen(catalog, mapping)
    tables = [verdict for path, why in hidden.items() for verdict in unread(catalog.table[path], HOPS, why)]
    items = sorted(mapping.in_scope, key=lambda item: -catalog.table[item.path].data_bytes)
    rows = sum(max(catalog.table[item.path].rows_estimate, 1) for item in items)
    with (
        Progress("Comparing content", rows, "rows") as progress,
        ThreadPoolExecutor(settings.validate_.workers) as pool,
    ):
        futures = {
            item.path: pool.submit(compare_since, known, servers, catalog.table[item.path], item, settings)
            for item in items
            if item.path not in hidden
        }
        kept = Kept(listed=max(MOST_LISTED, settings.validate_.listed))
        # Taken out as they come, so that what is beyond the bounds is not held until the end.
        for path in list(futures):
            found_now, why = futures.pop(path).result()
            tables += kept.held(found_now)
            if why:
                whole[path] = why
            progress.advance(max(catalog.table[path].rows_estimate, 1), path[1])
    statistics = take_statistics(source, target, warehouse, catalog, mapping, settings, tables)
    selftest = self_test(target, warehouse, _subjects(tables, catalog, mapping, warehouse.project, settings))
    definitions = cache(lambda: read_definitions(source, target, catalog, mapping))
    objects = [
        *compare_objects(source, target, catalog, mapping, owned, definitions),
        *blind_spots(source, target, catalog, mapping),
    ]
    lacking = objects if fence.way == "ledger" else []
    objects = at_rest(objects, lacking)
    settle = Steady(fence, known, tables).judge
    relations = compare_relations(source, target, warehouse, catalog, mapping, settings, settle)
    after = _gtids(source), _gtids(target)
    # Last, since the scratch copy moves the target's own GTID set.
    interactions = compare_interactions((source, target), definitions, mapping, tables, before[0], settings)
    interactions = at_rest(interactions, lacking)
    remarks = [
        f"the {role} changed while it was compared (GTID set {old} became {new})"
        for role, old, new in zip(("source", "target"), before, after, strict=True)
        if old != new
    ]
    (objects, relations, interactions), accepted = accept(mapping, (objects, relations, interactions))
    facts = Facts(tables, objects, relations, interactions, selftest, time.monotonic() - started)
    found = findings_of(tables, objects, relations, interactions)
    # Repairs name findings that the result holds.
    repairs, mended = plan_repairs(tables, objects, found[:MOST_FINDINGS], catalog, mapping)
    findings = (*mended, *found[MOST_FINDINGS:])
    segments = {item.path: item.segment for item in mapping.in_scope}
    blind = (replace(item, id=number) for number, item in enumerate(_blind(selftest), len(found) + 1))
    if notes is not None:
        notes.ended(all(table.verdict != "incomparable" for table in tables))
    findings = (*findings, *blind)
    beside = files_of(by_table(tables, segments), {table.path: table for table in statistics}, findings)
    return Validation(
        tables=tuple(tables),
        objects=tuple(objects),
        relations=tuple(relations),
        findings=findings,
        snapshot={
            "source": before[0],
            "target": before[1],
            "taken": taken,
            "mapping_sha256": mapping.sha256,
            "encoding_version": ENCODING_VERSION,
        },
        show_values=settings.validate_.show_values,
        seconds=time.monotonic() - started,
        notes=tuple(remarks),
        resumed=notes.said() if notes else "",
        repairs=tuple(repair.asdict() for repair in repairs),
        files=beside
        | {
            repair.file: file_text(repair, catalog.table.get(repair.path), mapping.tables.get(repair.path))
            for repair in repairs
        },
        selftest=selftest,
        interactions=tuple(interactions),
        segments=segments,
        statistics=statistics,
        proof=proof_of(known, whole, cursor, no_cursor),
        criteria=Criteria(judge(facts, mapping, catalog), accepted),
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


def _blind(selftest: SelfTest) -> Iterator[Finding]:
    """What the self-test says against this validation itself."""
    for item in selftest.missed:
        said = f"{item.what} on purpose in a copy on the {item.place}, and the comparison did not see it: it proves nothing"
        yield Finding("could not be compared", "", item.table, item.column, None, said)
    for why in selftest.why:
        yield Finding("could not be compared", "", "the self-test", None, None, why)
