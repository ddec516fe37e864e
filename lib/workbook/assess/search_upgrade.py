"""Searches for what a newer version took away or reads otherwise, and for what Google's own service stumbles over."""

import re
from collections.abc import Iterable, Iterator, Sequence

from workbook.assess.code import Token, phrase
from workbook.assess.evidence import Evidence
from workbook.assess.search import Code, Hit, Search, all_code
from workbook.assess.words import (
    FREE_AGAIN,
    MARIADB_MODES,
    MARIADB_RESERVES,
    REMOVED_FUNCTIONS,
    REMOVED_MODES,
    REMOVED_SYNTAX,
    REMOVED_VARIABLES,
    RESERVED_SINCE,
    SILENT_MODES,
)
from workbook.catalog import Catalog, Column, ForeignKey, Index, Table

_ROW_LIMIT = 8126  # bytes of a row of InnoDB in a page of 16 KiB
_OLD_INDEX_LIMIT = 767  # bytes of an index part in the row formats REDUNDANT and COMPACT
_SIZES = {"tinyint": 1, "smallint": 2, "mediumint": 3, "int": 4, "bigint": 8, "float": 4, "double": 8, "year": 1,
          "date": 3, "time": 3, "timestamp": 4, "datetime": 5}  # fmt: skip


def new_words(version: str) -> Search:
    """Words that the target of `version` reserves and the source does not: as names, and unquoted in code."""
    return lambda catalog, evidence: _new_words(catalog, evidence, version)


def _new_words(catalog: Catalog, evidence: Evidence, version: str) -> Iterator[Hit]:
    target = {"8.0": (8, 0), "8.4": (8, 4), "9": (9, 99)}[version]
    source = (5, 7) if catalog.flavour == "mariadb" else catalog.version_number[:2]
    words = {word for word, since in RESERVED_SINCE.items() if source < since <= target}
    words -= FREE_AGAIN if version == "9" else set()
    words -= MARIADB_RESERVES if catalog.flavour == "mariadb" else set()
    if not words:
        return
    names = {column.name.upper() for table in catalog.tables for column in table.columns} & words
    names |= {table.name.upper() for table in catalog.tables} & words
    for table in catalog.tables:
        for kind, name, path in (
            ("table", table.name, f"{table.database}.{table.name}"),
            *(("column", column.name, f"{table.database}.{table.name}.{column.name}") for column in table.columns),
        ):
            if name.upper() in words:
                yield Hit(kind, path, "its name is reserved there: applications must write it in backticks")
    for piece in all_code(catalog, evidence):
        for place, token in enumerate(piece.tokens):
            # Where the word is no column or table it is the key word that the source knows already.
            if token.word in names and (place == 0 or piece.tokens[place - 1].word != "."):
                yield piece.said(token, f"{token.text} is reserved there")


