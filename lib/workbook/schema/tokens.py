"""MySQL statements as tokens, so that what stands in quotes, comments or brackets is never taken for syntax."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_BACKSLASH = r"""'(?:[^'\\]|''|\\.)*'|"(?:[^"\\]|""|\\.)*\""""
_NO_BACKSLASH = r"""'(?:[^']|'')*'|"(?:[^"]|"")*\""""
_ANSI_STRING = {True: r"'(?:[^'\\]|''|\\.)*'", False: r"'(?:[^']|'')*'"}
_PATTERN = r"""
(?P<space>\s+)
|(?P<opened>/\*!\d*)
|(?P<comment>/\*.*?\*/|--(?=\s|$)[^\n]*|\#[^\n]*)
|(?P<closed>\*/)
|(?P<name>`(?:[^`]|``)*`{ansi_name})
|(?P<string>{string})
|(?P<word>[\w$]+)
|(?P<symbol>.)
"""
# MySQL's older names of the same things, as bare words.
_RENAMED = {"utf8": "utf8mb3", "_utf8": "_utf8mb3"}


def _compiled(ansi_quotes: bool, backslashes: bool) -> re.Pattern[str]:
    string = _ANSI_STRING[backslashes] if ansi_quotes else _BACKSLASH if backslashes else _NO_BACKSLASH
    ansi_name = '|"(?:[^"]|"")*"' if ansi_quotes else ""
    return re.compile(_PATTERN.replace("{string}", string).replace("{ansi_name}", ansi_name), re.X | re.S)


_COMPILED = {(ansi, slashes): _compiled(ansi, slashes) for ansi in (False, True) for slashes in (False, True)}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a statement: its kind (word, name, string, symbol, comment, space), its text and where it starts."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        """Where the token ends in the statement."""
        return self.start + len(self.text)

    @property
    def word(self) -> str:
        """A bare word in upper case; empty for anything else."""
        return self.text.upper() if self.kind == "word" else ""

    @property
    def identifier(self) -> str:
        """The name that a word or a quoted name stands for."""
        if self.kind == "name":
            quote = self.text[0]
            return self.text[1:-1].replace(quote * 2, quote)
        return self.text


def tokens_of(sql: str, sql_mode: str = "") -> tuple[Token, ...]:
    """The tokens of a statement written under `sql_mode`; together with the spaces they are the whole statement.

    What stands in version comments (/*!80023 … */) counts as code: every server the workbook knows runs it.
    """
    modes = set(sql_mode.upper().split(","))
    pattern = _COMPILED["ANSI_QUOTES" in modes or "ANSI" in modes, "NO_BACKSLASH_ESCAPES" not in modes]
    found = []
    in_version = False
    position = 0
    while match := pattern.match(sql, position):
        kind, position = match.lastgroup or "symbol", match.end()
        if kind == "opened":
            in_version = True
            continue
        if kind == "closed":
            if in_version:
                in_version = False
                continue
            # No comment is open: a star and a slash.
            found += [Token("symbol", "*", match.start()), Token("symbol", "/", match.start() + 1)]
            continue
        found.append(Token(kind, match[0], match.start()))
    return tuple(found)


def code_of(tokens: Iterable[Token]) -> tuple[Token, ...]:
    """The tokens without spaces and comments."""
    return tuple(token for token in tokens if token.kind not in ("space", "comment"))


def text_of(tokens: Iterable[Token]) -> str:
    """The statement that the tokens make."""
    return "".join(token.text for token in tokens)


def split_at_commas(tokens: Sequence[Token]) -> list[tuple[Token, ...]]:
    """The runs of tokens between the commas that stand in no bracket."""
    runs: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        if token.kind == "symbol":
            depth += (token.text == "(") - (token.text == ")")
            if token.text == "," and depth == 0:
                runs.append([])
                continue
        runs[-1].append(token)
    return [tuple(run) for run in runs]


def closing(tokens: Sequence[Token], opening: int) -> int:
    """The place of the bracket that closes the one at `opening`."""
    depth = 0
    for place in range(opening, len(tokens)):
        token = tokens[place]
        if token.kind == "symbol":
            depth += (token.text == "(") - (token.text == ")")
            if depth == 0:
                return place
    raise ValueError("a bracket is not closed")


def normal(tokens: Iterable[Token]) -> tuple[str, ...]:
    """What two statements are compared by: words in lower case and under their present names, no spaces, no comments."""
    return tuple(_normal(token) for token in code_of(tokens))


def normal_name(word: str) -> str:
    """A character set or collation under its present name: utf8 means utf8mb3."""
    word = word.lower()
    if word.startswith("utf8_"):
        return "utf8mb3_" + word[5:]
    return _RENAMED.get(word, word)


def _normal(token: Token) -> str:
    if token.kind == "word":
        return normal_name(token.text)
    return "`" + token.identifier.replace("`", "``") + "`" if token.kind == "name" else token.text
