"""Dead letters for a person: what each says, why the target refused it, and what mends it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbook import faces
from workbook.catalog import Catalog
from workbook.cdc.change import Path, Row
from workbook.cdc.ledger import UNREAD, DeadLetter, Ledger
from workbook.mapping import Mapping as DataMapping
from workbook.names import mysql_path, quote_mysql
from workbook.servers import Server

READ = "workbook cdc dead-letters -p FILE"
REPLAY = "workbook cdc replay-dead-letters -p FILE"
FORGET = "workbook cdc forget-dead-letters {numbers} --yes -p FILE"
_DETAILED, _LONG = 20, 300
# `db`.`table`: what the server said (its number)
_SAID = re.compile(r"(?P<table>`(?:[^`]|``)+`\.`(?:[^`]|``)+`): (?P<text>.*) \((?P<code>\d+)\)", re.S)
# A value that an error quotes; the first that is there.
_VALUES = (
    re.compile(r"(?<=entry |alue: )'.*'(?= for (?:key|column) ')", re.S),
    re.compile(r"(?<=entry |alue: )'.*'(?= \(\d+\)$)", re.S),
)
_QUOTED = re.compile(r"'[^']*'")
_OPERATIONS = {"c": "insert", "u": "update", "d": "delete", "t": "truncate", "ddl": "DDL"}


@dataclass(frozen=True)
class Advice:
    """What errors of the target mean and what mends them; `sql` is filled from the error by `names`."""

    codes: tuple[int, ...]
    means: str
    mend: str
    names: str = ""
    sql: str = ""


#: The first that has the server's error number; the last is for all others.
ADVICE: tuple[Advice, ...] = (
    Advice(
        (3819,),
        "a constraint of the target forbids the row, and the source has none or does not enforce it",
        "take the constraint away on the target, or change the row on the source",
        r"Check constraint '(?P<name>.*)' is violated",
        "ALTER TABLE {table} DROP CHECK {name};",
    ),
    Advice(
        (1264, 1265, 1292, 1366, 1406, 1411, 3140),
        "a column of the target does not hold the value: it is shorter or narrower than on the source, or of another type",
        "give the column the definition that it has on the source: SHOW CREATE TABLE on both sides tells them apart",
    ),
    Advice(
        (1048, 1364),
        "a column of the target must not be NULL, or has no default, and on the source it may",
        "give the column the definition that it has on the source: SHOW CREATE TABLE on both sides tells them apart",
    ),
    Advice(
        (1062, 1586),
        "another row of the target has the same unique key",
        "nothing, as a rule: it is tried again with each batch, and passes when the other row changes; a row that the source"
        " does not have was written on the target by others: take it away there",
    ),
    Advice(
        (1205, 1213), "a lock was held by another session of the target", "nothing: it is tried again with each batch"
    ),
    Advice(
        (1044, 1142, 1143, 1227, 1290),
        "the target's account may not write there",
        "grant what is missing, or switch read_only off",
    ),
    Advice(
        (1054, 1136, 1146),
        "the table or column is not on the target",
        "make it as the source has it, or load the table again",
    ),
    Advice(
        (),
        "the error says it",
        "mend what the error names on the target; or have the row copied (workbook run validate, then workbook repair) and"
        " forget the letter",
    ),
)
_UNREAD = Advice(
    (),
    "a message in the topic that is none of the stream's: no row is missing on the target",
    "find out who publishes to the topic, then forget it; the message is also kept in the topic of the dead",
)


def advice(letter: DeadLetter) -> Advice:
    """What the letter's error means, and what mends it."""
    if letter.kind == UNREAD:
        return _UNREAD
    said = _SAID.search(letter.error)
    code = int(said["code"]) if said else 0
    return next(item for item in ADVICE if code in item.codes or not item.codes)


def mending(letter: DeadLetter) -> str:
    """The SQL for the target that the error leads to; none where it takes a person to find it."""
    found, said = advice(letter), _SAID.search(letter.error)
    named = re.search(found.names, said["text"], re.S) if said and found.names else None
    if said is None or named is None:
        return ""
    return found.sql.format(table=said["table"], name=quote_mysql(named["name"]))


def markdown() -> str:
    """The advice as a Markdown table."""
    lines = ["| error of the target | what it means | what mends it |", "| --- | --- | --- |"]
    for item in ADVICE:
        sql = f" (`{item.sql}`)" if item.sql else ""
        codes = ", ".join(map(str, item.codes)) or "any other"
        lines.append(f"| {codes} | {item.means} | {item.mend}{sql} |")
    lines.append(f"| *unread* | {_UNREAD.means} | {_UNREAD.mend} |")
    return "\n".join(lines)


