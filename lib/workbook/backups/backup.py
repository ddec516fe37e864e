"""What a backup is: whose, of when, at what cost, the commands that lead back to it, and the register that knows them all."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from workbook import faces
from workbook.faces import Html, human_bytes

# Under this name the ledger keeps the register.
_NOTE = "cloud sql backups"
# Said wherever the commands are.
NOT_BY_US = (
    "The workbook takes these backups and does not restore them: a restore takes the whole instance back, with databases,"
    " accounts and rows that others made since, and it is down meanwhile. `workbook rollback` undoes what the workbook made,"
    " and nothing else."
)


class Book(Protocol):
    """What the register needs of the ledger."""

    def note(self, name: str, value: Any) -> None:
        """Keep a small value under a name."""

    def noted(self, name: str) -> Any:
        """The value kept under a name, or None."""


@dataclass(frozen=True)
class Instance:
    """A Cloud SQL instance by its connection name; the project may hold a colon (example.com:project)."""

    project: str
    region: str
    name: str

    @classmethod
    def of(cls, connection_name: str) -> "Instance":
        """The parts of project:region:instance."""
        project, region, name = connection_name.rsplit(":", 2)
        return cls(project, region, name)


@dataclass(frozen=True)
class Backup:
    """The instance (project:region:instance) before `phase` of `run` wrote to it.

    `state` is taking or kept. Moments are the API's, RFC 3339 in UTC, but for `asked`, which is ours; `window` is that of
    the backup's own time, from its start to its end. `writers` is what had written to the target by then, as the ledger
    knew it. `bytes` are billed at most; None where the API does not say.
    """

    phase: str
    run: str
    instance: str
    description: str
    asked: str
    writers: Sequence[Any] = ()
    state: str = "taking"
    operation: str = ""
    id: str = ""
    window: tuple[str, str] = ("", "")
    location: str = ""
    version: str = ""
    bytes: int | None = None

    @property
    def cost(self) -> str:
        """What it costs, in words."""
        return "the API does not say" if self.bytes is None else f"{human_bytes(self.bytes)} billed at most"

    @property
    def in_place(self) -> str:
        """The command that takes the instance itself back: everything after the backup is lost."""
        place = Instance.of(self.instance)
        return self._restore(place.name)

    @property
    def aside(self) -> tuple[str, ...]:
        """The commands that make a new instance of the backup, and leave this one as it is."""
        place = Instance.of(self.instance)
        project, name, new = (shlex.quote(word) for word in (place.project, place.name, self._new))
        tier = f"gcloud sql instances describe {name} --project={project} --format='value(settings.tier)'"
        version = f" --database-version={shlex.quote(self.version)}" if self.version else ""
        return (
            f'gcloud sql instances create {new}{version} --region={shlex.quote(place.region)} --tier="$({tier})"'
            f" --project={project}",
            self._restore(self._new),
        )

    @property
    def moment(self) -> str:
        """The command that makes a new instance as this one was at the backup's start, with all its settings."""
        place = Instance.of(self.instance)
        words = ("gcloud", "sql", "instances", "clone", place.name, self._new)
        return shlex.join([*words, f"--point-in-time={self.window[0]}", f"--project={place.project}"])

    @property
    def ways(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Each way back in words, with its commands."""
        found: list[tuple[str, tuple[str, ...]]] = [
            ("in place; everything that was written after it is lost", (self.in_place,)),
            ("into a new instance, this one stays as it is", self.aside),
        ]
        if self.window[0]:
            words = "the same by point-in-time recovery, where the instance has it switched on"
            found.append((words, (self.moment,)))
        return tuple(found)

    @property
    def _new(self) -> str:
        return f"{Instance.of(self.instance).name}-before-{self.phase.replace('_', '-')}"

    def _restore(self, into: str) -> str:
        place = Instance.of(self.instance)
        options = (f"--restore-instance={into}", f"--backup-instance={place.name}", f"--project={place.project}")
        return shlex.join(["gcloud", "sql", "backups", "restore", self.id, *options])

    def as_api_says(self, run: Mapping[str, Any]) -> "Backup":
        """The same with what the API says of it."""
        size = run.get("maxChargeableBytes")
        return replace(
            self,
            id=str(run.get("id") or self.id),
            window=(str(run.get("startTime", "")), str(run.get("endTime", ""))),
            location=str(run.get("location", "")),
            version=str(run.get("databaseVersion", "")),
            bytes=None if size is None else int(size),
        )


@dataclass(frozen=True)
class Taken:
    """What there is before a phase writes: the backup, and how older ones fared; `seconds` is how long it was waited for."""

    backup: Backup
    seconds: float = 0.0
    why: str = ""
    dropped: tuple[str, ...] = field(default=())
    remarks: tuple[str, ...] = field(default=())

    def _repr_html_(self) -> str:
        backup = self.backup
        return faces.stack(
            faces.boxes(
                ("Backup of Cloud SQL", backup.id),
                ("Instance", backup.instance),
                ("Begun", backup.window[0]),
                ("Ended", backup.window[1]),
                ("Costs", backup.cost),
            ),
            faces.text(self.why, muted=True) if self.why else None,
            faces.text(f"Let go: {', '.join(self.dropped)}", muted=True) if self.dropped else None,
            *(faces.text(remark) for remark in self.remarks),
            commands([backup]),
        )


class Register:
    """The backups of one environment, oldest first, in its ledger."""

    def __init__(self, book: Book):
        self._book = book
        self._backups = [_backup(content) for content in book.noted(_NOTE) or ()]

    @property
    def backups(self) -> tuple[Backup, ...]:
        """All that are noted, whether there already or still asked for."""
        return tuple(self._backups)

    @property
    def kept(self) -> tuple[Backup, ...]:
        """Those that one can go back to."""
        return tuple(backup for backup in self._backups if backup.state == "kept")

    def put(self, backup: Backup) -> Backup:
        """Note a backup, in the place of what was noted under its description."""
        others = [other for other in self._backups if other.description != backup.description]
        self._note([*others, backup])
        return backup

    def drop(self, backup: Backup) -> None:
        """Forget a backup."""
        self._note([other for other in self._backups if other.description != backup.description])

    def _note(self, backups: list[Backup]) -> None:
        self._backups = backups
        self._book.note(_NOTE, [asdict(backup) for backup in backups])


def commands(backups: Sequence[Backup]) -> Html | None:
    """The ways back to each, folded, with why nobody but a person takes them; None where there is no backup."""
    if not backups:
        return None
    parts = []
    for backup in backups:
        ways = ""
        for words, lines in backup.ways:
            shown = "\n".join(faces.escape(line, limit=4000) for line in lines)
            ways += f"<p>{faces.escape(words)}</p><pre>{shown}</pre>"
        title = f"Back to {backup.instance} before {backup.phase} (backup {backup.id})"
        parts.append(f"<details><summary>{faces.escape(title, limit=400)}</summary>{ways}</details>")
    return faces.block(f'{"".join(parts)}<p class="wb-muted">{faces.escape(NOT_BY_US, limit=1000)}</p>')


def _backup(content: Mapping[str, Any]) -> Backup:
    return Backup(**{**content, "window": tuple(content["window"])})
