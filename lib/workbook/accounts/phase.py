"""The accounts phase for a notebook: plan, look again after apply, and judge."""

from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from workbook import faces
from workbook.accounts.carried import carried
from workbook.accounts.compare import compare
from workbook.accounts.effective import Effect, effects
from workbook.accounts.expected import Target, stays
from workbook.accounts.objects import Accounts
from workbook.accounts.planning import AccountsPlan, is_foreign, plan
from workbook.accounts.read import read_accounts, relations_of, routines_of
from workbook.catalog import Catalog, read_catalog
from workbook.mapping.objects import Mapping
from workbook.plan import Plan
from workbook.schema.compare import ObjectDifference
from workbook.schema.definitions import scope_of
from workbook.servers import Server


@dataclass(frozen=True)
class AccountsResult:
    """What the accounts phase did. `verdict` is ok or different; `to_reset` are accounts that wait for a password."""

    verdict: str
    planned: Plan
    second: Plan
    objects: tuple[ObjectDifference, ...]
    to_reset: tuple[str, ...]
    effects: tuple[Effect, ...] = ()

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON; no hash among them."""
        return {
            "verdict": self.verdict,
            "plan": self.planned.asdict(),
            "second_plan": self.second.asdict(),
            "objects": [asdict(item) for item in self.objects],
            "to_reset": list(self.to_reset),
            "effective": [{"verdict": effect.verdict, **asdict(effect)} for effect in self.effects],
        }

    def _repr_html_(self) -> str:
        counts = Counter(item.verdict for item in self.objects)
        worth = [item for item in self.objects if item.verdict != "same"]
        return faces.stack(
            faces.boxes(
                ("Accounts", faces.badge(self.verdict)),
                ("Steps applied", len(self.planned.steps)),
                ("Steps still missing", len(self.second.steps)),
                ("The same", counts["same"]),
                ("Changed by a rule", counts["tolerated"]),
                ("Different", counts["different"]),
                ("Waiting for a password", len(self.to_reset)),
                ("Accounts that gained", sum(bool(effect.gained) for effect in self.effects)),
                ("Accounts that lost by rule", sum(bool(effect.lost) for effect in self.effects)),
            ),
            self._effective(),
            faces.table(
                [{**asdict(item), "verdict": faces.badge(item.verdict)} for item in worth],
                {"kind": "Kind", "name": "Name", "verdict": "Verdict", "detail": "What differs, and by which rule"},
                caption="Accounts and privileges that are not exactly the same",
            )
            if worth
            else faces.text("Every account and privilege is exactly the same on both sides."),
        )

    def _effective(self) -> faces.Html:
        """Who may do less, or more, than on the source, whatever grants it came from."""
        changed = [effect for effect in self.effects if effect.verdict != "same"]
        if not changed:
            return faces.text("In effect every account may do exactly what it may do on the source.")
        return faces.table(
            [
                {
                    "account": effect.account,
                    "verdict": faces.badge(effect.verdict),
                    "gained": "; ".join(f"{item} on {place}" for place, item in effect.gained),
                    "lost": "; ".join(f"{item} on {place}" for place, item in effect.lost),
                    "why": effect.why,
                }
                for effect in sorted(changed, key=lambda effect: (not effect.gained, effect.account))
            ],
            {
                "account": "Account",
                "verdict": "Verdict",
                "gained": "May do now and could not",
                "lost": "Can do no more",
                "why": "Why",
            },
            caption="What accounts may do in effect, where it is not the same",
        )


def plan_accounts(
    source: Server, target: Server, catalog: Catalog, mapping: Mapping, owned: Collection[str]
) -> AccountsPlan:
    """The plan from the servers as they are. Raises TerminalError where the source's accounts may not be read."""
    accounts = carried(read_accounts(source), catalog, mapping)
    return plan(accounts, read_target(target, accounts, catalog, mapping, owned), owned)


def check_accounts(
    planned: AccountsPlan, target: Server, catalog: Catalog, mapping: Mapping, owned: Collection[str]
) -> AccountsResult:
    """The result after apply: a second plan, which must be empty, and every account and privilege compared."""
    assert planned.source is not None
    there = read_target(target, planned.source, catalog, mapping, owned)
    second = plan(planned.source, there, owned)
    objects = compare(planned.source, there, owned)
    effective = effects(planned.source, there, there.databases)
    good = (
        second.empty
        and all(item.verdict != "different" for item in objects)
        and all(effect.verdict != "different" for effect in effective)
    )
    return AccountsResult("ok" if good else "different", planned, second, objects, second.to_reset, effective)


def compare_accounts(
    source: Server, target: Server, catalog: Catalog, mapping: Mapping, owned: Collection[str]
) -> tuple[ObjectDifference, ...]:
    """Every account and privilege compared between the servers as they are."""
    accounts = carried(read_accounts(source), catalog, mapping)
    return compare(accounts, read_target(target, accounts, catalog, mapping, owned), owned)


def read_target(server: Server, source: Accounts, catalog: Catalog, mapping: Mapping, owned: Collection[str]) -> Target:
    """What the target holds of the source's accounts, and the objects that privileges can be given on there."""
    accounts = read_accounts(server, {account.key for account in source.accounts})
    scope = scope_of(catalog, [table.path for table in mapping.in_scope])
    present = {row["name"] for row in server.rows("SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA")}
    databases = tuple(name for name in map(mapping.target_database, scope.databases) if name in present)
    there = read_catalog(server, databases)
    target = Target(accounts, databases, relations_of(there), routines_of(there), frozenset())
    moving = frozenset(
        account.key
        for account in source.accounts
        if not stays(source, account.key) and not is_foreign(account, target, owned)
    )
    return Target(accounts, databases, target.relations, target.routines, moving)
