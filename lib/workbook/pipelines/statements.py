"""The statements that a pipeline sends, from the digests of performance_schema, and the privileges that each one needs."""

import logging
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import sqlglot
from sqlglot import exp

from workbook.accounts.hosts import host_matches
from workbook.catalog import Catalog
from workbook.pipelines.register import Pipeline
from workbook.pipelines.traffic import READING
from workbook.schema.tokens import code_of, tokens_of
from workbook.servers import Server

# What sqlglot cannot take apart is said in the result; its own warnings would stand beside it in the notebook.
logging.getLogger("sqlglot").setLevel(logging.ERROR)
# The kinds of statements, by first word, that only read, and those that change rows and have a plan.
READS = ("SELECT", "WITH", "TABLE", "VALUES")
CHANGES = ("INSERT", "REPLACE", "UPDATE", "DELETE")
# A digest's first word → the events of performance_schema under which an account that ran it is counted.
_EVENTS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(READS, tuple(READING)),
    "INSERT": ("insert", "insert_select"),
    "REPLACE": ("replace", "replace_select"),
    "UPDATE": ("update", "update_multi"),
    "DELETE": ("delete", "delete_multi"),
    "CALL": ("call_procedure",),
    "LOAD": ("load",),
    "TRUNCATE": ("truncate",),
}


@dataclass(frozen=True, order=True)
class Need:
    """A privilege that a statement needs on a table or view, or EXECUTE on a routine."""

    privilege: str
    database: str
    name: str
    routine: bool = False


@dataclass(frozen=True)
class Sent:
    """A statement with ? for its values, as the source knows it.

    `sample` is the text of one execution, values and all: it is run and planned, and never shown. None where the
    server kept none, or only its beginning (`cut`). `needs` is None where the statement could not be taken apart.
    """

    digest: str
    database: str | None
    text: str
    count: int
    sample: str | None = field(repr=False)
    cut: bool
    seen_by: frozenset[tuple[str, str]]  # user and client host of the sessions whose history holds it
    needs: tuple[Need, ...] | None

    @property
    def first(self) -> str:
        """Its first word, in upper case."""
        return next((token.word for token in code_of(tokens_of(self.text)) if token.text != "("), "")


def read_statements(source: Server, catalog: Catalog) -> tuple[Sent, ...]:
    """The statements that read, write or call something in the databases of the catalog, most frequent first."""
    databases = {database.name for database in catalog.databases}
    # MySQL 5.7 keeps no sample of a statement.
    sample_text = "QUERY_SAMPLE_TEXT" if catalog.version_number >= (8, 0, 0) else "NULL"
    with source.session() as session:
        limit = int(session.scalar("SELECT @@performance_schema_max_sql_text_length"))
        seen: dict[tuple[str, str], set[tuple[str, str]]] = {}
        for row in session.rows(
            "SELECT s.CURRENT_SCHEMA AS d, s.DIGEST AS g, t.PROCESSLIST_USER AS u, t.PROCESSLIST_HOST AS h"
            " FROM performance_schema.events_statements_history s JOIN performance_schema.threads t USING (THREAD_ID)"
            " WHERE t.PROCESSLIST_USER IS NOT NULL AND s.DIGEST IS NOT NULL"
            " GROUP BY s.CURRENT_SCHEMA, s.DIGEST, t.PROCESSLIST_USER, t.PROCESSLIST_HOST"
        ):
            seen.setdefault((str(row["d"] or ""), str(row["g"])), set()).add((str(row["u"]), str(row["h"] or "")))
        rows = session.rows(
            f"SELECT SCHEMA_NAME AS d, DIGEST AS g, DIGEST_TEXT AS t, COUNT_STAR AS n, {sample_text} AS q"
            " FROM performance_schema.events_statements_summary_by_digest"
            " WHERE DIGEST_TEXT IS NOT NULL ORDER BY COUNT_STAR DESC, DIGEST"
        )
    found = []
    for row in rows:
        text, sample, database = str(row["t"]), row["q"], row["d"]
        cut = isinstance(sample, str) and len(sample.encode("utf-8", "replace")) >= limit
        usable = sample if isinstance(sample, str) and sample and not cut else None
        first = next((token.word for token in code_of(tokens_of(text)) if token.text != "("), "")
        if first not in _EVENTS:
            continue
        needs = needs_of(usable or _readable(text), database, catalog)
        mentioned = {need.database for need in needs} if needs is not None else {database}
        if mentioned & databases:
            seen_by = frozenset(seen.get((str(database or ""), str(row["g"])), ()))
            found.append(Sent(str(row["g"]), database, text, int(row["n"]), usable, cut, seen_by, needs))
    return tuple(found)


