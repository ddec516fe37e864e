"""Our load of a database into the warehouse as a process: `PARAMS NOTES WAY [COLUMN]` prints what it took, as JSON.

WAY is full, or one of the incremental ways; NOTES keeps what the workbook made between two loads.
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

from workbook.catalog import read_catalog
from workbook.incremental import load_night
from workbook.mapping import generate
from workbook.params import load
from workbook.servers import connect_target, connect_warehouse


class Notes:
    """The journal: the objects that were made, in a file."""

    def __init__(self, path: Path):
        self.path = path
        self.owned: list[str] = json.loads(path.read_text()) if path.exists() else []

    def intend(self, object: str, undo: str | None, server: str = "target") -> int:
        self.owned.append(object)
        self.path.write_text(json.dumps(self.owned))
        return len(self.owned)

    def confirm(self, number: int) -> None:
        """It is noted already."""

    def cancel(self, number: int) -> None:
        """What was not made is not dropped by anybody here."""


def main() -> None:
    params, notes, way, *column = sys.argv[1:]
    settings = load(params)
    target, client, journal = connect_target(settings), connect_warehouse(settings), Notes(Path(notes))
    catalog = read_catalog(target, settings.source.databases)
    mapping = generate(catalog, None, True)
    mode = way if way in ("full", "checksums") else "incremental"
    tables = {
        path: replace(table, mode=mode, watermark=column[0] if column else None, lookback=0.0)
        for path, table in mapping.tables.items()
    }
    started = time.monotonic()
    result = load_night(target, client, catalog, replace(mapping, tables=tables), settings, journal, journal.owned)
    seconds = time.monotonic() - started
    (table,) = result.tables
    said = {"way": table.way, "why": table.why, "rows": table.rows_raw, "read": table.read, "seconds": seconds}
    print(json.dumps({**said, "verdict": result.verdict}))


if __name__ == "__main__":
    main()
