"""What was touched since a proof: which tables the binlog of a server names, by which keys, and what only the whole table tells."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from workbook.bulk.chunks import chunkable_key
from workbook.catalog import Table
from workbook.errors import WorkbookError
from workbook.servers import Server, Session
from workbook.validate.binlog import Path, Reader, Touched, Wanted

# With so many touched rows, or this share of all, reading the table whole is quicker than asking for rows by key.
_MOST_KEYS, _MOST_SHARE = 1_000_000, 0.25
# Statements that change no rows, whatever they name.
_HARMLESS = re.compile(
    r"\s*(?:BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|ANALYZE|FLUSH|GRANT|REVOKE|XA\s+(?!COMMIT)|SET\s+(?:PASSWORD|DEFAULT)"
    r"|(?:CREATE|ALTER|DROP|RENAME)(?:\s+(?:OR\s+REPLACE|ALGORITHM\s*=\s*\w+|DEFINER\s*=\s*\S+|SQL\s+SECURITY\s+\w+|AGGREGATE))*"
    r"\s+(?:VIEW|TRIGGER|PROCEDURE|FUNCTION|EVENT|USER|ROLE|SERVER)|(?:CREATE|ALTER)\s+(?:DATABASE|SCHEMA))\b",
    re.IGNORECASE,
)
_XA_COMMIT = re.compile(r"\s*XA\s+COMMIT\b", re.IGNORECASE)
_ROWS_AS_TEXT = re.compile(r"\s*(?:INSERT|UPDATE|DELETE|REPLACE|LOAD|CALL|WITH|DO)\b", re.IGNORECASE)
_DROPS_DATABASE = re.compile(r"\s*DROP\s+(?:DATABASE|SCHEMA)\b", re.IGNORECASE)
_NAME = r"(?:`((?:[^`]|``)+)`|([^\s`.(;]+))"
_CREATES = re.compile(
    rf"\s*CREATE\s+(?:TEMPORARY\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_NAME}(?:\s*\.\s*{_NAME})?", re.IGNORECASE
)
_COMMENT = re.compile(r"^\s*/\*(?!!).*?\*/", re.DOTALL)


@dataclass(frozen=True)
class Place:
    """Where a server stands: who it is, and the GTID set that it had executed; `why` it cannot be told, if so."""

    server: str
    gtids: str
    why: str = ""


def place(server: Server) -> Place:
    """Where a server stands now. All that it had executed then is seen by a transaction that begins later."""
    with server.session() as session:
        try:
            if session.flavour != "mysql":
                return Place("", session.gtids(), "MariaDB orders keys in its own way and its binlog is not read")
            return _mysql_place(session)
        except WorkbookError as error:
            return Place("", "", f"where the {server.role} stands is not known: {error.found}")


def _mysql_place(session: Session) -> Place:
    role = session.server.role
    names = ("log_bin", "gtid_mode", "binlog_format", "binlog_row_image", "server_uuid")
    rows = session.rows(f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({', '.join(repr(name) for name in names)})")
    found = {str(row["Variable_name"]).lower(): str(row["Value"]) for row in rows}
    wanted = {"log_bin": "ON", "gtid_mode": "ON", "binlog_format": "ROW", "binlog_row_image": "FULL"}
    wrong = [f"{name} is {found[name]}" for name, value in wanted.items() if found.get(name, value).upper() != value]
    gtids = session.gtids()
    return Place(found.get("server_uuid", ""), gtids, f"on the {role} {', '.join(wrong)}" if wrong else "")


def touched_since(
    server: Server, tables: Mapping[Path, Table], since: str, cascades_told: bool
) -> tuple[dict[Path, Touched], int]:
    """What the binlog says of the tables (as they are on this server) since a GTID set, and how many events it took.

    Raises Unreadable where it does not hold all of it any more, or says that it cannot tell.
    """
    wanted = {path: _wanted(server, table) for path, table in tables.items()}
    reader = Reader(wanted, judge(tables))
    reader.read(server, since)
    if not cascades_told:
        cascaded(tables, reader.found)
    return reader.found, reader.events


def _wanted(server: Server, table: Table) -> Wanted:
    names = [column.name for column in table.columns]
    key = chunkable_key(table) if table.key else ()
    most = max(min(_MOST_KEYS, int(table.rows_estimate * _MOST_SHARE)), 10_000)
    return Wanted(len(names), tuple(names.index(name) for name in key), most)


def cascades_told(server: Server) -> bool:
    """Whether what foreign keys cascade stands in the binlog: since 9.6, unless the engine still does it by itself."""
    with server.session() as session:
        version = tuple(int(part) for part in re.findall(r"\d+", session.version)[:2])
        if session.flavour != "mysql" or version < (9, 6):
            return False
        rows = session.rows("SHOW GLOBAL VARIABLES LIKE 'innodb\\_native\\_foreign\\_keys'")
        return not rows or str(rows[0]["Value"]).upper() == "OFF"


def cascaded(tables: Mapping[Path, Table], found: dict[Path, Touched]) -> None:
    """Note the children of parents that were changed or deleted: what became of their rows no binlog says."""
    changed = {path for path, one in found.items() if one.updated or one.deleted or one.full}
    grown = True
    while grown:
        grown = False
        for path, table in tables.items():
            for key in table.foreign_keys:
                acts = {key.on_delete, key.on_update} - {"RESTRICT", "NO ACTION"}
                if acts and path not in changed and (key.parent_database, key.parent_table) in changed:
                    touched = found.setdefault(path, Touched())
                    touched.full = (
                        touched.full or "a foreign key may have changed its rows, which the binlog does not say"
                    )
                    changed.add(path)
                    grown = True


def judge(paths: Iterable[Path]) -> Callable[[str, str | None], Mapping[Path, str]]:
    """A judge of statements: those of `paths` that one may have changed, and why they are to be read whole.

    In doubt a table counts as changed: its name in the text is enough.
    """
    chosen = list(paths)

    def judged(database: str, text: str | None) -> Mapping[Path, str]:
        if text is None:
            return dict.fromkeys(chosen, "a statement in the binlog is not in UTF-8")
        while (comment := _COMMENT.match(text)) is not None:
            text = text[comment.end() :]
        if _XA_COMMIT.match(text):
            return dict.fromkeys(
                chosen, "a distributed transaction was committed, whose rows stand earlier in the binlog"
            )
        if _HARMLESS.match(text):
            return {}
        if (made := _CREATES.match(text)) is not None:
            first, second = (
                (quoted or "").replace("``", "`") or plain for quoted, plain in (made.group(1, 2), made.group(3, 4))
            )
            path = (first, second) if second else (database, first)
            return {one: "it was made anew" for one in chosen if _same(one, path)}
        low = text.lower()
        here = [path for path in chosen if path[0].lower() == database.lower() or _named(path[0], low)]
        if _ROWS_AS_TEXT.match(text):
            return dict.fromkeys(here, "changes were logged as statements (binlog_format is not ROW)")
        why = f"a statement changed it: {' '.join(text.split()[:2]).upper()}"
        if _DROPS_DATABASE.match(text):
            return {path: why for path in chosen if _named(path[0], low)}
        return {path: why for path in here if _named(path[1], low)}

    return judged


def _named(name: str, text: str) -> bool:
    low = name.lower()
    return low in text or low.replace("`", "``") in text


def _same(one: Path, other: Sequence[str]) -> bool:
    return [part.lower() for part in one] == [part.lower() for part in other]
