"""DDL of the source as the target is to run it: what is followed, in the target's names, and what stops a table.

A table that is stopped stays as it is; the others go on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from workbook.cdc.change import Path
from workbook.mapping import TableMap
from workbook.mapping.flow import Flow, uses
from workbook.names import mysql_path, quote_mysql
from workbook.schema.tokens import Token, code_of, split_at_commas, tokens_of

#: How a part of an ALTER TABLE begins, whether it is followed, and why not. The first match wins.
PARTS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("ADD", "PRIMARY"), "the key that names a row changes"),
    (("ADD", "PARTITION"), "partitions are not followed"),
    (("ADD", "CONSTRAINT"), ""),
    (("ADD",), ""),
    (("DROP", "PRIMARY"), "the key that names a row changes"),
    (("DROP", "PARTITION"), "it takes rows away without naming them"),
    (("DROP",), ""),
    (("MODIFY",), ""),
    (("CHANGE",), ""),
    (("RENAME", "COLUMN"), ""),
    (("RENAME", "INDEX"), ""),
    (("RENAME", "KEY"), ""),
    (("RENAME",), "the table has another name now, which the mapping does not know"),
    (("ALTER",), ""),
    (("COMMENT",), ""),
    (("AUTO_INCREMENT",), ""),
    (("ALGORITHM",), ""),
    (("LOCK",), ""),
    (("ENABLE",), ""),
    (("DISABLE",), ""),
    (("FORCE",), ""),
    (("ENGINE",), ""),
    (("ROW_FORMAT",), ""),
    (("VALIDATION",), ""),
)
# Values that another server, or another moment, makes otherwise.
_NOT_ALIKE = {"UUID", "UUID_SHORT", "RAND", "NOW", "SYSDATE", "CURRENT_USER", "USER", "CONNECTION_ID", "RANDOM_BYTES"}
# The present moment: of it the binlog tells the second, and nothing of the session's time zone.
_NOW = {
    "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP", "CURDATE", "CURTIME", "CURRENT_DATE", "CURRENT_TIME", "UTC_DATE",
    "UTC_TIME", "UTC_TIMESTAMP",
}  # fmt: skip
# Other names of a type, which Debezium takes for another type than MySQL does.
_ODD_TYPES = {
    "REAL": "DOUBLE",
    "FLOAT8": "DOUBLE",
    "FLOAT4": "FLOAT",
    "LONG": "MEDIUMTEXT",
    "BYTE": "BINARY or VARBINARY",
}


@dataclass(frozen=True)
class Wanted:
    """What the target is to run for a statement of the source, and by table why it cannot be followed any more."""

    statements: tuple[str, ...] = ()
    stops: tuple[tuple[Path, str], ...] = ()


def wanted(statement: str, database: str, tables: Mapping[Path, TableMap]) -> Wanted:
    """What becomes of a DDL statement that ran in `database`; tables that are not in scope are none of ours."""
    tokens = tokens_of(statement)
    code = code_of(tokens)
    words = [token.word for token in code[:6]]
    reader = _Reader(code, database)
    try:
        if words[:2] == ["ALTER", "TABLE"]:
            reader.skip("ALTER", "TABLE")
            return _alter(tokens, reader.path(), reader, tables)
        if words[:1] == ["CREATE"] and "INDEX" in words[:4]:
            return _index(tokens, code, reader, tables, "ON")
        if words[:2] == ["DROP", "INDEX"]:
            return _index(tokens, code, reader, tables, "ON")
        if words[:2] in (["DROP", "TABLE"], ["DROP", "TABLES"]):
            reader.skip("DROP", "TABLE", "TABLES", "IF", "EXISTS")
            gone = [path for path in reader.paths() if path in tables]
            return Wanted(tuple(f"DROP TABLE IF EXISTS {mysql_path(*tables[path].target_path)}" for path in gone))
        if words[:2] == ["CREATE", "TABLE"]:
            reader.skip("CREATE", "TABLE", "IF", "NOT", "EXISTS")
            return _create(tokens, reader, tables)
        if words[:2] in (["RENAME", "TABLE"], ["RENAME", "TABLES"]):
            named = [path for path in _all_paths(code, database) if path in tables]
            why = "the source renamed it, and the mapping does not know the new name"
            return Wanted(stops=tuple((path, why) for path in dict.fromkeys(named)))
        if words[:1] == ["DROP"] and words[1] in ("DATABASE", "SCHEMA"):
            name = code[-1].identifier
            return Wanted(
                stops=tuple((path, "its database was dropped on the source") for path in tables if path[0] == name)
            )
        if words[:1] == ["TRUNCATE"]:
            return Wanted()  # comes as a change of its own
    except (IndexError, ValueError):
        pass
    named = [path for path in _all_paths(code, database) if path in tables]
    why = f"this statement is not followed: {statement[:200]}"
    return Wanted(stops=tuple((path, why) for path in dict.fromkeys(named)))


class _Reader:
    """Reads names from a statement."""

    def __init__(self, code: Sequence[Token], database: str):
        self.code, self.place, self.database = code, 0, database

    def skip(self, *words: str) -> None:
        while self.code[self.place].word in words:
            self.place += 1

    def path(self) -> Path:
        first = self.code[self.place]
        self.place += 1
        if self.place + 1 < len(self.code) and self.code[self.place].text == ".":
            second = self.code[self.place + 1]
            self.place += 2
            return first.identifier, second.identifier
        return self.database, first.identifier

    def paths(self) -> list[Path]:
        found = [self.path()]
        while self.place < len(self.code) and self.code[self.place].text == ",":
            self.place += 1
            found.append(self.path())
        return found


def _all_paths(code: Sequence[Token], database: str) -> list[Path]:
    """Every name that stands in a statement, taken for a table."""
    found = []
    for place, token in enumerate(code):
        if token.kind in ("name", "word"):
            qualified = place >= 2 and code[place - 1].text == "."
            found.append((code[place - 2].identifier if qualified else database, token.identifier))
    return found


def _alter(tokens: Sequence[Token], path: Path, reader: _Reader, tables: Mapping[Path, TableMap]) -> Wanted:
    if path not in tables:
        return Wanted()
    table = tables[path]
    rest = [
        token for token in tokens if reader.place < len(reader.code) and token.start >= reader.code[reader.place].start
    ]
    parts = []
    for run in split_at_commas(rest):
        code = code_of(run)
        if not code:
            continue
        why = _why_not(code) or _why_not_by_mapping(code, table.flow)
        if why is not None:
            return Wanted(stops=((path, f"{why}: ALTER TABLE … {_text(run)[:200]}"),))
        if why := _why_not_by_zone(code, table):
            return Wanted(stops=((path, f"{why}: ALTER TABLE … {_text(run)[:200]}"),))
        if _about(code) in table.flow.excluded:
            continue
        parts.append(_renamed(run, table.flow))
    if not parts:
        return Wanted()
    return Wanted((f"ALTER TABLE {mysql_path(*table.target_path)} {', '.join(parts)}",))


def _index(
    tokens: Sequence[Token], code: Sequence[Token], reader: _Reader, tables: Mapping[Path, TableMap], word: str
) -> Wanted:
    reader.place = next(place for place, token in enumerate(code) if token.word == word) + 1
    start = code[reader.place].start
    path = reader.path()
    if path not in tables:
        return Wanted()
    table = tables[path]
    after = code[reader.place].start if reader.place < len(code) else None
    tail = [token for token in tokens if after is not None and token.start >= after]
    if why := _why_not_by_mapping(code_of(tail), table.flow):
        return Wanted(stops=((path, f"{why}: {_text(tokens)[:200]}"),))
    head = _text([token for token in tokens if token.start < start])
    return Wanted((f"{head}{mysql_path(*table.target_path)} {_renamed(tail, table.flow)}".rstrip(),))


def _create(tokens: Sequence[Token], reader: _Reader, tables: Mapping[Path, TableMap]) -> Wanted:
    path = reader.path()
    if path not in tables:
        return Wanted()
    table = tables[path]
    flow = table.flow
    if flow.excluded or flow.renamed or flow.masks or flow.where:
        return Wanted(stops=((path, "the source made it anew, and the mapping changes it on the way"),))
    if reader.code[reader.place].text != "(" or any(token.word == "SELECT" for token in reader.code[reader.place :]):
        return Wanted(stops=((path, "the source made it from another table"),))
    start = reader.code[reader.place].start
    body = _text([token for token in tokens if token.start >= start])
    if body.rstrip().upper().endswith("START TRANSACTION"):
        body = body.rstrip()[: -len("START TRANSACTION")]
    return Wanted((f"CREATE TABLE {mysql_path(*table.target_path)} {body}",))


def _why_not(code: Sequence[Token]) -> str | None:
    words = [token.word for token in code]
    kind = next((why for start, why in PARTS if tuple(words[: len(start)]) == start), "this is not followed")
    if kind:
        return kind
    if words[0] in ("ADD", "MODIFY", "CHANGE"):
        if odd := next((word for word in words if word in _NOT_ALIKE), None):
            return f"{odd} answers otherwise on the target"
        if "AUTO_INCREMENT" in words and words[0] == "ADD":
            return "a counter numbers the rows in an order of the server's own"
        return _why_not_definition(_definition(code))
    return None


def _why_not_definition(code: Sequence[Token]) -> str | None:
    """Why the definition of a column, by the way in which it is written, means one thing or another."""
    words = [token.word for token in code]
    if any(token.text == "||" or one.text + token.text == "||" for one, token in pairwise(code)):
        return "|| is one operator or another by the session's sql_mode"
    if odd := next((word for word in words if word in _ODD_TYPES), None):
        return f"the engine takes {odd} for another type: write {_ODD_TYPES[odd]} on the source"
    if "BINARY" in [after for before, after in pairwise(words) if before in ("CHARSET", "SET")]:
        return "the engine takes it for text: write BINARY, VARBINARY or BLOB on the source"
    return None


def _why_not_by_zone(code: Sequence[Token], table: TableMap) -> str | None:
    """Why the time zone of the statement's session, which nobody knows, would decide on values of rows."""
    definition, name = _definition(code), _about(code)
    words = [token.word for token in definition]
    if not words:
        return None
    moment = words[0] == "TIMESTAMP"
    if code[0].word == "ADD":
        # A bare TIMESTAMP is filled with the second of the statement, which the binlog tells.
        plain = moment and all(token.text != "(" for token in definition)
        if not plain and any(word in _NOW for word in words):
            return "it fills rows with a moment of which the binlog tells no more than the second in UTC"
    elif name in table.column:
        was = table.column[name].rule
        if moment != (was == "timestamp") and (moment or was in ("timestamp", "temporal-text")):
            return "it turns a moment into a local time, or back, by the time zone of its session"
    default = words.index("DEFAULT") + 1 if "DEFAULT" in words else len(words)
    literal = moment and default < len(words) and definition[default].kind not in ("name", "word")
    if literal and not set(definition[default].text) <= set("'\"0-: ."):
        return "the default of a TIMESTAMP is read in the time zone of its session"
    return None


