"""What Cloud SQL does not take in a table's definition, as a table of rules: what is changed, to what, and why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from workbook.names import quote_mysql
from workbook.schema.table import Part, TableDefinition
from workbook.schema.tokens import Token, code_of, normal_name, text_of, tokens_of


@dataclass(frozen=True)
class OptionRule:
    """An option that is changed where `holds` is true of the definition and the option's value; None takes it away."""

    option: str
    holds: Callable[[TableDefinition, str], bool]
    becomes: str | None
    why: str

    @property
    def when(self) -> str:
        """For which tables, in words; empty for all."""
        return _IN_WORDS[self.holds]


def _always(table: TableDefinition, value: str) -> bool:
    return True


def _other_engine(table: TableDefinition, value: str) -> bool:
    return table.engine.lower() != "innodb"


def _fixed(table: TableDefinition, value: str) -> bool:
    return value.upper() in ("FIXED", "PAGED")


_IN_WORDS: dict[Callable[[TableDefinition, str], bool], str] = {
    _always: "",
    _other_engine: " of another engine than InnoDB",
    _fixed: "=FIXED or PAGED",
}
# First match by option. The order does not matter between options.
OPTION_RULES: tuple[OptionRule, ...] = (
    OptionRule("ENGINE", _other_engine, "InnoDB", "Cloud SQL keeps data in InnoDB only"),
    OptionRule("ROW_FORMAT", _fixed, None, "InnoDB has no rows of fixed length"),
    OptionRule("ROW_FORMAT", _other_engine, None, "the row format was one of the other engine"),
    OptionRule("KEY_BLOCK_SIZE", _other_engine, None, "in InnoDB the block size would mean compression"),
    OptionRule("CONNECTION", _always, None, "there is no FEDERATED engine, and the connection may hold a password"),
    OptionRule("UNION", _always, None, "there is no MERGE engine; the table gets the rows themselves"),
    OptionRule("INSERT_METHOD", _always, None, "there is no MERGE engine"),
    OptionRule("DATA DIRECTORY", _always, None, "files have no place of their own on Cloud SQL"),
    OptionRule("INDEX DIRECTORY", _always, None, "files have no place of their own on Cloud SQL"),
    OptionRule("TABLESPACE", _always, None, "every table has a file of its own on Cloud SQL"),
    OptionRule("STORAGE", _always, None, "only NDB knows it"),
    OptionRule("ENCRYPTION", _always, None, "Cloud SQL encrypts all storage itself"),
    OptionRule("SECONDARY_ENGINE", _always, None, "there is no secondary engine"),
)
# The same clauses where they stand in a partition.
_PARTITION_CLAUSES = (("DATA", "DIRECTORY"), ("INDEX", "DIRECTORY"), ("TABLESPACE",), ("STORAGE",))
COUNTER_INDEX = "workbook_auto_increment"


@dataclass(frozen=True)
class Adapted:
    """A definition as Cloud SQL takes it, and each change in words."""

    table: TableDefinition
    changes: tuple[str, ...]


def adapted(table: TableDefinition, members: Sequence[tuple[str, tuple[str, ...]]] = ()) -> Adapted:
    """`table` after all rules; `members` gives columns whose ENUM or SET members SHOW CREATE TABLE cannot print."""
    options: list[tuple[str, str]] = []
    changes: list[str] = [*table.changes]
    for name, value in table.options:
        rule = next((rule for rule in OPTION_RULES if rule.option == name and rule.holds(table, value)), None)
        if rule is None:
            options.append((name, value))
            continue
        if rule.becomes is not None:
            options.append((name, rule.becomes))
        # A CONNECTION may hold a password, so values are named only where they are plain words.
        was = f"{name}={value}" if tokens_of(value)[0].kind == "word" else name
        changes.append(f"{was} {'becomes ' + rule.becomes if rule.becomes else 'is left out'}: {rule.why}")
    partitioning, clauses = _partitioning(table.partitioning)
    if clauses:
        changes.append(f"{', '.join(clauses)} of partitions left out: files have no place of their own on Cloud SQL")
    columns = tuple(_with_members(column, dict(members).get(column.name)) for column in table.columns)
    changed = replace(table, options=tuple(options), partitioning=partitioning, columns=columns)
    counter = _counter_without_index(table)
    if counter:
        index = Part(COUNTER_INDEX, f"KEY {quote_mysql(COUNTER_INDEX)} ({quote_mysql(counter)})")
        changed = replace(changed, indexes=(*changed.indexes, index))
        changes.append(
            f"an index on {counter!r} is added: InnoDB wants the AUTO_INCREMENT column first in an index;"
            " it counts through the table where the other engine counted within a group"
        )
    return Adapted(changed, tuple(changes))


