"""MySQL code as tokens: comments left out, strings kept apart, so that a search finds statements and not words in text."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

# What MySQL reads of a text, in order. A comment starts at --, # or /*; /*! and /*+ hold code and hints.
_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<version>/\*M?!\d*|\*/)
    |(?P<comment>\#[^\n]*|--(?=[\s\x00]|\Z)[^\n]*|/\*.*?(?:\*/|\Z))
    |(?P<string>'(?:[^'\\]|''|\\.)*'?|"(?:[^"\\]|""|\\.)*"?)
    |(?P<name>`(?:[^`]|``)*`?)
    |(?P<variable>@@?[\w.$]*)
    |(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?(?![\w$]))
    |(?P<word>[\w$]+)
    |(?P<mark>.)""",
    re.VERBOSE | re.DOTALL,
)
_NO_ESCAPES = re.compile(r"'(?:[^']|'')*'?|\"(?:[^\"]|\"\")*\"?")
# After these words a new statement begins.
_OPENERS = {"THEN", "ELSE", "DO", "LOOP", "BEGIN"}
_BEFORE, _AFTER = 50, 110


@dataclass(frozen=True)
class Token:
    """A word, a quoted name or a string (both without their quotes), a number, a variable or a mark; where it stands."""

    kind: str
    text: str
    line: int
    start: int
    end: int

    @property
    def word(self) -> str:
        """The word in capitals, or the mark; empty for everything that is no key word."""
        return self.text.upper() if self.kind in ("word", "mark") else ""


def tokens(code: str, sql_mode: str = "") -> list[Token]:
    """The tokens of `code` as a session in `sql_mode` reads them; text that is never closed runs to the end."""
    modes = set(sql_mode.upper().split(","))
    found, place, line = [], 0, 1
    while place < len(code):
        match = _TOKEN.match(code, place)
        assert match is not None
        assert match.lastgroup is not None
        kind, text = match.lastgroup, match.group()
        if kind == "string" and "NO_BACKSLASH_ESCAPES" in modes:
            whole = _NO_ESCAPES.match(code, place)
            text = whole.group() if whole else text
        end = place + len(text)
        if kind not in ("space", "comment", "version"):
            if kind == "string" and text[0] == '"' and modes & {"ANSI_QUOTES", "ANSI"}:
                kind = "name"
            inner = _unquoted(text) if kind in ("name", "string") else text
            found.append(Token(kind, inner, line, place, end))
        place = end
        line += text.count("\n")
    return found


def phrase(found: Sequence[Token], *words: str) -> Iterator[Token]:
    """The first token of every place where `words` follow one another; `A|B` stands for either."""
    wanted = [frozenset(word.split("|")) for word in words]
    for place in range(len(found) - len(wanted) + 1):
        if all(found[place + step].word in one for step, one in enumerate(wanted)):
            yield found[place]


def statements(found: Sequence[Token]) -> list[list[Token]]:
    """The tokens parted into statements: at semicolons and after the words that open a block."""
    parted: list[list[Token]] = [[]]
    for token in found:
        if token.word == ";":
            parted.append([])
            continue
        parted[-1].append(token)
        if token.word in _OPENERS:
            parted.append([])
    return [statement for statement in parted if statement]


def dynamic(found: Sequence[Token], sql_mode: str = "") -> list[Token]:
    """The tokens inside the strings of code that prepares statements: what they hold may be run. None in other code."""
    if not any(token.word == "PREPARE" for token in found):
        return []
    return [
        replace(inner, line=token.line, start=token.start, end=token.end)
        for token in found
        if token.kind == "string"
        for inner in tokens(token.text, sql_mode)
    ]


def line_of(code: str, found: Sequence[Token], token: Token) -> str:
    """The line of `token`, cut around it, its strings shown as '…': what they hold may be a secret."""
    begin = max(code.rfind("\n", 0, token.start) + 1, token.start - _BEFORE)
    close = code.find("\n", token.start)
    end = min(len(code) if close < 0 else close, token.start + _AFTER)
    parts, place = ["…" if begin and code[begin - 1] != "\n" else ""], begin
    for other in found:
        if other.kind == "string" and other.start < end and other.end > begin:
            parts += [code[place : max(place, other.start)], "'…'"]
            place = max(place, other.end)
    parts.append(code[place : max(place, end)])
    return "".join(parts).strip() + ("…" if 0 <= end < len(code) and code[end] != "\n" else "")


def _unquoted(text: str) -> str:
    mark = text[0]
    inner = text[1:-1] if len(text) > 1 and text.endswith(mark) else text[1:]
    return inner.replace(mark * 2, mark)