@dataclass(frozen=True)
class Letters:
    """The dead letters of a stream: the first ones, and how many there are. Values are shown only with `show_values`.

    `keys` are the columns that name a row, by the source's table; they are shown, as the validation shows them. `hidden`
    are those that the mapping masks or leaves out, which are never shown.
    """

    letters: tuple[DeadLetter, ...]
    count: int
    show_values: bool = False
    keys: Mapping[Path, Sequence[str]] = field(default_factory=dict, repr=False)
    hidden: Mapping[Path, Sequence[str]] = field(default_factory=dict, repr=False)

    @classmethod
    def read(
        cls, ledger: Ledger, target: Server, catalog: Catalog, mapping: DataMapping, show_values: bool, most: int = 200
    ) -> "Letters":
        """The letters that wait now."""
        if not ledger.exists(target):
            return cls((), 0)
        found = ledger.letters(target, most)
        tables = {letter.path: catalog.table[letter.path] for letter in found if letter.path in catalog.table}
        flows = {path: mapping.tables[path].flow for path in tables if path in mapping.tables}
        return cls(
            found,
            ledger.dead_count(target),
            show_values,
            {path: table.key for path, table in tables.items()},
            {path: (*flow.excluded, *dict(flow.masks)) for path, flow in flows.items()},
        )

    @property
    def text(self) -> str:
        """For a terminal."""
        if not self.letters:
            return "There are no dead letters."
        lines = []
        for letter in self.letters:
            lines.append(
                f"{letter.number}: {letter.kind}, {_what(letter)}, tried {letter.tries} times, last {letter.at} UTC"
            )
            lines.append(f"  error: {self._error(letter)}")
            lines += [f"  {name}: {old} -> {new}" for name, old, new in self._values(letter)]
            lines.append(f"  means: {advice(letter).means}")
            lines.append(f"  mend:  {advice(letter).mend}")
            lines += [f"         {sql}" for sql in filter(None, [mending(letter)])]
        if self.count > len(self.letters):
            lines.append(f"… and {self.count - len(self.letters):,} more")
        return "\n".join([*lines, "Then:", *(f"  {command}" for command in self.commands)])

    @property
    def commands(self) -> tuple[str, ...]:
        """What to run once the causes are mended, in this order."""
        unread = [str(letter.number) for letter in self.letters if letter.kind == UNREAD]
        refused = any(letter.kind != UNREAD for letter in self.letters)
        return (
            "workbook cdc stop -p FILE",
            *((REPLAY,) if refused else ()),
            *((FORGET.format(numbers=" ".join(unread)),) if unread else ()),
            "workbook cdc run -p FILE",
        )

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "count": self.count,
            "letters": [
                {
                    "number": letter.number,
                    "kind": letter.kind,
                    "what": _what(letter),
                    "error": self._error(letter),
                    "means": advice(letter).means,
                    "mend": advice(letter).mend,
                    "sql": mending(letter),
                    "tries": letter.tries,
                }
                for letter in self.letters
            ],
        }

    def _repr_html_(self) -> str:
        if not self.letters:
            return faces.text("There are no dead letters.", muted=True)
        rows = [
            {
                "number": letter.number,
                "kind": letter.kind,
                "what": _what(letter),
                "error": self._error(letter),
                "tries": letter.tries,
                "at": letter.at,
            }
            for letter in self.letters
        ]
        names = {
            "number": "Number",
            "kind": "Kind",
            "what": "What",
            "error": "Error",
            "tries": "Tries",
            "at": "Last (UTC)",
        }
        return faces.stack(
            faces.table(rows, names, limit=len(rows), caption=f"Dead letters: {self.count:,}"),
            faces.text(f"The first {len(rows)} are listed; {READ} lists them all.") if self.count > len(rows) else None,
            *(self._card(letter) for letter in self.letters[:_DETAILED]),
            faces.text("When the causes are mended, in this order (the first and last where `workbook cdc run` runs):"),
            *(faces.code(command) for command in self.commands),
        )

    def _card(self, letter: DeadLetter) -> faces.Html:
        found, sql = advice(letter), mending(letter)
        values = [{"name": name, "before": old, "after": new} for name, old, new in self._values(letter)]
        return faces.details(
            f"Letter {letter.number}: {_what(letter)}",
            faces.stack(
                faces.text(f"What it means: {found.means}."),
                faces.text(f"What mends it: {found.mend}."),
                faces.code(sql) if sql else None,
                faces.table(values, {"name": "Column", "before": "Before", "after": "After"}) if values else None,
                None
                if self.show_values
                else faces.text(f"Values are masked, but for keys: {READ} --values shows them.", muted=True),
            ),
            opened=len(self.letters) == 1,
            anchor=f"letter-{letter.number}",
        )

    def _error(self, letter: DeadLetter) -> str:
        """The error, without the values that it quotes where values are masked."""
        if self.show_values or letter.kind == UNREAD:
            return letter.error
        if _SAID.search(letter.error):
            pattern = next((each for each in _VALUES if each.search(letter.error)), _VALUES[0])
            return pattern.sub("'…'", letter.error)
        return _QUOTED.sub("'…'", letter.error)

    def _values(self, letter: DeadLetter) -> list[tuple[str, str, str]]:
        """Each column, or the message, with its value before and after."""
        change = letter.change
        if letter.kind == UNREAD:
            return [("message", "", _shown(change.statement, self.show_values))]
        rows: tuple[Row, Row] = change.before or {}, change.after or {}
        keys, hidden = self.keys.get(letter.path, ()), self.hidden.get(letter.path, ())
        found = []
        for name in dict.fromkeys((*rows[0], *rows[1])):
            shown = name not in hidden and (self.show_values or name in keys)
            old, new = (_shown(row[name], shown) if name in row else "" for row in rows)
            found.append((name, old, new))
        return found


def _shown(value: Any, openly: bool) -> str:
    if value is None:
        return "NULL"
    text = str(value)
    if not openly:
        return f"masked, {len(text)} characters"
    return text if len(text) <= _LONG else f"{text[:_LONG]}… ({len(text):,} characters)"


def _what(letter: DeadLetter) -> str:
    if letter.kind == UNREAD:
        return f"message {letter.path[1]}"
    change = letter.change
    at = f" in {change.transaction}" if change.transaction else ""
    return f"{_OPERATIONS.get(change.op, change.op)} of {mysql_path(*letter.path)}{at}"
