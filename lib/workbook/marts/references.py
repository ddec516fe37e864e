"""The tables that a mart's SQL names by layer: `raw.x`, `clean.x` and `marts.x`, found and put in their real places.

Found among the tokens, since GoogleSQL is richer than any parser but Google's: what cannot be parsed can still be built.
"""

from collections.abc import Callable
from dataclasses import dataclass

import sqlglot
from sqlglot.tokens import TokenType

LAYERS = ("raw", "clean", "marts")


@dataclass(frozen=True, order=True)
class Reference:
    """A table of a layer."""

    layer: str
    table: str

    def __str__(self) -> str:
        return f"{self.layer}.{self.table}"


@dataclass(frozen=True)
class _Found:
    reference: Reference
    start: int
    end: int  # behind the last character


def references(sql: str) -> tuple[Reference, ...]:
    """The tables that `sql` names, each once, as they come. Raises ValueError for what is no SQL."""
    return tuple(dict.fromkeys(found.reference for found in _found(sql)))


def put_in_place(sql: str, place: Callable[[Reference], str]) -> str:
    """`sql` with each of its tables as `place` writes it."""
    for found in reversed(_found(sql)):
        sql = sql[: found.start] + place(found.reference) + sql[found.end :]
    return sql


def without_end(sql: str) -> str:
    """`sql` without a semicolon at its end. Raises ValueError where it is not one query."""
    tokens = _tokens(sql)
    while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
        sql = sql[: tokens[-1].start] + sql[tokens.pop().end + 1 :]
    first = next((token.text.upper() for token in tokens if token.text != "("), "")
    if first not in ("SELECT", "WITH", "FROM") or any(token.token_type == TokenType.SEMICOLON for token in tokens):
        raise ValueError("must be one query: SELECT …, or WITH … SELECT …")
    return sql.strip()


def _found(sql: str) -> list[_Found]:
    tokens = _tokens(sql)
    found = []
    for number, token in enumerate(tokens):
        if number and tokens[number - 1].token_type == TokenType.DOT:
            continue
        after = [other.token_type for other in tokens[number + 1 : number + 3]]
        if token.token_type == TokenType.IDENTIFIER and token.text.count(".") == 1:
            layer, table = token.text.split(".")
            end = token.end
        elif token.text in LAYERS and len(after) == 2 and after[0] == TokenType.DOT:
            layer, table, end = token.text, tokens[number + 2].text, tokens[number + 2].end
        else:
            continue
        if layer in LAYERS and token.token_type != TokenType.STRING:
            found.append(_Found(Reference(layer, table), token.start, end + 1))
    return found


def _tokens(sql: str) -> list[sqlglot.Token]:
    try:
        return list(sqlglot.tokenize(sql, dialect="bigquery"))
    except sqlglot.errors.TokenError as error:
        raise ValueError(f"is no SQL: {str(error).splitlines()[0]}") from None
