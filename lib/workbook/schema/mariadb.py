"""MariaDB's definitions of tables in MySQL's language: what it prints otherwise, has under other names, or alone."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from workbook.catalog import Catalog, Column, Table
from workbook.catalog.mariadb import (
    NATIVE_COLLATION,
    NATIVE_TYPES,
    ONLY_MARIADB,
    collation_of,
    refused_default,
    to_bytes,
)
from workbook.names import mysql_path, mysql_string, quote_mysql
from workbook.plan import Left
from workbook.schema.tokens import Token, closing, code_of, split_at_commas, text_of, tokens_of
from workbook.servers import Session

# Options that MySQL has not, and what is said of them; those without a word change nothing that anyone could see.
_OPTIONS: Mapping[str, str] = {
    "PAGE_CHECKSUM": "",
    "TRANSACTIONAL": "",
    "TABLE_CHECKSUM": "",
    "SEQUENCE": "",
    "IETF_QUOTES": "",
    "PAGE_COMPRESSED": "InnoDB's page compression is MariaDB's own: the table is stored as it is",
    "PAGE_COMPRESSION_LEVEL": "",
    "ENCRYPTED": "Cloud SQL encrypts all storage itself",
    "ENCRYPTION_KEY_ID": "",
}
# Where a column's DEFAULT ends, outside of any bracket.
_BEHIND_DEFAULT = ("ON", "AUTO_INCREMENT", "COMMENT", "CHECK", "INVISIBLE")
_LITERAL_WORDS = ("NULL", "TRUE", "FALSE", "CURRENT_TIMESTAMP", "B", "X")
_LONG = ("tinytext", "text", "mediumtext", "longtext", "tinyblob", "blob", "mediumblob", "longblob", "json")


@dataclass
class Dialect:
    """Turns the definitions of one MariaDB source into MySQL's; `changes` says for each table what became otherwise."""

    catalog: Catalog
    changes: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    _shared_checks: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = Counter((table.database, check.name.lower()) for table in self.catalog.tables for check in table.checks)
        self._shared_checks = names

    def table(self, path: tuple[str, str], statement: str) -> str:
        """SHOW CREATE TABLE of `path` as MySQL takes it."""
        translated = _Translated(self, self.catalog.table[path])
        made = translated.statement(statement)
        self.changes[path] = tuple(dict.fromkeys(translated.changes))
        return made

    def check_name(self, table: Table, name: str, number: int) -> str:
        """A CHECK's name: in MySQL no other table of the database may have one of the same name."""
        own = name and not name.upper().startswith("CONSTRAINT_")
        if own and self._shared_checks[table.database, name.lower()] < 2:
            return name
        return f"{table.name[:54]}_chk_{number}"

    def left(self) -> tuple[Left, ...]:
        """What MariaDB has and MySQL has nothing like."""
        why = "MySQL has no sequences: give the columns that drew from it AUTO_INCREMENT, or a table that counts"
        found = [Left("sequence", mysql_path(*path), why, expected=False) for path in self.catalog.sequences]
        return tuple(found)


