"""What a login holds in effect, roles included, and whether it sees every object of the databases it reads."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from workbook.errors import Refused
from workbook.names import mysql_string, quote_mysql
from workbook.schema.tokens import code_of, split_at_commas, tokens_of
from workbook.servers import Session

# Without these MySQL leaves objects out of its catalogue without a word.
_NEEDED = ("SELECT", "SHOW VIEW", "TRIGGER", "EVENT")
_SHOWS_ROUTINES = ("EXECUTE", "ALTER ROUTINE", "CREATE ROUTINE")


@dataclass(frozen=True)
class Holding:
    """Privileges on everything (`database` None) or on the databases that a pattern means."""

    database: str | None
    privileges: frozenset[str]


def effective_grants(session: Session) -> list[str]:
    """The lines of SHOW GRANTS for the session's login with what its active roles bring.

    Cloud SQL's administrator holds everything through the role cloudsqlsuperuser.
    """
    if session.flavour == "mariadb":
        # Without a name it shows what the active role brings too.
        return [str(next(iter(row.values()))) for row in session.rows("SHOW GRANTS")]
    roles = str(session.scalar("SELECT CURRENT_ROLE()"))
    using = "" if roles == "NONE" else f" USING {roles}"
    statement = f"SHOW GRANTS FOR CURRENT_USER(){using}".replace("%", "%%")
    return [str(next(iter(row.values()))) for row in session.rows(statement, ())]


def refuse_hidden(session: Session, databases: Sequence[str]) -> None:
    """Raise Refused where the login would not see all objects of `databases`: the unseen would be lost silently."""
    holdings = [holding for line in effective_grants(session) if (holding := holding_of(line)) is not None]
    everywhere = frozenset().union(*(item.privileges for item in holdings if item.database is None))
    for database in databases:
        here = everywhere.union(
            *(
                item.privileges
                for item in holdings
                if item.database is not None and pattern_matches(item.database, database)
            )
        )
        missing = [privilege for privilege in _NEEDED if privilege not in here and "ALL PRIVILEGES" not in here]
        if not {"SELECT", "SHOW_ROUTINE"} & everywhere and not here.intersection((*_SHOWS_ROUTINES, "ALL PRIVILEGES")):
            missing.append("EXECUTE")
        if missing:
            raise Refused(
                f"The account {session.server.user!r} lacks {', '.join(missing)} on {quote_mysql(database)}.*"
                f" of the {session.server.role}.",
                "MySQL hides objects from who lacks these: tables, triggers, events or routines would be lost unseen.",
                f"GRANT {', '.join(missing)} ON {quote_mysql(database)}.* TO {mysql_string(session.server.user)},"
                " then run again.",
            )


def holding_of(line: str) -> Holding | None:
    """What a line of SHOW GRANTS gives on everything or on whole databases; None for any other line."""
    code = code_of(tokens_of(line))
    words = [token.word for token in code]
    if words[0] != "GRANT" or "ON" not in words or "PROXY" in words[:2]:
        return None
    on = words.index("ON")
    target = code[on + 1 : on + 4]
    if len(target) < 3 or target[1].text != "." or target[2].text != "*":
        return None
    privileges = frozenset(" ".join(token.word for token in run) for run in split_at_commas(code[1:on]))
    return Holding(None if target[0].text == "*" else target[0].identifier, privileges)


def pattern_matches(pattern: str, name: str) -> bool:
    """Whether the database name of a grant, with its wildcards, means the database `name`."""
    parts = []
    place = 0
    while place < len(pattern):
        letter = pattern[place]
        if letter == "\\" and place + 1 < len(pattern):
            place += 1
            parts.append(re.escape(pattern[place]))
        else:
            parts.append({"%": ".*", "_": "."}.get(letter, re.escape(letter)))
        place += 1
    return re.fullmatch("".join(parts), name, re.S) is not None
