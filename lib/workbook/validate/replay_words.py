"""What a piece of code says and reaches, read from its words: what must not be replayed, and the same under other names."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from workbook.schema import Definitions
from workbook.schema.definitions import Code, TablePath
from workbook.schema.tokens import Token, code_of, tokens_of

Key = tuple[str, str, str]  # kind, database, name

# What acts beyond the scratch copy, or waits for what is not there. First match; a name with "(" is a call.
_NOT_REPLAYED: tuple[tuple[tuple[str, ...], str], ...] = (
    (("INTO", "OUTFILE"), "it writes a file of the server"),
    (("INTO", "DUMPFILE"), "it writes a file of the server"),
    (("LOAD_FILE", "("), "it reads a file of the server"),
    (("GET_LOCK", "("), "it takes a lock of the whole server, which an application may hold or wait for"),
    (("RELEASE_LOCK", "("), "it gives up a lock of the whole server"),
    (("RELEASE_ALL_LOCKS", "("), "it gives up locks of the whole server"),
    (("IS_FREE_LOCK", "("), "it asks for a lock of the whole server"),
    (("IS_USED_LOCK", "("), "it asks for a lock of the whole server"),
    (("SOURCE_POS_WAIT", "("), "it waits for a replica"),
    (("MASTER_POS_WAIT", "("), "it waits for a replica"),
    (("WAIT_FOR_EXECUTED_GTID_SET", "("), "it waits for a replica"),
)
# Words that change something, take locks, or could do so in a way that cannot be read.
_WRITES = {
    "INSERT", "UPDATE", "DELETE", "TRUNCATE", "CREATE", "ALTER", "DROP", "RENAME", "PREPARE", "EXECUTE", "COMMIT",
    "ROLLBACK", "START", "SAVEPOINT", "LOCK", "SHARE", "GRANT", "REVOKE", "FLUSH", "KILL", "TRANSACTION", "LOAD", "HANDLER",
    "GLOBAL", "PERSIST", "ANALYZE", "OPTIMIZE",
}  # fmt: skip
_COMMITS = {
    "COMMIT",
    "CREATE",
    "ALTER",
    "DROP",
    "TRUNCATE",
    "RENAME",
    "START",
    "PREPARE",
    "LOCK",
    "ANALYZE",
    "OPTIMIZE",
}
# What answers otherwise at each call, or on each server.
_OTHERWISE = {
    "RAND", "UUID", "UUID_SHORT", "SYSDATE", "CONNECTION_ID", "RANDOM_BYTES", "NOW", "CURDATE", "CURTIME", "UTC_DATE",
    "UTC_TIME", "UTC_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP",
    "UNIX_TIMESTAMP", "USER", "CURRENT_USER", "SESSION_USER", "SYSTEM_USER", "VERSION", "SLEEP", "DATABASE", "SCHEMA",
    "LAST_INSERT_ID", "FOUND_ROWS", "ROW_COUNT", "INFORMATION_SCHEMA", "PERFORMANCE_SCHEMA",
}  # fmt: skip


@dataclass(frozen=True)
class Words:
    """The words of all code of one server: what each piece names, and through that all that it reaches."""

    definitions: Definitions

    @cached_property
    def tokens(self) -> Mapping[Key, tuple[Token, ...]]:
        """The tokens of each piece of code, without spaces and comments."""
        return {code.key: code_of(tokens_of(code.statement, code.sql_mode)) for code in self.definitions.code}

    @cached_property
    def _named(self) -> Mapping[Key, frozenset[str]]:
        # The heading of a trigger names its table, whose other triggers it does not fire.
        return {
            key: frozenset(_names(_body(key, tokens) if key[0] == "trigger" else tokens))
            for key, tokens in self.tokens.items()
        }

    @cached_property
    def _code_by_name(self) -> Mapping[str, tuple[Key, ...]]:
        """Views and routines by name: what another piece of code can call."""
        found: dict[str, list[Key]] = {}
        for code in self.definitions.code:
            if code.kind in ("view", "procedure", "function"):
                found.setdefault(code.name.lower(), []).append(code.key)
        return {name: tuple(keys) for name, keys in found.items()}

    @cached_property
    def _tables_by_name(self) -> Mapping[str, tuple[TablePath, ...]]:
        found: dict[str, list[TablePath]] = {}
        for path in self.definitions.tables:
            found.setdefault(path[1].lower(), []).append(path)
        return {name: tuple(paths) for name, paths in found.items()}

    @cached_property
    def _triggers(self) -> Mapping[TablePath, tuple[Key, ...]]:
        found: dict[TablePath, list[Key]] = {}
        for code in self.definitions.code:
            if code.kind == "trigger":
                found.setdefault((code.database, code.table or ""), []).append(code.key)
        return {path: tuple(keys) for path, keys in found.items()}

    @cached_property
    def _children(self) -> Mapping[TablePath, tuple[TablePath, ...]]:
        """The tables that a foreign key with an action ties to a table."""
        found: dict[TablePath, list[TablePath]] = {}
        for table in self.definitions.catalog.tables:
            for key in table.foreign_keys:
                if {key.on_update, key.on_delete} & {"CASCADE", "SET NULL"}:
                    found.setdefault((key.parent_database, key.parent_table), []).append(table.path)
        return {path: tuple(paths) for path, paths in found.items()}

    def reach(self, key: Key) -> tuple[frozenset[Key], frozenset[TablePath]]:
        """The code, itself included, and the tables that a piece of code may come to; more than it does, never less.

        Words within strings count too: a statement may be put together from them.
        """
        code: set[Key] = set()
        tables: set[TablePath] = set()
        self._follow(key, code, tables)
        return frozenset(code), frozenset(tables)

    def reach_of_table(self, path: TablePath) -> tuple[frozenset[Key], frozenset[TablePath]]:
        """The same for a change of a table: its triggers, what they reach, and what foreign keys change with it."""
        code: set[Key] = set()
        tables: set[TablePath] = set()
        self._follow_table(path, code, tables)
        return frozenset(code), frozenset(tables)

    def _follow(self, key: Key, code: set[Key], tables: set[TablePath]) -> None:
        if key in code or key not in self._named:
            return
        code.add(key)
        reads_only = key[0] in ("view", "function") and not self.writes([key])
        for name in self._named[key]:
            for other in self._code_by_name.get(name, ()):
                self._follow(other, code, tables)
            for path in self._tables_by_name.get(name, ()):
                if reads_only:
                    tables.add(path)
                else:
                    self._follow_table(path, code, tables)

    def _follow_table(self, path: TablePath, code: set[Key], tables: set[TablePath]) -> None:
        if path in tables:
            return
        tables.add(path)
        for trigger in self._triggers.get(path, ()):
            self._follow(trigger, code, tables)
        for child in self._children.get(path, ()):
            if child in self.definitions.tables:
                self._follow_table(child, code, tables)

    def refused(self, reached: Collection[Key]) -> str | None:
        """Why this code is not to be replayed at all."""
        for key in sorted(reached):
            words = [token.word or token.text for token in self.tokens[key]]
            for phrase, why in _NOT_REPLAYED:
                if any(tuple(words[place : place + len(phrase)]) == phrase for place in range(len(words))):
                    return why
        return None

    def writes(self, reached: Iterable[Key]) -> bool:
        """Whether any of it may change something."""
        return any(self._says(key, _WRITES) for key in reached)

    def commits(self, reached: Iterable[Key]) -> bool:
        """Whether any of it may end a transaction, so that nothing can be rolled back."""
        return any(self._says(key, _COMMITS) for key in reached)

    def varies(self, reached: Iterable[Key]) -> bool:
        """Whether any of it may answer otherwise at another time or on another server."""
        return any(
            token.word in _OTHERWISE or token.text == "@" for key in reached for token in _body(key, self.tokens[key])
        )

    def _says(self, key: Key, words: Collection[str]) -> bool:
        tokens = _body(key, self.tokens[key])
        return any(
            # REPLACE(…), INSERT(…) and TRUNCATE(…) are functions, and harmless.
            (token.word in words or token.word == "REPLACE")
            and not (token.word in ("REPLACE", "INSERT", "TRUNCATE") and following.text == "(")
            for token, following in zip(tokens, (*tokens[1:], Token("space", "", 0)), strict=True)
        )


def event_body(code: Code) -> str:
    """What an event does: the statement behind its DO."""
    place = next(token for token in code_of(tokens_of(code.statement, code.sql_mode)) if token.word == "DO")
    return code.statement[place.end :].strip()


def renamed(text: str, names: Mapping[str, str], known: Collection[tuple[str, str]], sql_mode: str = "") -> str:
    """`text` with databases under their new `names`: those before two dots, and those before one where what follows is
    `known` (database, lower-case name) and not a column."""
    code = [*code_of(tokens_of(text, sql_mode)), *[Token("space", "", len(text))] * 4]
    edits = []
    for place in range(len(code) - 4):
        database, dot, item, further = code[place : place + 4]
        if database.kind not in ("name", "word") or dot.text != "." or item.kind not in ("name", "word"):
            continue
        if database.identifier not in names or (place and code[place - 1].text == "."):
            continue
        if further.text == "." or (database.identifier, item.identifier.lower()) in known:
            edits.append((database.start, database.end, "`" + names[database.identifier] + "`"))
    for start, end, new in reversed(edits):
        text = text[:start] + new + text[end:]
    return text


def _body(key: Key, tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """The tokens behind the heading, which holds CREATE, a trigger's event and a definer of its own."""
    if key[0] == "trigger":
        each = next(place for place, token in enumerate(tokens) if token.word == "EACH")
        return tokens[each + 2 :]
    if key[0] == "event":
        return tokens[next(place for place, token in enumerate(tokens) if token.word == "DO") + 1 :]
    heading = {"view": "VIEW", "procedure": "PROCEDURE", "function": "FUNCTION"}[key[0]]
    return tokens[next(place for place, token in enumerate(tokens) if token.word == heading) + 1 :]


def _names(tokens: Iterable[Token]) -> Iterable[str]:
    for token in tokens:
        if token.kind in ("name", "word"):
            yield token.identifier.lower()
        elif token.kind == "string":
            yield from re.findall(r"[\w$]+", token.text.lower())
