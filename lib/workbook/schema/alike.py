"""Whether two pieces of SQL mean the same though two servers print them: MariaDB spares the brackets that MySQL sets."""

from functools import lru_cache
from itertools import pairwise
from typing import Any

from workbook.schema.tokens import code_of, normal, normal_name, text_of, tokens_of


def alike_expressions(one: str | None, other: str | None) -> bool:
    """Whether two expressions are the same but for brackets, spaces, and the character sets named before strings."""
    if one is None or other is None or one == other:
        return one == other
    return _canonical(f"SELECT {one}") == _canonical(f"SELECT {other}")


def alike_checks(one: str, other: str) -> bool:
    """Whether two CHECK constraints of one name have like clauses."""
    clauses = [_after(text, "CHECK") for text in (one, other)]
    return all(clauses) and alike_expressions(*clauses)


def alike_views(one: str, other: str) -> bool:
    """Whether two CREATE VIEW statements select alike; definers are not looked at."""
    return _view(one) == _view(other)


def _after(text: str, word: str) -> str:
    tokens = tokens_of(text)
    place = next((place for place, token in enumerate(tokens) if token.word == word), len(tokens))
    return text_of(tokens[place + 1 :]).strip()


def _view(statement: str) -> tuple[str, ...]:
    """The heading without definer and columns, the select, and the check option."""
    tokens = tokens_of(statement)
    code = code_of(tokens)
    words = [token.word for token in code]
    view = words.index("VIEW")
    begin = words.index("AS", view)
    end = words.index("WITH", begin) if words[-2:] == ["CHECK", "OPTION"] else len(code)
    select = statement[code[begin + 1].start : code[end - 1].end] if code else ""
    kept = [word for word in words[:view] if word in ("UNDEFINED", "MERGE", "TEMPTABLE", "INVOKER", "DEFINER")]
    security = kept[-1] if kept and kept[-1] in ("INVOKER", "DEFINER") else "DEFINER"
    algorithm = next((word for word in kept if word in ("MERGE", "TEMPTABLE")), "UNDEFINED")
    return algorithm, security, _canonical(select), *(words[end:])


# One server prints the first name of a function, the other the second.
_RENAMED = {
    "octet_length": "length",
    "lcase": "lower",
    "ucase": "upper",
    "substring": "substr",
    "character_length": "char_length",
}


def _without_charsets(statement: str) -> str:
    """The statement without the character sets that MySQL sets before strings, its functions under one name."""
    tokens = tokens_of(statement)
    texts = [token.text for token in tokens]
    for place, (token, following) in enumerate(pairwise(tokens)):
        if token.word.startswith("_") and following.kind == "string":
            texts[place] = ""
        elif following.text == "(":
            texts[place] = _RENAMED.get(token.text.lower(), token.text)
    return "".join(texts)


@lru_cache(maxsize=10_000)
def _canonical(statement: str) -> Any:
    """The statement's tree without what the two servers print otherwise; its tokens where it cannot be parsed."""
    # Some tenths of a second to import, which only those pay who have a MariaDB source.
    import sqlglot
    from sqlglot import exp

    statement = _without_charsets(statement)
    try:
        tree = sqlglot.parse_one(statement, dialect="mysql")
    except sqlglot.errors.SqlglotError:
        return normal(tokens_of(statement))
    # The tree itself says what belongs together.
    for bracket in [*tree.find_all(exp.Paren)]:
        bracket.replace(bracket.this)
    opposite = {exp.GT: exp.LTE, exp.LTE: exp.GT, exp.LT: exp.GTE, exp.GTE: exp.LT, exp.EQ: exp.NEQ, exp.NEQ: exp.EQ}
    for node in [*tree.walk()]:
        if node.args.get("negate"):
            node.set("negate", None)
            node.replace(exp.Not(this=node.copy()))
        elif isinstance(node, exp.Not) and type(node.this) in opposite:
            inner = node.this
            node.replace(opposite[type(inner)](this=inner.this, expression=inner.expression))
    for column in [*tree.find_all(exp.Column)]:
        # One server says the database of a column, the other does not.
        column.set("db", None)
    for name in [*tree.find_all(exp.Identifier)]:
        name.replace(exp.to_identifier(normal_name(name.name), quoted=True))
    return tree
