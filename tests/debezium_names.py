"""Has Debezium's and Kafka's own classes take rendered properties: `python tests/debezium_names.py`, in a process of its
own for its JVM. Reads a list of property maps from standard input; prints what each does not know or does not take."""

import json
import sys
from typing import Any

from workbook.cdc import engine_process


def main() -> None:
    """One object a map: the source's properties that no class knows, and what the classes find wrong with the values."""
    given = json.load(sys.stdin)
    engine_process._start_java()
    from jpype import JClass

    names = known()
    connector = JClass("io.debezium.connector.mysql.MySqlConnector")()
    found = []
    for properties in given:
        source = part(properties, "debezium.source.")
        wrong = [
            f"{value.name()}: {list(map(str, value.errorMessages()))}"
            for value in connector.validate(java(source)).configValues()
            if not value.errorMessages().isEmpty()
        ]
        for side in ("key", "value"):
            converter = part(properties, f"debezium.format.{side}.")
            kind = properties[f"debezium.format.{side}"]
            config = "io.confluent.connect.avro.AvroConverterConfig" if kind == "avro" else None
            strange = set(converter) - (
                {str(name) for name in JClass(config).baseConfigDef().names()}
                if config
                else {
                    str(name)
                    for name in JClass("org.apache.kafka.connect.json.JsonConverterConfig").configDef().names()
                }
            )
            wrong += [f"{name}: unknown to the converter" for name in strange]
            made = JClass(
                "io.confluent.connect.avro.AvroConverter" if config else "org.apache.kafka.connect.json.JsonConverter"
            )()
            made.configure(java(converter), side == "key")
        producer = part(properties, "debezium.sink.kafka.producer.")
        if producer:
            kafka = JClass("org.apache.kafka.clients.producer.ProducerConfig")
            wrong += [f"{name}: unknown to the producer" for name in set(producer) - set(map(str, kafka.configNames()))]
            kafka(java(producer))
        found.append({"unknown": sorted(set(source) - names), "wrong": wrong})
    print(json.dumps(found))


def part(properties: dict[str, str], prefix: str) -> dict[str, str]:
    """The properties that begin so, without the beginning."""
    return {name.removeprefix(prefix): value for name, value in properties.items() if name.startswith(prefix)}


def java(properties: dict[str, str]) -> Any:
    """A Java map of them."""
    from jpype import JClass, JString

    made = JClass("java.util.HashMap")()
    for name, value in properties.items():
        made.put(JString(name), JString(value))
    return made


def known() -> set[str]:
    """All properties that the MySQL connector, its schema history and the engine know."""
    from jpype import JClass

    found = {str(name) for name in JClass("io.debezium.connector.mysql.MySqlConnector")().config().names()}
    for name in (
        "embedded.async.AsyncEngineConfig",
        "embedded.EmbeddedEngineConfig",
        "storage.file.history.FileSchemaHistory",
    ):
        found |= {str(field.name()) for field in JClass(f"io.debezium.{name}").ALL_FIELDS}
    kind = JClass("io.debezium.config.Field").class_
    for name in (
        "connector.mysql.MySqlConnectorConfig",
        "relational.history.SchemaHistory",
        "schema.AbstractTopicNamingStrategy",
    ):
        above: Any = JClass(f"io.debezium.{name}").class_
        while above is not None:
            for field in above.getDeclaredFields():
                if field.getType().equals(kind) and JClass("java.lang.reflect.Modifier").isStatic(field.getModifiers()):
                    field.setAccessible(True)
                    found.add(str(field.get(None).name()))
            above = above.getSuperclass()
    return found


if __name__ == "__main__":
    main()
