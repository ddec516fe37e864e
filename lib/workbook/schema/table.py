"""A table's definition taken apart: columns, keys, checks, options and partitions, from SHOW CREATE TABLE."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from workbook.names import mysql_path, quote_mysql
from workbook.schema.alike import alike_checks
from workbook.schema.tokens import (
    Token,
    closing,
    code_of,
    normal,
    normal_name,
    split_at_commas,
    text_of,
    tokens_of,
)

INTRODUCERS = ("_utf8mb3", "_utf8mb4", "_latin1", "_ascii")
_INDEX_WORDS = ("UNIQUE", "KEY", "INDEX", "FULLTEXT", "SPATIAL")
# Said or not said, they mean the same: InnoDB's own index structure, and MySQL's default for foreign keys.
_SILENT = (("using", "btree"), ("using", "hash"), ("index_type", "btree"))


@dataclass(frozen=True)
class Part:
    """One line of a table's definition: its name (PRIMARY for the primary key) and its text."""

    name: str
    text: str
    loose: bool = False  # printed by MariaDB, which sets other brackets than MySQL

    @cached_property
    def normal(self) -> tuple[str, ...]:
        """What the part is compared by, without what means the same said or not."""
        words = list(normal(tokens_of(self.text)))
        for silent in _SILENT:
            place = _find(words, silent)
            if place is not None:
                del words[place : place + len(silent)]
        return tuple(_without_introducers(_without_default_actions(words)))

    @cached_property
    def definition(self) -> tuple[str, ...]:
        """What the part is compared by when its name does not count."""
        return tuple(word for word in self.normal if word != quote_mysql(self.name))

    def same_as(self, other: "Part") -> bool:
        """Whether both mean the same, whoever printed them."""
        # Nearly all parts are the same to the letter, and taking them apart costs most of a plan's time.
        if self.text == other.text or self.normal == other.normal:
            return True
        return self.loose and alike_checks(self.text, other.text)


@dataclass(frozen=True)
class TableDefinition:
    """A table as SHOW CREATE TABLE writes it, in parts; option names in upper case, in the order given."""

    name: str
    columns: tuple[Part, ...]
    primary_key: Part | None
    indexes: tuple[Part, ...]
    foreign_keys: tuple[Part, ...]
    checks: tuple[Part, ...]
    options: tuple[tuple[str, str], ...]
    partitioning: str | None
    changes: tuple[str, ...] = ()  # what reading it from MariaDB changed, in words

    @cached_property
    def option(self) -> Mapping[str, str]:
        """Options by name."""
        return dict(self.options)

    @property
    def engine(self) -> str:
        """The storage engine, as written."""
        return self.option.get("ENGINE", "")

    @property
    def auto_increment(self) -> int:
        """The next value of the counter; 1 where none is stated."""
        return int(self.option.get("AUTO_INCREMENT", "1"))

    @cached_property
    def normal_partitioning(self) -> tuple[str, ...]:
        """What the partitions are compared by: names are printed in backticks by some servers and not by others."""
        words = normal(tokens_of(self.partitioning or ""))
        return tuple(word[1:-1].lower() if word.startswith("`") else word for word in words)

    @cached_property
    def normal_options(self) -> Mapping[str, tuple[str, ...]]:
        """What the options are compared by; the counter and the character set are compared by other means."""
        left_out = ("AUTO_INCREMENT", "DEFAULT CHARSET", "CHARSET", "COLLATE", "ENGINE")
        return {name: normal(tokens_of(value)) for name, value in self.options if name not in left_out}

    def create(self, database: str) -> str:
        """The statement that makes this table in `database`."""
        primary = (self.primary_key,) if self.primary_key else ()
        parts = (*self.columns, *primary, *self.indexes, *self.foreign_keys, *self.checks)
        lines = ",\n".join(f"  {part.text}" for part in parts)
        options = " ".join(f"{name}={value}" for name, value in self.options)
        partitioning = f"\n{self.partitioning}" if self.partitioning else ""
        return f"CREATE TABLE {mysql_path(database, self.name)} (\n{lines}\n) {options}{partitioning}"


