"""Having Cloud SQL back the instance up before a phase writes to it: once a run, also after a kill, and older ones go."""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from workbook.backups.api import Admin, Busy, Resource
from workbook.backups.backup import Backup, Book, Register, Taken
from workbook.errors import Refused, TransientError, WorkbookError
from workbook.params import LOOPBACK, Settings
from workbook.progress import Progress

_UNDER_WAY = ("ENQUEUED", "OVERDUE", "RUNNING")
# One that a run has asked for and did not see end stands for the instance as it is now, while it is that young.
_YOUNG = timedelta(hours=1)
_TRIES = 5
# Looked at often first: on a small instance a backup takes a minute.
_LONGEST_PAUSE = 5.0


def reach(settings: Settings) -> None:
    """Raise where no backup could be asked for: no login, no such instance."""
    Admin(settings.cloud_sql).reach()


def back_up(settings: Settings, book: Book, run: str, phase: str, writers: Sequence[Any]) -> Taken:
    """Have Cloud SQL back the target's instance up before `phase` of `run` writes to it, and wait until it has.

    `writers` is what has written to the target so far, as the ledger knows it. The same run and phase again get the same
    backup; one that was asked for before a kill is found by its description and waited for. Raises Refused where the
    backup does not come about; nothing has been written then.
    """
    return _Taker(settings, book).take(run, phase, writers)


class _Failed(Refused):
    """The backup has come to an end, and is none."""


