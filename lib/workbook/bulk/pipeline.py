"""The bulk load as a Beam pipeline: numbers of shards, grouped so that each has a worker, copied by the same function
that copies chunks on one machine. `python -m workbook.bulk.pipeline` runs it, told its orders on its standard input."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.options.pipeline_options import PipelineOptions

from workbook.beam import running
from workbook.bulk.orders import Orders, orders_of
from workbook.bulk.shard import copy_shard


class CopyShard(beam.DoFn):
    """Copies the chunks of a shard; its pipeline holds addresses and references, never a password."""

    def __init__(self, orders: Orders):
        super().__init__()
        self._orders = orders
        self._rows = Metrics.counter("workbook", "rows")
        self._bytes = Metrics.counter("workbook", "bytes")

    def process(self, element: tuple[int, Iterable[int]]) -> Iterator[tuple[int, int]]:
        """One shard, by its number; again and again with the same outcome."""
        number, _ = element
        done = copy_shard(self._orders, number)
        self._rows.inc(done.rows)
        self._bytes.inc(done.bytes)
        yield number, done.chunks


def built(orders: Orders, arguments: Sequence[str], runner: Any = None) -> beam.Pipeline:
    """The pipeline. What is grouped by a key has one worker at a time: as many connections as shards, whatever runs it."""
    pipeline = beam.Pipeline(runner=runner, options=PipelineOptions(list(arguments)))
    (
        pipeline
        | "Shards" >> beam.Create([(number, number) for number in range(orders.count)])
        | "One worker each" >> beam.GroupByKey()
        | "Copy" >> beam.ParDo(CopyShard(orders))
    )
    return pipeline


def build(orders: dict[str, Any], arguments: Sequence[str], runner: Any) -> beam.Pipeline:
    """The pipeline of orders as they are told."""
    return built(orders_of(orders), arguments, runner)


if __name__ == "__main__":
    # Under its importable name: what __main__ defines is not found by the workers.
    from workbook.bulk import pipeline

    running.live(pipeline.build)