def split_table(create_sql: str, loose: bool = False, changes: tuple[str, ...] = ()) -> TableDefinition:
    """The parts of a table from its SHOW CREATE TABLE; `loose` parts are compared by what they mean. Raises ValueError for text that is none."""
    tokens = tokens_of(create_sql)
    opening = next((place for place, token in enumerate(tokens) if token.text == "(" and token.kind == "symbol"), None)
    heading = code_of(tokens[:opening])
    if opening is None or not heading or heading[0].word != "CREATE" or heading[-1].kind not in ("name", "word"):
        raise ValueError("not a CREATE TABLE statement")
    end = closing(tokens, opening)
    found: dict[str, list[Part]] = {kind: [] for kind in ("column", "primary key", "index", "foreign key", "check")}
    for run in split_at_commas(tokens[opening + 1 : end]):
        kind, part = _part(run)
        found[kind].append(replace(part, loose=loose and kind == "check"))
    options, partitioning = _options(tokens[end + 1 :])
    return TableDefinition(
        name=heading[-1].identifier,
        columns=tuple(found["column"]),
        primary_key=found["primary key"][0] if found["primary key"] else None,
        indexes=tuple(found["index"]),
        foreign_keys=tuple(found["foreign key"]),
        checks=tuple(found["check"]),
        options=options,
        partitioning=partitioning,
        changes=changes,
    )


@lru_cache(4096)
def normal_type(column_type: str) -> str:
    """A column type as it is compared: no display width that means nothing, character sets under present names.

    MySQL 8.0.19 stopped printing int(11); tinyint(1) and ZEROFILL keep theirs, since clients read a meaning into it.
    """
    words = [
        normal_name(token.text) if token.kind == "word" else token.text for token in code_of(tokens_of(column_type))
    ]
    integers = ("tinyint", "smallint", "mediumint", "int", "bigint", "year")
    meant = "zerofill" in words or words[:4] == ["tinyint", "(", "1", ")"]
    if len(words) > 3 and words[0] in integers and words[1] == "(" and not meant:
        del words[1:4]
    return " ".join(words)


def _part(run: Sequence[Token]) -> tuple[str, Part]:
    code = code_of(run)
    text = text_of(run).strip()
    first = code[0]
    if first.kind == "name":
        return "column", Part(first.identifier, text)
    if first.word == "PRIMARY":
        return "primary key", Part("PRIMARY", text)
    named = next((token for token in code if token.kind == "name"), None)
    name = named.identifier if named else ""
    if first.word in _INDEX_WORDS:
        return "index", Part(name, text)
    if first.word == "CONSTRAINT" and len(code) > 2:
        kind = {"FOREIGN": "foreign key", "CHECK": "check"}.get(code[2].word)
        if kind:
            return kind, Part(name, text)
    raise ValueError(f"a part of the table that is not known: {text[:80]}")


def _options(tokens: Sequence[Token]) -> tuple[tuple[tuple[str, str], ...], str | None]:
    """The options as (name, value), and the text from PARTITION BY on."""
    found: list[tuple[str, str]] = []
    name: list[str] = []
    place = 0
    while place < len(tokens):
        token = tokens[place]
        place += 1
        if token.kind in ("space", "comment") or (token.kind == "symbol" and token.text == ","):
            continue
        if token.word == "PARTITION":
            return tuple(found), text_of(tokens[place - 1 :]).strip()
        if token.kind == "symbol" and token.text == "=":
            value, place = _value(tokens, place)
            found.append((" ".join(name), value))
            name = []
        elif name == ["TABLESPACE"]:
            # TABLESPACE is written without an equals sign.
            found.append(("TABLESPACE", token.text))
            name = []
        elif name == ["STORAGE"]:
            found.append(("STORAGE", token.text))
            name = []
        else:
            name.append(token.word)
    return tuple(found), None


def _value(tokens: Sequence[Token], place: int) -> tuple[str, int]:
    while tokens[place].kind in ("space", "comment"):
        place += 1
    end = closing(tokens, place) + 1 if tokens[place].text == "(" else place + 1
    return text_of(tokens[place:end]), end


def _find(words: Sequence[str], wanted: Sequence[str]) -> int | None:
    size = len(wanted)
    return next((place for place in range(len(words) - size + 1) if tuple(words[place : place + size]) == wanted), None)


def _without_introducers(words: Sequence[str]) -> list[str]:
    """Without the character set of a literal: the server takes the column's as soon as it writes the table anew."""
    pairs = zip(words, [*words[1:], ""], strict=True)
    return [word for word, following in pairs if not (word in INTRODUCERS and following.startswith("'"))]


def _without_default_actions(words: Sequence[str]) -> list[str]:
    kept: list[str] = []
    place = 0
    while place < len(words):
        if words[place] == "on" and place + 2 < len(words) and words[place + 1] in ("update", "delete"):
            if words[place + 2] == "restrict":
                place += 3
                continue
            if words[place + 2 : place + 4] == ["no", "action"]:
                place += 4
                continue
        kept.append(words[place])
        place += 1
    return kept
