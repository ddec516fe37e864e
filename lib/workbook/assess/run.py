"""Assessing: the evidence is read once, then every check looks at catalog and evidence."""

from workbook.assess.checks import CHECKS
from workbook.assess.evidence import Evidence, read_evidence
from workbook.assess.result import SEVERITIES, AssessResult, Finding, Skipped
from workbook.catalog import Catalog
from workbook.servers import Server


def assess(source: Server, catalog: Catalog, target_flavour: str = "cloud-sql") -> AssessResult:
    """What of the source the target will refuse or change; `target_flavour` is cloud-sql or mysql.

    A check that lacks some of its evidence still searches the rest, and stands in `checks_skipped` with the reason
    instead of in `checks_run`. Raises TransientError where the source cannot be reached.
    """
    return judge(catalog, read_evidence(source, catalog), target_flavour)


def judge(catalog: Catalog, evidence: Evidence, target_flavour: str = "cloud-sql") -> AssessResult:
    """The assessment of what was read; it asks no server."""
    missing = dict(evidence.missing)
    if catalog.accounts is None:
        missing["accounts"] = "the accounts (mysql.user) may not be read or are of another server's form"
    findings: list[Finding] = []
    run: list[str] = []
    skipped: list[Skipped] = []
    for check in CHECKS:
        if target_flavour not in check.flavours:
            skipped.append(Skipped(check.id, f"it is about Cloud SQL, and the target is {target_flavour}"))
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
    order = {check.id: place for place, check in enumerate(CHECKS)}
    findings.sort(key=lambda it: (SEVERITIES.index(it.severity), order[it.check], it.object, it.detail))
    return AssessResult(
        findings=tuple(dict.fromkeys(findings)),
        checks_run=tuple(run),
        checks_skipped=tuple(skipped),
        flavour=target_flavour,
        titles={check.id: check.title for check in CHECKS},
        advice={check.id: (check.why, check.todo) for check in CHECKS},
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
