"""Where a migration stands, for a terminal: the phases in a line, then each with its way back, and what comes next."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from workbook.backups.backup import NOT_BY_US
from workbook.faces import human_seconds
from workbook.params import Settings
from workbook.phases.standing import standing
from workbook.points.point import COMMAND


def print_status(settings: Settings) -> None:
    """Print the states as a line and a table, the ways back, and the next step."""
    found = standing(settings)
    console = Console()
    console.print(escape(found.text()))
    table = Table(title=f"Environment {settings.environment}", title_justify="left")
    for heading in ("Phase", "State", "Ended (UTC)", "Took", "Run", "Back to its end undoes", "Takes about"):
        table.add_column(heading)
    back = {way.to: way for way in found.ways_back}
    for stage in found.stages:
        way = back.get(stage.kind.name)
        took = human_seconds(stage.seconds) if stage.seconds is not None else ""
        undoes = f"{', '.join(way.phases)} ({way.statements})" if way else ""
        takes = "" if way is None else human_seconds(way.seconds) if way.seconds is not None else "not measured yet"
        table.add_row(
            *map(escape, (stage.kind.name, stage.state, stage.ended or "", took, stage.run or "", undoes, takes))
        )
    console.print(table)
    if found.verdict:
        signed = f"{found.signed} by {found.signed_by}" if found.signed_by else found.signed or "not signed"
        console.print(escape(f"Last verdict: {found.verdict}, {signed}"))
    for night in found.nights:
        console.print(
            escape(f"Kept: the warehouse as {night.left_by} left it, until {night.expires} ({night.cost}). {COMMAND}")
        )
    for backup in found.backups:
        console.print(
            escape(
                f"Cloud SQL: {backup.instance} before {backup.phase}, backup {backup.id} of {backup.window[0]} ({backup.cost})"
            )
        )
        for words, lines in backup.ways:
            console.print(escape(f"  {words}:"))
            for line in lines:
                # In one piece, to be copied.
                console.print(escape(f"    {line}"), soft_wrap=True, highlight=False)
    if found.backups:
        console.print(escape(NOT_BY_US))
    if found.following is None:
        console.print("All phases are done. Run validate again before you rely on the copy.")
    else:
        console.print(f"Next: {found.following.name}")