class _Translated:
    """One table on its way."""

    def __init__(self, dialect: Dialect, table: Table):
        self._dialect = dialect
        self._table = table
        self._checks: list[str] = []
        self.changes: list[str] = []

    def statement(self, text: str) -> str:
        """The whole CREATE TABLE."""
        tokens = tokens_of(text)
        opening = next(place for place, token in enumerate(tokens) if token.text == "(" and token.kind == "symbol")
        end = closing(tokens, opening)
        parts = [self._part(run) for run in split_at_commas(tokens[opening + 1 : end])]
        lines = ",\n".join(f"  {part}" for part in [*filter(None, parts), *self._checks])
        return f"{text_of(tokens[: opening + 1])}\n{lines}\n) {self._options(tokens[end + 1 :])}"

    def _part(self, run: Sequence[Token]) -> str | None:
        code = list(code_of(run))
        first = code[0]
        if first.kind == "name":
            return self._column(code)
        if first.word == "PERIOD":
            name = text_of(code[2:3])
            if "SYSTEM_TIME" not in name:
                self.changes.append(f"the period {name} is left out: MySQL has none; its two columns stay")
                low, high = (token.identifier for token in code if token.kind == "name" and token is not code[2])
                self._check("", f"({quote_mysql(low)} < {quote_mysql(high)})")
            return None
        if first.word == "CONSTRAINT" and code[2].word == "CHECK":
            self._check(code[1].identifier, _spaced(code[3:]))
            return None
        if first.word == "CONSTRAINT":
            return _spaced(code)
        return self._index(code)

    def _column(self, code: list[Token]) -> str:
        column = self._table.column[code[0].identifier]
        head, kind = [code[0]], code[1]
        rest = code[2:]
        # The brackets behind the type belong to it.
        if rest and rest[0].text == "(":
            end = closing(rest, 0)
            head, rest = [code[0], kind, *rest[: end + 1]], rest[end + 1 :]
        else:
            head = [code[0], kind]
        text = _spaced(head)
        native = NATIVE_TYPES.get(kind.text.lower())
        if native:
            charset, collation = NATIVE_COLLATION
            text = f"{quote_mysql(column.name)} {native.becomes} CHARACTER SET {charset} COLLATE {collation}"
            self.changes.append(f"column {column.name!r} {kind.text} becomes {native.becomes}: {native.why}")
        elif "COMPRESSED" in column.native.upper():
            self.changes.append(f"column {column.name!r} is no longer COMPRESSED: MySQL compresses whole tables only")
        words = [token.word for token in rest]
        if "AS" in words and words[words.index("AS") + 1] == "ROW":
            return self._row_column(words[words.index("AS") + 2], column, rest)
        return " ".join(filter(None, [text, *self._attributes(column, rest)]))

    def _attributes(self, column: Column, rest: list[Token]) -> list[str]:
        """What stands behind a column's type, piece by piece."""
        made: list[str] = []
        place = 0
        while place < len(rest):
            token = rest[place]
            word = token.word
            following = rest[place + 1].word if place + 1 < len(rest) else ""
            if word == "CHARACTER" and following == "SET":
                # Said with its collation always: the default of a character set is another one in MySQL.
                made.append(f"CHARACTER SET {column.charset} COLLATE {column.collation}")
                place += 3
            elif word == "COLLATE":
                nearest, why = collation_of(rest[place + 1].text)
                if nearest != rest[place + 1].text:
                    self._recollated(f"column {column.name!r}", rest[place + 1].text, nearest, why)
                if not made or not made[-1].startswith("CHARACTER SET"):
                    made.append(f"COLLATE {nearest}")
                place += 2
            elif word in ("WITH", "WITHOUT") and following == "SYSTEM":
                self.changes.append(f"column {column.name!r}: there is no system versioning to be part of")
                place += 3
            elif word == "DEFAULT":
                end = self._end_of_default(rest, place + 1)
                made.append(self._default(column, rest[place + 1 : end]))
                place = end
            elif word == "CHECK":
                end = closing(rest, place + 1)
                self._check("", _spaced(rest[place + 1 : end + 1]))
                place = end + 1
            elif word == "AS" or token.text == "(":
                opening = place + (word == "AS")
                end = closing(rest, opening)
                made.append(("AS " if word == "AS" else "") + _spaced(rest[opening : end + 1]))
                place = end + 1
            else:
                made.append(token.text)
                place += 1
        return made

    @staticmethod
    def _end_of_default(rest: Sequence[Token], place: int) -> int:
        depth = 0
        while place < len(rest):
            token = rest[place]
            if token.kind == "symbol":
                depth += (token.text == "(") - (token.text == ")")
            if depth == 0 and token.word in _BEHIND_DEFAULT:
                break
            place += 1
        return place

    def _default(self, column: Column, value: Sequence[Token]) -> str:
        """A DEFAULT clause: an expression stands in brackets in MySQL, and so does any default of a long type."""
        first = value[0]
        text = _spaced(value)
        if refused_default(text):
            self.changes.append(f"column {column.name!r} loses its default {text}: MySQL has nothing like it")
            return ""
        literal = (
            first.kind == "string" or first.word in _LITERAL_WORDS or first.word[:1].isdigit() or first.text == "-"
        )
        if first.word == "CURRENT_TIMESTAMP" or (literal and column.data_type not in _LONG):
            # Bytes are written as such: they need not be text.
            binary = column.data_type in ("binary", "varbinary") and first.kind == "string"
            return f"DEFAULT 0x{to_bytes(first.text).hex().upper()}" if binary else f"DEFAULT {text}"
        if first.word == "NULL":
            return "DEFAULT NULL"
        return f"DEFAULT {text}" if first.text == "(" and closing(value, 0) == len(value) - 1 else f"DEFAULT ({text})"

    def _row_column(self, which: str, column: Column, rest: Sequence[Token]) -> str:
        """ROW START and ROW END of a table that keeps its history: columns like others, with what the server wrote."""
        self.changes.append(
            f"column {column.name!r} (ROW {which}) becomes a {column.type} that a default fills: the server keeps no history"
        )
        default = column.default or "0"
        quoted = default if column.default_is_expression or default.isdigit() else mysql_string(default)
        invisible = " INVISIBLE" if any(token.word == "INVISIBLE" for token in rest) else ""
        on_update = f" ON UPDATE {column.on_update}" if column.on_update else ""
        return f"{quote_mysql(column.name)} {column.type} NOT NULL DEFAULT {quoted}{on_update}{invisible}"

    def _index(self, code: list[Token]) -> str | None:
        words = [token.word for token in code]
        name = next(token.identifier for token in code if token.kind == "name") if words[0] != "PRIMARY" else "PRIMARY"
        if words[0] == "VECTOR":
            self.changes.append(f"index {name!r} is left out: MySQL has no index on vectors")
            return None
        if "OVERLAPS" in words:
            return self._without_overlaps(code, name)
        made = [Token("word", "INVISIBLE", token.start) if token.word == "IGNORED" else token for token in code]
        opening = next(place for place, token in enumerate(code) if token.text == "(" and token.kind == "symbol")
        end = closing(code, opening)
        if words[0] == "UNIQUE":
            parts = [self._unique_part(part, name) for part in split_at_commas(code[opening + 1 : end])]
            if any(
                part != _spaced(own) for part, own in zip(parts, split_at_commas(code[opening + 1 : end]), strict=True)
            ):
                return f"{_spaced(code[:opening])} ({','.join(parts)})"
        return _spaced(made)

    def _unique_part(self, part: Sequence[Token], name: str) -> str:
        column = self._table.column[part[0].identifier]
        if len(part) > 1 or column.data_type not in _LONG:
            return _spaced(part)
        self.changes.append(
            f"index {name!r} keeps the whole of {column.name!r} unique by its SHA-256: MySQL indexes no whole {column.type};"
            " what is equal to the collation alone is no longer refused"
        )
        return f"(sha2({quote_mysql(column.name)},256))"

    def _without_overlaps(self, code: list[Token], name: str) -> str:
        index = next(index for index in self._table.indexes if index.name == name)
        self.changes.append(
            f"index {name!r} no longer refuses periods that overlap: MySQL has no WITHOUT OVERLAPS; it is unique"
            " by the ends of the period"
        )
        columns = ",".join(quote_mysql(column) for column in index.columns)
        return f"{'PRIMARY KEY' if name == 'PRIMARY' else 'UNIQUE KEY ' + quote_mysql(name)} ({columns})"

    def _check(self, name: str, clause: str) -> None:
        """Keep a CHECK for the end of the statement, under a name that MySQL takes; or say why MySQL would not."""
        number = len(self._checks) + 1
        code = code_of(tokens_of(clause))
        called = _functions(code)
        why = next((reason for holds, reason in _NO_CHECKS if holds(self._table, code, called)), None)
        if why:
            self.changes.append(f"the CHECK {clause} is left out: {why}")
            return
        made = self._dialect.check_name(self._table, name, number)
        if name and made != name and not name.upper().startswith("CONSTRAINT_"):
            self.changes.append(f"the CHECK {name!r} becomes {made!r}: another table has one of that name")
        self._checks.append(f"CONSTRAINT {quote_mysql(made)} CHECK {clause}")

    def _options(self, tokens: Sequence[Token]) -> str:
        """The options, and the partitions."""
        code = code_of(tokens)
        words = [token.word for token in code]
        partition = next((p for p, word in enumerate(words) if word == "PARTITION" and words[p + 1] == "BY"), len(code))
        if "VERSIONING" in words[:partition]:
            self.changes.append(
                "is no longer SYSTEM VERSIONED: the rows of today move, the history stays on the source"
                " (SELECT … FOR SYSTEM_TIME ALL reads it)"
            )
        made, place = [], 0
        while place < partition:
            sign = next((p for p in range(place, partition) if code[p].text == "="), None)
            if sign is None:
                break
            name = " ".join(token.identifier.upper() for token in code[place:sign])
            value = code[sign + 1].text
            place = sign + 2
            if name.endswith("COLLATE") or name.startswith("WITH SYSTEM"):
                continue
            if name in _OPTIONS or code[sign - 1].kind == "name":
                if _OPTIONS.get(name, "MySQL has no such option"):
                    self.changes.append(f"{name}={value} is left out: {_OPTIONS.get(name, 'MySQL has no such option')}")
                continue
            made.append(f"{name}={value}")
            if name.endswith("CHARSET"):
                made.append(f"COLLATE={self._table.collation}")
        stated = next((code[p + 2].text for p, word in enumerate(words[:partition]) if word == "COLLATE"), "")
        if stated and stated != self._table.collation:
            self._recollated("its default", stated, self._table.collation, collation_of(stated)[1])
        if words[partition : partition + 3] == ["PARTITION", "BY", "SYSTEM_TIME"]:
            self.changes.append("its partitions by SYSTEM_TIME are left out: they held the history")
        elif partition < len(code):
            made.append("\n" + _in_innodb(tokens[tokens.index(code[partition]) :]))
        return " ".join(made)

    def _recollated(self, what: str, was: str, nearest: str, why: str) -> None:
        self.changes.append(f"{what} {was} becomes {nearest}" + (f": {why}" if why else ""))


