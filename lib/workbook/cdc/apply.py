"""The applier: a batch of changes becomes rows of the target, together with the note that they are applied.

It knows no transport. Whatever is delivered twice or late changes nothing: a change older than the last one applied to
its key is dropped. Tables without a key, and cascades that the source does not log, need the order of the source.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbook.cdc.change import NOWHERE, Change, Order, Path, Row
from workbook.cdc.ledger import PERMANENT, RETRYABLE, UNREAD, Ledger
from workbook.cdc.outbox import Outbox
from workbook.cdc.rows import Refusal, Writer
from workbook.cdc.tables import TablePlan, key_hash, reread_query, reread_values, weight_query
from workbook.cdc.values import Undecodable
from workbook.wire import Wire, WireError

# Another change may make room: a key that is taken, a lock.
_MAY_PASS = {1062, 1205, 1213, 1586}
_KNOWN_WEIGHTS = 200_000


@dataclass(frozen=True)
class Outcome:
    """What became of a batch: changes applied, dropped as stale, refused (dead letters), and of tables that are not followed."""

    applied: int = 0
    stale: int = 0
    dead: int = 0
    unfollowed: int = 0

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(
            self.applied + other.applied,
            self.stale + other.stale,
            self.dead + other.dead,
            self.unfollowed + other.unfollowed,
        )


@dataclass
class _Final:
    """The last change of a key within a run, and where the row of it comes from."""

    plan: TablePlan
    key: bytes
    names: tuple[str, ...]
    change: Change
    reread: bool = False
    spelled: frozenset[tuple[str, ...]] = frozenset()  # other spellings of the name that changes before it had

    @property
    def gone(self) -> bool:
        return self.change.op == "d"


def _spelled(item: _Final) -> set[tuple[str, ...]]:
    return {item.names, *item.spelled}


Barrier = Callable[["Applier", Change], str | None]


class Applier:
    """Applies batches through one connection to the target; `source` is asked for rows that events cannot carry.

    `barrier` carries out a TRUNCATE or DDL and answers why the table cannot be followed any more, or None. Changes go on
    into the warehouse through the `outbox`, where there is one.
    """

    def __init__(
        self,
        target: Wire,
        source: Wire,
        ledger: Ledger,
        plans: Mapping[Path, TablePlan],
        stopped: Iterable[Path],
        barrier: Barrier,
        outbox: Outbox | None = None,
    ):
        self.target, self.ledger = target, ledger
        self.plans = dict(plans)
        self.stopped = set(stopped)
        self._source = source
        self._barrier = barrier
        self._weights: dict[tuple[str, str], bytes] = {}
        self._outbox = outbox
        self._writer = Writer(target)
        self._letters = int(
            self.target.rows(f"SELECT COUNT(*) FROM {ledger.dead} WHERE kind = '{RETRYABLE}'")[0][0] or 0
        )

    def apply(self, batch: Sequence[Change], offset: Mapping[str, Any] | None = None) -> Outcome:
        """Apply changes in their order; with the last of them commit `offset`, from which the source goes on.

        Each stretch between barriers is one transaction. Raises WireError where a server is lost: nothing of the
        transaction under way is then applied, and the same batch may be given again.
        """
        outcome, run = Outcome(), list[Change]()
        for place, change in enumerate(batch):
            if self._rekeys(change, batch[place + 1] if place + 1 < len(batch) else None):
                outcome += self._run(run, None)
                self._stop_family(change)
                run = [change]
            elif change.barrier:
                outcome += self._run(run, None)
                outcome += self._pass(change)
                run = []
            else:
                run.append(change)
        return outcome + self._run(run, offset)

    def bury_unread(self, name: str, text: str, why: str) -> None:
        """Keep a message that cannot be read: there is no row that it could be applied to."""
        wire = self.target
        wire.run("START TRANSACTION")
        self.ledger.lock(wire)
        self.ledger.bury_once(wire, Change("?", ("", name), NOWHERE, statement=text), UNREAD, why)
        wire.run("COMMIT")

    def replay(self, kinds: Sequence[str]) -> Outcome:
        """Try all dead letters of these kinds once more, some hundreds a transaction."""
        outcome, last = Outcome(), 0
        while True:
            self.target.run("START TRANSACTION")
            highest = self._begun()
            tried, after = self._again(kinds, last)
            self.ledger.note(self.target, highest, tried.applied, tried.stale, 0.0)
            self.target.run("COMMIT")
            outcome += tried
            if after == last:
                break
            last = after
        self._letters = int(
            self.target.rows(f"SELECT COUNT(*) FROM {self.ledger.dead} WHERE kind = '{RETRYABLE}'")[0][0] or 0
        )
        return outcome

    def _run(self, run: Sequence[Change], offset: Mapping[str, Any] | None) -> Outcome:
        if not run and offset is None:
            return Outcome()
        try:
            return self._transaction(run, offset, self._together)
        except Refusal:
            self.target.run("ROLLBACK")
            return self._transaction(run, offset, self._one_by_one)
        except WireError as error:
            if not error.lost:
                self.target.run("ROLLBACK")
            raise

    def _transaction(
        self,
        run: Sequence[Change],
        offset: Mapping[str, Any] | None,
        write: Callable[[Sequence[Change], Order], Outcome],
    ) -> Outcome:
        self.target.run("START TRANSACTION")
        highest = self._begun()
        followed = [change for change in run if change.path in self.plans and change.path not in self.stopped]
        outcome = write(followed, highest) + Outcome(unfollowed=len(run) - len(followed))
        again = self._again((RETRYABLE,))[0] if self._letters else Outcome()
        last = max((change.order for change in run), default=highest)
        self.ledger.note(
            self.target,
            max(last, highest),
            outcome.applied + again.applied,
            outcome.stale + again.stale,
            max((change.at for change in run), default=0.0),
            offset,
        )
        self.target.run("COMMIT")
        self._letters = max(0, self._letters + outcome.dead - again.applied - again.stale)
        return outcome + again

    def _begun(self) -> Order:
        """The order of the last change applied, at the beginning of a transaction."""
        highest = self.ledger.lock(self.target)
        if self._outbox is not None:
            self._outbox.begin()
        return highest

    def _together(self, changes: Sequence[Change], highest: Order) -> Outcome:
        """All changes by statements of many rows. Raises Refusal where the target refuses one."""
        applied, stale, seen = 0, 0, highest
        for stretch in self._stretches(changes):
            plan = self.plans[stretch[0].path]
            if not plan.key:
                fresh = [change for change in stretch if change.order > highest]
                self._writer.keyless(plan, fresh)
                applied, stale = applied + len(fresh), stale + len(stretch) - len(fresh)
                continue
            finals, dropped = self._fresh(stretch, seen)
            seen = max(seen, *(change.order for change in stretch))
            applied, stale = applied + len(stretch) - dropped, stale + dropped
            self._write(finals)
        return Outcome(applied, stale)

    def _one_by_one(self, changes: Sequence[Change], highest: Order) -> Outcome:
        """Each change by itself; those that are refused become dead letters."""
        outcome, seen = Outcome(), highest
        for change in changes:
            # What this transaction has applied already may be newer.
            outcome += self._single(change, seen if self.plans[change.path].key else highest)
            seen = max(seen, change.order)
        return outcome

    def _single(self, change: Change, highest: Order) -> Outcome:
        wire, plan = self.target, self.plans[change.path]
        key: bytes | None = None
        wire.run("SAVEPOINT one")
        try:
            if not plan.key:
                if change.order <= highest:
                    return Outcome(stale=1)
                self._writer.keyless(plan, [change])
                return Outcome(applied=1)
            finals, dropped = self._fresh([change], highest)
            key = next(iter(finals)).key if finals else None
            self._write(finals)
            return Outcome(applied=1 - dropped, stale=dropped)
        except Refusal as refusal:
            wire.run("ROLLBACK TO SAVEPOINT one")
            kind = RETRYABLE if refusal.code in _MAY_PASS and plan.key else PERMANENT
            self.ledger.bury(wire, change, key, kind, refusal.text)
            return Outcome(dead=1)

    def _again(self, kinds: Sequence[str], after: int = 0) -> tuple[Outcome, int]:
        """Try dead letters after a number again; those that a later change has overtaken are taken away. And the last one."""
        wire, outcome, done = self.target, Outcome(), list[int]()
        for letter, change in self.ledger.raise_dead(wire, kinds, after):
            after = letter
            plan = self.plans.get(change.path)
            if plan is None or change.path in self.stopped:
                continue
            wire.run("SAVEPOINT one")
            try:
                if plan.key:
                    # An order above all asks the shadows in any case: later changes of the key may be applied.
                    finals, dropped = self._fresh([change], (1 << 62, 0, 0))
                    self._write(finals)
                else:
                    dropped = 0
                    self._writer.keyless(plan, [change])
                outcome += Outcome(applied=1 - dropped, stale=dropped)
                done.append(letter)
            except Refusal as refusal:
                wire.run("ROLLBACK TO SAVEPOINT one")
                self.ledger.tried(wire, letter, refusal.text)
        self.ledger.forget(wire, done)
        return outcome, after

    def _stretches(self, changes: Sequence[Change]) -> Iterable[list[Change]]:
        """Changes that may be written together: those of keyed tables, until one acts on rows of other tables.

        Keyless tables stand alone, in order; their rows have nothing to do with the keys of others.
        """
        keyed: list[Change] = []
        keyless: dict[Path, list[Change]] = {}
        for change in changes:
            plan = self.plans[change.path]
            if not plan.key:
                keyless.setdefault(change.path, []).append(change)
                continue
            if plan.cascades and change.op == "d":
                if keyed:
                    yield keyed
                yield [change]
                keyed = []
                continue
            keyed.append(change)
        if keyed:
            yield keyed
        yield from keyless.values()

    def _fresh(self, changes: Sequence[Change], highest: Order) -> tuple[list[_Final], int]:
        """The last change of each key that is newer than what was applied to it, and how many are older."""
        finals: dict[tuple[int, bytes], _Final] = {}
        dropped, doubtful = 0, False
        for item in self._named(changes):
            place = item.plan.number, item.key
            known = finals.get(place)
            if known is not None and known.names != item.names:
                item.spelled = known.spelled = known.spelled | {known.names, item.names}
            if known is None or known.change.order < item.change.order:
                item.spelled = known.spelled if known else item.spelled
                finals[place] = item
            elif known.change.order == item.change.order:
                dropped += 1
            doubtful = doubtful or item.change.order <= highest
        if doubtful:
            shadows = self.ledger.shadows(self.target, finals)
            old = [place for place, item in finals.items() if item.change.order <= shadows.get(place, (0, 0, 0))]
            if self._outbox is not None:
                self._outbox.overtaken(
                    (finals[place].plan, name, finals[place].change)
                    for place in old
                    for name in _spelled(finals[place])
                )
            for place in old:
                del finals[place]
            dropped += sum(1 for item in self._named(changes) if (item.plan.number, item.key) in set(old))
        return list(finals.values()), min(dropped, len(changes))

    def _named(self, changes: Sequence[Change]) -> list[_Final]:
        """Each change with the name of its row; a change of the name counts for both names."""
        found: list[tuple[TablePlan, tuple[str, ...], Change]] = []
        for change in changes:
            plan = self.plans[change.path]
            row = change.before if change.op == "d" else change.after
            if row is None:
                raise Refusal(0, f"an event of {plan.name} has no image of the row")
            try:
                before = change.before if change.op == "u" else None
                if before is not None and any(before[name] != row[name] for name in plan.key):
                    # Debezium tells a new key by a deletion where its own key changes, which may be another one than ours.
                    found.append(self._keyed(plan, before, change._replace(op="d", after=None)))
                found.append(self._keyed(plan, row, change))
            except (Undecodable, KeyError, TypeError, ValueError) as error:
                raise Refusal(0, f"an event of {plan.name} cannot be read: {error}") from None
        self._weigh(found)
        return [_Final(plan, key_hash(plan, names, self._weights), names, change) for plan, names, change in found]

    def _keyed(self, plan: TablePlan, row: Row, change: Change) -> tuple[TablePlan, tuple[str, ...], Change]:
        if plan.doubtful_key(row):
            raise Undecodable("a date in its key may be a zero date, which events do not tell from others")
        return plan, plan.key_values(row), change

    def _weigh(self, found: Sequence[tuple[TablePlan, tuple[str, ...], Change]]) -> None:
        """Ask the target what it sorts texts of keys by."""
        wanted: dict[tuple[str, str], str] = {}
        for plan, names, _ in found:
            for name, text in zip(plan.key, names, strict=True):
                if name in plan.collated:
                    charset, collation = plan.collated[name]
                    if (collation, text) not in self._weights:
                        wanted[collation, text] = charset
        if len(self._weights) + len(wanted) > _KNOWN_WEIGHTS:
            self._weights.clear()
            wanted = {
                (plan.collated[name][1], text): plan.collated[name][0]
                for plan, names, _ in found
                for name, text in zip(plan.key, names, strict=True)
                if name in plan.collated
            }
        items = list(wanted.items())
        for start in range(0, len(items), 500):
            part = items[start : start + 500]
            rows = self.target.rows(weight_query([(charset, collation, text) for (collation, text), charset in part]))
            for (place, _), (weight,) in zip(part, rows, strict=True):
                self._weights[place] = weight or b""

    def _write(self, finals: Sequence[_Final]) -> None:
        """Write the last states of keys, table by table: first what goes, then what comes, then the shadows."""
        by_plan: dict[int, list[_Final]] = {}
        for item in finals:
            by_plan.setdefault(item.plan.number, []).append(item)
        going: list[tuple[TablePlan, list[tuple[str, ...]]]] = []
        coming: list[tuple[TablePlan, list[tuple[str, ...]]]] = []
        for items in by_plan.values():
            plan, gone, rows, again = items[0].plan, list[tuple[str, ...]](), list[tuple[str, ...]](), list[Row]()
            for item in items:
                image = item.change.after
                if item.gone:
                    gone.append(item.names)
                elif plan.doubtful(image or {}):
                    gone.append(item.names)
                    again.append(image or {})
                else:
                    try:
                        rows.append(plan.values(image or {}))
                    except Undecodable as error:
                        raise Refusal(0, f"an event of {plan.name} cannot be read: {error}") from None
                    if plan.others:
                        gone.append(item.names)
            if again:
                rows += self._reread(plan, again)
            going.append((plan, gone))
            coming.append((plan, rows))
        if self._outbox is not None:
            self._outbox.before((item.plan, names, item.change) for item in finals for names in _spelled(item))
        for plan, gone in going:
            self._writer.delete(plan, gone)
        for plan, rows in coming:
            self._writer.insert(plan, rows)
        if self._outbox is not None:
            self._outbox.after()
        self.ledger.cast_shadows(
            self.target, [(item.plan.number, item.key, item.change.order, item.gone) for item in finals]
        )

    def _reread(self, plan: TablePlan, rows: Sequence[Row]) -> list[tuple[str, ...]]:
        """Rows as the source holds them now. A row that changed since comes again with its own event, so what is read
        here may be newer than the event and never stays older."""
        found: list[tuple[str, ...]] = []
        for start in range(0, len(rows), 500):
            self._source.run("COMMIT")
            for row in self._source.rows(reread_query(plan, rows[start : start + 500])):
                found.append(reread_values(plan, row))
        self._source.run("COMMIT")
        return found

    def _pass(self, change: Change) -> Outcome:
        """Carry out a barrier. It cannot be one transaction with its note, so the intention is noted first: whoever
        finds it there knows that the statement may have been carried out already."""
        highest = self.ledger.lock(self.target)
        self.target.run("COMMIT")
        if change.order <= highest:
            return Outcome(stale=1)
        reason = self._barrier(self, change)
        self.target.run("START TRANSACTION")
        self._begun()
        if reason is not None:
            self.stop(change.path, reason)
        elif change.op == "t" and self._outbox is not None and change.path in self.plans:
            self._outbox.truncated(self.plans[change.path].target, change)
        self.ledger.note(self.target, change.order, int(reason is None), 0, change.at)
        self.target.run("COMMIT")
        return Outcome(applied=1) if reason is None else Outcome(unfollowed=1)

    def _rekeys(self, change: Change, after: Change | None) -> bool:
        """Whether a row got a new key that rows of other tables follow without a word in the binlog. It arrives as a
        deletion and a new row from one place."""
        plan = self.plans.get(change.path) if change.op == "d" else None
        return (
            plan is not None
            and bool(plan.rekeyed)
            and after is not None
            and (after.op, after.path, after.order[:2]) == ("c", change.path, change.order[:2])
        )

    def _stop_family(self, change: Change) -> None:
        """Follow a table and those that follow its keys no more: what the source did to them is not known."""
        plan = self.plans[change.path]
        reason = (
            f"a row of {plan.name} got another key, and the source does not log what its foreign keys did to others"
            " (before MySQL 9.6, or innodb_native_foreign_keys)"
        )
        self.target.run("START TRANSACTION")
        self.ledger.lock(self.target)
        for path in (change.path, *plan.rekeyed):
            self.stop(path, reason)
        self.target.run("COMMIT")

    def stop(self, path: Path, reason: str) -> None:
        """Follow a table no more, from this transaction on."""
        self.stopped.add(path)
        self.ledger.stop(self.target, path, reason)

    def replan(self, plans: Mapping[Path, TablePlan]) -> None:
        """Take other plans, after the definition of a table has changed."""
        self.plans = dict(plans)
        self._writer = Writer(self.target)
        if self._outbox is not None:
            self._outbox.replanned()
