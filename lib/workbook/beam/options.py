"""The options that a Beam pipeline is started with, from the params, and read by Beam's own parser before it starts."""

import contextlib
import importlib.util
import io
import re
from collections.abc import Sequence

from workbook.errors import UsageError
from workbook.params import Beam, Settings

# What Dataflow cannot do without; the rest has defaults of its own.
_NEEDED = ("region", "temp_location", "container_image")
# A worker process serves one shard at a time, so that machines share the shards evenly.
_CORES = re.compile(r"-(\d+)$")


def arguments(settings: Settings, job: str, shards: int) -> tuple[str, ...]:
    """The command line of a pipeline of so many shards, as Beam takes it; `job` is its name on Dataflow.

    Raises UsageError where a key that Dataflow needs is missing.
    """
    beam = settings.beam
    if beam.runner == "local":
        return (f"--direct_num_workers={min(beam.processes, shards)}", *beam.options)
    missing = [f"beam.{name}" for name in _NEEDED if not getattr(beam, name)]
    if missing:
        raise UsageError(
            f"The params do not give {', '.join(missing)}.",
            "Dataflow cannot start workers without it.",
            "Set it in the params; lib/workbook/beam/README.md shows a whole example.",
        )
    if not str(beam.temp_location).startswith("gs://"):
        raise UsageError(
            f"beam.temp_location is {beam.temp_location!r}.",
            "Dataflow keeps its own files there, and can only reach Cloud Storage.",
            "Name a folder as gs://BUCKET/FOLDER.",
        )
    machines = -(-shards // cores(beam))
    given = {
        "runner": "DataflowRunner",
        "project": beam.project or settings.warehouse.project,
        "region": beam.region,
        "job_name": job,
        "temp_location": beam.temp_location,
        "sdk_container_image": beam.container_image,
        "sdk_location": "container",
        "network": beam.network,
        "subnetwork": beam.subnetwork,
        "service_account_email": beam.service_account,
        "machine_type": beam.machine_type,
        "num_workers": machines,
        "max_num_workers": machines,
        "autoscaling_algorithm": "NONE",
        "number_of_worker_harness_threads": 1,
    }
    public = "--use_public_ips" if beam.public_ips else "--no_use_public_ips"
    return (*(f"--{name}={value}" for name, value in given.items() if value is not None), public, *beam.options)


def cores(beam: Beam) -> int:
    """The cores of the workers' machine type, from its name; 1 where the name does not tell."""
    found = _CORES.search(beam.machine_type)
    return max(1, int(found.group(1))) if found else 1


def installed() -> None:
    """Raises UsageError where Beam is missing."""
    if importlib.util.find_spec("apache_beam") is None:
        raise UsageError(
            "Apache Beam is not installed.",
            "The params ask for a Beam pipeline, and nothing else can run one.",
            "Install it with: pip install 'migration-workbook[dataflow]', or run on this machine: bulk.runner: local",
        )


def wrong(arguments: Sequence[str]) -> str:
    """What Beam's own parser finds wrong with a command line, or nothing. An option unknown to it would be passed over."""
    from apache_beam.options.pipeline_options import PipelineOptions

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            options = PipelineOptions(list(arguments))
            known = options.get_all_options()
            everything = options.get_all_options(retain_unknown_options=True)
    except (SystemExit, ValueError) as error:
        return [*said.getvalue().strip().splitlines(), str(error)][-2 if said.getvalue().strip() else -1]
    unknown = sorted(set(everything) - set(known))
    stray = [word for word in arguments if not word.startswith("--")]
    if unknown:
        return f"{unknown[0]} is no option of Beam"
    return f"{stray[0]!r} is no option; write --name=value" if stray else ""


def not_understood(what: str) -> UsageError:
    """Beam found something wrong with its options."""
    return UsageError(
        f"Beam does not understand its options: {what}.",
        "An option that is not understood would silently change nothing.",
        "Mend beam.options in the params; lib/workbook/beam/README.md says where options come from.",
    )
