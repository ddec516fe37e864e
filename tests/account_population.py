"""Accounts made from a seed, and what they must lose on the way: worked out from what was granted, not by the workbook."""

from __future__ import annotations

import random
import secrets
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

DATABASES = ("wbe_one", "wbe_two", "wbextwo")
GLOBAL = (
    "SELECT",
    "INSERT",
    "PROCESS",
    "RELOAD",
    "SUPER",
    "FILE",
    "SHOW DATABASES",
    "CONNECTION_ADMIN",
    "BACKUP_ADMIN",
)
DATABASE = ("SELECT", "INSERT", "UPDATE", "DELETE", "EXECUTE", "CREATE", "DROP", "TRIGGER", "CREATE VIEW")
PATTERNS = ("wbe_one", "wbe\\_one", "wbe\\_two", "wbe%", "wbe\\_%", "wbext__", "wb%", "elsewhere%")
EXACT = ("wbe\\_one", "wbe\\_two", "wbextwo")
# What the administrator of Cloud SQL gives to nobody.
REFUSED = frozenset(("SUPER", "FILE", "BACKUP_ADMIN"))
OPTION = "GRANT OPTION"
OBJECTS = (
    ("table", "t", ("SELECT", "DELETE")),
    ("table", "t", ("SELECT (`id`)", "UPDATE (`a`)")),
    ("procedure", "p", ("EXECUTE",)),
    ("table", "v", ("SELECT",)),
    ("table", "away", ("SELECT", "INSERT")),
    ("table", "away", ("SELECT (`id`)", "INSERT (`a`)")),
    ("procedure", "far", ("EXECUTE",)),
)
# Objects that are not on the target.
AWAY = ("`away`", "`far`")
LATE = "until it activates its roles"


@dataclass(eq=False)
class Holder:
    """An account or role, with what it was granted: everywhere, by pattern, on objects, and whom it may stand for."""

    user: str
    host: str = "%"
    everywhere: set[str] = field(default_factory=set)
    patterns: dict[str, set[str]] = field(default_factory=dict)
    objects: dict[str, set[str]] = field(default_factory=dict)
    proxies: list[Holder] = field(default_factory=list)
    revoked: dict[str, set[str]] = field(default_factory=dict)
    roles: list[Holder] = field(default_factory=list)
    default: list[Holder] = field(default_factory=list)

    @property
    def name(self) -> str:
        return "'" + self.user.replace("'", "''") + f"'@'{self.host}'"

    def statements(self) -> Iterator[str]:
        """The GRANTs that give it what it holds."""
        grants = [("*.*", self.everywhere), *((f"`{pattern}`.*", held) for pattern, held in self.patterns.items())]
        grants += [(place.removeprefix("table "), held) for place, held in self.objects.items()]
        for on, held in grants:
            if held:
                option = " WITH GRANT OPTION" if OPTION in held else ""
                yield f"GRANT {', '.join(sorted(held - {OPTION}))} ON {on} TO {self.name}{option}"
        for other in self.proxies:
            yield f"GRANT PROXY ON {other.name} TO {self.name}"
        for database, held in self.revoked.items():
            yield f"REVOKE {', '.join(sorted(held))} ON `{database}`.* FROM {self.name}"
        if self.roles:
            yield f"GRANT {', '.join(role.name for role in self.roles)} TO {self.name}"
        if self.default:
            yield f"SET DEFAULT ROLE {', '.join(role.name for role in self.default)} TO {self.name}"


def fill(chooser: random.Random, holder: Holder, patterns: Collection[str]) -> Holder:
    """Give a holder something at random at all levels."""
    if chooser.random() < 0.2:
        holder.everywhere = set(chooser.sample(GLOBAL, 2))
    for pattern in chooser.sample(list(patterns), chooser.randint(0, 3)):
        holder.patterns[pattern] = set(chooser.sample(DATABASE, chooser.randint(1, 4)))
        if chooser.random() < 0.1:
            holder.patterns[pattern].add(OPTION)
    for database in chooser.sample(DATABASES, chooser.randint(0, 2)):
        kind, name, held = chooser.choice(OBJECTS)
        holder.objects[f"{kind} `{database}`.`{name}`"] = set(held)
    return holder


