"""The accounts phase for a notebook: plan, look again after apply, and judge."""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from workbook import faces
from workbook.accounts.carried import carried
from workbook.accounts.compare import compare
from workbook.accounts.effective import Effect, Loss, effects
from workbook.accounts.expected import Target, stays
from workbook.accounts.hosts import moved
from workbook.accounts.objects import Accounts
from workbook.accounts.planning import AccountsPlan, is_foreign, plan
from workbook.accounts.read import read_accounts, read_with_roles, relations_of, routines_of
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
        """Who may do less, or more, than on the source, whatever grants it came from: reason by reason."""
        changed = [effect for effect in self.effects if effect.verdict != "same"]
        if not changed:
            return faces.text("In effect every account may do exactly what it may do on the source.")
        gained = [
            {"account": effect.account, "where": place, "privileges": item}
            for effect in changed
            for place, item in effect.gained
        ]
        by_reason: dict[str, list[tuple[str, Loss]]] = defaultdict(list)
        for effect in changed:
            for loss in effect.lost:
                by_reason[loss.why].append((effect.account, loss))
        unexplained = by_reason.pop("", [])
        return faces.stack(
            faces.table(
                gained,
                {"account": "Account", "where": "Where", "privileges": "May do now and could not"},
                caption="Gained: nobody may do more than before",
            )
            if gained
            else None,
            _lost(unexplained, "Lost without a reason") if unexplained else None,
            faces.text("What accounts can do no more, reason by reason:") if by_reason else None,
            *(
                faces.details(
                    f"{len(losses):,} privileges of {len({account for account, _ in losses}):,} accounts: {why}",
                    _lost(losses),
                )
                for why, losses in sorted(by_reason.items(), key=lambda pair: -len(pair[1]))
            ),
        )


def _lost(losses: Sequence[tuple[str, Loss]], caption: str = "") -> faces.Html:
    """What is lost, one row for an account; perhaps: the source itself gives it by its choice between patterns."""
    by_place: dict[str, dict[tuple[str, bool], list[str]]] = defaultdict(lambda: defaultdict(list))
    for account, loss in losses:
        by_place[account][loss.where, loss.certain].append(loss.privilege)
    rows = []
    for account, places in by_place.items():
        lost = "; ".join(
            f"{'' if certain else 'perhaps '}{', '.join(items)} on {where}"
            for (where, certain), items in places.items()
        )
        # One below the other, so that nothing runs past the edge of a phone.
        below = f'<br><span style="font-weight:400">{faces.escape(lost, limit=4_000)}</span>'
        rows.append({"account": faces.Html(f"{faces.escape(account)}{below}")})
    return faces.table(rows, {"account": "Account, and what it can do no more"}, caption=caption, limit=1_000)


def plan_accounts(
    source: Server, target: Server, catalog: Catalog, mapping: Mapping, owned: Collection[str]
) -> AccountsPlan:
    """The plan from the servers as they are. Raises TerminalError where the source's accounts may not be read."""
    accounts = moved(carried(read_accounts(source), catalog, mapping), mapping.hosts)
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
    accounts = moved(carried(read_accounts(source), catalog, mapping), mapping.hosts)
    return compare(accounts, read_target(target, accounts, catalog, mapping, owned), owned)


def read_target(server: Server, source: Accounts, catalog: Catalog, mapping: Mapping, owned: Collection[str]) -> Target:
    """What the target holds of the source's accounts, and the objects that privileges can be given on there."""
    accounts = read_with_roles(server, {it.key for it in source.accounts if not stays(source, it.key)})
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
