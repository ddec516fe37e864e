"""Rows written to the target: many in a statement, each statement proven to have stored what it was given."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from workbook.cdc.change import Change, Row
from workbook.cdc.tables import TablePlan, same_row
from workbook.cdc.values import Undecodable
from workbook.wire import Wire, WireError

# A statement holds about so much; the smallest max_allowed_packet that servers have is 16 MB.
_STATEMENT_BYTES, _STATEMENT_ROWS = 2 << 20, 1000
# Storing the number 0 in an ENUM is what the source did too, and the server says so each time.
_TRUNCATED = 1265
Item = TypeVar("Item")


class Refusal(Exception):
    """A change that the target refused or would have changed: error code (0: none of the server's) and text."""

    def __init__(self, code: int, text: str):
        super().__init__(code, text)
        self.code, self.text = code, text


class Writer:
    """Writes rows through one connection, within the transaction that it is in."""

    def __init__(self, wire: Wire):
        self._wire = wire

    def delete(self, plan: TablePlan, keys: Sequence[tuple[str, ...]]) -> None:
        """Take rows away by their keys; rows that are not there are no error."""
        if not keys:
            return
        if plan.cascades:
            # Here the target's own foreign keys do to other tables what the source's did, and did not log.
            self._wire.run("SET SESSION foreign_key_checks = 1")
        try:
            for part in _parts(keys, lambda key: sum(map(len, key))):
                self._run(f"DELETE FROM {plan.name} WHERE {plan.keyed(part)}", plan)
        finally:
            if plan.cascades:
                self._wire.run("SET SESSION foreign_key_checks = 0")

    def insert(self, plan: TablePlan, rows: Sequence[tuple[str, ...]]) -> None:
        """Put rows in, in the place of those of the same key."""
        if not rows:
            return
        # Where another unique key could be meant, the rows of the same keys are gone already, and a row of another key
        # must not be touched in their place.
        upsert = "" if plan.others or not plan.key else plan.upsert
        zeros = sum(row[place] == "0" for row in rows for place in plan.enums) if plan.enums else 0
        for part in _parts(["(" + ",".join(row) + ")" for row in rows], len):
            self._run(f"INSERT INTO {plan.name} ({plan.columns}) VALUES {','.join(part)}{upsert}", plan, zeros)

    def keyless(self, plan: TablePlan, changes: Sequence[Change]) -> None:
        """Carry out changes of a table without a key, one after the other."""
        pending: list[tuple[str, ...]] = []
        for change in changes:
            if change.op == "c":
                pending.append(self._values(plan, change.after))
                continue
            self.insert(plan, pending)
            pending = []
            try:
                found = same_row(plan, self._sure(plan, change.before))
            except Undecodable as error:
                raise Refusal(0, f"an event of {plan.name} cannot be read: {error}") from None
            if change.op == "d":
                touched = self._run(f"DELETE FROM {plan.name} WHERE {found} LIMIT 1", plan)
            else:
                values = self._values(plan, change.after)
                sets = ", ".join(
                    f"{name} = {value}" for name, value in zip(plan.columns.split(", "), values, strict=True)
                )
                touched = self._run(f"UPDATE {plan.name} SET {sets} WHERE {found} LIMIT 1", plan)
            if touched != 1 and not (change.op == "u" and self._values(plan, change.before) == values):
                raise Refusal(0, f"{plan.name} has no key, and no row on the target is the one that changed")
        self.insert(plan, pending)

    def _values(self, plan: TablePlan, row: Row | None) -> tuple[str, ...]:
        try:
            return plan.values(self._sure(plan, row))
        except Undecodable as error:
            raise Refusal(0, f"an event of {plan.name} cannot be read: {error}") from None

    def _sure(self, plan: TablePlan, row: Row | None) -> Row:
        if row is None:
            raise Refusal(0, f"an event of {plan.name} has no image of the row")
        if plan.doubtful(row):
            raise Refusal(
                0, f"{plan.name} has no key, so a value that events do not carry exactly cannot be read from the source"
            )
        return row

    def _run(self, sql: str, plan: TablePlan, excused: int = 0) -> int:
        """Run a statement; how many rows it touched. Raises Refusal for an error of the data, and for any warning."""
        try:
            touched = self._wire.run(sql)
            warnings = int(self._wire.rows("SHOW COUNT(*) WARNINGS")[0][0] or 0)
        except WireError as error:
            if error.passing:
                raise
            raise Refusal(error.code, f"{plan.name}: {error.text} ({error.code})") from None
        if warnings:
            found = [
                (int(code or 0), (text or b"").decode(errors="replace"))
                for _, code, text in self._wire.rows("SHOW WARNINGS LIMIT 20")
            ]
            if warnings > excused or any(code != _TRUNCATED for code, _ in found):
                raise Refusal(found[0][0], f"{plan.name}: {found[0][1]} ({found[0][0]})")
        return touched


def _parts(items: Sequence[Item], size_of: Callable[[Item], int]) -> Iterator[list[Item]]:
    """As many of the items together as one statement may hold."""
    pending: list[Item] = []
    size = 0
    for item in items:
        more = size_of(item)
        if pending and (size + more > _STATEMENT_BYTES or len(pending) >= _STATEMENT_ROWS):
            yield pending
            pending, size = [], 0
        pending.append(item)
        size += more + 1
    if pending:
        yield pending
