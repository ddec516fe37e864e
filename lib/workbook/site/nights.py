"""The calendar of nights: for each environment a year of days, each with how its runs went, as a link to the last of them."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from workbook import faces
from workbook.faces import Html
from workbook.site import shell
from workbook.site.runs import Run

_WEEKS = 53
# Worse first: a day is as bad as its worst run.
_WORST = ("bad", "warn", "plain", "info", "good")
_MARKS = {"bad": "×", "warn": "!", "plain": "·", "info": "·", "good": ""}


@dataclass(frozen=True)
class Night:
    """One day of an environment and its runs, oldest first."""

    day: datetime.date
    runs: tuple[Run, ...]

    @property
    def tone(self) -> str:
        """How it went: that of its worst run; a run that went well after one of the same phases that did not mends it."""
        left = [
            run
            for place, run in enumerate(self.runs)
            if run.good or not any(later.good and _phases(run) <= _phases(later) for later in self.runs[place + 1 :])
        ]
        return min((faces.tone(run.status) for run in left), key=_WORST.index)

    @property
    def words(self) -> str:
        """The day in words."""
        said = ", ".join(run.status for run in self.runs[-3:])
        earlier = f"{len(self.runs)} runs, the last " if len(self.runs) > 3 else ""
        late = f", began {faces.human_seconds(self.runs[-1].late_seconds)} late" if self.runs[-1].late else ""
        return f"{self.day:%A %d %B %Y}: {earlier}{said}{late}"


def nights_of(runs: Sequence[Run]) -> dict[datetime.date, Night]:
    """The days with runs; `runs` are of one environment, oldest first."""
    days: dict[datetime.date, list[Run]] = {}
    for run in runs:
        if run.started is not None:
            days.setdefault(run.started.date(), []).append(run)
    return {day: Night(day, tuple(found)) for day, found in days.items()}


def calendar(runs: Sequence[Run]) -> Html:
    """The last year of an environment as a grid, a column a week; nothing before its second day with a run."""
    nights = nights_of(runs)
    if len(nights) < 2:
        return Html("")
    last = max(nights)
    sunday = last + datetime.timedelta(days=6 - last.weekday())
    first = max(min(nights), sunday - datetime.timedelta(days=7 * _WEEKS - 1))
    monday = first - datetime.timedelta(days=first.weekday())
    weeks = [monday + datetime.timedelta(days=7 * week) for week in range((sunday - monday).days // 7 + 1)]
    months = "".join(
        f'<span style="grid-column:{place + 2}">{week:%b}</span>'
        for place, week in enumerate(weeks)
        if (place == 0 and week.day <= 21) or (place and week.month != weeks[place - 1].month)
    )
    names = "".join(f'<span style="grid-row:{row}">{name}</span>' for row, name in ((2, "Mon"), (4, "Wed"), (6, "Fri")))
    cells = "".join(
        _cell(nights.get(day), column + 2, weekday + 2, within=first <= day <= last)
        for column, week in enumerate(weeks)
        for weekday in range(7)
        if (day := week + datetime.timedelta(days=weekday))
    )
    return Html(
        f'<div class="calendar" tabindex="0" role="group" aria-label="Nights"><div class="days">{months}{names}{cells}</div></div>'
    )


def _cell(night: Night | None, column: int, row: int, within: bool) -> str:
    place = f'style="grid-area:{row}/{column}"'
    if night is None:
        return f"<i {place}></i>" if within else ""
    words = faces.attribute(night.words)
    return (
        f'<a class="n-{night.tone}" {place} href="{shell.quote(night.runs[-1].folder)}/index.html" title="{words}"'
        f' aria-label="{words}">{_MARKS[night.tone]}</a>'
    )


def _phases(run: Run) -> set[str]:
    return {phase.name for phase in run.phases}
