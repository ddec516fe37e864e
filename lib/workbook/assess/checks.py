"""All checks: the differences between Cloud SQL and MySQL, what versions changed, and what is MariaDB's own.

To add a check, add a row to the table of its origin (differences.py, upgrade.py, mariadb.py): an id that stays, what it
means, how much work it is, and a function from catalog and evidence to the hits. `needs` names the parts of the
evidence without which it is not passed.
"""

from workbook.assess.check import Check
from workbook.assess.differences import DIFFERENCES
from workbook.assess.mariadb import MARIADB
from workbook.assess.upgrade import upgrade_checks


def checks_for(version: str) -> tuple[Check, ...]:
    """The checks for a target of `version` (one of check.VERSIONS)."""
    return (*DIFFERENCES, *upgrade_checks(version), *MARIADB)


def markdown() -> str:
    """The checks as a Markdown table, for the README."""
    lines = ["| # | check | looks for | severity | work | mended by |", "| --- | --- | --- | --- | --- | --- |"]
    for check in checks_for("8.4"):
        number = check.number or ("MariaDB" if check.sources == ("mariadb",) else check.target_from)
        lines.append(
            f"| {number} | `{check.id}` | {check.title} | {check.severity} | {check.effort} |"
            f" {check.mended_by or 'a person'} |"
        )
    return "\n".join(lines)
