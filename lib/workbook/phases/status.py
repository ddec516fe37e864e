"""Where a migration stands: phases done, restore points, what comes next."""

from typing import Any

from rich.console import Console
from rich.table import Table

from workbook.params import Settings
from workbook.phases.ledger import Ledger
from workbook.phases.order import PHASES


def phase_states(settings: Settings) -> list[dict[str, Any]]:
    """Each phase with its state in this environment: pending, started, done or failed; when, in which run, what it undoes."""
    ledger = Ledger(settings.environment)
    done = ledger.phases()
    found = []
    for kind in PHASES:
        entry = done.get(kind.name)
        steps = sum(len(ledger.to_undo(kind.name, server)) for server in ("target", "warehouse"))
        found.append(
            {
                "phase": kind.name,
                "title": kind.title,
                "state": entry.status if entry else "pending",
                "run": entry.run_id if entry else None,
                "ended": entry.ended if entry else None,
                "restore_point": entry is not None and entry.status == "done",
                "undo_steps": steps,
            }
        )
    return found


def print_status(settings: Settings) -> None:
    """Print the states as a table, and the next step."""
    states = phase_states(settings)
    table = Table(title=f"Environment {settings.environment}", title_justify="left")
    for heading in ("Phase", "State", "Ended (UTC)", "Run", "Rollback to here", "Steps to undo"):
        table.add_column(heading)
    for state in states:
        table.add_row(
            state["phase"],
            state["state"],
            state["ended"] or "",
            state["run"] or "",
            "possible" if state["restore_point"] else "",
            str(state["undo_steps"] or ""),
        )
    console = Console()
    console.print(table)
    default = {kind.name for kind in PHASES if kind.by_default}
    following = next((s["phase"] for s in states if s["state"] != "done" and s["phase"] in default), None)
    if following is None:
        console.print("All phases are done. Run validate again before you rely on the copy.")
    else:
        console.print(f"Next: {following}")
