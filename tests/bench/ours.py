"""Our bulk load as a process of its own: gets ready, says so, loads when told, and says what it took."""

import json
import resource
import sys
import time

from workbook.bulk.load import load
from workbook.catalog import read_catalog
from workbook.mapping import generate
from workbook.params import load as load_params
from workbook.plan import apply
from workbook.schema import plan_schema
from workbook.servers import connect_source, connect_target


class Journal:
    """Remembers what was made, for as long as the process lives."""

    def __init__(self) -> None:
        self.objects: set[str] = set()

    def intend(self, object: str, undo: str | None, server: str = "target") -> int:
        self.objects.add(object)
        return 0

    def confirm(self, number: int) -> None:
        pass

    def cancel(self, number: int) -> None:
        pass


def cpu() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def main() -> None:
    settings = load_params(sys.argv[1])
    source, target, journal = connect_source(settings), connect_target(settings), Journal()
    catalog = read_catalog(source, settings.source.databases)
    mapping = generate(catalog, None, True)
    apply(plan_schema(source, target, catalog, mapping, journal.objects), target, journal)
    print("ready", flush=True)
    sys.stdin.readline()
    started, used = time.monotonic(), cpu()
    result = load(source, target, catalog, mapping, settings, journal, journal.objects)
    first = min(chunk.started for chunk in result.copied)
    print(
        json.dumps(
            {
                "seconds": time.monotonic() - started,
                "cpu": cpu() - used,
                "rows": result.rows,
                "row_seconds": result.row_seconds,
                "index_seconds": result.index_seconds,
                "bytes": sum(chunk.bytes for chunk in result.copied),
                "stream_started": first,
                "stream_seconds": max(chunk.ended for chunk in result.copied) - first,
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main()
