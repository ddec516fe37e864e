"""Assessing: the evidence is read once, then every check looks at catalog and evidence."""

from collections.abc import Mapping

from workbook.assess.checks import checks_for
from workbook.assess.evidence import Evidence, read_evidence
from workbook.assess.result import SEVERITIES, AssessResult, Finding, Skipped
from workbook.catalog import Catalog
from workbook.servers import Server


def assess(
    source: Server,
    catalog: Catalog,
    target_flavour: str = "cloud-sql",
    target_version: str = "8.4",
    segments: Mapping[tuple[str, str], str] | None = None,
) -> AssessResult:
    """What of the source the target will refuse or change; `target_flavour` is cloud-sql or mysql.

    `segments` names the segment of each table, by database and name. A check that lacks some of its evidence still
    searches the rest, and stands in `checks_skipped` with the reason instead of in `checks_run`; one that is about
    another version or another source stands in neither. Raises TransientError where the source cannot be reached.
    """
    return judge(catalog, read_evidence(source, catalog), target_flavour, target_version, segments)


def judge(
    catalog: Catalog,
    evidence: Evidence,
    target_flavour: str = "cloud-sql",
    target_version: str = "8.4",
    segments: Mapping[tuple[str, str], str] | None = None,
) -> AssessResult:
    """The assessment of what was read; it asks no server."""
    missing = dict(evidence.missing)
    if catalog.accounts is None:
        missing["accounts"] = "the accounts (mysql.user) may not be read or are of another server's form"
    findings: list[Finding] = []
    run: list[str] = []
    skipped: list[Skipped] = []
    checks = checks_for(target_version)
    for check in checks:
        if target_flavour not in check.flavours:
            skipped.append(Skipped(check.id, f"it is about Cloud SQL, and the target is {target_flavour}"))
            continue
        if not check.applies(target_version, catalog.flavour):
            continue
        reasons = [missing[name] for name in check.needs if name in missing]
        if reasons:
            skipped.append(Skipped(check.id, "; ".join(dict.fromkeys(reasons))))
        else:
            run.append(check.id)
        findings += [
            Finding(check.id, check.severity, f"{hit.kind} {hit.name}", hit.detail, check.mended_by)
            for hit in check.find(catalog, evidence)
        ]
    order = {check.id: place for place, check in enumerate(checks)}
    findings.sort(key=lambda it: (SEVERITIES.index(it.severity), order[it.check], it.object, it.detail))
    tables_of = {(trigger.database, trigger.name): (trigger.database, trigger.table) for trigger in catalog.triggers}
    named = {f"{database}.{name}": segment for (database, name), segment in (segments or {}).items()}
    named |= {
        f"{database}.{name}": (segments or {}).get(table, "")
        for (database, name), table in tables_of.items()
        if f"{database}.{name}" not in named
    }
    return AssessResult(
        findings=tuple(dict.fromkeys(findings)),
        checks_run=tuple(run),
        checks_skipped=tuple(skipped),
        flavour=target_flavour,
        version=target_version,
        titles={check.id: check.title for check in checks},
        advice={check.id: (check.why, check.todo) for check in checks},
        efforts={check.id: check.effort for check in checks},
        segments=named,
        objects=_objects(catalog),
        statements_cut=sum(seen.cut for seen in evidence.statements),
    )


def _objects(catalog: Catalog) -> dict[str, int]:
    kinds = [routine.kind.lower() for routine in catalog.routines]
    return {
        "table": len(catalog.tables),
        "view": len(catalog.views),
        "procedure": kinds.count("procedure"),
        "function": kinds.count("function"),
        "trigger": len(catalog.triggers),
        "event": len(catalog.events),
        "account": sum(not account.user.startswith("mysql.") for account in catalog.accounts or ()),
    }
