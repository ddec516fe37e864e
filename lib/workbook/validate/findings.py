"""From verdicts to findings: what is wrong, by which defect, on how many rows, what was seen, why, and what mends it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from workbook.validate.defects import UNKNOWN, defect_of, object_defect
from workbook.validate.explain import TableDefect
from workbook.validate.hops import HOPS
from workbook.validate.relations_face import RelationVerdict
from workbook.validate.replay_verdict import InteractionVerdict
from workbook.validate.result import Finding, ObjectVerdict, TableVerdict


def findings_of(
    tables: Sequence[TableVerdict],
    objects: Sequence[ObjectVerdict],
    relations: Sequence[RelationVerdict],
    interactions: Sequence[InteractionVerdict] = (),
) -> tuple[Finding, ...]:
    """Everything that is not as it should be, numbered from 1."""
    found = [*_of_tables(tables), *_of_objects(objects), *_of_relations(relations), *_of_interactions(interactions)]
    return tuple(replace(item, id=number) for number, item in enumerate(found, 1))


def _of_tables(tables: Sequence[TableVerdict]) -> Iterable[Finding]:
    alike = {(table.database, table.table) for table in tables if table.hop == HOPS[2] and table.verdict == "same"}
    for table in tables:
        name = f"{table.database}.{table.table}"
        if table.hop == HOPS[1] and table.verdict == "different" and (table.database, table.table) in alike:
            yield _echo(table, name)
        elif table.verdict == "incomparable":
            yield Finding("could not be compared", table.hop, name, None, None, table.why)
        elif table.verdict == "different":
            if table.classes:
                yield from (_of_class(table, name, item) for item in table.classes)
            elif table.missing or table.extra or table.changed:
                yield from _unnamed(table, name)
            else:
                yield Finding("table differs", table.hop, name, None, None, table.why or "its checksums differ")


def _echo(table: TableVerdict, name: str) -> Finding:
    """A hop that differs because the one before it broke: BigQuery holds what the source holds."""
    rows = table.missing + table.extra + table.changed
    said = f"{rows:,} rows differ because Cloud SQL differs from the source; BigQuery agrees with the source"
    mend = "what mends the hop from the source to Cloud SQL; BigQuery is as it should be"
    return Finding(
        "Cloud SQL is the one that differs", table.hop, name, None, rows, f"{said}.", evidence=said, mend=mend
    )


def _of_class(table: TableVerdict, name: str, item: TableDefect) -> Finding:
    defect = defect_of(item.number)
    cause = "" if item.number == UNKNOWN else f"Likely cause: {defect.cause}."
    words = f"{item.evidence[0].upper()}{item.evidence[1:]}."
    return Finding(
        defect={"missing": "rows missing", "extra": "rows extra"}[item.kind] if item.number == 31 else defect.name,
        hop=table.hop,
        object=name,
        column=item.column,
        rows=item.rows if item.samples else None,
        explanation=" ".join(filter(None, (words, cause, f"({table.why})" if table.why else ""))),
        number=item.number,
        looked=item.looked,
        total=item.total,
        evidence=item.evidence,
        cause=defect.cause,
        mend=_mend(table),
        samples=item.samples,
    )


def _mend(table: TableVerdict) -> str:
    if table.hop == "source-target" and table.keys:
        return "`workbook repair` copies the rows from the source again"
    return _mend_table(table.hop)


def _mend_table(hop: str) -> str:
    """What mends a whole table: rows that are filtered, renamed or masked on their way take that way again."""
    if hop == "source-target":
        return "`workbook run bulk_load` loads the table again"
    return "`workbook run warehouse` loads the table again; where Cloud SQL itself is wrong, mend that hop first"


def _unnamed(table: TableVerdict, name: str) -> Iterable[Finding]:
    for kind, count in (("missing", table.missing), ("extra", table.extra), ("changed", table.changed)):
        if count:
            what = f"{count:,} rows are {kind} ({table.why})"
            yield Finding("unknown", table.hop, name, None, count, what, number=UNKNOWN, mend=_mend_table(table.hop))


def _of_objects(objects: Sequence[ObjectVerdict]) -> Iterable[Finding]:
    for item in objects:
        name = f"{item.kind} {item.name}"
        if item.verdict == "incomparable":
            yield Finding("could not be compared", "source-target", name, None, None, item.detail)
        elif item.verdict == "different" and not item.parts:
            number = object_defect(item.kind, item.detail)
            defect = defect_of(number)
            cause = "" if number == UNKNOWN else f" Likely cause: {defect.cause}."
            yield Finding(
                defect=f"a {item.kind} differs" if number == UNKNOWN else defect.name,
                hop="source-target",
                object=name,
                column=None,
                rows=None,
                explanation=f"{item.detail}.{cause}",
                number=number,
                evidence=item.detail,
                cause=defect.cause,
                mend="; ".join(item.mend) or defect.mended_by,
            )


def _of_relations(relations: Sequence[RelationVerdict]) -> Iterable[Finding]:
    for item in relations:
        name = f"{item.child}.{item.name}"
        if item.verdict == "incomparable":
            yield Finding("could not be compared", "", name, None, None, item.detail)
        elif item.verdict == "different":
            baseline = item.orphans_source or 0
            if {item.orphans_target, item.orphans_warehouse} <= {None, baseline}:
                said = item.detail or "parents have other numbers of children than on the source"
                yield Finding("a foreign key does not hold as on the source", "", name, None, None, said)
            defect = defect_of(36)
            for hop, count in (("source-target", item.orphans_target), ("source-warehouse", item.orphans_warehouse)):
                if count is None or count == baseline:
                    continue
                evidence = f"rows without a parent in {item.parent}: {count:,}, and on the source {baseline:,}"
                yield Finding(
                    defect=defect.name,
                    hop=hop,
                    object=name,
                    column=None,
                    rows=abs(count - baseline),
                    explanation=f"{evidence[0].upper()}{evidence[1:]}. Likely cause: {defect.cause}.",
                    number=36,
                    evidence=evidence,
                    cause=defect.cause,
                    mend=_mend_table(hop),
                )


def _of_interactions(interactions: Sequence[InteractionVerdict]) -> Iterable[Finding]:
    for item in interactions:
        if item.verdict == "different":
            yield Finding("interaction differs", "source-target", f"{item.kind} {item.name}", None, None, item.detail)
