"""A line for cron: absolute paths, one run at a time, the exit status kept in the log."""

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from workbook.errors import UsageError
from workbook.params import CHECKOUT
from workbook.phases.order import phase_named


def crontab_line(params_file: Path, at: str, phases: Sequence[str], reports: Path) -> str:
    """The crontab line that runs `phases` (all where none is named) every day at `at` (HH:MM, the machine's zone).

    Raises UsageError for a time or a phase that does not exist.
    """
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", at.strip())
    if not found:
        raise UsageError(
            f"{at!r} is no time of day.", "cron needs an hour and a minute.", "Write for example --at 02:00."
        )
    names = [phase_named(name).name for name in phases]
    command = [
        str(Path(sys.executable).with_name("workbook")),
        "run",
        *names,
        "-p",
        str(params_file.resolve()),
        "--reports",
        str(reports),
    ]
    log = shlex.quote(str(reports / "cron.log"))
    lock = shlex.quote(str(reports / f".{params_file.stem}.cron.lock"))
    line = (
        f"cd {shlex.quote(str(CHECKOUT))} && flock -n -E 75 {lock} {shlex.join(command)} >> {log} 2>&1;"
        f' status=$?; echo "$(date -u +%FT%TZ) exit $status" >> {log}'
    )
    # In a crontab a bare % ends the command.
    return f"{int(found[2])} {int(found[1])} * * * {line.replace('%', chr(92) + '%')}"
