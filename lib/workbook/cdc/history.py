"""Debezium's history of definitions, a file of one JSON record a line: names mended, tables added that come later."""

import json
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

#: The name of the file, in the folder of a stream.
HISTORY = "history.jsonl"
#: Made beside it when it is whole: a start that was cut off before is a first one again.
COMPLETE = "history.complete"
_COUNTER = re.compile(r"(?<=^\) ENGINE=InnoDB) AUTO_INCREMENT=\d+", re.M)


def mend_history(path: Path, tables: Iterable[tuple[str, str]]) -> None:
    """Write the names of `tables` in a schema history so that Debezium reads them again.

    It leaves a name that begins or ends with a quote as it is, and takes two apostrophes or backticks for one when it reads.
    """
    mended = {_written(table): _readable(table) for table in tables if any(map(_misread, table))}
    if not mended or not path.exists():
        return
    lines = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        record = json.loads(line) if line else {}
        for change in record.get("tableChanges") or ():
            for name in ("id", "previousId"):
                if change.get(name) in mended:
                    change[name] = mended[change[name]]
        lines.append(json.dumps(record, ensure_ascii=False) if line else "")
    _write(path, "\n".join(lines))


def definitions(path: Path) -> dict[tuple[str, str], tuple[tuple[str, ...], str]]:
    """The columns of each table as the first start read them, and the statement that made it, without its counter."""
    found = {}
    # Whole lines only: the engine may be at the next. Names and comments may hold what splitlines takes for an end.
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1] if path.exists() else ():
        record = json.loads(line)
        for change in record.get("tableChanges") or ():
            table = change.get("table")
            # Later records are of definitions that changed in the stream.
            if table is not None and "snapshot" in record["position"]:
                base, name = record["databaseName"], change["id"].removeprefix(f'"{record["databaseName"]}".')
                names = tuple(column["name"] for column in table["columns"])
                found[base, name[1:-1].replace('""', '"')] = names, without_counter(record["ddl"])
    return found


def without_counter(statement: str) -> str:
    """A SHOW CREATE TABLE without the counter that every row moves on."""
    return _COUNTER.sub("", statement)


def add_definitions(path: Path, definitions: Mapping[tuple[str, str], str]) -> None:
    """Note tables that were not captured so far, each with its SHOW CREATE TABLE, as if they had been there from the start.

    The engine reads the record at its next start, in the place of whatever it knew of a table of that name.
    """
    text = path.read_text(encoding="utf-8")
    first = json.loads(text.split("\n", 1)[0])
    about = {"source": first["source"], "position": first["position"]}
    lines = [text.rstrip("\n")]
    for (database, _), statement in sorted(definitions.items()):
        record = {
            **about,
            "ts_ms": int(time.time() * 1000),
            "databaseName": database,
            "ddl": statement,
            "tableChanges": [],
        }
        lines.append(json.dumps(record, ensure_ascii=False))
    _write(path, "\n".join([*lines, ""]))


def _write(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _misread(name: str) -> bool:
    return name.startswith('"') or name.endswith('"') or "''" in name or "``" in name


def _written(table: tuple[str, str]) -> str:
    return ".".join(
        name if name.startswith('"') or name.endswith('"') else '"' + name.replace('"', '""') + '"' for name in table
    )


def _readable(table: tuple[str, str]) -> str:
    doubled = str.maketrans({mark: mark * 2 for mark in "\"'`"})
    return ".".join(f'"{name.translate(doubled)}"' for name in table)
