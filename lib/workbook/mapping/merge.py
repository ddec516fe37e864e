"""Writing a mapping file: a new one from a generated mapping, or a person's own with what the source got since.

A person's file keeps every edit and comment: merging only adds, and what vanished from the source is left standing.
"""

import difflib
import re
from collections.abc import Iterable
from collections.abc import Mapping as ReadOnly
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from workbook import faces
from workbook.catalog import Catalog
from workbook.mapping.file import VERSION, mapping_from, read_text
from workbook.mapping.generate import generate, nearest_segment, neighbours_of
from workbook.mapping.nodes import parse, round_trip
from workbook.mapping.objects import Mapping, Segment, TableMap
from workbook.mapping.requirements import written, written_rest
from workbook.mapping.suggest import Figures, suggestions

_HEAD = """Where each table of the source goes. Edit this file: the workbook adds what is new and keeps what you wrote.
A segment moves together: `scope` is in, later or out, and the lowest `priority` moves first. `requires` is what its
copy must meet before anybody signs for it (workbook sign): the hops to prove and the proofs, the losses that you accept
(rules of the type map, or `representation` for all that change the form of a value alone, or none), the least share of
equal rows, and how old the compared picture may be. Above the segments it speaks of views, routines, events, accounts
and settings. What may differ or stay unproven is accepted by name, with the reason:
accept: {unproven: {procedure shop.close_day: it sends mail}}.
Columns under `by_default` keep their name and take the first type rule that matches; under `columns` stand the others,
with a `name`, a type `rule` or cleaning rules `clean`. Rows alike can be set aside by `dedupe`, others by `reject`, and
those that refer to rows that are not there by `orphans`.
A defect that may show in a column is let through by its name and in so many rows only:
tolerate: {defect: space at the end lost, at_most: 10}.
What Cloud SQL need not change but may is said under `target`, above the segments for all tables or within a table:
target: {to_utf8mb4: [utf8mb3], keyless: invisible-key}.
On the way to the target a table may leave rows behind (`where: condition`) and have another name (target: {name: new}); a
column may stay behind (`exclude: true`), have another name (`target: new`) or be masked, with the salt by reference:
mask: {kind: sha256, salt: env:NAME}. All other names here are the source's; params/README.md says what follows.
Cloud SQL looks up no host names; what accounts from named hosts get instead is said above the segments:
accounts: {hosts: {app.internal: "10.0.0.%"}}."""


def merge(current: str | Path | None, catalog: Catalog, profile: ReadOnly[str, Any] | None, emulated: bool) -> str:
    """The text of a mapping file that covers the whole of `catalog`.

    `current` is a file (a Path) or the text of one; None or an empty text means a new mapping. A file that covers all
    already comes back unchanged. Raises UsageError for a malformed one.
    """
    text = read_text(current) if isinstance(current, Path) else current or ""
    origin = str(current) if isinstance(current, Path) else "given"
    generated = generate(catalog, profile, emulated)
    figures = Figures(profile)
    if not text.strip():
        return new_text(generated, catalog, figures)
    content = parse(text, origin)
    known = mapping_from(content, origin, catalog, emulated)
    missing = [path for path in catalog.table if path not in known.tables]
    if not missing and not known.unlisted:
        return text
    day = f"added {datetime.now(UTC):%Y-%m-%d}"
    for database, table, column in known.unlisted:
        _add_column(content, known, (database, table), column, day)
    _add_tables(content, known, generated, missing, catalog, figures, day)
    return _written(content)


def additions(current: str | Path | None, merged: str) -> faces.Html:
    """The lines that `merge` added to the current file, or all of a new one."""
    text = read_text(current) if isinstance(current, Path) else current or ""
    if text == merged:
        return faces.text("The mapping file covers the whole source; nothing was added.")
    if not text.strip():
        return faces.details("A new mapping file was generated", faces.code(merged))
    lines = [line for line in difflib.ndiff(text.splitlines(), merged.splitlines()) if line.startswith("+ ")]
    return faces.details(
        f"{len(lines):,} lines were added for what the source got", faces.code("\n".join(lines)), opened=True
    )