class _Taker:
    def __init__(self, settings: Settings, book: Book):
        self._environment, self._settings = settings.environment, settings.cloud_sql
        self._target = urlsplit(settings.target.url)
        self._register = Register(book)
        self._instance = self._settings.instance or ""
        self._began = time.monotonic()

    def take(self, run: str, phase: str, writers: Sequence[Any]) -> Taken:
        for one in self._register.kept:
            if (one.run, one.phase, one.instance) == (run, phase, self._instance):
                return Taken(one, why="It was there already when this run began.")
        self._admin = Admin(self._settings)
        elsewhere = self._elsewhere()
        found, why = self._left(list(writers)), ""
        if found is not None:
            found = self._register.put(replace(found, run=run, phase=phase))
            why = f"A run that was cut off had asked for it, at {found.asked}."
        else:
            found = self._ask(run, phase, list(writers))
        seconds = round(self._seconds(), 1)
        dropped, remarks = self._rotate()
        return Taken(found, seconds, why, dropped, (*elsewhere, *remarks))

    def _elsewhere(self) -> tuple[str, ...]:
        """A word where the target's address is none of the instance's: a backup of another server would be no way back."""
        host = (self._target.hostname or "").rstrip(".").lower()
        if not host or host in LOOPBACK:
            return ()
        known = self._admin.addresses()
        if not known or host in known or known & _resolved(host):
            return ()
        return (
            f"The target {host} is none of the addresses of {self._instance} ({', '.join(sorted(known))}). Where it is"
            " neither a proxy nor an endpoint of Private Service Connect, this is the backup of another server.",
        )

    def _left(self, writers: list[Any]) -> Backup | None:
        """What runs that were cut off had asked for, seen to its end; the one that stands for the instance as it is now."""
        usable = None
        for one in self._register.backups:
            if one.state != "taking" or one.instance != self._instance:
                continue
            run = self._admin.find(one.description)
            if run is None:
                self._register.drop(one)
                continue
            try:
                with self._shown(one.phase) as progress:
                    one = self._await(replace(one, id=str(run["id"])), "", progress)
            except _Failed:
                continue
            young = datetime.now(UTC) - datetime.fromisoformat(one.asked) < _YOUNG
            if young and list(one.writers) == writers:
                usable = one
        return usable

    def _ask(self, run: str, phase: str, writers: list[Any]) -> Backup:
        now = datetime.now(UTC)
        # The moment makes it one that no other run, environment or checkout has.
        description = f"migration workbook: {self._environment}, before {phase} of {run}, asked {now.isoformat()}"
        asked = now.isoformat(timespec="seconds")
        backup = self._register.put(Backup(phase, run, self._instance, description, asked, tuple(writers)))
        with self._shown(phase) as progress:
            try:
                operation = self._begin(description, progress)
            except Refused:
                self._register.drop(backup)
                raise
            noted = replace(backup, operation=str(operation.get("name", "")), id=_backup_id(operation))
            return self._await(self._register.put(noted), noted.operation, progress)

    def _begin(self, description: str, progress: Progress) -> Resource:
        """Ask for the backup; after an answer that was lost it is looked for before it is asked for again."""
        failed = 0
        for pause in _pauses():
            try:
                return self._admin.insert(description, self._settings.location)
            except TransientError as error:
                failed += not isinstance(error, Busy)
                if failed == _TRIES or self._waited_too_long():
                    raise Refused(error.found, error.why, error.todo) from None
            progress.set(progress.seconds, "waiting for the instance")
            if run := self._admin.find(description):
                return {"backupContext": {"backupId": run["id"]}}
            time.sleep(pause)
        raise AssertionError("unreachable")

    def _await(self, backup: Backup, operation: str, progress: Progress) -> Backup:
        """Wait until a backup is there. Raises Refused where it fails, and forgets it; or where it takes too long."""
        if operation:
            self._ended(backup, operation, progress)
        run = self._there(backup, progress)
        if run is None or run.get("status") != "SUCCESSFUL":
            word = "is not there" if run is None else f"ended as {run.get('status')}"
            raise self._failed(backup, f"{word} {_why((run or {}).get('error'))}".strip())
        return self._register.put(replace(backup.as_api_says(run), state="kept"))

    def _ended(self, backup: Backup, name: str, progress: Progress) -> None:
        for operation in self._looks(lambda: self._admin.operation(name), progress, backup):
            if operation.get("status") == "DONE":
                if errors := operation.get("error", {}).get("errors"):
                    raise self._failed(backup, f"ended with an error {_why(errors[0])}")
                return

    def _there(self, backup: Backup, progress: Progress) -> Resource | None:
        def look() -> Resource:
            found = self._admin.backup(backup.id) if backup.id else self._admin.find(backup.description)
            return found or {}

        for run in self._looks(look, progress, backup):
            if run.get("status") not in _UNDER_WAY:
                return run or None
        raise AssertionError("unreachable")

    def _looks(self, look: Callable[[], Resource], progress: Progress, backup: Backup) -> Iterator[Resource]:
        """What is found, look after look, until the time is over."""
        for pause in _pauses():
            seen = look()
            progress.set(progress.seconds, str(seen.get("status", "")).lower())
            yield seen
            if self._waited_too_long():
                raise Refused(
                    f"The backup of {self._instance} is still under way after {self._settings.wait_s:g} seconds.",
                    f"{backup.phase} would write before there is a way back.",
                    "Run again: it is found and waited for. For longer waits set cloud_sql.wait_s.",
                )
            time.sleep(pause)

    def _failed(self, backup: Backup, what: str) -> "_Failed":
        self._register.drop(backup)
        return _Failed(
            f"The backup of {self._instance} {what}.",
            "Without it there would be no way back to the instance as it stands, so nothing is written.",
            "See gcloud sql operations list, mend the cause, then run again; cloud_sql.backups: false goes without.",
        )

    def _rotate(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Have the backups of ours beyond those to keep deleted; their numbers, and what stood in the way.

        One that stays is no reason for a phase not to begin: the next backup tries again.
        """
        dropped, remarks = [], []
        here = [one for one in self._register.kept if one.instance == self._instance]
        for old in here[: -self._settings.keep]:
            try:
                if self._let_go(old):
                    dropped.append(old.id)
                else:
                    remarks.append(f"The backup {old.id} is not the one that the workbook had taken: it is left alone.")
                self._register.drop(old)
            except WorkbookError as error:
                remarks.append(f"The backup {old.id} could not be deleted: {error.found}")
        return tuple(dropped), tuple(remarks)

    def _let_go(self, old: Backup) -> bool:
        """Delete a backup, or find it gone; False where under its number stands another."""
        run = self._admin.backup(old.id)
        if run is None or run.get("status") in ("DELETED", "DELETION_PENDING"):
            return True
        if (run.get("description"), run.get("type")) != (old.description, "ON_DEMAND"):
            return False
        operation = self._admin.delete(old.id)
        for pause in _pauses():
            if operation.get("status") == "DONE" or self._waited_too_long():
                break
            time.sleep(pause)
            operation = self._admin.operation(str(operation["name"]))
        if errors := operation.get("error", {}).get("errors"):
            raise TransientError(
                f"the deletion ended with an error {_why(errors[0])}.", "It goes on costing.", "It is tried again."
            )
        return True

    def _shown(self, phase: str) -> Progress:
        return Progress(f"Backup of {self._admin.place.name} before {phase}", None, "seconds")

    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _waited_too_long(self) -> bool:
        return self._seconds() > self._settings.wait_s


def _pauses() -> Iterator[float]:
    pause = 0.2
    while True:
        yield pause
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _resolved(host: str) -> set[str]:
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(host, None)}
    except OSError:
        return set()


def _backup_id(operation: Resource) -> str:
    return str(operation.get("backupContext", {}).get("backupId", ""))


def _why(error: Resource | None) -> str:
    """An error of an operation in a line."""
    return f"({error.get('code', '')}: {' '.join(str(error.get('message', '')).split())[:300]})" if error else ""
