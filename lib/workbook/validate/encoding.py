"""Rows as canonical bytes, the same in MySQL and GoogleSQL (the texts of values: mapping/types.py).

A row is the concatenation of its columns in the mapping's order. A value is its canonical text and a semicolon, which no
such text holds; free text is `=<bytes>:<text>;`, told apart by its length; NULL is `~;`. So no value can run into its
neighbour, and NULL is none of the texts. The row's hash is the first 128 bits of SHA-256.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from workbook.bulk.masking import Token
from workbook.catalog import Table
from workbook.mapping import TableMap
from workbook.mapping.flow import Flow
from workbook.mapping.types import TypeRule, rule_named
from workbook.names import mysql_string, quote_bigquery, quote_mysql

Kind = Literal["exact", "shared"]
# Between these and Unicode every byte has its own way there and back. Of others (sjis, gbk, …) several byte sequences
# become one character, so the bytes themselves are compared where both ends are MySQL. None: the column is no text.
_LOSSLESS = {None, "ascii", "latin1", "utf8", "utf8mb3", "utf8mb4", "utf16", "utf16le", "utf32", "ucs2", "binary"}
# The bytes of these are UTF-8 as they are.
UTF8 = {"ascii", "utf8", "utf8mb3", "utf8mb4"}
PIECES = 4  # of 32 bits each: their sums stay in 64 bits for four billion rows


@dataclass(frozen=True)
class Field:
    """A column as all sides encode it: names on both ends, its type rule, whether it is part of the key.

    `charset` is the source's; `utf8` where the server that is read is known to hold UTF-8, which needs no conversion.
    `stands` is what a mask puts in its place, in SQL; `token` makes the tokens of a mask that no server may know. `alone`:
    rows are hashed with the cheaper text that columns of one definition share on servers of one kind.
    """

    name: str
    warehouse_name: str
    rule: TypeRule
    key: bool
    charset: str | None = None
    utf8: bool = False
    stands: str | None = None
    token: Token | None = None
    alone: bool = False


def fields(table: Table, mapped: TableMap, tokens: Mapping[str, Token] | None = None) -> tuple[Field, ...]:
    """The columns of a table on the source with their rules, in the mapping's order; masked ones with their masks."""
    return tuple(
        Field(
            name=column.name,
            warehouse_name=column.warehouse_name,
            rule=rule_named(column.rule, table.column[column.name]),
            key=column.name in table.key,
            charset=table.column[column.name].charset,
            stands=_stands(mapped.flow, column.name),
            token=(tokens or {}).get(column.name),
        )
        for column in mapped.columns
    )


def on_target(chosen: Sequence[Field], flow: Flow) -> tuple[Field, ...]:
    """The same columns as the target holds them: under its names, with masks already applied."""
    return tuple(replace(item, name=flow.column(item.name), stands=None, token=None) for item in chosen)


def _stands(flow: Flow, name: str) -> str | None:
    mask = dict(flow.masks).get(name)
    if mask is None or mask.kind == "sha256":
        return None
    return "NULL" if mask.kind == "null" else f"IF({quote_mysql(name)} IS NULL, NULL, {mysql_string(mask.value)})"


def mysql_text(field: Field, kind: Kind, cast: bool = True) -> str:
    """The canonical text of a column in MySQL, free text behind its length; `~` for NULL. Without `cast`, text of UTF-8
    stays in its own collation."""
    text = field.rule.exact if kind == "exact" else field.rule.shared
    if kind == "exact" and field.charset not in _LOSSLESS:
        text = text.replace("CONVERT({c} USING utf8mb4)", "CAST({c} AS BINARY)")
    elif field.utf8:
        # As bytes, because columns of several collations do not go into one call.
        text = text.replace(
            "CONVERT({c} USING utf8mb4)", "CAST({c} AS BINARY)" if cast or not field.rule.free else "{c}"
        )
    text = text.replace("{c}", field.stands or quote_mysql(field.name))
    if field.rule.free:
        text = f"CONCAT('=', LENGTH({text}), ':', {text})"
    return f"IFNULL({text}, '~')"


