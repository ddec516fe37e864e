"""Orphan rules as written in the mapping, checked against the tables that they name."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NoReturn

from workbook.errors import UsageError
from workbook.mapping import cleaning
from workbook.mapping.objects import Orphans, TableMap

KEYS = ("columns", "parent", "parent_columns", "policy")
POLICIES = ("reject", "null")
_NUMBERS = ("INT64", "NUMERIC", "BIGNUMERIC")
Path = tuple[str, str]


def checked(
    rules: Any,
    table: TableMap,
    in_scope: Mapping[Path, TableMap],
    key_of: Callable[[TableMap], tuple[str, ...]],
    where: str,
) -> tuple[Orphans, ...]:
    """The orphan rules of a table, each of them a mapping of KEYS; a parent is one of the tables `in_scope`.

    Raises UsageError naming `where` for what they cannot mean.
    """
    made: list[Orphans] = []
    for rule in rules if isinstance(rules, list | tuple) else [rules]:
        made.append(_checked(rule, table, in_scope, key_of, where))
        if made[-1].name in [*(other.name for other in made[:-1]), *(reject.name for reject in table.reject)]:
            raise UsageError(
                f"{where}: the rule {made[-1].name!r} is there twice.",
                "Rows are counted and kept under the name of their rule.",
                "Take one of them away; a `reject` cannot have the name of an orphan rule.",
            )
    return tuple(made)


def _checked(
    rule: Any,
    table: TableMap,
    in_scope: Mapping[Path, TableMap],
    key_of: Callable[[TableMap], tuple[str, ...]],
    where: str,
) -> Orphans:
    def fail(found: str, why: str, todo: str) -> NoReturn:
        raise UsageError(f"{where}: {found}.", why, todo)

    form = "Write for example orphans: [{columns: [customer_id], parent: customers, policy: reject}]."
    if not isinstance(rule, Mapping) or not all(isinstance(key, str) for key in rule):
        fail("an orphan rule is no list of keys and values", "It could not be told whose parents to look for.", form)
    if strange := [key for key in rule if key not in KEYS]:
        near = difflib.get_close_matches(strange[0], KEYS, n=1, cutoff=0.5)
        fail(
            f"unknown key {strange[0]!r} in an orphan rule" + (f" (did you mean {near[0]}?)" if near else ""),
            "A key that is not understood would silently change nothing.",
            f"Known there: {', '.join(KEYS)}.",
        )
    policy = "null" if "policy" in rule and rule["policy"] is None else rule.get("policy")  # YAML's bare null
    if policy not in POLICIES:
        fail(
            f"the policy of an orphan rule is {str(policy)[:40]!r}",
            "It says what becomes of a row without its parent, and there is no safe guess.",
            "Write reject, which sets the row aside, or null, which makes NULL of its columns.",
        )
    parent = _parent(rule.get("parent"), table, in_scope)
    if parent is None:
        near = difflib.get_close_matches(str(rule.get("parent")), [name for _, name in in_scope], n=1, cutoff=0.5)
        fail(
            f"the parent {str(rule.get('parent'))[:80]!r} of an orphan rule is no table that the mapping has in scope"
            + (f" (did you mean {near[0]}?)" if near else ""),
            "Its rows do not come into the warehouse, so every row would be an orphan.",
            "Name a table of the same database, or database.table, or take its segment into scope.",
        )
    columns = _columns(rule.get("columns"), "columns", table, fail)
    key = key_of(parent) if rule.get("parent_columns") is None else rule["parent_columns"]
    if not key:
        fail(
            f"{'.'.join(parent.path)} has no key, and the orphan rule names no parent_columns",
            "It cannot be told what its children refer to.",
            "Name them: parent_columns: [id].",
        )
    parents = _columns(key, "parent_columns", parent, fail)
    if len(columns) != len(parents):
        fail(
            f"an orphan rule sets {len(columns)} columns against {len(parents)} of {'.'.join(parent.path)}",
            "Values are compared one by one.",
            "Name as many `columns` as `parent_columns`, in the same order.",
        )
    for mine, its in zip(columns, parents, strict=True):
        kinds = [cleaning.clean_type(table.column[mine]), cleaning.clean_type(parent.column[its])]
        if not _comparable(*kinds):
            fail(
                f"an orphan rule compares {mine!r}, a {kinds[0]}, with {its!r} of {'.'.join(parent.path)}, a {kinds[1]}",
                "Both must be of one type after cleaning, and of one whose values are equal or not.",
                "Name other columns, or bring them to one type by their rules.",
            )
    return Orphans(columns, parent, parents, policy)


def _parent(name: Any, table: TableMap, in_scope: Mapping[Path, TableMap]) -> TableMap | None:
    """The table that is meant, without orphan rules of its own; names may hold points."""
    meant = [(table.database, name)]
    parts = name.split(".") if isinstance(name, str) else []
    meant += [(".".join(parts[:place]), ".".join(parts[place:])) for place in range(1, len(parts))]
    found = next((in_scope[path] for path in meant if path in in_scope), None)
    return found and replace(found, orphans=())


def _columns(names: Any, key: str, table: TableMap, fail: Callable[[str, str, str], NoReturn]) -> tuple[str, ...]:
    path = ".".join(table.path)
    texts = isinstance(names, list | tuple) and bool(names) and all(isinstance(name, str) for name in names)
    if not texts or len(set(names)) != len(names):
        fail(
            f"{key} of an orphan rule is {str(names)[:60]!r}",
            "It must be a list of column names in [ ] that names nothing twice.",
            f"Name columns of {path}, as {key}: [id].",
        )
    for name in names:
        if name not in table.column:
            near = difflib.get_close_matches(name, table.column, n=1, cutoff=0.5)
            fail(
                f"{key} of an orphan rule names the column {name!r}" + (f" (did you mean {near[0]}?)" if near else ""),
                f"{path} has no such column on the source, or excludes it; names are the source's, also here.",
                "Name one of its columns.",
            )
    return tuple(str(name) for name in names)


def _comparable(mine: str, its: str) -> bool:
    return mine in cleaning.GROUPABLE and (mine == its or (mine in _NUMBERS and its in _NUMBERS))
