"""A writer that never stops: numbered rows through its own account, wherever its settings file points just now.

It knows only what an application knows. A write is acknowledged when the server said so, or, after a lost answer, when the
row is found where the settings point then. Each acknowledgement is a line: monotonic seconds, number, port.
"""

import contextlib
import sys
import time
from pathlib import Path

import pymysql

from pipeline_process import settings_in


def connect(path: Path) -> "pymysql.Connection":
    found = settings_in(path)
    return pymysql.connect(
        host=found["DB_HOST"],
        port=int(found["DB_PORT"]),
        user=found["DB_USER"],
        password=Path(found["DB_PASSWORD_FROM"].removeprefix("file:")).read_text(),
        database=found["DB_DATABASE"],
        program_name="numbers",
        autocommit=False,
        connect_timeout=2,
        read_timeout=10,
    )


def main(path: Path, log: Path, ended: Path) -> None:
    number, doubtful = 1, False
    connection = None
    with log.open("a", buffering=1) as lines:
        while not ended.exists():
            try:
                if connection is None:
                    connection = connect(path)
                with connection.cursor() as cursor:
                    there = 0
                    if doubtful:
                        cursor.execute("SELECT COUNT(*) FROM numbers WHERE number = %s", (number,))
                        there = cursor.fetchone()[0]
                    if not there:
                        cursor.execute("INSERT INTO numbers (number, at) VALUES (%s, NOW(6))", (number,))
                        cursor.execute("UPDATE totals SET highest = %s, written = written + 1", (number,))
                    doubtful = True
                    connection.commit()
                doubtful = False
                lines.write(f"{time.monotonic():.6f} {number} {connection.port}\n")
                number += 1
                time.sleep(0.03)
            except (pymysql.MySQLError, OSError):
                with contextlib.suppress(pymysql.MySQLError, OSError):
                    if connection is not None:
                        connection.close()
                connection = None
                time.sleep(0.03)


if __name__ == "__main__":
    main(*(Path(word) for word in sys.argv[1:4]))
