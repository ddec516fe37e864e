"""Debezium Server's properties: the classes of Debezium and Kafka that are here take them, and the sinks' names are documented."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from conftest import Scratch
from test_cdc_apply import settings
from workbook.cdc.properties import FORMATS, PASSWORD, SINKS, render

# The sinks' own classes are in Debezium Server, which no registry carries. Each name was looked up in two places: what the sink
# reads (github.com/debezium/debezium-server at v3.6.0.Final, the fields of debezium-server-SINK/…/*ChangeConsumerConfig.java
# and the prefixes of *ChangeConsumer.java), and the manual (github.com/debezium/debezium at 003a762,
# documentation/modules/ROOT/pages/operations/debezium-server.adoc, "Sink configuration").
DOCUMENTED = {
    "pubsub": {
        "project.id", "address", "region", "ordering.enabled", "null.key", "concurrency.threads",
        "compression.threshold.bytes", "batch.delay.threshold.ms", "batch.element.count.threshold",
        "batch.request.byte.threshold", "flowcontrol.enabled", "flowcontrol.max.outstanding.messages",
        "flowcontrol.max.outstanding.bytes", "retry.total.timeout.ms", "retry.max.rpc.timeout.ms", "retry.initial.delay.ms",
        "retry.delay.multiplier", "retry.max.delay.ms", "retry.initial.rpc.timeout.ms", "retry.rpc.timeout.multiplier",
        "wait.message.delivery.timeout.ms",
    },
    "kinesis": {"region", "endpoint", "credentials.profile", "null.key"},
    "pulsar": {"null.key", "tenant", "namespace", "timeout", "producer.batcherBuilder"},
    "kafka": {"wait.message.delivery.timeout.ms"},
}  # fmt: skip
# The sink hands these on to a client, the beginning taken off: Pulsar's knows serviceUrl
# (https://pulsar.apache.org/docs/next/client-libraries-java/#client-configuration), Kafka's is here and is asked.
HANDED_ON = {"pulsar": {"client.serviceUrl"}, "kafka": {"producer.*"}}


def rendered(sink: str, form: str, source: tuple[str, int, str]) -> dict[str, str]:
    about = {"sink_address": "127.0.0.1:1", "sink_region": "eu-north-1", "registry_url": "http://127.0.0.1:1"}
    made = render(settings(sink=sink, format=form, **about), source, [("d", "t"), ("d", "ü,.x")])
    return {name: value for name, value, _ in made.lines}


def test_debeziums_own_classes_take_the_properties_of_every_sink_and_format(scratch: Scratch) -> None:
    _role, host, port, user, password = scratch.source.login()
    given: list[dict[str, Any]] = []
    for sink in SINKS:
        for form in FORMATS:
            properties = rendered(sink, form, (host, port, user))
            assert properties["debezium.source.database.password"] == f"${{{PASSWORD}}}"
            given.append({**properties, "debezium.source.database.password": password})
    mistaken = {**given[0], "debezium.source.connection.time.zone": "UTC", "debezium.source.max.batch.size": "many"}
    answer = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("debezium_names.py"))],
        input=json.dumps([*given, mistaken]),
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    *found, wrong = json.loads(answer.stdout.splitlines()[-1])
    assert found == [{"unknown": [], "wrong": []}] * len(given)
    # The classes do tell.
    assert wrong["unknown"] == ["connection.time.zone"]
    assert any("max.batch.size" in text for text in wrong["wrong"])


def test_topics_are_in_the_project_of_the_params() -> None:
    made = render(settings(sink="pubsub", pubsub_project="another"), ("db", 3306, "u"), [])
    assert {name: value for name, value, _ in made.lines}["debezium.sink.pubsub.project.id"] == "another"


def test_the_names_of_sinks_whose_classes_are_not_here_are_documented_and_topics_are_legal() -> None:
    for sink in SINKS:
        for form in FORMATS:
            properties = rendered(sink, form, ("db", 3306, "u"))
            own = {
                name.removeprefix(f"debezium.sink.{sink}.")
                for name in properties
                if name.startswith(f"debezium.sink.{sink}.")
            }
            handed = {re.sub(r"^(producer)\..*", r"\1.*", name) if sink == "kafka" else name for name in own}
            assert handed <= DOCUMENTED[sink] | HANDED_ON.get(sink, set())
            # Pub/Sub: a letter first, https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names
            for name in ("topic.prefix", "topic.heartbeat.prefix"):
                assert properties[f"debezium.source.{name}"][0].isalpha()