def removed_functions(version: str) -> Search:
    """Calls of functions that the target of `version` has not any more."""
    gone = {name: instead for name, (since, instead) in REMOVED_FUNCTIONS.items() if _from(version, since)}

    def find(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
        own = {routine.name.upper() for routine in catalog.routines if routine.kind == "FUNCTION"}
        for piece in all_code(catalog, evidence):
            for token in calls(piece, gone.keys() - own):
                yield piece.said(token, f"{token.text}() is gone: {gone[token.text.upper()]}")
        for table in catalog.tables:
            for what, text in _expressions(table):
                for name in sorted(gone.keys() - own):
                    if re.search(rf"\b{name}`?\s*\(", text or "", re.I):
                        yield Hit("table", path_of(table), f"{what} calls {name}(): {gone[name]}")

    return find


def removed_syntax(version: str) -> Search:
    """Statements that the target of `version` refuses."""

    def find(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
        for piece in all_code(catalog, evidence):
            for found in (piece.tokens, piece.prepared):
                for words, since, instead in REMOVED_SYNTAX:
                    if _from(version, since):
                        for token in phrase(found, *words):
                            yield piece.said(token, f"{' '.join(words)} is refused: {instead}")

    return find


def removed_modes(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """The server's sql_mode, and code that was written under one that is gone.

    Of MariaDB's modes those do not count that change nothing in code and that the schema phase leaves out: the default
    mode of every MariaDB holds one.
    """
    removed = (REMOVED_MODES | MARIADB_MODES) - SILENT_MODES if catalog.flavour == "mariadb" else REMOVED_MODES
    for kind, name, mode in (
        ("variable", "sql_mode", catalog.variables.get("sql_mode", "")),
        *((it.kind.lower(), f"{it.database}.{it.name}", it.sql_mode) for it in catalog.routines),
        *(("trigger", f"{it.database}.{it.name}", it.sql_mode) for it in catalog.triggers),
        *(("event", f"{it.database}.{it.name}", it.sql_mode) for it in catalog.events),
    ):
        gone = sorted(set(mode.upper().split(",")) & removed)
        if gone:
            yield Hit(kind, name, f"its sql_mode holds {', '.join(gone)}")


def removed_variables(version: str) -> Search:
    """Variables that somebody set and that the target of `version` has not any more."""
    return lambda catalog, evidence: (
        Hit("variable", name, f"was set ({where}) and is gone")
        for name, where in evidence.customised
        if name.lower() in REMOVED_VARIABLES and _from(version, REMOVED_VARIABLES[name.lower()])
    )


def three_byte_text(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Tables with columns in utf8mb3."""
    for table in catalog.tables:
        names = [column.name for column in table.columns if column.charset in ("utf8", "utf8mb3")]
        if names:
            yield Hit("table", path_of(table), f"{len(names)} columns in utf8mb3: {', '.join(names[:5])}")


def long_key_names(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Foreign keys without a name of their own whose automatic name would be longer than 64 characters."""
    for table in catalog.tables:
        if len(table.name) > 64 - len("_ibfk_1"):
            for key in table.foreign_keys:
                yield Hit(
                    "foreign key",
                    f"{path_of(table)}.{key.name}",
                    "its table's name is so long that an automatic name would not fit",
                )


def long_members(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """ENUM and SET columns with members of more than 255 characters."""
    for table, column in columns(catalog):
        if column.data_type in ("enum", "set"):
            longest = max((len(member) for member in re.findall(r"'((?:[^']|'')*)'", column.type)), default=0)
            if longest > 255:
                yield Hit("column", f"{path_of(table)}.{column.name}", f"a member of {longest} characters; 255 at most")


def foreign_partitions(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Partitioned tables of engines that cannot part them any more."""
    for table in catalog.tables:
        if table.partitions and table.engine.upper() != "INNODB":
            yield Hit("table", path_of(table), f"is partitioned, and its engine is {table.engine}")


def zero_defaults(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Columns whose default is a date of zeros, which the usual mode refuses."""
    for table, column in columns(catalog):
        if column.data_type in ("date", "datetime", "timestamp") and (column.default or "").startswith("0000-00-00"):
            yield Hit("column", f"{path_of(table)}.{column.name}", f"its default is {column.default}")


def old_row_formats(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Indexes too wide for the row format of their table."""
    for table in catalog.tables:
        if table.row_format.lower() not in ("redundant", "compact"):
            continue
        for index in table.indexes:
            wide = [
                part.column
                for part in index.parts
                if part.column and _bytes(table, part.column, part.prefix) > _OLD_INDEX_LIMIT
            ]
            if wide:
                yield Hit(
                    "index",
                    f"{path_of(table)}.{index.name}",
                    f"{wide[0]} is wider than {_OLD_INDEX_LIMIT} bytes in {table.row_format}",
                )


def slashed_partitions(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Partitions bounded by dates with other delimiters than - and :."""
    for table in catalog.tables:
        odd = [
            it.name for it in table.partitions if re.search(r"'\d{2,4}[^\d'-]\d\d?[^\d'-]\d\d?", it.description or "")
        ]
        if odd:
            yield Hit("table", path_of(table), f"partition {odd[0]} is bounded by a date with odd delimiters")


def nonstandard_keys(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Foreign keys whose parent columns are no whole unique key."""
    for table in catalog.tables:
        for key in table.foreign_keys:
            parent = catalog.table.get((key.parent_database, key.parent_table))
            if parent is not None and not any(_is_key(index, key) for index in parent.indexes):
                yield Hit(
                    "foreign key",
                    f"{path_of(table)}.{key.name}",
                    f"{', '.join(key.parent_columns)} are no unique key of {key.parent_table}",
                )


def _is_key(index: Index, key: ForeignKey) -> bool:
    whole = all(part.prefix is None and part.column for part in index.parts)
    return index.unique and whole and index.columns == key.parent_columns


def prefix_partitions(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Tables that are partitioned by a key of which only a prefix is indexed."""
    for table in catalog.tables:
        if table.partitions and "KEY" in table.partitions[0].method.upper():
            used = set(re.findall(r"`((?:[^`]|``)+)`", table.partitions[0].expression or "")) or set(table.key)
            cut = [
                part.column for index in table.indexes for part in index.parts if part.prefix and part.column in used
            ]
            if cut:
                yield Hit("table", path_of(table), f"is partitioned by {cut[0]}, of which a prefix is indexed")


def long_defaults(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """TEXT, BLOB, JSON and GEOMETRY columns with a literal as default."""
    for table, column in columns(catalog):
        long = column.data_type.endswith(("text", "blob", "json", "geometry"))
        if long and column.default not in (None, "NULL") and not column.default_is_expression:
            yield Hit(
                "column",
                f"{path_of(table)}.{column.name}",
                "has a literal default, which its type takes as an expression only",
            )


def odd_names(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Names from before MySQL 5.1, or with a space at their end."""
    for table in catalog.tables:
        for name in (table.database, table.name):
            if name.startswith("#mysql50#") or name.endswith(" "):
                yield Hit("table", path_of(table), f"{name!r} is a name that newer versions refuse")


def rounding_counters(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """AUTO_INCREMENT on FLOAT or DOUBLE."""
    for table, column in columns(catalog):
        if column.auto_increment and column.data_type in ("float", "double"):
            yield Hit("column", f"{path_of(table)}.{column.name}", f"counts in {column.data_type}")


def changed_casts(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Generated columns with CAST or CONVERT on a source before 8.0, which then computed otherwise."""
    if catalog.flavour == "mysql" and catalog.version_number >= (8, 0, 0):
        return
    for table, column in columns(catalog):
        if column.generated and re.search(r"\b(?:cast|convert)\s*\(", column.expression or "", re.I):
            yield Hit("column", f"{path_of(table)}.{column.name}", "is generated with CAST or CONVERT")


def newer_types(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Columns of types that came after the target's version."""
    for table, column in columns(catalog):
        if column.data_type == "vector":
            yield Hit("column", f"{path_of(table)}.{column.name}", "is a VECTOR, which came with MySQL 9")


def wide_rows(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Tables whose smallest full row is over InnoDB's limit."""
    for table in catalog.tables:
        size = sum(_inline(column) for column in table.columns if column.generated != "VIRTUAL")
        if size > _ROW_LIMIT:
            yield Hit("table", path_of(table), f"a full row takes {size:,} bytes in its page; {_ROW_LIMIT:,} fit")


def _inline(column: Column) -> int:
    if column.data_type in _SIZES:
        return _SIZES[column.data_type] + (3 if column.fraction else 0)
    if column.data_type in ("char", "binary") and (column.octets or 0) < 768:
        return column.octets or 0
    if column.data_type in ("varchar", "varbinary") or column.data_type.endswith(("text", "blob", "json")):
        # Longer values go to pages of their own and leave 20 bytes.
        return min(column.octets or 20, 20) if (column.octets or 41) > 40 else (column.octets or 0)
    return 9


def other_databases(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Foreign keys and code that lead into a database that is not selected."""
    chosen = {database.name for database in catalog.databases}
    others = {name for name in evidence.databases if name not in chosen}
    for table in catalog.tables:
        for key in table.foreign_keys:
            if key.parent_database not in chosen:
                yield Hit(
                    "foreign key",
                    f"{path_of(table)}.{key.name}",
                    f"leads into {key.parent_database}, which is not selected",
                )
    for piece in all_code(catalog, Evidence()):
        named = {
            token.text: token
            for place, token in enumerate(piece.tokens[:-1])
            if token.kind in ("word", "name")
            and token.text in others
            and piece.tokens[place + 1].word == "."
            and (place == 0 or piece.tokens[place - 1].word != ".")
        }
        for name, token in named.items():
            yield piece.said(token, f"leads into {name}, which is not selected")


def keyless(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Tables without a key that names a row."""
    for table in catalog.tables:
        if not table.key:
            yield Hit("table", path_of(table), "no key names its rows")


def cascades(catalog: Catalog, evidence: Evidence) -> Iterator[Hit]:
    """Foreign keys whose actions older servers do not write to the binary log."""
    if catalog.flavour == "mysql" and catalog.version_number >= (9, 6, 0):
        return
    for table in catalog.tables:
        for key in table.foreign_keys:
            actions = {action for action in (key.on_delete, key.on_update) if action in ("CASCADE", "SET NULL")}
            if actions:
                yield Hit(
                    "foreign key",
                    f"{path_of(table)}.{key.name}",
                    f"does {' and '.join(sorted(actions))} inside the engine",
                )


def _from(version: str, since: str) -> bool:
    order = ("8.0", "8.4", "9")
    return order.index(version) >= order.index(since)


def calls(piece: Code, names: Iterable[str]) -> Iterator[Token]:
    """Where a piece of code calls one of the functions `names`, given in capitals."""
    wanted = set(names)
    for found in (piece.tokens, piece.prepared):
        for place, token in enumerate(found[:-1]):
            # In an application's statement the server writes the function as a quoted name.
            named = token.kind == "word" or (token.kind == "name" and piece.count is not None)
            first = place == 0 or found[place - 1].word != "."
            if named and first and token.text.upper() in wanted and found[place + 1].word == "(":
                yield token


def _expressions(table: Table) -> Sequence[tuple[str, str | None]]:
    return (
        *((f"column {column.name}", column.expression) for column in table.columns if column.expression),
        *(
            (f"the default of {column.name}", column.default)
            for column in table.columns
            if column.default_is_expression
        ),
        *((f"check {check.name}", check.clause) for check in table.checks),
    )


def columns(catalog: Catalog) -> Iterator[tuple[Table, Column]]:
    """Every column with its table."""
    for table in catalog.tables:
        for column in table.columns:
            yield table, column


def _bytes(table: Table, name: str, prefix: int | None) -> int:
    column = table.column[name]
    if not column.octets or not column.length:
        return 0
    return (prefix or column.length) * max(1, column.octets // column.length)


def path_of(table: Table) -> str:
    """The table as findings name it: database.name."""
    return f"{table.database}.{table.name}"
