"""Writers that never stop: rows inserted, changed and deleted on the source at a rate, with a key, without one, and one hot row."""

import random
import threading
import time
from types import TracebackType

from conftest import Scratch
from workbook.sandbox import lifecycle

TABLES = [
    "CREATE TABLE parents (id INT PRIMARY KEY, word VARCHAR(20))",
    """INSERT INTO parents WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 900)
       SELECT n, CONCAT('é', n) FROM c""",
    """CREATE TABLE moving (id INT PRIMARY KEY AUTO_INCREMENT, parent INT, word VARCHAR(40), n BIGINT NOT NULL DEFAULT 0,
       FOREIGN KEY (parent) REFERENCES parents (id))""",
    """INSERT INTO moving (parent, word) WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 900)
       SELECT n, CONCAT('row ', n) FROM c""",
    "CREATE TABLE named (place VARCHAR(20) CHARACTER SET latin1, day DATE, n INT NOT NULL, PRIMARY KEY (place, day))",
    "INSERT INTO named SELECT CONCAT('é', id), '2024-02-29' + INTERVAL id DAY, id FROM parents",
    "CREATE TABLE clicks (what VARCHAR(20), n INT)",
    "INSERT INTO clicks SELECT 'old', id FROM parents",
]
# Rows that were there from the beginning and have a higher number stand still.
STILL = 800


class Workload:
    """Row changes on the tables above at `rate` a second, by two connections, while the block lasts."""

    def __init__(self, scratch: Scratch, database: str, rate: int = 1000):
        self.rows, self.late = 0, 0.0
        self._scratch, self._database, self._rate = scratch, database, rate
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(seed,)) for seed in range(2)]
        self.failed: list[BaseException] = []

    def __enter__(self) -> "Workload":
        self._started = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()
        self.seconds = time.monotonic() - self._started
        if self.failed and error is None:
            raise self.failed[0]

    @property
    def per_second(self) -> float:
        """Row changes a second, as they came about."""
        return self.rows / self.seconds

    def _write(self, seed: int) -> None:
        dice = random.Random(seed)
        try:
            with lifecycle.root_connection(self._scratch.state, "source", database=self._database) as connection:
                cursor = connection.cursor()
                begun, done = time.monotonic(), 0
                while not self._end.is_set():
                    connection.begin()
                    changed = 0
                    for statement, values in self._some(dice, seed):
                        cursor.execute(statement, values)
                        changed += cursor.rowcount
                    connection.commit()
                    done += changed
                    self.rows += changed
                    time.sleep(max(0.0, begun + done / (self._rate / 2) - time.monotonic()))
        except BaseException as error:
            self.failed.append(error)

    def _some(self, dice: random.Random, seed: int) -> list[tuple[str, tuple[object, ...]]]:
        """One transaction; each writer has rows of its own, so that none waits for the other."""
        own = [dice.randrange(STILL // 2) * 2 + 1 + seed for _ in range(4)]
        return [
            ("UPDATE moving SET n = n + 1, word = %s WHERE id IN (%s, %s, %s)", (f"w{dice.random()}", *own[:3])),
            ("UPDATE moving SET n = n + 1 WHERE id = %s", (1 + seed,)),
            ("INSERT INTO moving (parent, word) VALUES (%s, 'new'), (%s, 'new')", (own[0], own[1])),
            ("DELETE FROM moving WHERE id > 900 AND id %% 2 = %s ORDER BY id LIMIT 1", (seed,)),
            ("UPDATE named SET n = n + 1 WHERE place = %s", (f"é{own[3]}",)),
            # Without an index a deletion locks all rows, so one writer alone deletes.
            ("INSERT INTO clicks VALUES ('new', %s)", (dice.randrange(99),))
            if seed
            else ("DELETE FROM clicks LIMIT 1", ()),
        ]
