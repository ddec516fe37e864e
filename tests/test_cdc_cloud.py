"""What is rendered for Google Cloud: the commands are taken by gcloud itself, the pipeline by Beam's own Dataflow runner."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from test_beam import DATAFLOW, PLANTED
from test_cdc_apply import settings as bare
from workbook import params
from workbook.beam import options
from workbook.cdc import orders
from workbook.cdc.cloud import cloud, launched
from workbook.cdc.pubsub import PubSub, place
from workbook.errors import UsageError
from workbook.params import Settings

SECRET = "secret-manager:projects/p/secrets/s"


def remote(folder: Path, **cdc: Any) -> Settings:
    beam = {key: value for key, value in DATAFLOW.items() if not key.endswith("_instance")}
    beam["container_image"] = "europe-west4-docker.pkg.dev/p/repository/image:1"
    content = {
        "environment": "prod",
        "source": {"url": "mysql://reader@10.0.0.5", "password": SECRET, "databases": ["x"]},
        "target": {"url": "mysql://admin@10.0.0.6", "password": SECRET},
        "warehouse": {"project": "some-project", "dataset": "x"},
        "cdc": {"transport": "pubsub", "apply": "beam", **cdc},
        "beam": beam,
    }
    return params.from_values(content, folder, "test")


@pytest.fixture
def gcloud(tmp_path: Path) -> dict[str, str]:
    """The environment of a gcloud that nobody has logged in to."""
    if shutil.which("gcloud") is None:
        pytest.skip("no gcloud on PATH: it was not asked")
    (tmp_path / "gcloud").mkdir()
    return {**os.environ, "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"), "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}


def test_topics_and_subscriptions_are_made_by_the_rendered_commands(
    sandbox: dict[str, Any], gcloud: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gcloud itself runs them, against the emulator."""
    endpoint = sandbox["pubsub"]["endpoint"]
    if endpoint is None:
        pytest.skip("no Pub/Sub emulator: the commands were not run")
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    settings = remote(tmp_path, topic=f"by-gcloud-{os.getpid()}", pubsub_endpoint=endpoint)
    where = place(settings)
    commands = [each.text for each in cloud(settings).commands]
    topic, subscription = (
        next(command for command in commands if f"gcloud pubsub {kind} create {name} " in command)
        for kind, name in (("topics", where.topic), ("subscriptions", where.subscription))
    )
    there = {
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB": f"http://{endpoint}/",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
    }
    answer = subprocess.run(
        ["bash", "-ec", f"{topic}\n{subscription}"], env=gcloud | there, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr
    pubsub = PubSub(where)
    assert [pubsub.make(*resource) for resource in where.resources] == [
        name == where.dead for _, name in where.resources
    ]
    for kind, name in reversed(where.resources):
        pubsub.remove(kind, name)
    pubsub.close()


def test_gcloud_knows_every_rendered_command_and_flag(gcloud: dict[str, str], tmp_path: Path) -> None:
    """Its own linter reads the scripts; it stops at the credentials that it lacks where a file of flags is read."""
    made = cloud(remote(tmp_path))
    for name, text in made.files.items():
        (tmp_path / name).write_text(text)
    for script in tmp_path.glob("*.sh"):
        subprocess.run(["bash", "-n", str(script)], check=True)
    *lines, run = [
        line.strip()
        for name in ("pubsub.sh", "flex-template.sh")
        for line in made.files[name].replace(" >/dev/null 2>&1 || ", "\n").splitlines()
        if line.startswith("gcloud ")
    ]
    (tmp_path / "commands").write_text("\n".join(["```", *lines, f"{lines[0]} --no-such-flag", "```"]))
    command = ["gcloud", "meta", "lint-gcloud-commands", f"--commands-text-file={tmp_path / 'commands'}"]
    answer = subprocess.run(command, env=gcloud, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    *found, wrong = json.loads(answer.stdout)
    assert [item["command_string"] for item in found if not item["success"]] == []
    assert len(found) == len(lines) > 18
    assert not wrong["success"]
    assert "--flags-file=flex-template-run.yaml" in run
    stopped = subprocess.run(shlex.split(run), env=gcloud, capture_output=True, text=True, cwd=tmp_path)
    assert "You do not currently have an active account selected" in stopped.stderr


def test_the_launch_hands_its_options_to_the_pipeline_as_they_are_and_more_with_them(tmp_path: Path) -> None:
    settings = remote(tmp_path)
    (tmp_path / "launch.sh").write_text(cloud(settings).files["launch.sh"])
    (tmp_path / "python").write_text("#!/usr/bin/env bash\nprintf '%s\\0' \"$@\"\n")
    (tmp_path / "python").chmod(0o700)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    answer = subprocess.run(
        ["bash", str(tmp_path / "launch.sh"), "--update"],
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.split("\0")[:-1] == ["-m", "workbook.cdc.pipeline", *launched(settings), "--update"]


def test_accounts_get_the_least_roles_and_secrets_are_named_never_shown(tmp_path: Path) -> None:
    made = cloud(remote(tmp_path))
    text = made.files["pubsub.sh"]
    roles = sorted({word.partition("=")[2] for word in text.split() if word.startswith("--role=")})
    assert roles == [
        "roles/artifactregistry.reader", "roles/dataflow.worker", "roles/pubsub.publisher", "roles/pubsub.subscriber",
        "roles/pubsub.viewer", "roles/secretmanager.secretAccessor", "roles/storage.objectAdmin",
    ]  # fmt: skip
    assert "secrets add-iam-policy-binding s --project=p" in text
    # Roles on a topic, a subscription, a secret, a bucket; on the project only what a worker cannot do without.
    assert [
        line for line in text.splitlines() if line.startswith("gcloud projects") and "dataflow.worker" not in line
    ] == []
    # The account that the job is started with is the one that gets the roles.
    (worker,) = (word.partition("=")[2] for word in made.launch if word.startswith("--service_account_email="))
    members = {word for word in text.split() if word.startswith("--member=")}
    assert f"--member=serviceAccount:{worker}" in members
    assert len(members) == 2
    alone = cloud(bare(transport="pubsub"))
    assert "dataflow" not in alone.files["pubsub.sh"]
    assert list(alone.files) == ["pubsub.sh"]
    assert alone.missing.startswith("For Dataflow: ")
    long = cloud(remote(tmp_path).model_copy(update={"environment": "a-very-long-environment-name"}))
    names = re.findall(r"service-accounts create (\S+)", long.files["pubsub.sh"])
    assert names
    assert all(6 <= len(name) <= 30 for name in names)


def test_the_pipeline_on_dataflow_is_one_worker_and_holds_neither_a_password_nor_a_name_of_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
    from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

    from workbook.cdc.pipeline import built

    monkeypatch.setattr(GoogleCloudOptions, "validate", lambda *_: [])
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("WORKBOOK_PLANTED", PLANTED)
    settings = remote(tmp_path)
    launch = launched(settings)
    assert options.wrong(launch) == ""
    assert {"--num_workers=1", "--max_num_workers=1", "--streaming"} <= set(launch)
    told = orders.orders(settings)
    assert orders.settings_of(told) == settings
    job = built(settings, told, PipelineOptions([*launch, "--dry_run=True"]), DataflowRunner()).run().job
    described = f"{job.proto} {job.proto_pipeline.SerializeToString().decode('latin-1')}"
    assert "projects/some-project/subscriptions/workbook-prod-apply" in described
    assert PLANTED not in described
    files = cloud(settings).files
    flags = yaml.safe_load(files["flex-template-run.yaml"])
    assert orders.settings_of(flags["--parameters"]["workbook_orders"]) == settings
    named = {parameter["name"] for parameter in json.loads(files["metadata.json"])["parameters"]}
    assert named <= set(flags["--parameters"])
    assert {"launch.sh", "flex-template.sh", "Dockerfile.template"} <= set(files)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"source": {"url": "mysql://reader@10.0.0.5", "password": "env:X", "databases": ["x"]}}, "Secret Manager"),
        ({"beam": {**DATAFLOW}}, "source_instance"),
        ({"target": {"url": "mysql://admin@127.0.0.1:1", "password": SECRET}}, "address of this machine"),
    ],
)
def test_what_a_worker_elsewhere_cannot_reach_is_refused_by_name(
    tmp_path: Path, keys: dict[str, Any], words: str
) -> None:
    content = json.loads(orders.orders(remote(tmp_path)))["settings"]
    with pytest.raises(UsageError, match=words):
        orders.orders(params.from_values({**content, **keys}, tmp_path, "test"))


def test_beam_applies_only_what_comes_by_pubsub() -> None:
    with pytest.raises(ValueError, match="needs transport: pubsub"):
        bare(apply="beam")
