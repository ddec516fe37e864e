"""The commands around a cutover: `workbook cutover rehearse`, `status`, `abort` and `finish`."""

import sys
from typing import Annotated

import typer

from workbook import params
from workbook.cli_options import ParamsFile, Reports, Sets, loaded, say, use_reports
from workbook.errors import UsageError

cutover_app = typer.Typer(
    help="The cutover, which `workbook run cutover` carries out: rehearsing it, where it stands, taking it back, ending it.",
    no_args_is_help=True,
)


@cutover_app.command("rehearse")
def cutover_rehearse(
    params_file: ParamsFile,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as one JSON object")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="only take away what one that was cut off has left")] = False,
    sets: Sets = None,
    reports: Reports = None,
) -> None:
    """Rehearse it on the sandbox under writers that never stop: over, back, and how long they could not write.

    Exit status 1 where an acknowledged write is lost or doubled. Other servers than the sandbox's are refused.
    """
    from workbook.phases.rehearse import run_rehearsal
    from workbook.phases.rehearsed import clear as take_away

    use_reports(reports)
    settings = loaded(params_file, sets)
    if clear:
        take_away(settings, say)
        return
    overrides = dict(params.override(text) for text in sets or [])
    raise typer.Exit(run_rehearsal(settings, params_file.resolve(), overrides, as_json, say))


@cutover_app.command("status")
def cutover_status(
    params_file: ParamsFile,
    as_json: Annotated[bool, typer.Option("--json", help="print the state as one JSON object")] = False,
    sets: Sets = None,
    reports: Reports = None,
) -> None:
    """Which server applications write to, and how far the last cutover went; exit status 1 where one waits."""
    from workbook.phases.cutover import print_status as print_cutover

    use_reports(reports)
    raise typer.Exit(print_cutover(loaded(params_file, sets), as_json))


@cutover_app.command("abort")
def cutover_abort(params_file: ParamsFile, sets: Sets = None, reports: Reports = None) -> None:
    """Take back a cutover that was cut off before the other side was opened."""
    from workbook.phases.cutover import abort

    use_reports(reports)
    abort(loaded(params_file, sets), say)


@cutover_app.command("finish")
def cutover_finish(
    params_file: ParamsFile,
    yes: Annotated[bool, typer.Option("--yes", help="give the way back up without asking")] = False,
    sets: Sets = None,
    reports: Reports = None,
) -> None:
    """Give the way back up, on consent: the stream back ends, and the schema _workbook goes from both servers."""
    from workbook.phases.cutover import finish

    use_reports(reports)
    settings = loaded(params_file, sets)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(
                "Nobody consented to give the way back up.", "It cannot be had again.", "Add --yes, or run it by hand."
            )
        typer.confirm("Give the way back up for good?", abort=True)
    finish(settings, say)