def new_text(mapping: Mapping, catalog: Catalog, figures: Figures) -> str:
    """The text of a new mapping file for a generated mapping, with suggestions as comments."""
    content = CommentedMap()
    content["version"] = VERSION
    content["requires"] = written_rest(mapping.rest)
    content["segments"] = segments = CommentedMap()
    for segment in mapping.segments:
        segments[segment.name] = _segment(segment)
        for path in segment.tables:
            _put(segments[segment.name]["tables"], mapping.tables[path], catalog, figures)
    content.yaml_set_start_comment(_HEAD)
    return _written(content)


def _written(content: CommentedMap) -> str:
    out = StringIO()
    round_trip().dump(content, out)
    # The writer leaves a space where it wraps a list.
    return re.sub(r", +$", ",", out.getvalue(), flags=re.M)


def _segment(segment: Segment) -> CommentedMap:
    return CommentedMap(
        priority=segment.priority,
        scope=segment.scope,
        requires=written(segment.requirements),
        tables=CommentedMap(),
    )


def _put(databases: CommentedMap, table: TableMap, catalog: Catalog, figures: Figures, day: str = "") -> None:
    """Write a table under its database, after what stands there; with the `day` on which it was added, where it was."""
    if databases.get(table.database) is None:
        databases[table.database] = CommentedMap()
    node = CommentedMap()
    warehouse = CommentedMap(name=table.warehouse_name)
    if table.partition_by:
        warehouse["partition_by"] = table.partition_by
        if table.partition_unit != "month":
            warehouse["partition_unit"] = table.partition_unit
    if table.cluster_by:
        warehouse["cluster_by"] = _flow(table.cluster_by)
    warehouse.fa.set_flow_style()
    node["warehouse"] = warehouse
    renamed = [column for column in table.columns if column.warehouse_name != column.name]
    if renamed:
        node["columns"] = CommentedMap()
        for column in renamed:
            node["columns"][column.name] = CommentedMap(name=column.warehouse_name)
            node["columns"][column.name].fa.set_flow_style()
    plain = [column.name for column in table.columns if column.warehouse_name == column.name]
    if plain:
        node["by_default"] = _flow(plain)
    databases[table.database][table.name] = node
    remarks = [
        f"to consider: {f'{_one_line(item.column)}: {{{item.write}}}' if item.column else item.write}  ({item.why})"
        for item in suggestions(catalog.table[table.path], table, figures)
    ]
    if remarks:
        # Ten spaces: segments, segment, tables, database, table. A key with a comment below it takes none beside it.
        databases[table.database].yaml_set_comment_before_after_key(
            table.name, after="\n".join([*filter(None, [day]), *remarks]), after_indent=10
        )
    elif day:
        databases[table.database].yaml_add_eol_comment(day, table.name)


def _add_column(content: CommentedMap, known: Mapping, path: tuple[str, str], column: str, day: str) -> None:
    database, name = path
    node = content["segments"][known.tables[path].segment]["tables"][database][name]
    if node.get("columns") is None:
        node["columns"] = CommentedMap()
    mapped = known.tables[path].column.get(column)
    changed = mapped is not None and mapped.warehouse_name != column
    node["columns"][column] = CommentedMap(name=mapped.warehouse_name) if mapped and changed else CommentedMap()
    node["columns"][column].fa.set_flow_style()
    node["columns"].yaml_add_eol_comment(day, column)


def _add_tables(
    content: CommentedMap,
    known: Mapping,
    generated: Mapping,
    missing: list[tuple[str, str]],
    catalog: Catalog,
    figures: Figures,
    day: str,
) -> None:
    of_table = {path: table.segment for path, table in known.tables.items()}
    neighbours = neighbours_of(catalog)
    for path in missing:
        table = generated.tables[path]
        name = nearest_segment(path, of_table, neighbours) or table.segment
        name = name if name in content["segments"] else generated.tables[path].segment
        if content["segments"].get(name) is None:
            guessed = generated.segment[table.segment]
            last = max((segment.priority for segment in known.segments), default=0)
            content["segments"][name] = _segment(Segment(name, last + 1, guessed.scope, (), guessed.requirements))
            content["segments"].yaml_add_eol_comment(day, name)
        segment = content["segments"][name]
        if segment.get("tables") is None:
            segment["tables"] = CommentedMap()
        of_table[path] = name
        _put(segment["tables"], table, catalog, figures, day)


def _flow(values: Iterable[str]) -> CommentedSeq:
    sequence = CommentedSeq(values)
    sequence.fa.set_flow_style()
    return sequence


def _one_line(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name)
