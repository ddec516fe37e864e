"""How a server stands around its rows: what is closed, who is locked, which triggers and events are there, and as what."""

from collections.abc import Collection, Mapping

from workbook.names import mysql_account, mysql_path, mysql_string
from workbook.servers import Server


def standing(server: Server, databases: Collection[str]) -> Mapping[str, str]:
    """What a cutover changes around the rows of `databases`, each thing with how it is now."""
    names = ", ".join(map(mysql_string, databases)) or "NULL"
    found = {}
    with server.session() as session:
        for row in session.rows(
            "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('read_only', 'super_read_only', 'event_scheduler')"
        ):
            found[str(row["Variable_name"])] = str(row["Value"])
        for row in session.rows("SELECT User AS u, Host AS h, account_locked AS locked FROM mysql.user"):
            found[f"account {mysql_account(row['u'], row['h'])}"] = "locked" if row["locked"] == "Y" else "open"
        for row in session.rows(
            "SELECT TRIGGER_SCHEMA AS d, TRIGGER_NAME AS n, EVENT_OBJECT_TABLE AS t, ACTION_ORDER AS place, DEFINER AS who,"
            " SHA2(ACTION_STATEMENT, 256) AS code, SQL_MODE AS mode FROM information_schema.TRIGGERS"
            f" WHERE TRIGGER_SCHEMA IN ({names})"
        ):
            words = (row["t"], row["place"], row["who"], row["code"], row["mode"])
            found[f"trigger {mysql_path(row['d'], row['n'])}"] = " ".join(map(str, words))
        for row in session.rows(
            "SELECT EVENT_SCHEMA AS d, EVENT_NAME AS n, STATUS AS status, DEFINER AS who,"
            " SHA2(EVENT_DEFINITION, 256) AS code FROM information_schema.EVENTS"
            f" WHERE EVENT_SCHEMA IN ({names})"
        ):
            found[f"event {mysql_path(row['d'], row['n'])}"] = f"{row['status']} {row['who']} {row['code']}"
    return found


def differences(role: str, before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What is not on a server as it was, in words."""
    lines = [f"on the {role} {name} is gone" for name in before if name not in after]
    lines += [f"on the {role} {name} is new" for name in after if name not in before]
    changed = [name for name in before if name in after and before[name] != after[name]]
    return sorted([*lines, *(f"on the {role} {name} was {before[name]}, is {after[name]}" for name in changed)])
