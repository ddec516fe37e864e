"""How a pipeline ran, for the report: by which workers, with which options, and what starts the same on Dataflow."""

from dataclasses import asdict, dataclass
from typing import Any

from workbook import faces
from workbook.beam import options
from workbook.beam.estimate import TERABYTE, estimate
from workbook.errors import UsageError
from workbook.params import Settings


@dataclass(frozen=True)
class Ran:
    """A pipeline that has run. `workers` are host and process of each, `on_dataflow` the options there, or what is missing."""

    runner: str
    connections: int
    workers: tuple[str, ...]
    options: tuple[str, ...]
    launch: str
    on_dataflow: tuple[str, ...]
    missing: str
    mb_s: float | None

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def _repr_html_(self) -> faces.Html:
        boxes: list[tuple[object, ...]] = [
            ("Beam's runner", self.runner),
            ("Connections at most", str(self.connections)),
            ("Worker processes", str(len(self.workers))),
            ("Source", "stood still, seen at every chunk"),
        ]
        if self.mb_s:
            whole = estimate(TERABYTE, self.connections, self.mb_s / self.connections)
            boxes.append(("1 TB at this pace", f"{whole.hours:,.0f} hours"))
        shown = [f"# {line}" for line in ("Beam is given:", *self.on_dataflow)] if self.on_dataflow else [self.missing]
        return faces.stack(
            faces.boxes(*boxes),
            faces.table([{"worker": worker} for worker in self.workers], {"worker": "Workers, by machine and process"}),
            faces.details(
                "What starts it on Dataflow, and with which options", faces.code("\n".join((self.launch, *shown)))
            ),
        )


def ran(
    settings: Settings,
    job: str,
    phase: str,
    connections: int,
    workers: tuple[str, ...],
    given: tuple[str, ...],
    mb_s: float | None,
) -> Ran:
    """How a pipeline of these options ran, and how it would be started on Dataflow."""
    remote = settings.model_copy(update={"beam": settings.beam.model_copy(update={"runner": "dataflow"})})
    found: tuple[str, ...] = ()
    missing = ""
    try:
        found = options.arguments(remote, job, settings.beam.connections)
    except UsageError as error:
        missing = f"# {error.found} {error.todo}"
    launch = f"workbook run {phase} -p PARAMS --set bulk.runner=beam --set beam.runner=dataflow"
    return Ran(settings.beam.runner, connections, workers, given, launch, found, missing, mb_s)