def mariadb_members(session: Session, column: str, data_type: str, count: int) -> tuple[str, ...]:
    """All members of an ENUM or SET column (a quoted path), from a variable of its type.

    A temporary table would be written to the binlog of a server in MIXED mode, and the source would seem to move.
    """
    number = "n" if data_type == "enum" else "1 << (n - 1)"
    block = (
        f"BEGIN NOT ATOMIC DECLARE member TYPE OF {column}; DECLARE n INT DEFAULT 0;"
        " DECLARE found LONGTEXT CHARACTER SET utf8mb4 DEFAULT '[]';"
        f" WHILE n < {count} DO SET n = n + 1; SET member = {number};"
        " SET found = JSON_ARRAY_APPEND(found, '$', CONVERT(member USING utf8mb4)); END WHILE; SELECT found; END"
    )
    return tuple(json.loads(session.rows(block.replace("%", "%%"), ())[0]["found"]))


def _functions(code: Sequence[Token]) -> set[str]:
    """The functions that an expression calls."""
    return {code[place].word for place in range(len(code) - 1) if code[place].word and code[place + 1].text == "("}


def _acted_on(table: Table, code: Sequence[Token], called: Collection[str]) -> bool:
    """Whether a column of the CHECK is changed by a foreign key's action, which MySQL does not allow (3823)."""
    changing = {
        column
        for key in table.foreign_keys
        if {key.on_update, key.on_delete} - {"RESTRICT", "NO ACTION"}
        for column in key.columns
        if key.on_update not in ("RESTRICT", "NO ACTION") or key.on_delete == "SET NULL"
    }
    return any(token.kind == "name" and token.identifier in changing for token in code)


_NO_CHECKS: tuple[tuple[Callable[[Table, Sequence[Token], Collection[str]], bool], str], ...] = (
    (lambda table, code, called: bool(ONLY_MARIADB & set(called)), "it calls a function that MySQL has not"),
    (_acted_on, "a foreign key's action changes one of its columns, which MySQL does not allow together"),
)  # fmt: skip


def _in_innodb(tokens: Sequence[Token]) -> str:
    """A partitioning clause whose partitions are all of InnoDB, as the table is by then."""
    texts = [token.text for token in tokens]
    code = [place for place, token in enumerate(tokens) if token.kind not in ("space", "comment")]
    for engine, equals, name in zip(code, code[1:], code[2:], strict=False):
        if tokens[engine].word == "ENGINE" and tokens[equals].text == "=":
            texts[name] = "InnoDB"
    return "".join(texts).strip()


def _spaced(code: Sequence[Token]) -> str:
    """Tokens as text, a space wherever the source had one."""
    made = []
    for place, token in enumerate(code):
        made.append((" " if place and code[place - 1].end < token.start else "") + token.text)
    return "".join(made)