def _definition(code: Sequence[Token]) -> Sequence[Token]:
    """The definition of the column that a part adds or changes, from its type on; nothing where it is about something else."""
    if not _about(code) or code[0].word not in ("ADD", "MODIFY", "CHANGE"):
        return ()
    place = next(place for place, token in enumerate(code) if place and token.identifier == _about(code)) + 1
    return code[place + (code[0].word == "CHANGE") :]


def _about(code: Sequence[Token]) -> str:
    """The column that a part is about; empty where it is about something else."""
    place = 1
    while place < len(code) and code[place].word in ("COLUMN", "IF", "NOT", "EXISTS"):
        place += 1
    others = ("INDEX", "KEY", "UNIQUE", "FULLTEXT", "SPATIAL", "CONSTRAINT", "FOREIGN", "CHECK", "PRIMARY")
    if (
        place >= len(code)
        or code[place].word in others
        or code[0].word not in ("ADD", "DROP", "MODIFY", "CHANGE", "ALTER")
    ):
        return ""
    return code[place].identifier


def _why_not_by_mapping(code: Sequence[Token], flow: Flow) -> str | None:
    names = {token.identifier.lower() for token in code if token.kind in ("name", "word")}
    masked = next((name for name, _ in flow.masks if name.lower() in names), None)
    if masked:
        return f"it names the column {masked!r}, which the mapping masks"
    if flow.where and any(uses(flow.where, name) for name in names):
        return "it names a column of the mapping's filter"
    excluded = next((name for name in flow.excluded if name.lower() in names), None)
    if excluded and _about(code).lower() != excluded.lower():
        return f"it names the column {excluded!r}, which the mapping leaves out"
    return None


def _renamed(run: Sequence[Token], flow: Flow) -> str:
    """The text of a part in the target's names."""
    new = {old.lower(): name for old, name in flow.renamed}
    swap: Callable[[Token], str] = lambda token: (  # noqa: E731
        quote_mysql(new[token.identifier.lower()])
        if token.kind in ("name", "word") and token.identifier.lower() in new
        else token.text
    )
    return "".join(map(swap, run)).strip()


def _text(run: Sequence[Token]) -> str:
    return "".join(token.text for token in run).strip() + (" " if run and run[-1].kind == "space" else "")
