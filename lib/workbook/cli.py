"""The command line: workbook run, status, rollback, repair, sign, schedule, notify, tidy, site, pipelines, cdc, cutover, sandbox."""

import json
import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer

from workbook import params
from workbook.cli_cdc import cdc_app
from workbook.cli_cutover import cutover_app
from workbook.cli_options import ParamsFile, Reports, Sets, loaded, say, use_reports
from workbook.errors import UsageError, WorkbookError

app = typer.Typer(
    help="Moves MySQL to Cloud SQL and BigQuery, phase by phase, with proof and a way back.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
sandbox_app = typer.Typer(
    help="Local stand-ins: two MySQL servers, BigQuery, Pub/Sub, and the sample shop.", no_args_is_help=True
)
app.add_typer(sandbox_app, name="sandbox")
pipelines_app = typer.Typer(
    help="The jobs and applications around the database: where each works, and moving it.", no_args_is_help=True
)
app.add_typer(pipelines_app, name="pipelines")

app.add_typer(cdc_app, name="cdc")
app.add_typer(cutover_app, name="cutover")

Folder = Annotated[Path | None, typer.Option("--dir", help="the sandbox's folder; .sandbox in the checkout by default")]
Phases = Annotated[
    list[str] | None, typer.Argument(help="phases, in any order; none: all that lead to a validated copy")
]


@app.command()
def run(
    params_file: ParamsFile,
    phases: Phases = None,
    sets: Sets = None,
    reports: Reports = None,
    due: Annotated[
        str | None,
        typer.Option("--due", help="when its schedule wants it to start, HH:MM [ZONE]; refusals go on record"),
    ] = None,
) -> None:
    """Run phases headlessly; every run leaves a report."""
    from workbook.phases.run import run as run_phases

    use_reports(reports)
    overrides = dict(params.override(text) for text in sets or [])
    settings = params.load(params_file, overrides)
    raise typer.Exit(run_phases(settings, params_file.resolve(), overrides, phases or [], say, due))


@app.command()
def status(params_file: ParamsFile, sets: Sets = None, reports: Reports = None) -> None:
    """Phases done, restore points, and what comes next."""
    from workbook.phases.status import print_status

    use_reports(reports)
    print_status(loaded(params_file, sets))


@app.command()
def rollback(
    phase: Annotated[
        str,
        typer.Argument(
            help='back to the state at the end of this phase; "start": before the first;'
            ' "previous-copy": the copy before the last refresh is read again;'
            ' "previous-warehouse": BigQuery as it was before the last load'
        ),
    ],
    params_file: ParamsFile,
    sets: Sets = None,
    reports: Reports = None,
) -> None:
    """Take phases back, latest first, and prove that the state is the one of before."""
    from workbook.phases.order import PREVIOUS_COPY, PREVIOUS_WAREHOUSE
    from workbook.phases.previous import to_previous_copy
    from workbook.phases.rollback import rollback as roll_back

    use_reports(reports)
    if phase == PREVIOUS_COPY:
        gone = to_previous_copy(loaded(params_file, sets), say)
        say(
            f"The copy that was read until {gone.back.mark} is read again, {gone.proven} objects proven; swapped in"
            f" {gone.back.passage.rename_seconds:.3f} s. The other is kept as {', '.join(gone.back.aside)}: the same"
            " command again brings it back. The warehouse is as it was: run the phase warehouse to have it follow."
        )
        return
    if phase == PREVIOUS_WAREHOUSE:
        from workbook.phases.previous_warehouse import to_previous_warehouse

        gone_back = to_previous_warehouse(loaded(params_file, sets), say)
        point = gone_back.back.point
        say(
            f"The warehouse is again as the run {point.left_by} left it: {len(point.tables)} tables with {point.rows:,} rows,"
            f" proven; {len(gone_back.back.dropped)} that came since are gone. Earlier nights that are kept:"
            f" {gone_back.left}. Mend what was wrong, then: workbook run warehouse validate"
        )
        return
    done = roll_back(loaded(params_file, sets), phase, say)
    undone = ", ".join(done.phases) or "nothing"
    say(
        f"Undone: {undone} ({done.statements} statements). Target and warehouse are as they were at the end of {done.to}."
    )


@app.command()
def repair(
    params_file: ParamsFile,
    findings: Annotated[
        list[str] | None,
        typer.Option("--findings", help="numbers of findings (1,4), or all; none: list what can be mended"),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    sets: Sets = None,
    reports: Reports = None,
) -> None:
    """Mend what the last validation found on Cloud SQL, on consent; what was mended is validated again."""
    from workbook.phases.repair import proposed
    from workbook.phases.repair import repair as mend

    use_reports(reports)
    settings = loaded(params_file, sets)
    chosen = proposed(settings, findings or ["all"])
    for item in chosen.findings:
        column = f" ({item['column']})" if item["column"] else ""
        typer.echo(f"{item['id']:4}  {item['defect']}: {item['object']}{column}, {item['repair']}")
    typer.echo(f"The files are in {chosen.folder}." if chosen.repairs else "There is nothing that a repair file mends.")
    if not findings or not chosen.repairs:
        return
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(
                "Nobody consented to the repair.", "It writes to Cloud SQL.", "Add --yes, or run it by hand."
            )
        typer.confirm("Run them on Cloud SQL?", abort=True)
    mend(settings, findings, say)
    say("Mended, and proven. In BigQuery the tables are mended by: workbook run warehouse validate")


@app.command()
def sign(
    params_file: ParamsFile,
    by: Annotated[
        str | None, typer.Option("--by", help="who signs; none: show the criteria and the signatures")
    ] = None,
    run_id: Annotated[
        str | None, typer.Option("--run", help="a run, as the index of runs names it; none: the last validation")
    ] = None,
    note: Annotated[str, typer.Option("--note", help="a sentence beside the signature")] = "",
    sets: Sets = None,
    reports: Reports = None,
) -> None:
    """Sign a validation against the mapping's criteria; exit status 1 where one is not met or could not be judged."""
    from workbook.phases.sign import print_candidate
    from workbook.phases.sign import sign as sign_run

    use_reports(reports)
    settings = loaded(params_file, sets)
    if by is None:
        raise typer.Exit(0 if print_candidate(settings, run_id) else 1)
    sign_run(settings, by, run_id, note, say)


@app.command()
def schedule(
    params_file: ParamsFile,
    at: Annotated[str, typer.Option("--at", help="time of day, HH:MM")],
    phases: Phases = None,
    form: Annotated[str, typer.Option("--as", help="cron, systemd, cloud-run or composer")] = "cron",
    limit: Annotated[str, typer.Option("--limit", help="ends a run that takes longer: 90m, 6h; less than 24h")] = "6h",
    zone: Annotated[str, typer.Option("--zone", help="a time zone; none: the machine's, UTC in the cloud")] = "",
    image: Annotated[str, typer.Option("--image", help="cloud-run: an image with the checkout in /workbook")] = "",
    region: Annotated[str, typer.Option("--region", help="cloud-run, composer: where it runs")] = "",
    reports_share: Annotated[
        str, typer.Option("--reports-share", help="cloud-run: NFS for the reports, host:/path")
    ] = "",
    to: Annotated[Path | None, typer.Option("--to", help="a folder for the files; none: print them")] = None,
    reports: Reports = None,
) -> None:
    """Print what runs phases every day: a crontab line, systemd units, a Cloud Run job or a Composer DAG."""
    from workbook.phases import schedule as schedules
    from workbook.phases.ledger import reports_folder

    use_reports(reports)
    reports_folder().mkdir(parents=True, exist_ok=True)
    made = schedules.Schedule(
        params.load(params_file),
        params_file,
        reports_folder(),
        *schedules.time_of_day(at),
        tuple(schedules.phase_names(phases or [])),
        schedules.time_limit(limit),
        schedules.time_zone(zone),
        image,
        region,
        reports_share,
    )
    files = schedules.render(made, form)
    if form == "cron" and made.variables:
        say(
            f"cron sets no variables: put {', '.join(made.variables)} into the crontab, or use file: or secret-manager:"
        )
    for name, text in files.items():
        if to is not None:
            to.mkdir(parents=True, exist_ok=True)
            (to / name).write_text(text, encoding="utf-8")
            say(str(to / name))
        else:
            typer.echo(text if len(files) == 1 else f"# {name}\n{text}", nl=len(files) > 1)


@app.command()
def notify(params_file: ParamsFile, sets: Sets = None, reports: Reports = None) -> None:
    """Send a trial message to everybody whom the params name under notify."""
    from workbook.phases.notify import try_out

    use_reports(reports)
    say(f"Told by {' and '.join(try_out(loaded(params_file, sets)))}.")


@app.command()
def tidy(
    params_file: ParamsFile,
    yes: Annotated[bool, typer.Option("--yes", help="let them go; otherwise they are listed")] = False,
    sets: Sets = None,
    reports: Reports = None,
) -> None:
    """Let old runs go, as `retention` in the params says; what is needed to go back, or signed, stays."""
    from workbook.phases.ledger import reports_folder
    from workbook.phases.run import only_one
    from workbook.phases.tidy import print_tidying
    from workbook.phases.tidy import tidy as let_go
    from workbook.site import build_index

    use_reports(reports)
    settings = loaded(params_file, sets)
    if not yes:
        print_tidying(settings)
        return
    with only_one(reports_folder(), settings.environment):
        let_go(settings, say)
    build_index(reports_folder())


@app.command()
def site(reports: Reports = None) -> None:
    """Build the index of runs again."""
    from workbook.phases.ledger import reports_folder
    from workbook.site import build_index

    use_reports(reports)
    reports_folder().mkdir(parents=True, exist_ok=True)
    typer.echo(build_index(reports_folder()))


@pipelines_app.command("status")
def pipelines_status(
    params_file: ParamsFile,
    as_json: Annotated[bool, typer.Option("--json", help="print the states as JSON")] = False,
    sets: Sets = None,
    reports: Reports = None,
) -> None:
    """Where each pipeline works, and its connections on both sides now."""
    from workbook.phases.pipelines import print_pipelines

    use_reports(reports)
    print_pipelines(loaded(params_file, sets), as_json)


@pipelines_app.command("settings")
def pipelines_settings(
    name: Annotated[str, typer.Argument(help="a pipeline of the register")],
    params_file: ParamsFile,
    to: Annotated[str, typer.Option("--to", help="source or target")] = "target",
    sets: Sets = None,
    reports: Reports = None,
) -> None:
    """Print a pipeline's connection settings towards one side, in its own form; nothing is written."""
    from workbook.phases.pipelines import settings_of

    use_reports(reports)
    typer.echo(settings_of(loaded(params_file, sets), name, to).text, nl=False)


@pipelines_app.command("move")
def pipelines_move(
    names: Annotated[
        list[str], typer.Argument(help="pipelines of the register; those that move together in one command")
    ],
    params_file: ParamsFile,
    to: Annotated[str, typer.Option("--to", help="shadow, target, source or retired")],
    wait: Annotated[float, typer.Option(min=0, help="seconds in which the proof must come")] = 60.0,
    despite: Annotated[list[str] | None, typer.Option(help="a check to pass over; may be repeated")] = None,
    leave_writes: Annotated[
        bool, typer.Option("--leave-writes", help="go back though the source lacks what was written on the target")
    ] = False,
    sets: Sets = None,
    reports: Reports = None,
) -> None:
    """Move pipelines: check, write their settings, prove; exit status 1 where the proof is missing."""
    from workbook.phases.pipelines import move

    use_reports(reports)
    move(loaded(params_file, sets), names, to, wait, despite or [], leave_writes, say)
    say(f"Proven: {', '.join(names)} → {to}.")


@sandbox_app.command("up")
def sandbox_up(
    folder: Folder = None,
    source: Annotated[str, typer.Option(help="the source's flavour: mysql or mariadb")] = "mysql",
    sample: Annotated[bool, typer.Option("--sample/--no-sample", help="with the sample shop, or empty")] = True,
    scale: Annotated[float, typer.Option(min=0.001, help="size of the sample; 1 is about 250,000 rows")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="print the addresses as one JSON object")] = False,
) -> None:
    """Start the stand-ins; they stay until `sandbox down`."""
    from workbook.sandbox import lifecycle

    if source not in ("mysql", "mariadb"):
        raise UsageError(
            f"The sandbox has no source of the flavour {source!r}.",
            "Nothing was started.",
            "Name mysql or mariadb.",
        )
    place = folder or params.sandbox_folder()
    # A kill of this command must not leave half a sandbox behind, so it unwinds like Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    state = lifecycle.up(place.resolve(), scale=scale, sample=sample, flavour=source, say=say)
    if as_json:
        typer.echo(json.dumps(lifecycle.public(state)))
    else:
        for name, url in (("source", state["source"]["url"]), ("target", state["target"]["url"])):
            typer.echo(f"{name:10} {params.masked(url)}")
        typer.echo(f"{'warehouse':10} {state['warehouse']['endpoint'] or 'not here: install the extra `local`'}")
        typer.echo(f"{'pubsub':10} {state['pubsub']['endpoint'] or 'not here: it comes with the Google Cloud CLI'}")
        typer.echo(f"{'params':10} {state['params']}")


@sandbox_app.command("down")
def sandbox_down(folder: Folder = None) -> None:
    """Stop the stand-ins and remove their folder."""
    from workbook.sandbox import lifecycle

    place = (folder or params.sandbox_folder()).resolve()
    say(f"{lifecycle.down(place)} processes stopped.")


@sandbox_app.command("status")
def sandbox_status(folder: Folder = None) -> None:
    """Show whether the stand-ins run; exit status 1 where one does not."""
    from workbook.sandbox import lifecycle

    found = lifecycle.status((folder or params.sandbox_folder()).resolve())
    for process in found:
        typer.echo(f"{process['name']:10} {'running' if process['alive'] else 'gone':8} pid {process['pid']}")
    if not found:
        typer.echo("No sandbox is up.")
    raise typer.Exit(0 if found and all(process["alive"] for process in found) else 1)


@sandbox_app.command("workload")
def sandbox_workload(
    folder: Folder = None,
    rate: Annotated[float, typer.Option(min=0.1, help="row changes a second")] = 100.0,
    seconds: Annotated[float, typer.Option(min=0.1, help="for how long")] = 10.0,
    seed: Annotated[int, typer.Option(help="chooses the changes")] = 1,
) -> None:
    """Change the source as an application would."""
    from workbook.sandbox import lifecycle, workload

    place = (folder or params.sandbox_folder()).resolve()
    state = lifecycle.read_state(place)
    if state is None:
        raise UsageError(
            f"No sandbox is up in {place}.", "There is no source to change.", "Start one: workbook sandbox up"
        )
    counts = workload.run(lambda: lifecycle.root_connection(state, "source"), rate, seconds, seed, say)
    typer.echo(json.dumps(counts))


def main(arguments: list[str] | None = None) -> Any:
    """The entry point: errors in three parts on standard error, and the documented exit status."""
    try:
        # Outside its own standalone mode the framework returns the exit status that a command raised.
        status = app(arguments, standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except WorkbookError as error:
        say(f"{error}")
        sys.exit(error.exit_status)
    except (typer.Abort, KeyboardInterrupt):
        say("Interrupted.")
        sys.exit(3)
    except OSError as error:
        say(
            f"{error.strerror or error}: {error.filename or ''}\n  What to do: make room or mend the rights, then try again."
        )
        sys.exit(3)
    except Exception as error:
        # Click's own complaints about words on the command line.
        if hasattr(error, "format_message"):
            say(f"{error.format_message()}\n  What to do: see workbook --help.")
            sys.exit(2)
        traceback.print_exc()
        say("This is a fault of the workbook itself; what was committed stays, and running again goes on from there.")
        sys.exit(3)


if __name__ == "__main__":
    main()