def of_pipeline(
    pipeline: Pipeline, statements: Collection[Sent], ran: Counter[str], tables: Collection[tuple[str, str]]
) -> tuple[Sent, ...]:
    """The statements that are the pipeline's, or may be.

    Certain are those in the history of its sessions. performance_schema does not keep whose the others are: a
    statement may be the pipeline's where its account has run that kind at all and it stays within the segments.
    """
    chosen = []
    for sent in statements:
        ran_kind = any(ran[event] for event in _EVENTS[sent.first])
        inside = sent.needs and all(need.routine or (need.database, need.name) in tables for need in sent.needs)
        if is_certain(pipeline, sent) or (ran_kind and inside):
            chosen.append(sent)
    return tuple(chosen)


def is_certain(pipeline: Pipeline, sent: Sent) -> bool:
    """Whether a session of the pipeline's account has the statement in its history."""
    user, pattern = pipeline.key
    return any(seen == user and host_matches(pattern, host) for seen, host in sent.seen_by)


def needs_of(sql: str, database: str | None, catalog: Catalog) -> tuple[Need, ...] | None:
    """The privileges that a statement needs by itself (not those of code that it calls); None where it is not understood."""
    code = code_of(tokens_of(sql))
    first = code[0].word if code else ""
    if first == "CALL":
        names = [token.identifier for token in code[1:4] if token.kind in ("word", "name")]
        qualified = len(code) > 3 and code[2].text == "."
        path = (names[0], names[1]) if qualified else (database or "", names[0]) if names else ("", "")
        return (Need("EXECUTE", *path, routine=True),)
    # REPLACE is an INSERT that may delete.
    text = "INSERT" + sql[code[0].end :] if first == "REPLACE" else sql
    try:
        tree = sqlglot.parse_one(text, read="mysql")
    except (sqlglot.errors.SqlglotError, RecursionError):
        return None
    if not isinstance(tree, exp.Query | exp.Insert | exp.Update | exp.Delete | exp.TruncateTable):
        return None
    named = {common.alias.lower() for common in tree.find_all(exp.CTE)}
    tables = [item for item in tree.find_all(exp.Table) if item.db or item.name.lower() not in named]
    written = _written(tree, tables)
    needs = set()
    for item in tables:
        path = item.db or database or "", item.name
        privileges = written.get(id(item), ("SELECT",))
        needs |= {Need(privilege, *path) for privilege in privileges}
        if first == "REPLACE" and id(item) in written:
            needs.add(Need("DELETE", *path))
    return tuple(sorted(needs | _routines(tree, database, catalog)))


def _written(tree: exp.Expr, tables: Collection[exp.Table]) -> dict[int, tuple[str, ...]]:
    """What the statement needs on the tables that it changes, by identity of the node."""
    if isinstance(tree, exp.Insert):
        target = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
        return {id(target): ("INSERT", "UPDATE") if tree.args.get("conflict") else ("INSERT",)}
    if isinstance(tree, exp.TruncateTable):
        return {id(item): ("DROP",) for item in tables}
    by_alias = {item.alias_or_name.lower(): item for item in tables}
    if isinstance(tree, exp.Update):
        columns = [item.this for item in tree.expressions if isinstance(item, exp.EQ)]
        names = {column.table.lower() for column in columns if isinstance(column, exp.Column) and column.table}
        changed = [by_alias[name] for name in names if name in by_alias] or [tree.this]
        # The condition and the values read as well.
        return {id(item): ("SELECT", "UPDATE") for item in changed}
    if isinstance(tree, exp.Delete):
        listed = [item for item in tree.args.get("tables") or () if isinstance(item, exp.Table)]
        aliases = {item.name.lower() for item in listed}
        changed = [item for item in tables if item not in listed and item.alias_or_name.lower() in aliases]
        reads = ("SELECT", "DELETE") if tree.args.get("where") or listed else ("DELETE",)
        found = {id(item): reads for item in changed or [tree.this]}
        # The names before FROM may be aliases, which are no tables.
        return {**found, **{id(item): () for item in listed}}
    return {}


def _routines(tree: exp.Expr, database: str | None, catalog: Catalog) -> set[Need]:
    known = {
        (routine.database, routine.name.lower()): routine.name
        for routine in catalog.routines
        if routine.kind.upper() == "FUNCTION"
    }
    found = set()
    for call in tree.find_all(exp.Anonymous):
        parent = call.parent
        home = parent.this.name if isinstance(parent, exp.Dot) else database or ""
        if (home, call.name.lower()) in known:
            found.add(Need("EXECUTE", home, known[home, call.name.lower()], routine=True))
    return found


def _readable(digest_text: str) -> str:
    """A digest in a form that can be parsed: its shortened lists become one value."""
    return re.sub(r"\(\s*\.\.\.\s*\)", "(?)", digest_text)
