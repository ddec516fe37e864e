"""Sets of GTIDs as MySQL writes them: `uuid:1-5:7,uuid:tag:1`."""

from collections.abc import Iterable


def with_transactions(gtids: str, transactions: Iterable[str]) -> str:
    """A set with further transactions (`uuid:5` or `uuid:tag:5`) in it."""
    found = _parsed(gtids)
    for transaction in transactions:
        owner, _, number = transaction.rpartition(":")
        if owner and number.isdigit():
            _add(found.setdefault(owner.lower(), []), int(number))
    return ",".join(
        f"{owner}:{':'.join(str(low) if low == high else f'{low}-{high}' for low, high in intervals)}"
        for owner, intervals in sorted(found.items())
        if intervals
    )


def _parsed(gtids: str) -> dict[str, list[tuple[int, int]]]:
    found: dict[str, list[tuple[int, int]]] = {}
    for part in gtids.replace("\n", "").split(","):
        owner, tag = "", ""
        for word in part.strip().split(":"):
            if not owner:
                owner = word.lower()
            elif word[:1].isdigit():
                low, _, high = word.partition("-")
                found.setdefault(f"{owner}:{tag}" if tag else owner, []).append((int(low), int(high or low)))
            else:
                tag = word.lower()
    return {owner: sorted(intervals) for owner, intervals in found.items()}


def _add(intervals: list[tuple[int, int]], number: int) -> None:
    """Add a number; nearly always it follows the last one."""
    for place in range(len(intervals) - 1, -1, -1):
        low, high = intervals[place]
        if low <= number <= high:
            return
        if number == high + 1:
            top = number
            if place + 1 < len(intervals) and intervals[place + 1][0] == number + 1:
                top = intervals.pop(place + 1)[1]
            intervals[place] = (low, top)
            return
        if number > high:
            if place + 1 < len(intervals) and intervals[place + 1][0] == number + 1:
                intervals[place + 1] = (number, intervals[place + 1][1])
            else:
                intervals.insert(place + 1, (number, number))
            return
    if intervals and intervals[0][0] == number + 1:
        intervals[0] = (number, intervals[0][1])
    else:
        intervals.insert(0, (number, number))
