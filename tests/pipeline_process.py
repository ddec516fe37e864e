"""A pipeline for the tests: keeps writing orders through its own account, wherever its settings file points just now."""

import sys
import time
from pathlib import Path

import pymysql

from workbook.rehearsal.writer import settings_in


def main(path: Path) -> None:
    """Write an order and read a customer, again and again, connecting anew whenever the settings change."""
    while True:
        text = path.read_text()
        found = settings_in(path)
        connection = pymysql.connect(
            host=found["DB_HOST"],
            port=int(found["DB_PORT"]),
            user=found["DB_USER"],
            password=Path(found["DB_PASSWORD_FROM"].removeprefix("file:")).read_text(),
            database=found["DB_DATABASE"],
            program_name="order desk",
            autocommit=True,
        )
        with connection, connection.cursor() as cursor:
            while path.read_text() == text:
                cursor.execute("INSERT INTO orders (customer_id, note) VALUES (1, 'a value nobody may see')")
                cursor.execute("SELECT name FROM customers WHERE id = 1")
                cursor.fetchall()
                time.sleep(0.1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
