"""Mending what a validation found, on consent: rows and objects of Cloud SQL, inside a restore point, validated again afterwards."""

import contextlib
import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from workbook.bulk.chunks import Chunk
from workbook.bulk.copy import Way, job
from workbook.bulk.ledger import SCHEMA
from workbook.bulk.pump import move
from workbook.catalog import Catalog, read_catalog
from workbook.cutover import refuse_after_cutover
from workbook.errors import Refused, TerminalError, UsageError, VerdictFailed
from workbook.mapping import Mapping, load_mapping
from workbook.names import mysql_path, mysql_string
from workbook.params import Settings
from workbook.phases.backed_up import backed_up
from workbook.phases.context import mapping_file
from workbook.phases.fingerprint import target_fingerprint
from workbook.phases.ledger import Ledger, LedgerJournal, now, reports_folder
from workbook.phases.order import REPAIR
from workbook.phases.run import only_one
from workbook.pipelines.standing import refuse_under_pipelines
from workbook.schema.choices import converted_columns
from workbook.servers import Server, connect_source, connect_target, connect_warehouse
from workbook.validate.content import Servers, compare_table
from workbook.validate.objects import compare_objects, read_definitions
from workbook.validate.repair import Repair, delete_rows, file_text, insert_rows, read_rows, stored
from workbook.wire import Loader, Wire, WireError, drivers, reader, writer


@dataclass(frozen=True)
class Proposed:
    """The repairs of the last validation, chosen by the numbers of their findings, and the folder of its run."""

    folder: Path
    repairs: tuple[Repair, ...]
    findings: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Ends:
    """What a repair works with."""

    source: Server
    target: Server
    catalog: Catalog
    mapping: Mapping
    journal: LedgerJournal


def proposed(settings: Settings, wanted: Sequence[str] = ("all",)) -> Proposed:
    """The repairs for findings of the last validation: their numbers, or `all` that a repair file mends.

    Raises UsageError where there is no validation, no such finding, or none that a file mends.
    """
    done = Ledger(settings.environment).phases().get("validate")
    if done is None or done.result is None or not Path(done.result).exists():
        raise UsageError(
            f"Nothing was validated yet in the environment {settings.environment!r}.",
            "What is wrong is not known, so nothing can be mended.",
            "Run workbook run validate first.",
        )
    content = json.loads(Path(done.result).read_text(encoding="utf-8"))
    repairs = [Repair.of(plain) for plain in content.get("repairs", [])]
    found = {str(item["id"]): item for item in content["findings"]}
    numbers = {number for text in wanted for number in text.split(",")}
    if "all" in numbers:
        numbers = {str(number) for repair in repairs for number in repair.findings}
    for number in sorted(numbers):
        if number not in found or not any(int(number) in repair.findings for repair in repairs):
            why = found[number]["mend"] if number in found else "the last validation has no such finding"
            raise UsageError(
                f"No repair file mends the finding {number}.",
                f"What is known: {why}.",
                "Name others, as the column `id` of the findings shows them; workbook repair without --findings lists them.",
            )
    chosen = tuple(item for item in repairs if any(str(number) in numbers for number in item.findings))
    touched = {number for item in chosen for number in item.findings}
    return Proposed(
        Path(done.result).parent, chosen, tuple(item for item in content["findings"] if item["id"] in touched)
    )


