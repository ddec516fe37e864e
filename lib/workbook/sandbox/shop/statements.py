"""Splitting a file of SQL into the statements that a server takes one by one."""

import re

# What may hold a semicolon that ends nothing; a comment for some versions (/*! */) is kept as part of its statement.
_TOKENS = re.compile(
    r"""
      '(?:[^'\\]|\\.|'')*'          # string
    | "(?:[^"\\]|\\.|"")*"          # string, or a name under ANSI_QUOTES
    | `(?:[^`]|``)*`                # name
    | /\*.*?\*/                     # comment
    | --(?=\s)[^\n]*                # comment to the end of the line
    """,
    re.VERBOSE | re.DOTALL,
)


def split_statements(text: str) -> list[str]:
    """The statements of `text`, in order, without their delimiters and without comments around them.

    A line `DELIMITER x` changes the delimiter, as in the mysql client; comments inside a routine's body stay.
    """
    statements, delimiter, start, position = [], ";", 0, 0
    while position < len(text):
        at_line_start = position == 0 or text[position - 1] == "\n"
        command = re.compile(r"DELIMITER[ ]+(\S+)[ ]*(?:\n|$)").match(text, position) if at_line_start else None
        if command:
            delimiter = command.group(1)
            start = position = command.end()
        elif text.startswith(delimiter, position):
            statements.append(text[start:position])
            start = position = position + len(delimiter)
        elif token := _TOKENS.match(text, position):
            position = token.end()
            # A comment before the statement begins is for the reader of the file, not for the server.
            if token.group().startswith(("--", "/* ")) and not text[start : token.start()].strip():
                start = position
        else:
            position += 1
    statements.append(text[start:])
    return [statement.strip() for statement in statements if statement.strip()]
