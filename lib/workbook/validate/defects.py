"""The defects that a validation names: what each is, on which hops it can occur, what causes it, what mends it."""

from dataclasses import dataclass
from typing import Literal

About = Literal["value", "row", "object"]
Mend = Literal["rows", "schema", "accounts", "setting"]
UNKNOWN = 0


@dataclass(frozen=True)
class Defect:
    """One class of defect. `warehouse` says whether it can occur on the hops into BigQuery too."""

    number: int
    name: str
    about: About
    warehouse: bool
    cause: str
    mend: Mend

    @property
    def mended_by(self) -> str:
        """What mends it, in words."""
        return _MENDED_BY[self.mend]


_MENDED_BY = {
    "rows": "`workbook repair` copies the rows from the source again; in BigQuery the warehouse phase loads the table again",
    "schema": "the statement in the repair file makes it as it was; `workbook run schema` makes what is missing",
    "accounts": "`workbook run accounts` gives what is missing",
    "setting": "set the flag on the instance, or name it under `target: {settings: […]}` in the mapping",
}


def _value(number: int, name: str, cause: str) -> Defect:
    return Defect(number, name, "value", True, cause, "rows")


def _row(number: int, name: str, cause: str) -> Defect:
    return Defect(number, name, "row", True, cause, "rows")


def _object(number: int, name: str, cause: str, mend: Mend = "schema", warehouse: bool = False) -> Defect:
    return Defect(number, name, "object", warehouse, cause, mend)


DEFECTS: tuple[Defect, ...] = (
    _value(1, "text cut", "the column, or something on the way, holds fewer characters or bytes"),
    _value(2, "mojibake", "bytes of one character set were read as another"),
    _value(3, "character became ?", "a connection or column of a character set that lacks it, such as utf8mb3 or latin1"),
    _value(4, "space at the end lost", "a CHAR column, a trim, or a comparison that pads"),
    _value(5, "case or accent changed", "a rewrite by a collation that calls both equal, or a cleaning step"),
    _value(6, "Unicode form changed", "normalization on the way: composed and decomposed letters"),
    _value(7, "NULL and empty exchanged", "a file format or a tool that knows one of the two only"),
    _value(8, "text read as NULL", "a tool that writes NULL as a word, and reads the word as NULL"),
    _value(9, "moved across a column border", "a separator inside of a value"),
    _value(10, "columns swapped", "columns matched by place instead of name"),
    _value(11, "number rounded", "a column or a step with fewer decimals"),
    _value(12, "number went through a double", "a driver, a JSON document or a spreadsheet that holds 53 bits of it"),
    _value(13, "double off by its last bit", "decimal text with too few digits, or another library's reading of it"),
    _value(14, "float drifted", "single precision, or six digits of text, on the way"),
    _value(15, "number wrapped or clamped", "a narrower or a signed type on the way, in a mode that is not strict"),
    _value(16, "fraction of a second lost", "a column or a driver with fewer digits of the fraction"),
    _value(17, "time shifted by a zone", "a session in another time zone than UTC"),
    _value(18, "DATETIME treated as an instant", "a wall clock converted between zones as if it were a TIMESTAMP"),
    _value(19, "zero or partial date lost", "a tool that has no such date, or a strict sql_mode"),
    _value(20, "date clamped", "a type or a library whose calendar ends earlier"),
    _value(21, "TIME beyond a day changed", "a tool that takes a TIME for a time of day"),
    _value(22, "YEAR changed", "two digits of the year, or no year 0000"),
    _value(23, "BIT mangled", "bits read as text, or in another order"),
    _value(24, "number became a truth value", "TINYINT(1) read as a boolean"),
    _value(25, "ENUM member exchanged", "the number of the member was copied, and the lists of members differ"),
    _value(26, "SET member lost", "the lists of members differ, or the bits were copied"),
    _value(27, "JSON value changed", "the document was parsed and written anew, or edited"),
    _value(28, "JSON number changed its type", "a parser with one kind of number"),
    _value(29, "bytes changed", "padding of BINARY, or bytes that went through text"),
    _value(30, "geometry changed", "a lost SRID, exchanged axes, or coordinates written as text"),
    _row(31, "rows missing or extra", "rows were written on one side only, or a load ended early"),
    _row(32, "duplicate rows", "a row was written twice, or one of two was taken for a repeat"),
    _value(33, "changes that cancel out", "values exchanged between rows, or moved from one to the other"),
    _row(34, "keys equal under a collation", "the collation calls keys equal that the source tells apart"),
    _row(35, "chunk twice or never", "one piece of the load was repeated or left out"),
    _object(36, "orphan rows", "parents are missing, or the foreign key was not checked", "rows", warehouse=True),
    _object(37, "foreign key lost or changed", "it was put off for the load, or made by hand"),
    _object(38, "index lost or changed", "it was put off for the load, or made by hand"),
    _object(39, "check lost or not enforced", "a dump or a server that leaves checks out"),
    _object(40, "code lost or changed", "a dump without triggers, routines or events, or an edit on one side"),
    _object(41, "counter behind", "the counter was not carried over"),
    _object(42, "default, ON UPDATE or NULL changed", "the table was made by a tool that guesses them"),
    _object(43, "character set or collation changed", "the target's default was taken"),
    _object(44, "generated column changed", "its values were copied in place of its rule"),
    _object(45, "type changed or narrowed", "a type map that is too narrow", warehouse=True),
    _object(46, "privilege, role or account changed", "accounts were made by hand", "accounts"),
    _row(47, "gaps in a counted key", "single rows of a counted table did not arrive"),
    _row(48, "stale row", "change capture has not applied a later update or delete"),
    _object(49, "setting that changes behaviour", "the instance runs with other flags", "setting"),
)  # fmt: skip
_UNKNOWN = Defect(UNKNOWN, "unknown", "value", True, "no known defect looks like this", "rows")
_BY_NUMBER = {defect.number: defect for defect in (*DEFECTS, _UNKNOWN)}


