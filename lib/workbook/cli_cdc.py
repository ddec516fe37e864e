"""The commands of change capture: `workbook cdc run`, `stop`, `status`, `add`, `merge` and those for dead letters."""

import sys
from typing import Annotated

import typer

from workbook.cli_options import ParamsFile, Reports, Sets, loaded, say, use_reports
from workbook.errors import UsageError

cdc_app = typer.Typer(help="Change capture: the source's changes, applied to Cloud SQL.", no_args_is_help=True)


@cdc_app.command("run")
def cdc_run(params_file: ParamsFile, sets: Sets = None, reports: Reports = None) -> None:
    """Follow the source in the foreground, until SIGTERM, Ctrl-C or `cdc stop`."""
    from workbook.phases.cdc import run as follow

    use_reports(reports)
    follow(loaded(params_file, sets), say)


@cdc_app.command("stop")
def cdc_stop(params_file: ParamsFile, sets: Sets = None, reports: Reports = None) -> None:
    """End the process that follows the source; it goes on later where it was."""
    from workbook.phases.cdc import stop

    use_reports(reports)
    stop(loaded(params_file, sets), say)


@cdc_app.command("status")
def cdc_status(
    params_file: ParamsFile,
    as_json: Annotated[bool, typer.Option("--json", help="print the status as one JSON object")] = False,
    sets: Sets = None,
    reports: Reports = None,
) -> None:
    """How far the target is; exit status 1 where it is behind, stands still or refuses changes."""
    from workbook.phases.cdc import print_status as print_stream

    use_reports(reports)
    raise typer.Exit(print_stream(loaded(params_file, sets), as_json))


@cdc_app.command("add")
def cdc_add(
    tables: Annotated[
        list[str], typer.Argument(metavar="DATABASE.TABLE", help="tables in scope that the load did not have")
    ],
    params_file: ParamsFile,
    sets: Sets = None,
    reports: Reports = None,
) -> None:
    """Load tables that came later, and have the stream follow them; again finishes what was cut off. Not while it runs."""
    from workbook.phases.cdc import add

    use_reports(reports)
    add(loaded(params_file, sets), tables, say)


@cdc_app.command("merge")
def cdc_merge(params_file: ParamsFile, sets: Sets = None, reports: Reports = None) -> None:
    """Bring the warehouse to where Cloud SQL is; exit status 3 where BigQuery would read more than cdc.merge_gb."""
    from workbook.phases.cdc import merge_now

    use_reports(reports)
    merge_now(loaded(params_file, sets), say)


@cdc_app.command("dead-letters")
def cdc_letters(
    params_file: ParamsFile,
    values: Annotated[bool, typer.Option("--values", help="show the rows' values, which are masked otherwise")] = False,
    sets: Sets = None,
    reports: Reports = None,
) -> None:
    """What the target refused and what could not be read, with what mends it; exit status 1 where there is something."""
    from workbook.phases.cdc import dead_letters

    use_reports(reports)
    settings = loaded(params_file, sets)
    found = dead_letters(settings, values or settings.validate_.show_values)
    typer.echo(found.text)
    raise typer.Exit(1 if found.count else 0)


@cdc_app.command("forget-dead-letters")
def cdc_forget(
    numbers: Annotated[list[int], typer.Argument(help="their numbers, as dead-letters shows them")],
    params_file: ParamsFile,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    sets: Sets = None,
    reports: Reports = None,
) -> None:
    """Let dead letters go for good, on consent; exit status 1 where others are left."""
    from workbook.phases.cdc import forget

    use_reports(reports)
    settings = loaded(params_file, sets)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(
                "Nobody consented to letting dead letters go.",
                "A change that the target refused is lost with its letter.",
                "Add --yes, or run it by hand.",
            )
        typer.confirm(f"Let {len(numbers)} dead letters go for good?", abort=True)
    raise typer.Exit(1 if forget(settings, numbers, say) else 0)


@cdc_app.command("replay-dead-letters")
def cdc_replay(params_file: ParamsFile, sets: Sets = None, reports: Reports = None) -> None:
    """Try the changes again that the target refused; exit status 1 where some are left."""
    from workbook.phases.cdc import replay

    use_reports(reports)
    raise typer.Exit(1 if replay(loaded(params_file, sets), say) else 0)
