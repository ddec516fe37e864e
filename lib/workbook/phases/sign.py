"""Signing a validation against the criteria of the mapping: refused unless each is met, and the files are those that were judged."""

import difflib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from workbook import site
from workbook.errors import Refused, UsageError, VerdictFailed
from workbook.params import Settings
from workbook.phases.context import mapping_file, result_note
from workbook.phases.ledger import Done, Ledger, now, reports_folder
from workbook.phases.order import IN_ORDER
from workbook.phases.previous import SWAPPED_BACK
from workbook.phases.run import only_one
from workbook.site import signatures
from workbook.site.signatures import MAPPING, Signature, Signed, digest
from workbook.validate.criteria import Criteria

_LONGEST = 200


@dataclass(frozen=True)
class Candidate:
    """A validation that may be signed: its folder, its entry in the ledger, what it holds, and its criteria as of now."""

    folder: Path
    entry: Done
    record: dict[str, Any]
    content: dict[str, Any]
    criteria: Criteria
    signed: Signed


def candidate(settings: Settings, run: str | None = None) -> Candidate:
    """The validation of the run of that name, or the last one. Raises UsageError where there is none to sign."""
    ledger, reports = Ledger(settings.environment), reports_folder()
    entry = ledger.of_run("validate", run) if run else ledger.phases().get("validate")
    if entry is None or entry.result is None or not Path(entry.result).is_file():
        known = [path.parent.name for path in reports.glob(f"*-{settings.environment}-*/validate.json")]
        near = difflib.get_close_matches(run, known, n=1, cutoff=0.6) if run else []
        raise UsageError(
            f"The environment {settings.environment!r} has no validation"
            + (f" in a run {run!r}." if run else ".")
            + (f" Did you mean {near[0]}?" if near else ""),
            "There is nothing to sign.",
            "Run workbook run validate, or name a run as the index of runs shows it.",
        )
    folder = Path(entry.result).parent
    if digest(folder / "validate.json") != ledger.noted(result_note("validate", folder.name)):
        raise Refused(
            f"The result {folder.name}/validate.json is not the one that the validation wrote.",
            "What would be signed is not what was found.",
            "Run workbook run validate again, then sign that run.",
        )
    content = json.loads((folder / "validate.json").read_text(encoding="utf-8"))
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    if "criteria" not in content or "taken" not in content["snapshot"]:
        raise Refused(
            f"The validation of the run {folder.name} judged no criteria.",
            "There is nothing to sign it against.",
            "Run workbook run validate again, then sign that run.",
        )
    taken = datetime.fromisoformat(content["snapshot"]["taken"])
    age = (datetime.now(UTC) - taken).total_seconds()
    criteria = Criteria.of(content).aged(max(age, 0.0))
    return Candidate(folder, entry, record, content, criteria, _signed(ledger, folder))


def sign(
    settings: Settings, name: str, run: str | None = None, note: str = "", say: Callable[[str], None] = print
) -> Signature:
    """Sign a validation: the record goes into the run's folder and the ledger, and shows on the page and in the index.

    Raises VerdictFailed where a criterion is not met or could not be judged; Refused where params, mapping or result are
    not those that were judged, or something was written to target or warehouse since.
    """
    _refuse_words(name, note)
    with only_one(reports_folder(), settings.environment):
        ledger = Ledger(settings.environment)
        chosen = candidate(settings, run)
        mapping = mapping_file(settings, ledger)
        _refuse_changes(settings, ledger, chosen, mapping)
        if chosen.criteria.open or not chosen.criteria.items:
            raise _unmet(chosen)
        shutil.copyfile(mapping, chosen.folder / MAPPING)
        content = chosen.content
        signature = Signature(
            signed_by=name.strip(),
            signed_at=now(),
            environment=settings.environment,
            run_id=chosen.folder.name,
            verdict=content["verdict"],
            criteria=len(chosen.criteria.items),
            accepted=tuple(item.what for item in chosen.criteria.accepted if item.times),
            tolerated=_tolerated(content),
            git_commit=chosen.record["git_commit"],
            params_sha256=chosen.record["params_sha256"],
            mapping_sha256=content["snapshot"]["mapping_sha256"],
            snapshot=content["snapshot"],
            files=signatures.covered(chosen.folder),
            note=note.strip(),
        )
        # The ledger first: a signature that only it holds is said to be lost, one that only the folder holds is forged.
        ledger.sign(signature.run_id, signature.signed_by, signature.signed_at, signature.asdict())
        signatures.write(chosen.folder, signature)
        site.build_index(reports_folder())
    say(f"Signed by {signature.signed_by}: {signature.run_id}, {signature.criteria} criteria met.")
    return signature


