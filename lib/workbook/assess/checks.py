"""The checks of Cloud SQL against standard MySQL: one table, each row with its search over catalog and evidence.

To add a check, add a row to CHECKS: its number in the list of differences, an id that stays, what it means, and a
function from catalog and evidence to the hits. `needs` names the parts of the evidence without which it is not passed.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from workbook.assess import search
from workbook.assess.evidence import Evidence
from workbook.assess.search import Hit
from workbook.catalog import Catalog

Severity = Literal["blocker", "mend", "decide", "note"]


@dataclass(frozen=True)
class Check:
    """A difference that may matter: how bad, why, what to do, which phase mends it (None: a person), and its search."""

    number: int
    id: str
    title: str
    severity: Severity
    why: str
    todo: str
    mended_by: str | None
    find: Callable[[Catalog, Evidence], Iterable[Hit]]
    needs: tuple[str, ...] = ()
    flavours: tuple[str, ...] = ("cloud-sql",)


_CODE = ("statements",)
_ACCOUNTS = "The accounts phase leaves it out; give the account what it needs by other means."

CHECKS: tuple[Check, ...] = (
    Check(1, "engine", "Tables outside of InnoDB", "mend",
          "Cloud SQL has InnoDB tables only.",
          "The schema phase makes them InnoDB tables. Their writes then roll back with the transaction; a MEMORY table keeps its rows over a restart.",
          "schema", search.other_engines),
    Check(1, "engine-without-rows", "Tables that InnoDB cannot stand in for", "blocker",
          "The rows of these tables lie elsewhere or nowhere, or their key cannot be one of InnoDB.",
          "Put such a table out of scope in the mapping and the database that lists it, or make it an InnoDB table on the source first.",
          None, search.impossible_engines),
    Check(2, "super", "Accounts with SUPER", "mend",
          "Cloud SQL grants SUPER to nobody.", _ACCOUNTS, "accounts", search.static_privilege("SUPER"),
          ("static_privileges",)),
    Check(3, "file", "Accounts with FILE", "mend",
          "Cloud SQL grants FILE to nobody: files of the server cannot be read or written.",
          "The accounts phase leaves it out; imports and exports go through LOAD DATA LOCAL or Cloud Storage.",
          "accounts", search.static_privilege("FILE"), ("static_privileges",)),
    Check(4, "dynamic-privilege", "Dynamic privileges that Cloud SQL never grants", "mend",
          "They belong to the service's own administrators.", _ACCOUNTS, "accounts", search.dynamic_privileges,
          ("dynamic_privileges",)),
    Check(5, "wildcard-grant", "Grants on databases by wildcard", "mend",
          "Cloud SQL runs with partial_revokes=ON: % and _ in the database of a grant are letters there, and so is a backslash before them.",
          "The accounts phase writes one grant for each database that the pattern matches; grant anew when a database is added.",
          "accounts", search.wildcard_grants, ("schema_grants",)),
    Check(6, "definer", "Definers that do not exist", "mend",
          "A view, routine, trigger or event whose DEFINER is no account fails when it is used.",
          "The schema phase rewrites the definer to an account that exists; name another in the mapping of accounts if its rights must differ.",
          "schema", search.missing_definers, ("accounts",), ("cloud-sql", "mysql")),
    Check(7, "load-data", "LOAD DATA INFILE from the server's disk", "decide",
          "Cloud SQL answers with error 1290: there is no disk to read from.",
          "Change the application to LOAD DATA LOCAL INFILE, or import from Cloud Storage.",
          None, search.code("LOAD DATA INFILE", search.load_data), _CODE),
    Check(8, "into-outfile", "SELECT INTO OUTFILE or DUMPFILE", "decide",
          "Cloud SQL has no disk to write to.",
          "Let the application write the file, or export to Cloud Storage.",
          None, search.code("INTO OUTFILE", search.into_file), _CODE),
    Check(9, "load-file", "LOAD_FILE()", "decide",
          "Without the FILE privilege it gives NULL, without a word.",
          "Let the application read the file and pass its content.",
          None, search.code("LOAD_FILE()", search.load_file), _CODE),
    Check(10, "create-table-select", "CREATE TABLE … SELECT", "note",
          "Targets before MySQL 8.0.21 refuse it under GTID consistency (error 1786).",
          "On such a target create the table first, then INSERT … SELECT.",
          None, search.code("CREATE TABLE … SELECT", search.create_select), _CODE),
    Check(11, "mixed-engines", "Writes to InnoDB and other tables together", "mend",
          "GTID consistency refuses transactions that write to both kinds (error 1785).",
          "The schema phase makes all tables InnoDB; what survived a rollback before is then rolled back too, so look at the code named here.",
          "schema", search.mixed_engines),
    Check(12, "temporary-table", "Temporary tables made or dropped inside a transaction", "note",
          "MySQL 5.7 targets refuse it under GTID consistency (error 1787).",
          "On such a target move the statement out of the transaction.",
          None, search.code("temporary table in a transaction", search.temporary_tables)),
    Check(13, "plugin", "Plugins and components that were installed", "decide",
          "Cloud SQL has no INSTALL PLUGIN: what a plugin does is missing there.",
          "Decide for each plugin what takes its place: a flag of the instance, a feature of Cloud SQL, or nothing.",
          None, search.installed_plugins, ("plugins", *_CODE)),
    Check(14, "protocol-plugin", "The memcached, X and clone plugins", "decide",
          "Cloud SQL has none of them: the X protocol (port 33060), memcached and cloning do not answer.",
          "Move applications that use them to the classic protocol; nothing to do where none does.",
          None, search.protocol_plugins, ("plugins",)),
    Check(15, "validate-password", "The validate_password component", "decide",
          "Cloud SQL does not take it; passwords are checked by the instance's own policy.",
          "Set the password policy of the instance to the same rules.",
          None, search.validate_password, ("components", "plugins")),
)  # fmt: skip


def markdown() -> str:
    """The checks as a Markdown table, for the README."""
    lines = ["| # | check | looks for | severity | mended by |", "| --- | --- | --- | --- | --- |"]
    for check in CHECKS:
        lines.append(
            f"| {check.number} | `{check.id}` | {check.title} | {check.severity} | {check.mended_by or 'a person'} |"
        )
    return "\n".join(lines)
