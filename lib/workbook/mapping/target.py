"""What a person has changed on the target besides what Cloud SQL demands: character sets, and keys for keyless tables."""

from collections.abc import Mapping as ReadOnly
from dataclasses import dataclass
from typing import Any

from ruamel.yaml.comments import CommentedMap

from workbook.mapping.nodes import Reader

WIDE = "utf8mb4"
# Every text of these is a text of utf8mb4, and the same one. Of others some bytes stand for no character.
CONVERTIBLE = ("ascii", "latin1", "utf8mb3")
KEYLESS = ("keep", "invisible-key")
INVISIBLE_KEY = "my_row_id"


@dataclass(frozen=True)
class TargetRules:
    """`to_utf8mb4`: the character sets whose columns become utf8mb4; `collations`: which collation takes whose place.

    A collation that is not named keeps its own rules: utf8mb3_bin becomes utf8mb4_bin. `keyless` says what becomes of
    a table without a primary key and without a unique key that could stand for one. `settings` are settings of the
    server that may be others on the target.
    """

    to_utf8mb4: tuple[str, ...] = ()
    collations: tuple[tuple[str, str], ...] = ()
    keyless: str = "keep"
    settings: tuple[str, ...] = ()

    def moves(self, charset: str | None) -> bool:
        """Whether columns of this character set become utf8mb4."""
        return charset is not None and _present(charset) in self.to_utf8mb4

    def collation(self, charset: str, collation: str) -> str:
        """The collation on the target, which is the source's where the character set stays."""
        if not self.moves(charset):
            return collation
        given = {_present(old): new for old, new in self.collations}
        return given.get(_present(collation), WIDE + _present(collation).removeprefix(_present(charset)))

    @property
    def said(self) -> tuple[str, ...]:
        """The choices in words; none where nothing is changed."""
        words = [f"{', '.join(self.to_utf8mb4)} becomes {WIDE}"] if self.to_utf8mb4 else []
        words += [f"{old} becomes {new}" for old, new in self.collations]
        words += ["keyless tables get an invisible primary key"] if self.keyless == "invisible-key" else []
        return tuple(words)

    def asdict(self) -> dict[str, Any]:
        """Plain values, as the mapping file holds them."""
        return {
            "to_utf8mb4": list(self.to_utf8mb4),
            "collations": dict(self.collations),
            "keyless": self.keyless,
            "settings": list(self.settings),
        }


# Nothing but what Cloud SQL demands.
UNCHANGED = TargetRules()


def target_rules(
    reader: Reader, parent: CommentedMap, where: str, default: TargetRules, kind: str = "target"
) -> TargetRules:
    """The rules under `target` of a node; keys that are not there are those of `default`."""
    node = reader.mapping(parent, "target", where)
    reader.known_keys(node, kind, f"target of {where}")
    charsets, collations = default.to_utf8mb4, default.collations
    if "to_utf8mb4" in node:
        charsets = reader.texts(node, "to_utf8mb4", where, CONVERTIBLE)
    if "collations" in node:
        nodes = reader.mapping(node, "collations", where)
        collations = tuple((old, reader.text(nodes, old, f"collations of {where}") or "") for old in nodes)
        for old, new in collations:
            if not new.startswith(f"{WIDE}_"):
                reader.fail(
                    nodes,
                    old,
                    f"collations of {where} turns {old} into {new or 'nothing'!r}",
                    f"A collation here is one of {WIDE}, since that is what the columns become.",
                    f"Write for example {old}: {WIDE}_0900_ai_ci.",
                )
    settings = reader.texts(node, "settings", where) if "settings" in node else default.settings
    keyless = reader.text(node, "keyless", where, KEYLESS) or default.keyless
    return TargetRules(charsets, collations, keyless, settings)


def markdown() -> str:
    """The choices as a Markdown table, for the README."""
    return "\n".join(
        (
            "| key under `target` | what it does | values |",
            "| --- | --- | --- |",
            f"| `to_utf8mb4` | columns of these character sets become {WIDE} | a list of "
            + ", ".join(f"`{name}`" for name in CONVERTIBLE)
            + " |",
            "| `collations` | which collation takes the place of another; the rest keep their name behind the"
            f" character set | `old: {WIDE}_…` |",
            "| `keyless` | tables without a primary key, and without a unique key that could be one | "
            + " or ".join(f"`{name}`" for name in KEYLESS)
            + " |",
            "| `settings` | settings of the server that may be others on the target; the validation names the rest |"
            " a list of names |",
        )
    )


def _present(name: str) -> str:
    """A character set or collation under its present name: utf8 means utf8mb3."""
    name = name.lower()
    return f"utf8mb3{name[4:]}" if name == "utf8" or name.startswith("utf8_") else name


def plain(rules: TargetRules) -> ReadOnly[str, Any] | None:
    """The rules as plain values; None where they change nothing."""
    return rules.asdict() if rules != UNCHANGED else None