def print_candidate(settings: Settings, run: str | None = None) -> bool:
    """Print the criteria of a validation and its signatures; whether all are met and no signature is invalid."""
    chosen = candidate(settings, run)
    console = Console()
    table = Table(title=f"Run {chosen.folder.name}: {chosen.content['verdict']}", title_justify="left")
    for heading in ("Segment", "Criterion", "Status", "Found", "Where"):
        table.add_column(heading)
    for item in chosen.criteria.items:
        table.add_row(*map(escape, (item.segment, item.criterion, item.status, item.figure, item.evidence)))
    console.print(table)
    for signature, changed in chosen.signed.signatures:
        state = f"invalid: {'; '.join(changed)}" if changed else "valid"
        console.print(escape(f"Signed by {signature.signed_by}, {signature.signed_at}: {state}"))
    if chosen.signed.broken:
        console.print(escape(f"The signatures are invalid: {chosen.signed.broken}"))
    return not chosen.criteria.open and chosen.signed.word != "invalid"


def _refuse_words(name: str, note: str) -> None:
    if not name.strip() or not name.isprintable() or len(name) > _LONGEST or len(note) > 10 * _LONGEST:
        raise UsageError(
            "The signature has no name, or one that is too long or does not print.",
            "Nobody could tell who signed.",
            f"Write --by and a name of at most {_LONGEST} characters.",
        )


def _refuse_changes(settings: Settings, ledger: Ledger, chosen: Candidate, mapping: Path) -> None:
    """Raise Refused where what was judged is not what stands now."""
    run = chosen.folder.name
    why = "The criteria were judged by other rules than those that would be signed for."
    todo = "Run workbook run validate again with the same params and mapping, then sign that run."
    if chosen.record["params_sha256"] != settings.sha256():
        raise Refused(f"The params are not those of the run {run}.", why, todo)
    if chosen.content["snapshot"]["mapping_sha256"] != digest(mapping):
        raise Refused(f"The mapping {mapping} is not the one that the run {run} was judged by.", why, todo)
    writers = {kind.name for kind in IN_ORDER if kind.writes}
    since = [
        entry.phase
        for entry in ledger.phases().values()
        if entry.phase in writers and chosen.entry.ended and entry.started >= chosen.entry.ended
    ]
    swapped = ledger.noted(SWAPPED_BACK)
    if swapped and chosen.entry.ended and swapped >= chosen.entry.ended:
        since.append("rollback previous-copy")
    if since:
        raise Refused(
            f"After the validation of the run {run} these ran: {', '.join(since)}.",
            "The copy is no longer the one that was compared.",
            "Run workbook run validate again, then sign that run.",
        )


def _unmet(chosen: Candidate) -> VerdictFailed:
    lines = [f"{item.segment}: {item.criterion} {item.status} ({item.figure})" for item in chosen.criteria.open]
    more = f" and {len(lines) - 5} more" if len(lines) > 5 else ""
    return VerdictFailed(
        f"Of {len(chosen.criteria.items)} criteria {len(lines)} stand in the way of a signature: {'; '.join(lines[:5])}{more}.",
        "A signature says that the copy meets what was agreed before the migration.",
        "Mend what differs and validate again; or accept it in the mapping, by name and with the reason"
        " (params/README.md), and validate again.",
    )


def _tolerated(content: dict[str, Any]) -> int:
    """The most rows that tolerances let through on one hop, summed over columns."""
    by_hop: dict[str, int] = {}
    for table in content["tables"]:
        for item in table["tolerated"]:
            if item["kind"] == "tolerance" and not item["exceeded"]:
                by_hop[table["hop"]] = by_hop.get(table["hop"], 0) + (item["rows"] or 0)
    return max(by_hop.values(), default=0)


def _signed(ledger: Ledger, folder: Path) -> Signed:
    """The signatures of a run's folder, held against its files and against the ledger."""
    found, known = signatures.read(folder), ledger.signatures(folder.name)
    held = [item.asdict() for item, _ in found.signatures]
    checked = [
        (item, changed if item.asdict() in known else (*changed, "the ledger holds no such signature"))
        for item, changed in found.signatures
    ]
    lost = [record for record in known if record not in held]
    broken = found.broken or (
        f"{len(lost)} signatures that the ledger holds are not in {signatures.FILE}" if lost else ""
    )
    return Signed(tuple(checked), broken)