def population(
    seed: int, roles: int, users: int, twins: int, partial: bool = False
) -> tuple[list[Holder], list[Holder]]:
    """Roles, some of which hold others, and users from addresses, patterns and named hosts, some of one name."""
    chooser = random.Random(seed)
    # Where % and _ are letters, a pattern means nothing but a database of that name.
    patterns = (*DATABASES, "wbe%") if partial else PATTERNS
    made = [fill(chooser, Holder(f"wbe_role_{number}"), patterns) for number in range(roles)]
    for place, role in enumerate(made[5:], 5):
        if chooser.random() < 0.3:
            role.roles = [made[place - 5]]
    people = []
    for number in range(users):
        host = chooser.choice(["%", "127.0.0.%", "127.0.0.1", "127.0.0.1", "app-%.wbe.example"])
        person = fill(chooser, Holder(f"wbe'user {number}", host), patterns)
        person.roles = chooser.sample(made, chooser.choice([0, 0, 1, 2]))
        person.default = person.roles[:1] if chooser.random() < 0.5 else []
        if people and chooser.random() < 0.1:
            person.proxies = [chooser.choice(people)]
        if partial and "SELECT" in person.everywhere:
            person.revoked = {chooser.choice(DATABASES): {"SELECT"}}
        people.append(person)
    for number in range(twins):
        exact = DATABASES if partial else EXACT
        people += [fill(chooser, Holder(f"wbe twin {number}", host), exact) for host in ("%", "127.0.0.%")]
    return made, people


@contextmanager
def people_on(scratch: Any, roles: Sequence[Holder], people: Sequence[Holder]) -> Iterator[str]:
    """The databases and accounts of a population on the source; the password of all."""
    password = secrets.token_urlsafe(12)
    for name in DATABASES:
        scratch.database(name)
        scratch.execute("CREATE TABLE t (id INT PRIMARY KEY, a INT)", name)
        scratch.execute("CREATE VIEW v AS SELECT id FROM t", name)
        scratch.execute("CREATE PROCEDURE p() SELECT 1", name)
        scratch.execute("CREATE TABLE away (id INT PRIMARY KEY, a INT)", name)
        scratch.execute("CREATE PROCEDURE far() SELECT 1", name)
    gone = f"DROP USER IF EXISTS {', '.join(one.name for one in (*roles, *people))}"
    for run in (scratch.execute, scratch.execute_target_root):
        run(gone)
    try:
        with scratch.source.session() as session:
            session.execute(f"CREATE ROLE {', '.join(role.name for role in roles)}")
            for person in people:
                # Hashing a password takes its time; all have the same one.
                session.execute(f"CREATE USER {person.name} IDENTIFIED BY '{password}'")
            for one in (*roles, *people):
                for statement in one.statements():
                    session.execute(statement)
        yield password
    finally:
        for run in (scratch.execute, scratch.execute_target_root):
            run(gone)


def wildcard(pattern: str) -> int | None:
    """Where the first wildcard of a pattern stands."""
    place = 0
    while place < len(pattern):
        if pattern[place] in "%_":
            return place
        place += 2 if pattern[place] == "\\" else 1
    return None


def means(pattern: str, database: str) -> bool:
    """Whether a pattern means a database, letter by letter."""
    if not pattern:
        return not database
    if pattern[0] == "%":
        return any(means(pattern[1:], database[place:]) for place in range(len(database) + 1))
    if pattern[0] == "\\":
        return database[:1] == pattern[1:2] and means(pattern[2:], database[1:])
    return bool(database) and pattern[0] in ("_", database[0]) and means(pattern[1:], database[1:])


def closure(roles: Iterable[Holder]) -> list[Holder]:
    found: list[Holder] = []
    for role in roles:
        found += [one for one in (role, *closure(role.roles)) if one not in found]
    return found