def repair(settings: Settings, wanted: Sequence[str], say: Callable[[str], None] = print) -> None:
    """Run the repairs of the named findings on Cloud SQL, then validate what was mended.

    The rows as they are now are kept, so that `workbook rollback validate` brings them back. Raises Refused before
    anything is written where a repair file is not the one that was written, a table has triggers, or pipelines work on
    the target; VerdictFailed where what was mended still differs.
    """
    with only_one(reports_folder(), settings.environment):
        chosen = proposed(settings, wanted)
        ledger = Ledger(settings.environment)
        refuse_after_cutover(ledger, "A repair puts the source's rows in the place of the target's")
        refuse_under_pipelines(ledger.pipelines(), "A repair puts the source's rows in the place of the target's")
        source, target = connect_source(settings), connect_target(settings)
        catalog = read_catalog(source, settings.source.databases)
        emulated = settings.warehouse.endpoint is not None
        mapping = load_mapping(mapping_file(settings, ledger), catalog, emulated=emulated)
        ends = Ends(source, target, catalog, mapping, ledger.journal(REPAIR.name))
        for item in chosen.repairs:
            _refuse(item, chosen.folder, ends)
        backed_up(settings, ledger, REPAIR, f"{chosen.folder.name} at {now()}")
        entry = ledger.begin(REPAIR.name, chosen.folder.name, {"target": target_fingerprint(target)})
        for item in chosen.repairs:
            say(f"Repair {item.number}: {item.object}")
            if item.kind == "rows":
                _copy_again(item, ends)
            else:
                _run(item, ends)
        say("Validating what was mended")
        wrong, result = _judged(settings, chosen, ends, ledger)
        path = chosen.folder / f"{REPAIR.name}-{entry}.json"
        path.write_text(json.dumps(result, indent=1, default=str, ensure_ascii=False), encoding="utf-8")
        ledger.end(entry, "failed" if wrong else "done", {"target": target_fingerprint(target)}, str(path))
    if wrong:
        raise VerdictFailed(
            f"After the repair these still differ: {'; '.join(wrong[:5])}.",
            "The copy is not the source there.",
            "Run workbook run validate for the whole picture; workbook rollback validate takes the repair back.",
        )


def _refuse(item: Repair, folder: Path, ends: Ends) -> None:
    """Raise Refused where a repair is not what somebody consented to, or would do more than it says."""
    file = folder / item.file
    text = file_text(item, ends.catalog.table.get(item.path), ends.mapping.tables.get(item.path))
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        raise Refused(
            f"The repair file {file} is not the one that the validation wrote, or the source's table was changed since.",
            "What would run is not what was read.",
            "Run workbook run validate again, read the new file, then repair.",
        )
    if item.kind != "rows":
        return
    database, table = (mysql_string(part) for part in item.path)
    triggers = ends.target.scalar(
        "SELECT GROUP_CONCAT(TRIGGER_NAME) FROM information_schema.TRIGGERS"
        f" WHERE EVENT_OBJECT_SCHEMA = {database} AND EVENT_OBJECT_TABLE = {table}"
    )
    if triggers:
        raise Refused(
            f"The table {mysql_path(*item.path)} has triggers on the target: {triggers}.",
            "They would fire for each row that is mended, and change others.",
            "Load the table again instead: workbook run bulk_load keeps triggers away while it loads.",
        )


def _copy_again(item: Repair, ends: Ends) -> None:
    """Copy the rows of a repair from the source again; what the target held in their place is kept for the way back."""
    table, target = ends.catalog.table[item.path], ends.target
    # Several environments may mend one target: each has tables of its own.
    mark = f"repair_{secrets.token_hex(4)}_{item.number}"
    new, old = f"{mark}_new", f"{mark}_old"
    target.execute(f"CREATE DATABASE IF NOT EXISTS {mysql_path(SCHEMA)}")
    for name in (new, old):
        number = ends.journal.intend(
            f"table {mysql_path(SCHEMA, name)}", f"DROP TABLE IF EXISTS {mysql_path(SCHEMA, name)}"
        )
        target.execute(f"CREATE TABLE {mysql_path(SCHEMA, name)} LIKE {mysql_path(*item.path)}")
        ends.journal.confirm(number)
    _read_into(item, new, ends)
    with target.session() as session:
        session.execute("SET SESSION foreign_key_checks = 0")
        for condition in item.conditions:
            session.execute(
                f"INSERT INTO {mysql_path(SCHEMA, old)} ({stored(table)})"
                f" SELECT {stored(table)} FROM {mysql_path(*item.path)} WHERE {condition}"
            )
        # Undone in reverse: the rows of the repair go, then those of before come.
        ends.journal.intend(f"rows of {mysql_path(*item.path)}", insert_rows(table, old))
        for condition in item.conditions:
            ends.journal.intend(f"rows of {mysql_path(*item.path)}", delete_rows(item.path, condition))
        session.execute("START TRANSACTION")
        for condition in item.conditions:
            session.execute(delete_rows(item.path, condition))
        session.execute(insert_rows(table, new))
        session.execute("COMMIT")
    target.execute(f"DROP TABLE {mysql_path(SCHEMA, new)}")