def mysql_value(field: Field, kind: Kind) -> str:
    """The encoded bytes of a column in MySQL."""
    return f"CONCAT(CAST({mysql_text(field, kind)} AS BINARY), ';')"


def mysql_digest(chosen: Sequence[Field], kind: Kind, otherwise: str = "NULL") -> str:
    """The SHA-256 of the encoded columns in MySQL, in hexadecimal; its first 32 digits count.

    Of a row that is larger than max_allowed_packet it is NULL, or the hash of `otherwise`.
    """
    # One flat call: what it is spared for each column is a third of the time of a whole validation. Columns of several
    # collations go into it by the one that is named, where their bytes are what is hashed; as bytes each costs a copy.
    named = all(field.utf8 for field in chosen if field.rule.free)
    separator = "';' COLLATE utf8mb4_bin" if named else "';'"
    texts = [mysql_text(_alone(field), kind, not named) for field in chosen]
    row = f"CONCAT_WS({', '.join([separator, *texts])}, '')"
    return f"SHA2({row if otherwise == 'NULL' else f'IFNULL({row}, {otherwise})'}, 256)"


def _alone(field: Field) -> Field:
    """The column as it is hashed."""
    cheaper = field.rule.alone
    return replace(field, rule=replace(field.rule, exact=cheaper)) if field.alone and cheaper else field


def mysql_hash(chosen: Sequence[Field], kind: Kind, otherwise: str = "NULL") -> str:
    """The first 16 bytes of the SHA-256 of the encoded columns in MySQL."""
    return f"UNHEX(LEFT({mysql_digest(chosen, kind, otherwise)}, 32))"


def google_value(name: str, canonical: str, free: bool = False) -> str:
    """The encoded text of a warehouse column, given its canonical expression with {c}: two arguments of a CONCAT.

    Flat, because the emulator takes its time for each level of a statement.
    """
    text = canonical.replace("{c}", quote_bigquery(name))
    if free:
        return f"IFNULL(CONCAT('=', CAST(BYTE_LENGTH({text}) AS STRING), ':', {text}), '~'), ';'"
    return f"IFNULL({text}, '~'), ';'"


def google_hash(values: Sequence[str]) -> str:
    """The SHA-256 of encoded columns (of google_value) in GoogleSQL, in hexadecimal; its first 32 digits count."""
    return f"TO_HEX(SHA256(CONCAT({', '.join(values)})))"


# The canonical text of a column of the clean layer, by its BigQuery type: both sides are in the warehouse.
CLEAN_CANONICAL = {
    "STRING": "TO_HEX(SHA256({c}))",
    "BYTES": "TO_HEX(SHA256({c}))",
    "JSON": "TO_HEX(SHA256(TO_JSON_STRING({c})))",
    "INT64": "CAST({c} AS STRING)",
    "INTEGER": "CAST({c} AS STRING)",
    "FLOAT64": "CAST({c} AS STRING)",
    "FLOAT": "CAST({c} AS STRING)",
    "NUMERIC": "CAST({c} AS STRING)",
    "BIGNUMERIC": "CAST({c} AS STRING)",
    "BOOL": "CAST({c} AS STRING)",
    "BOOLEAN": "CAST({c} AS STRING)",
    "DATE": "CAST({c} AS STRING)",
    "DATETIME": "CAST({c} AS STRING)",
    "TIMESTAMP": "CAST(UNIX_MICROS({c}) AS STRING)",
    "TIME": "CAST({c} AS STRING)",
}


def losing(chosen: Sequence[Field]) -> str:
    """The condition for rows of which the warehouse can hold less than MySQL; nothing where there can be none."""
    proofs = [
        item.rule.proof.replace("{c}", item.stands or quote_mysql(item.name))
        for item in chosen
        if item.rule.proof and item.rule.exact != item.rule.shared
    ]
    return " OR ".join(f"({proof})" for proof in proofs)


def needs_both(chosen: Sequence[Field]) -> bool:
    """Whether the exact hash of a row may differ from the shared one though it loses nothing: by its character set."""
    return any(item.charset not in _LOSSLESS for item in chosen)