@dataclass
class Move:
    """What the population may do on the source, and what of it the rules let come to Cloud SQL."""

    roles: list[Holder]
    people: list[Holder]
    partial: bool = False  # whether the source runs with partial_revokes
    proxies: bool = False  # whether the target's administrator may give PROXY

    def matching(self, holder: Holder, database: str) -> list[str]:
        if self.partial:
            return [pattern for pattern in holder.patterns if pattern == database]
        return [pattern for pattern in holder.patterns if means(pattern, database)]

    def deciding(self, holder: Holder, database: str) -> list[str]:
        """Of the patterns that match, the most specific; several where they are equal."""
        found = self.matching(holder, database)
        whole = [pattern for pattern in found if self.partial or wildcard(pattern) is None]
        latest = max((wildcard(pattern) or 0 for pattern in found), default=0)
        return whole or [pattern for pattern in found if wildcard(pattern) == latest]

    def coming(self) -> dict[Holder, Holder]:
        """What each holder is given on the target."""
        crowded = {
            (role, database)
            for person in self.people
            for role in closure(person.roles)
            for database in DATABASES
            if len({it for one in (person, *closure(person.roles)) for it in self.matching(one, database)}) > 1
        }
        there = {one: Holder(one.user, one.host) for one in (*self.roles, *self.people)}
        for one, other in there.items():
            other.everywhere = one.everywhere - REFUSED
            other.objects = {place: held for place, held in one.objects.items() if not place.endswith(AWAY)}
            other.revoked = one.revoked
            other.proxies = one.proxies if self.proxies else []
            other.roles, other.default = ([there[role] for role in part] for part in (one.roles, one.default))
            for database in DATABASES:
                own = [one.patterns[pattern] for pattern in self.deciding(one, database)]
                held = set.intersection(*own) if own and (one, database) not in crowded else set()
                # A right to give on needs something to give, there or below.
                if held - {OPTION} or (held and any(f" `{database}`." in place for place in other.objects)):
                    other.patterns[database] = held
        return there

    def may(self, holder: Holder, active: Collection[Holder], source: bool) -> dict[str, set[str]]:
        """By place what is allowed with some roles active; on the source also what it may choose to allow."""
        everyone = [holder, *closure(active)]
        found = {"*.*": set().union(*(one.everywhere for one in everyone))}
        found |= {other.name: {"PROXY"} for other in holder.proxies}
        same_user = [it for it in self.people if it.user == holder.user and it.host == "%"]
        chain = [everyone] if active else [[holder], *([self._there(it, source)] for it in same_user)]
        for database in DATABASES:
            of = {
                item
                for one in everyone
                for item in one.everywhere & set(DATABASE)
                if item not in one.revoked.get(database, ())
            }
            for several in chain:
                patterns = [
                    one.patterns[pattern]
                    for one in several
                    for pattern in (
                        [it for it in one.patterns if it == database]
                        if not source
                        else self.matching(one, database)
                        if active
                        else self.deciding(one, database)
                    )
                ]
                if patterns:
                    of |= set().union(*patterns)
                    break
            found[f"`{database}`"] = of
        places = {place for several in chain for one in several for place in one.objects}
        for place in places:
            first = next(several for several in chain if any(place in one.objects for one in several))
            found[place] = set().union(*(one.objects.get(place, set()) for one in first))
        return found

    def _there(self, holder: Holder, source: bool) -> Holder:
        return holder if source else self._coming[holder]

    def losses(self) -> set[tuple[str, str, str, str]]:
        """Account, place, privilege and moment of all that must be lost."""
        self._coming = self.coming()
        found = set()
        for person in self.people:
            there = self._coming[person]
            lost = self._lost(*(self._any_way(one, one is person) for one in (person, there)))
            late = self._lost(self.may(person, person.default, True), self.may(there, there.default, False))
            found |= {(person.name, *pair, "") for pair in lost}
            found |= {(person.name, *pair, LATE) for pair in late - lost}
        return found

    def _any_way(self, holder: Holder, source: bool) -> dict[str, set[str]]:
        together: dict[str, set[str]] = {}
        for active in ([], holder.default, holder.roles, *([role] for role in holder.roles)):
            for place, held in self.may(holder, active, source).items():
                together.setdefault(place, set()).update(held)
        return together

    @staticmethod
    def _lost(source: dict[str, set[str]], target: dict[str, set[str]]) -> set[tuple[str, str]]:
        found = set()
        for place, held in source.items():
            inside = next((f"`{name}`" for name in DATABASES if f" `{name}`." in place), place)
            there = target.get(place, set()) | target.get(inside, set())
            found |= {(place, item) for item in held if not {item, item.partition(" (")[0]} & there}
        return found