def _read_into(item: Repair, new: str, ends: Ends) -> None:
    """Carry the rows from the source into a table of the workbook's own schema, as the bulk load carries them."""
    table, mapped = ends.catalog.table[item.path], ends.mapping.tables[item.path]
    whole = Chunk(*item.path, 1, (), None, None)
    carried = replace(
        job(table, whole, way=Way(converted=converted_columns(table, mapped.target), target=(SCHEMA, new))),
        label=f"the repair of {mysql_path(*item.path)}",
    )
    with _wires(ends) as (read, write):
        try:
            for condition in item.conditions:
                move(replace(carried, select=read_rows(table, mapped, condition)), read, write)
        except WireError as error:
            raise TerminalError(
                f"The {error.role} answered with error {error.code} while rows were read again: {error.text}",
                "The target is as it was: nothing of this table was mended.",
                "Mend the cause, then repair again.",
            ) from None


@contextlib.contextmanager
def _wires(ends: Ends) -> Iterator[tuple[Wire, Loader]]:
    driver = drivers()[0]
    read = reader(ends.source.address(), driver)
    try:
        write = writer(ends.target.address())
        try:
            yield read, write
        finally:
            write.close()
    finally:
        read.close()


def _run(item: Repair, ends: Ends) -> None:
    """Run the statements of a repair, each one's undo noted first."""
    undo: list[str | None] = [*item.undo, *([None] * len(item.statements))][: len(item.statements)]
    # The undo of the first statement is run last.
    for statement, back in zip(item.statements, reversed(undo), strict=True):
        number = ends.journal.intend(item.object, back)
        with ends.target.session() as session:
            session.execute("SET SESSION foreign_key_checks = 0")
            try:
                session.execute(statement)
            except TerminalError:
                ends.journal.cancel(number)
                raise
        ends.journal.confirm(number)


def _judged(settings: Settings, chosen: Proposed, ends: Ends, ledger: Ledger) -> tuple[list[str], dict[str, Any]]:
    """What still differs of what was mended, and the result as it is written down."""
    wrong, tables = [], []
    servers = Servers(ends.source, ends.target, connect_warehouse(settings))
    for path in dict.fromkeys(item.path for item in chosen.repairs if item.kind == "rows"):
        verdict = compare_table(servers, ends.catalog.table[path], ends.mapping.tables[path], settings)[0]
        tables.append({"database": path[0], "table": path[1], "verdict": verdict.verdict, "why": verdict.why})
        if verdict.verdict != "same":
            wrong.append(f"{mysql_path(*path)} is {verdict.verdict}")
    things = {item.object for item in chosen.repairs if item.kind == "statements"}
    if things:
        known = partial(read_definitions, ends.source, ends.target, ends.catalog, ends.mapping)
        for found in compare_objects(ends.source, ends.target, ends.catalog, ends.mapping, ledger.owned(), known):
            name = f"{found.kind} {found.name}"
            if name in things and found.verdict == "different":
                wrong.append(f"{name}: {found.detail}")
    repairs = [{"number": item.number, "object": item.object, "findings": item.findings} for item in chosen.repairs]
    return wrong, {
        "phase": REPAIR.name,
        "verdict": "different" if wrong else "same",
        "repairs": repairs,
        "tables": tables,
        "wrong": wrong,
    }
