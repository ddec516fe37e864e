"""The nodes of a mapping file: YAML that keeps its comments, read key by key, every complaint with its line."""

import difflib
from collections.abc import Collection
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from workbook.errors import UsageError

KEYS = {
    "file": ("version", "requires", "target", "accounts", "segments"),
    "rest requires": ("proofs", "freshness", "accept"),
    "accounts": ("hosts",),
    "segment": ("priority", "scope", "requires", "warehouse", "tables"),
    "segment warehouse": ("mode",),
    "requires": ("hops", "proofs", "losses", "similarity", "freshness", "accept"),
    "accept": ("unproven", "different"),
    "target": ("to_utf8mb4", "collations", "keyless", "databases", "settings"),
    "table target": ("to_utf8mb4", "collations", "keyless", "name"),
    "table": ("warehouse", "target", "where", "columns", "by_default", "dedupe", "reject", "orphans"),
    "warehouse": ("name", "partition_by", "partition_unit", "cluster_by", "mode", "watermark", "lookback"),
    "column": ("name", "rule", "clean", "target", "exclude", "mask", "tolerate"),
    "tolerate": ("defect", "at_most", "within"),
    "mask": ("kind", "salt", "length", "value"),
    "dedupe": ("by", "keep", "order_by"),
    "reject": ("name", "where"),
}


def round_trip() -> YAML:
    """A YAML reader and writer that keeps comments, order and quotes."""
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def parse(text: str, origin: str) -> CommentedMap:
    """The text of a mapping file as YAML with its comments. Raises UsageError naming `origin` and the line."""
    try:
        content = round_trip().load(text)
    except YAMLError as error:
        mark = error.problem_mark or error.context_mark if isinstance(error, MarkedYAMLError) else None
        problem = (error.problem if isinstance(error, MarkedYAMLError) else None) or "unreadable"
        where = f", line {mark.line + 1}" if mark else ""
        raise UsageError(
            f"The mapping {origin}{where} is not YAML: {problem}.",
            "Nothing of it can be trusted.",
            "Mend that line; quote names that hold anything but letters, digits and underscores.",
        ) from None
    if not isinstance(content, CommentedMap):
        raise UsageError(
            f"The mapping {origin} holds no keys.",
            "It says what moves and what becomes of it.",
            "Write `version: 1` and `segments:`, or leave the file out to have one generated.",
        )
    return content


class Reader:
    """Typed access to the nodes of a mapping file; whatever does not fit is a UsageError with its line."""

    def __init__(self, origin: str):
        self.origin = origin

    def fail(self, node: CommentedMap, key: Any, found: str, why: str, todo: str) -> NoReturn:
        raise UsageError(f"The mapping {self.origin}, line {self.line(node, key)}: {found}.", why, todo)

    def line(self, node: CommentedMap, key: Any = None) -> int:
        try:
            return int(node.lc.key(key)[0]) + 1
        except (KeyError, TypeError, AttributeError):
            return int(getattr(node.lc, "line", 0) or 0) + 1

    def known_keys(self, node: CommentedMap, kind: str, where: str) -> None:
        for key in node:
            if key not in KEYS[kind]:
                near = difflib.get_close_matches(str(key), KEYS[kind], n=1, cutoff=0.5)
                self.fail(
                    node,
                    key,
                    f"unknown key {key!r} in {where}" + (f" (did you mean {near[0]}?)" if near else ""),
                    "A key that is not understood would silently change nothing.",
                    f"Known there: {', '.join(KEYS[kind])}.",
                )

    def mapping(self, node: CommentedMap, key: str, where: str) -> CommentedMap:
        """The mapping under `key`, each of its keys a text; an empty one where there is nothing."""
        value = node.get(key)
        if value is None:
            empty = CommentedMap()
            empty.lc.line = self.line(node, key) - 1
            return empty
        if not isinstance(value, CommentedMap):
            self._wrong(node, key, where, "keys with values below it")
        for name in value:
            if not isinstance(name, str):
                self.fail(
                    value,
                    name,
                    f"the name {name!r} in {where} is no text",
                    "YAML reads it as a number, a date or nothing, and a name like it may be written in many ways.",
                    "Put it in quotes.",
                )
        return value

    def text(self, node: CommentedMap, key: str, where: str, choices: Collection[str] = ()) -> str | None:
        value = node.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value:
            self._wrong(node, key, where, "a text")
        if choices and value not in choices:
            self._wrong(node, key, where, f"one of {', '.join(choices)}")
        return str(value)

    def texts(self, node: CommentedMap, key: str, where: str, choices: Collection[str] = ()) -> tuple[str, ...]:
        value = node.get(key)
        if value is None:
            return ()
        if not isinstance(value, CommentedSeq) or not all(isinstance(item, str) for item in value):
            self._wrong(node, key, where, "a list of texts in [ ]")
        for item in value:
            if choices and item not in choices:
                near = difflib.get_close_matches(item, choices, n=1, cutoff=0.5)
                self.fail(
                    node,
                    key,
                    f"{key} of {where} names {item!r}" + (f" (did you mean {near[0]}?)" if near else ""),
                    "What is not known cannot be met.",
                    f"Known there: {', '.join(choices)}.",
                )
        if len(set(value)) != len(value):
            self._wrong(node, key, where, "a list that names nothing twice")
        return tuple(str(item) for item in value)

    def number(self, node: CommentedMap, key: str, where: str, default: float, low: float, high: float) -> float:
        value = node.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            self._wrong(node, key, where, f"a number from {low:g} to {high:g}")
        return float(value)

    def _wrong(self, node: CommentedMap, key: str, where: str, wanted: str) -> NoReturn:
        self.fail(
            node,
            key,
            f"{key} of {where} is {str(node.get(key))[:60]!r}",
            f"It must be {wanted}.",
            "Mend that line.",
        )
