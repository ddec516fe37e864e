"""The salts of a mapping's masks: read once in the process that leads, and handed to workers through their own pipe."""

import base64
import hashlib
import hmac
import json
from collections.abc import Collection, Iterable
from collections.abc import Mapping as ReadOnly
from dataclasses import replace

from cryptography.fernet import Fernet

from workbook.bulk.chunks import chunkable_key
from workbook.bulk.masking import Token
from workbook.catalog import Table
from workbook.errors import UsageError
from workbook.mapping import TableMap
from workbook.mapping.flow import BINARIES, DIRECT, Flow
from workbook.params import Settings, secret

LEAST = 16
Tokens = ReadOnly[str, Token]


def tokens_of(table: Table, mapped: TableMap, settings: Settings) -> dict[str, Token]:
    """The tokens of a table's masked columns by source name. Raises UsageError for a salt that is missing or short."""
    found = {}
    for name, mask in mapped.flow.tokens.items():
        column = table.column[name]
        salt = secret(mask.salt, settings.folder, "The masks of the mapping are made with it.")
        if len(salt) < LEAST:
            raise UsageError(
                f"The salt {mask.salt} of column {name!r} of {table.database}.{table.name} has fewer than {LEAST} letters.",
                "Whoever knows one value and its token could try salts until one fits, and then guess all others.",
                "Make a random one, for example with `openssl rand -hex 32`.",
            )
        fill = (column.length or 0) if column.data_type == "binary" else 0
        found[name] = Token(mask.length, column.data_type in BINARIES, fill, salt.encode())
    return found


def mark(
    tables: Iterable[TableMap],
    tokens: ReadOnly[tuple[str, str], Tokens],
    only: Collection[tuple[str, str]] | None = None,
) -> str:
    """What names the choices that decide on the rows' content, and `only` which tables are loaded where it is not all of
    them: a load that goes on must go on by the same.

    Of salts it holds no more than the tokens on the target do: what they make of a known text.
    """
    choices = {
        ".".join(table.path): [table.flow.asdict(), table.target.asdict()] for table in tables if table.flow != DIRECT
    }
    marks = {
        ".".join((*path, name)): hmac.digest(token.salt, b"workbook", "sha256").hex()[:16]
        for path, columns in tokens.items()
        for name, token in columns.items()
    }
    chosen = [] if only is None else [sorted(map(list, only))]
    if not choices and not chosen:
        return ""
    return hashlib.sha256(json.dumps([choices, marks, *chosen], sort_keys=True).encode()).hexdigest()[:32]


def cuttable(table: Table, flow: Flow) -> Table:
    """A table whose chunks are never cut by values that the target must not see and that no salt could seal."""
    hidden = {*flow.excluded, *(name for name, mask in flow.masks if mask.kind != "sha256")}
    return replace(table, indexes=tuple(index for index in table.indexes if not hidden.intersection(index.columns)))


def seals_of(table: Table, tokens: Tokens) -> Fernet | None:
    """What encrypts the bounds of a table's chunks where its key is masked."""
    salt = next((tokens[name].salt for name in chunkable_key(table) if name in tokens), None)
    if salt is None:
        return None
    return Fernet(base64.urlsafe_b64encode(hmac.digest(salt, b"workbook: bounds of chunks", "sha256")))
