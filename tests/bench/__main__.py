"""Runs the benches: `make bench`, or `python -m bench --rows 200000 --case narrow` in tests/."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import bulk_load, content, defects, report, stream, warehouse
from bench.contest import Case, Options, hold
from bench.matrix import Matrix

# A bench is one row: what it is called, and the generator of its cases.
BENCHES: dict[str, Callable[[Options, Callable[[str], None]], Iterator[Case]]] = {
    "bulk": bulk_load.cases,
    "content": content.cases,
    "warehouse": warehouse.cases,
    "stream": stream.cases,
}
# What has no seconds, but finds or misses.
FOUND: dict[str, Callable[[Callable[[str], None]], Matrix]] = {"defects": defects.found}


def main() -> int:
    """Run what is asked for, write the reports; 0 where every goal is met, 1 where one is not or a peer is missing."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--bench", action="append", choices=sorted({**BENCHES, **FOUND}), help="only this one; may be repeated"
    )
    parser.add_argument("--case", action="append", help="only this case; may be repeated")
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows of a table (default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=3, help="runs of each contender (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="our workers, the peers' threads (default: %(default)s)")
    parser.add_argument("--reports", type=Path, default=Path(__file__).parents[2] / "reports", help="where to write")
    given = parser.parse_args()
    options = Options(given.rows, given.repetitions, tuple(given.case or ()), given.workers)
    outcomes, matrices = [], []
    started = time.monotonic()
    for name in given.bench or [*BENCHES, *FOUND]:
        if name in FOUND:
            matrices.append(FOUND[name](say))
            report.write(outcomes, matrices, given.reports)
            continue
        for case in BENCHES[name](options, say):
            say(f"{case.bench}, {case.name}: {case.rows:,} rows, {case.bytes / 1e6:,.0f} MB")
            outcomes.append(hold(case, options.repetitions, say))
            # Written after each case: a bench that is stopped leaves what it has.
            report.write(outcomes, matrices, given.reports)
    rows = [row for outcome in outcomes for row in outcome.rows()]
    if rows:
        print(report.table(rows))
    for matrix in matrices:
        print(matrix.text())
    print(
        f"{time.monotonic() - started:.0f} s; written: {given.reports / 'bench.json'}, {given.reports / 'bench.html'}"
    )
    met = all(row["met"] or row["goal"] is None for row in rows) and all(matrix.good for matrix in matrices)
    return 0 if met and (rows or matrices) else 1


def say(line: str) -> None:
    """A line for whoever waits."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
