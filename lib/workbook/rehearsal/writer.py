"""A writer that never stops, as a process of its own: numbered rows, wherever its settings file points just now.

It knows only what an application knows. A write is acknowledged when the server said so, or, after a lost answer, when the
row is found where the settings point then. What is refused is tried again. Its log is read by outage.py: `a`, monotonic
seconds, number, port, id for an acknowledged write; `r`, monotonic seconds, number, the server's code for a refused one.
"""

import contextlib
import json
import os
import shlex
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pymysql

from workbook.params import secret

_PATHS = ("settings", "log", "ended")
_NOTHING_WRITTEN = 0


@dataclass(frozen=True)
class Job:
    """What a writer does. `statements` are one transaction; `find` counts the rows of a write that may have been made.

    They bind %(number)s, %(mark)s (`mark` with the number behind it) and, in `find`, %(id)s: what AUTO_INCREMENT gave to
    the first statement. `settings` is a file of the form env, as a move of a pipeline writes it; the writer ends after
    the write that it is at once `ended` exists.
    """

    settings: Path
    log: Path
    ended: Path
    statements: tuple[str, ...]
    find: str
    mark: str = ""
    program: str = "workbook rehearsal"
    pause_s: float = 0.03

    def save(self, path: Path) -> Path:
        """Write it down for the process; there is no secret in it."""
        path.write_text(json.dumps(asdict(self), default=str), encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> "Job":
        """The job that was written down."""
        content = json.loads(path.read_text(encoding="utf-8"))
        paths = {name: Path(content[name]) for name in _PATHS}
        return cls(**{**content, **paths, "statements": tuple(content["statements"])})


def command(job: Path) -> list[str]:
    """The command that does a job."""
    return [sys.executable, "-m", "workbook.rehearsal.writer", str(job)]


def settings_in(path: Path) -> dict[str, str]:
    """The settings of a rendered file of the form env."""
    return dict(word.split("=", 1) for word in shlex.split(path.read_text(encoding="utf-8"), comments=True))


def write(job: Job) -> None:
    """Write until the job is ended, or whoever started this process is gone."""
    parent = os.getppid()
    number, place, doubtful = 1, 0, False
    connection: pymysql.Connection[Any] | None = None
    with job.log.open("a", buffering=1, encoding="utf-8") as lines:
        while not job.ended.exists() and os.getppid() == parent:
            values = {"number": number, "mark": f"{job.mark}{number}"}
            try:
                if connection is None:
                    connection = _connect(job)
                with connection.cursor() as cursor:
                    if not (doubtful and _found(cursor, job.find, {**values, "id": place})):
                        place = _carry_out(cursor, job.statements, values)
                    doubtful = True
                    connection.commit()
                doubtful = False
                lines.write(f"a {time.monotonic():.6f} {number} {connection.port} {place}\n")
                number += 1
            except (pymysql.MySQLError, OSError) as error:
                code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
                lines.write(f"r {time.monotonic():.6f} {number} {code}\n")
                with contextlib.suppress(pymysql.MySQLError, OSError):
                    if connection is not None:
                        connection.close()
                connection = None
            time.sleep(job.pause_s)


def _connect(job: Job) -> "pymysql.Connection[Any]":
    found = settings_in(job.settings)
    password = secret(found["DB_PASSWORD_FROM"], job.settings.parent)
    return pymysql.connect(
        host=found["DB_HOST"],
        port=int(found["DB_PORT"]),
        user=found["DB_USER"],
        password=password.encode(),  # of a str it would take the Latin-1
        database=found["DB_DATABASE"],
        charset="utf8mb4",
        program_name=job.program,
        autocommit=False,
        connect_timeout=2,
        read_timeout=10,
    )


def _found(cursor: Any, find: str, values: dict[str, Any]) -> bool:
    cursor.execute(find, values)
    return bool(cursor.fetchone()[0])


def _carry_out(cursor: Any, statements: tuple[str, ...], values: dict[str, Any]) -> int:
    place = 0
    for at, statement in enumerate(statements):
        written = cursor.execute(statement, values)
        if at == 0:
            if not written:
                raise pymysql.err.InternalError(_NOTHING_WRITTEN, "the row that is copied is gone")
            place = int(cursor.lastrowid or 0)
    return place


if __name__ == "__main__":
    write(Job.read(Path(sys.argv[1])))
