"""How a worker on another machine logs in to a server: an address, and where its password is kept, never the password."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from workbook import params
from workbook.errors import UsageError
from workbook.params import LOOPBACK, Settings


@dataclass(frozen=True)
class Login:
    """A server as the params name it. `password` is a reference, `folder` what a file's path is relative to.

    With an `instance` the Cloud SQL connector leads there, and the URL gives the user alone.
    """

    role: str
    url: str
    password: str | None
    folder: str
    instance: str | None = None
    public: bool = False

    def resolved(self) -> tuple[str, int, str, str]:
        """Host, port, user and password; for the worker itself, to be written nowhere."""
        return params.mysql_address(params.Replica(url=self.url, password=self.password), Path(self.folder))

    def asdict(self) -> dict[str, Any]:
        """Plain values; none of them is secret."""
        return asdict(self)


def logins(settings: Settings) -> tuple[Login, Login]:
    """Source and target as workers reach them. Raises UsageError for a password that no worker could or should see."""
    beam = settings.beam
    found = []
    for role, section, instance in (
        ("source", settings.source, beam.source_instance),
        ("target", settings.target, beam.target_instance),
    ):
        login = Login(role, section.url, section.password, str(settings.folder.resolve()), instance, beam.public_ips)
        if urlsplit(section.url).password:
            raise UsageError(
                f"The URL of the {role} holds a password.",
                "It would become part of the pipeline, which is stored and shown elsewhere.",
                "Take it out of the URL and give it as a reference: env:NAME, file:PATH or secret-manager:….",
            )
        if beam.runner == "dataflow":
            _reachable(login)
        found.append(login)
    return found[0], found[1]


def _reachable(login: Login) -> None:
    """Raises UsageError for what only this machine knows."""
    if not (login.password or "").startswith("secret-manager:"):
        raise UsageError(
            f"The password of the {login.role} is not kept in Secret Manager.",
            "Workers on Dataflow see neither this machine's environment nor its files.",
            f"Keep it there and write {login.role}.password: secret-manager:projects/P/secrets/S",
        )
    if login.instance is None and (login.url.startswith("sandbox:") or urlsplit(login.url).hostname in LOOPBACK):
        raise UsageError(
            f"The {login.role} has an address of this machine: {params.masked(login.url)}.",
            "Workers on Dataflow would look for it on themselves.",
            f"Give its private address, or beam.{login.role}_instance for the Cloud SQL connector.",
        )