def defect_of(number: int) -> Defect:
    """The defect of that number; 0 is the unknown one."""
    return _BY_NUMBER[number]


def markdown() -> str:
    """The defects as a Markdown table, for the README."""
    lines = ["| no. | defect | shows in | hops | usual cause |", "| --- | --- | --- | --- | --- |"]
    for defect in DEFECTS:
        hops = "all" if defect.warehouse else "source → Cloud SQL"
        lines.append(f"| {defect.number} | {defect.name} | {defect.about}s | {hops} | {defect.cause} |")
    return "\n".join(lines)


# What an object's difference begins with, by kind, first match; "" matches all.
OBJECTS: tuple[tuple[str, str, int], ...] = (
    ("column", "type", 45),
    ("column", "its members differ", 25),
    ("column", "character set", 43),
    ("column", "collation", 43),
    ("column", "NULL allowed", 42),
    ("column", "default", 42),
    ("column", "ON UPDATE", 42),
    ("column", "generated", 44),
    ("column", "expression", 44),
    ("column", "AUTO_INCREMENT", 41),
    ("column", "SRID", 30),
    ("column", "", 45),
    ("option", "default collation", 43),
    ("option", "", 45),
    ("database", "default", 43),
    ("counter", "", 41),
    ("index", "", 38),
    ("foreign key", "", 37),
    ("check", "", 39),
    ("trigger", "", 40),
    ("view", "", 40),
    ("procedure", "", 40),
    ("function", "", 40),
    ("event", "", 40),
    ("grant", "", 46),
    ("grants", "", 46),
    ("account", "", 46),
    ("accounts", "", 46),
    ("user", "", 46),
    ("role", "", 46),
    ("setting", "", 49),
    ("table", "", 31),
)


def object_defect(kind: str, detail: str) -> int:
    """The number of the defect that an object's difference is; 0 where none fits."""
    if kind == "column" and detail.startswith("type datetime") and " became timestamp" in detail:
        return 18
    for known, start, number in OBJECTS:
        if kind == known and detail.startswith(start):
            return number
    return UNKNOWN