def _partitioning(text: str | None) -> tuple[str | None, list[str]]:
    if text is None:
        return None, []
    tokens = list(tokens_of(text))
    clauses: list[str] = []
    place = 0
    while place < len(tokens):
        words = tuple(token.word for token in code_of(tokens[place : place + 4]))
        clause = next((clause for clause in _PARTITION_CLAUSES if words[: len(clause)] == clause), None)
        if clause and tokens[place].word:
            del tokens[place : _end_of_value(tokens, place, len(clause))]
            name = " ".join(clause)
            if name not in clauses:
                clauses.append(name)
            continue
        place += 1
    return text_of(tokens).strip(), clauses


def _end_of_value(tokens: Sequence[Token], place: int, words: int) -> int:
    """Where the clause that starts at `place` ends: its words, an equals sign if there is one, and its value."""
    left = words
    for end in range(place, len(tokens)):
        token = tokens[end]
        if token.kind in ("space", "comment") or (left == 0 and token.text == "="):
            continue
        if left == 0:
            return end + 1
        left -= 1
    return len(tokens)


def _with_members(column: Part, members: tuple[str, ...] | None) -> Part:
    """The column with all members of its ENUM or SET as they are."""
    if members is None:
        return column
    tokens = tokens_of(column.text)
    first = next(place for place, token in enumerate(tokens) if token.word in ("ENUM", "SET"))
    opening = next(place for place in range(first, len(tokens)) if tokens[place].text == "(")
    # A bracket in a member is inside a string, so the next one closes the list.
    end = next(place for place in range(opening, len(tokens)) if tokens[place].text == ")")
    listed = ",".join("'" + member.replace("\\", "\\\\").replace("'", "''") + "'" for member in members)
    return Part(column.name, text_of(tokens[: opening + 1]) + listed + text_of(tokens[end:]))


def _counter_without_index(table: TableDefinition) -> str | None:
    """The AUTO_INCREMENT column that comes first in no index; MyISAM allows that, InnoDB does not."""
    counter = next(
        (
            column.name
            for column in table.columns
            if "AUTO_INCREMENT" in column.text and any(t.word == "AUTO_INCREMENT" for t in tokens_of(column.text))
        ),
        None,
    )
    keys = (table.primary_key, *table.indexes) if table.primary_key else table.indexes
    if counter is None or any(first_column(key) == counter for key in keys):
        return None
    return counter


def first_column(index: Part) -> str | None:
    """The first column of an index; None where it starts with an expression."""
    code = code_of(tokens_of(index.text))
    opening = next(place for place, token in enumerate(code) if token.text == "(" and token.kind == "symbol")
    return code[opening + 1].identifier if code[opening + 1].kind == "name" else None


def same_collation(source: str | None, target: str | None) -> bool:
    """Whether two character sets or collations are the same under their present names."""
    return normal_name(source or "") == normal_name(target or "")


def markdown() -> str:
    """The rules as a Markdown table, for the README."""
    lines = ["| in the definition | becomes | why |", "| --- | --- | --- |"]
    for rule in OPTION_RULES:
        lines.append(f"| `{rule.option}`{rule.when} | {rule.becomes or 'left out'} | {rule.why} |")
    clauses = ", ".join(f"`{' '.join(clause)}`" for clause in _PARTITION_CLAUSES)
    lines.append(f"| {clauses} of a partition | left out | files have no place of their own on Cloud SQL |")
    lines.append("| `DEFINER` other than the login | the login | another account's name may not be used on Cloud SQL |")
    lines.append("| an event that is enabled | `DISABLE` | it does not fire before the cutover |")
    return "\n".join(lines)
