"""Changes applied by an Apache Beam pipeline: on Dataflow it reads Pub/Sub itself, here it is fed bundle by bundle.

`python -m workbook.cdc.pipeline --workbook_orders=… --runner=DataflowRunner …` starts it on Dataflow.
"""

import contextlib
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics, MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from workbook.cdc import orders
from workbook.cdc.engine import Batch, Engine
from workbook.cdc.pubsub import PubSub, place
from workbook.cdc.receive import Received, Receiver
from workbook.cdc.relay import Pulled
from workbook.cdc.waiting import Waiting
from workbook.errors import TransientError, WorkbookError
from workbook.params import Settings
from workbook.servers import Server, connect_target

COUNTERS = ("applied", "stale", "dead", "unfollowed", "early", "old", "unread")
_AT_ONCE = 2000
# One a process, whatever number of threads Beam runs: there is one order, so there is one who applies.
_receivers: dict[str, Receiver] = {}
_failed: list[WorkbookError] = []
_one = threading.Lock()


class ApplyChanges(beam.DoFn):
    """Applies the messages of a bundle when it is complete; its pipeline holds addresses and references, never a password."""

    def __init__(self, told: str):
        super().__init__()
        self._told = told
        self._messages: list[Received] = []
        self._counters = {name: Metrics.counter("workbook", name) for name in COUNTERS}

    def start_bundle(self) -> None:
        """Begin with nothing."""
        self._messages = []

    def process(self, element: tuple[str, bytes, dict[str, str]]) -> None:
        """Keep a message until the bundle is complete."""
        self._messages.append(Received(*element))

    def finish_bundle(self) -> None:
        """Apply what is due of all. What fails is raised: Beam tries the bundle again, and Pub/Sub keeps its messages."""
        if not self._messages:
            return
        with _one:
            try:
                taken = _receiver(self._told).receive(self._messages)
            except WorkbookError as error:
                _failed.append(error)
                raise RuntimeError(str(error)) from None
        for name in ("applied", "stale", "dead", "unfollowed"):
            self._counters[name].inc(getattr(taken.outcome, name))
        for name in ("early", "old", "unread"):
            self._counters[name].inc(getattr(taken, name))


def _receiver(told: str) -> Receiver:
    if told not in _receivers:
        settings = orders.settings_of(told)
        pubsub = PubSub(place(settings), settings.cdc.patience_s)
        _receivers[told] = Receiver(
            lambda: orders.follower_of(settings, Path(tempfile.gettempdir())),
            connect_target(settings),
            settings.environment,
            pubsub,
            settings.cdc.batch_rows,
        )
    return _receivers[told]


def plain(message: Any) -> tuple[str, bytes, dict[str, str]]:
    """A message of Beam's as plain values."""
    return message.message_id or "", message.data, dict(message.attributes or {})


def built(settings: Settings, told: str, options: PipelineOptions, runner: Any = None) -> beam.Pipeline:
    """The pipeline that reads the subscription itself. Its messages are acknowledged when their bundle is committed."""
    where = place(settings)
    pipeline = beam.Pipeline(runner=runner, options=options)
    subscription = f"projects/{where.project}/subscriptions/{where.subscription}"
    (
        pipeline
        | "Read" >> beam.io.ReadFromPubSub(subscription=subscription, with_attributes=True)
        | "Plain" >> beam.Map(plain)
        | "Apply" >> beam.ParDo(ApplyChanges(told))
    )
    return pipeline


class Bundles(Pulled):
    """Feeds the pipeline on this machine, and acknowledges what it has committed.

    Beam's own local runner would acknowledge messages when it has read them, before anything is done with them.
    """

    def __init__(
        self,
        engine: Engine,
        pubsub: PubSub,
        waiting: Waiting,
        target: Server,
        stream: str,
        epoch: int,
        patience: float,
        most_bytes: int,
        settings: Settings,
    ):
        super().__init__(engine, pubsub, waiting, target, stream, epoch, patience, most_bytes)
        self._told = orders.orders(settings)
        self.counters = dict.fromkeys(COUNTERS, 0)

    def take(self, seconds: float, most: int) -> list[Batch]:
        """Nothing: what has come is applied by the pipeline. Raises EngineEnded, and what ends the pipeline."""
        messages = list(self._messages(seconds, _AT_ONCE))
        if messages:
            self._run([message[:3] for message in messages])
            self._acknowledge(messages)
            self._came()
        self._look()
        return []

    def _run(self, elements: Sequence[tuple[str, bytes, dict[str, str]]]) -> None:
        """Run the pipeline over a bundle, again while servers stay away."""
        began = time.monotonic()
        while True:
            _failed.clear()
            try:
                result = bundle(self._told, elements)
            except Exception:
                if not _failed:
                    raise
                if not isinstance(_failed[0], TransientError) or time.monotonic() - began > self._patience:
                    raise _failed[0] from None
                time.sleep(0.5)
                continue
            for name, count in result:
                self.counters[name] += count
            return

    def end(self) -> None:
        """End engine, publisher, subscriber and who applies."""
        super().end()
        close(self._told)


def bundle(told: str, elements: Sequence[tuple[str, bytes, dict[str, str]]]) -> Iterator[tuple[str, int]]:
    """Run the pipeline over one bundle of messages on this machine; what its counters came to."""
    from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner

    pipeline = beam.Pipeline(runner=BundleBasedDirectRunner(), options=PipelineOptions([]))
    _ = pipeline | beam.Create(list(elements), reshuffle=False) | beam.ParDo(ApplyChanges(told))
    result = pipeline.run()
    result.wait_until_finish()
    found = result.metrics().query(MetricsFilter().with_namespace("workbook"))
    return iter([(counter.key.metric.name, counter.committed or 0) for counter in found["counters"]])


def close(told: str) -> None:
    """Let the connections of who applies go."""
    receiver = _receivers.pop(told, None)
    if receiver is not None:
        with contextlib.suppress(Exception):
            receiver.close()


class StreamOptions(PipelineOptions):
    """What the pipeline is told on its command line."""

    @classmethod
    def _add_argparse_args(cls, parser: Any) -> None:
        parser.add_argument("--workbook_orders", default="", help="the settings, as the rendered launch.sh gives them")


def main(arguments: Sequence[str] | None = None) -> None:
    """Start the pipeline and, on Dataflow, leave it running."""
    options = PipelineOptions(arguments, streaming=True, save_main_session=False)
    told = options.view_as(StreamOptions).workbook_orders
    result = built(orders.settings_of(told), told, options).run()
    if "Dataflow" not in str(options.view_as(StandardOptions).runner):
        result.wait_until_finish()


if __name__ == "__main__":
    main()
