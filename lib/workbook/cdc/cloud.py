"""What change capture over Pub/Sub needs on Google Cloud, as commands and files to be read first: topics, subscriptions,
accounts with the least roles, and the pipeline on Dataflow."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import yaml

from workbook import faces
from workbook.beam import options
from workbook.cdc import orders
from workbook.cdc.pubsub import ACK_SECONDS, KEPT_SECONDS, named
from workbook.errors import UsageError
from workbook.params import Settings

JOB = "workbook-cdc-{environment}"
TEMPLATE = "flex-template.json"


class Command(NamedTuple):
    """A command, what it is for, and where it makes something: the command that says whether that is there."""

    text: str
    why: str
    there: str = ""


@dataclass(frozen=True)
class Cloud:
    """Commands with their reasons, and the files beside a run. `missing` says what the params lack for Dataflow."""

    commands: tuple[Command, ...]
    launch: tuple[str, ...]
    files: Mapping[str, str]
    missing: str = ""

    def _repr_html_(self) -> str:
        return faces.stack(
            faces.table(
                [{"command": each.text, "why": each.why} for each in self.commands],
                {"command": "Command", "why": "Why"},
                caption="Topics, subscriptions and accounts with the least roles",
            ),
            faces.text(self.missing) if self.missing else None,
            *(faces.details(name, faces.code(text)) for name, text in self.files.items()),
        )


def cloud(settings: Settings) -> Cloud:
    """The commands and files for the topic, the project and the pipeline of the params."""
    commands = tuple(_commands(settings))
    files = {"pubsub.sh": _script(commands)}
    launch: tuple[str, ...] = ()
    missing = ""
    worker = settings.beam.service_account or _account(settings, "apply")
    remote = settings.model_copy(
        update={
            "beam": settings.beam.model_copy(update={"runner": "dataflow", "service_account": worker}),
            "cdc": settings.cdc.model_copy(update={"transport": "pubsub", "apply": "beam"}),
        }
    )
    try:
        launch = launched(remote)
        files |= _files(remote, launch)
    except UsageError as error:
        missing = f"For Dataflow: {error.found} {error.todo}"
    return Cloud(commands, launch, files, missing)


def launched(settings: Settings) -> tuple[str, ...]:
    """The options of the pipeline on Dataflow: one worker, since there is one order.

    Raises UsageError for what Dataflow cannot do without.
    """
    job = JOB.format(environment=settings.environment)
    return (
        *options.arguments(settings, job, 1),
        "--streaming",
        "--enable_streaming_engine",
        "--experiments=no_use_multiple_sdk_containers",
        f"--workbook_orders={orders.orders(settings)}",
    )


def _account(settings: Settings, role: str) -> str:
    # An account's name has 30 letters at most: https://cloud.google.com/iam/docs/service-accounts-create
    return f"workbook-{settings.environment[:14]}-{role}@{named(settings).project}.iam.gserviceaccount.com"


def _commands(settings: Settings) -> Iterator[Command]:
    where, beams = named(settings), settings.cdc.apply == "beam"
    topic, dead, subscription = (shlex.quote(name) for name in (where.topic, where.dead, where.subscription))
    engine = _account(settings, "engine")
    applier = settings.beam.service_account or _account(settings, "apply") if beams else engine
    yield _made("topics", topic, "", where.project, "what the engine reads")
    yield _made("topics", dead, "", where.project, "messages that cannot be read")
    kept = f" --ack-deadline={ACK_SECONDS} --message-retention-duration={KEPT_SECONDS}s --expiration-period=never"
    fed = "what the target is fed from; it never expires"
    yield _made("subscriptions", subscription, f" --topic={topic}{kept}", where.project, fed)
    yield _made("subscriptions", dead, f" --topic={dead}{kept}", where.project, "so that they are kept")
    for account, why in {applier: "who the pipeline's worker runs as", engine: "who runs `workbook cdc run`"}.items():
        name, _, domain = account.partition("@")
        if domain == f"{where.project}.iam.gserviceaccount.com":
            accounts = "gcloud iam service-accounts"
            there = f"{accounts} describe {account} --project={where.project}"
            yield Command(f"{accounts} create {name} --project={where.project}", why, there)
    at = f" --project={where.project}"
    yield _bound(f"pubsub topics {topic}", at, engine, "pubsub.publisher", "it publishes")
    yield _bound(f"pubsub subscriptions {subscription}", at, applier, "pubsub.subscriber", "it pulls and acknowledges")
    yield _bound(f"pubsub topics {dead}", at, applier, "pubsub.publisher", "it puts aside what cannot be read")
    if beams:
        looks = "Dataflow looks the subscription up"
        yield _bound(f"pubsub subscriptions {subscription}", at, applier, "pubsub.viewer", looks)
        yield from _worker(settings, applier)
    for name in _secrets(settings):
        of, secret = name.split("/")[1], name.split("/")[3]
        for each in dict.fromkeys((engine, applier)):
            of_project = f" --project={of}"
            logs = "it logs in to source and target"
            yield _bound(f"secrets {secret}", of_project, each, "secretmanager.secretAccessor", logs)


def _worker(settings: Settings, account: str) -> Iterator[Command]:
    """What a worker of Dataflow needs beside the subscription."""
    beam = settings.beam
    project = beam.project or settings.warehouse.project
    yield _bound(f"projects {project}", "", account, "dataflow.worker", "it is a worker")
    if bucket := re.match(r"gs://[^/]+", beam.temp_location or ""):
        yield _bound(f"storage buckets {bucket[0]}", "", account, "storage.objectAdmin", "Beam's own files")
    if image := re.match(r"([a-z0-9-]+)-docker\.pkg\.dev/([^/]+)/([^/]+)/", beam.container_image or ""):
        location, of, repository = image.groups()
        at = f" --location={location} --project={of}"
        yield _bound(f"artifacts repositories {repository}", at, account, "artifactregistry.reader", "its image")


def _made(kind: str, name: str, keys: str, project: str, why: str) -> Command:
    command = f"gcloud pubsub {kind}"
    return Command(
        f"{command} create {name}{keys} --project={project}", why, f"{command} describe {name} --project={project}"
    )


def _bound(what: str, where: str, account: str, role: str, why: str) -> Command:
    group, _, name = what.rpartition(" ")
    member = f"--member=serviceAccount:{account} --role=roles/{role}"
    return Command(f"gcloud {group} add-iam-policy-binding {name}{where} {member}", why)


def _secrets(settings: Settings) -> list[str]:
    references = [section.password or "" for section in (settings.source, settings.target)]
    scheme = "secret-manager:"
    found = (text.removeprefix(scheme) for text in references if text.startswith(scheme))
    return list(dict.fromkeys(name for name in found if name.count("/") >= 3))


def _script(commands: tuple[Command, ...]) -> str:
    """May be run again: what is there is not made, and a role that is given already is none more."""
    lines = [
        f"# {each.why}\n" + (f"{each.there} >/dev/null 2>&1 || " if each.there else "") + each.text for each in commands
    ]
    return (
        "#!/usr/bin/env bash\n# Written by the migration workbook; read it first.\nset -euo pipefail\n\n"
        + "\n".join((*lines, ""))
    )


def _files(settings: Settings, launch: tuple[str, ...]) -> dict[str, str]:
    """What starts the pipeline: by Beam from a machine with the workbook, or as a flex template."""
    beam = settings.beam
    given = dict(word.removeprefix("--").partition("=")[::2] for word in launch)
    job = given["job_name"]
    script = "python -m workbook.cdc.pipeline \\\n  " + " \\\n  ".join(map(shlex.quote, launch)) + ' "$@"\n'
    metadata = {
        "name": "Migration workbook: change capture",
        "description": "Applies a source's changes from Pub/Sub to Cloud SQL for MySQL, each once in effect.",
        "streaming": True,
        "parameters": [
            {
                "name": "workbook_orders",
                "label": "Orders",
                "helpText": "The settings as notebook 09 writes them; secrets stand in them as references.",
                "isOptional": False,
                "paramType": "TEXT",
            },
            {
                "name": "sdk_container_image",
                "label": "Image of the workers",
                "helpText": "Made from lib/workbook/beam/Dockerfile.",
                "isOptional": False,
                "paramType": "TEXT",
            },
        ],
    }
    flags = {
        "--project": given["project"],
        "--region": beam.region,
        "--template-file-gcs-location": f"{beam.temp_location}/{TEMPLATE}",
        "--temp-location": beam.temp_location,
        "--worker-machine-type": beam.machine_type,
        "--num-workers": 1,
        "--max-workers": 1,
        "--enable-streaming-engine": True,
        "--service-account-email": beam.service_account,
        "--network": beam.network,
        "--subnetwork": beam.subnetwork,
        "--disable-public-ips": None if beam.public_ips else True,
        "--additional-experiments": ["no_use_multiple_sdk_containers"],
        "--parameters": {
            "workbook_orders": given["workbook_orders"],
            "sdk_container_image": beam.container_image,
            "sdk_location": "container",
        },
    }
    dockerfile = Path(__file__).with_name("Dockerfile.template").read_text(encoding="utf-8")
    build = (
        f"gcloud dataflow flex-template build {beam.temp_location}/{TEMPLATE} --image=LAUNCHER_IMAGE"
        f" --sdk-language=PYTHON --metadata-file=metadata.json --project={given['project']}"
    )
    run = f"gcloud dataflow flex-template run {job} --flags-file=flex-template-run.yaml"
    return {
        "launch.sh": "#!/usr/bin/env bash\nset -euo pipefail\n" + script,
        "metadata.json": json.dumps(metadata, indent=1) + "\n",
        "flex-template-run.yaml": yaml.safe_dump(
            {name: value for name, value in flags.items() if value is not None}, sort_keys=False, width=10**6
        ),
        "flex-template.sh": f"#!/usr/bin/env bash\n# The image is made from Dockerfile.template.\nset -euo pipefail\n{build}\n{run}\n",
        "Dockerfile.template": dockerfile,
    }
