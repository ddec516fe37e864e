"""The Admin API of Cloud SQL as far as backups need it, each failure told in three parts.

Six calls of REST over google-auth's session. Google's client for it (google-api-python-client) brings 110 MB of what it
knows of every other API, and its transport sends a POST again by itself where the line was cut: two backups for one.
Resources and errors: https://cloud.google.com/sql/docs/mysql/admin-api/rest/v1/backupRuns
"""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from workbook.backups.backup import Instance
from workbook.errors import Refused, TerminalError, TransientError, WorkbookError
from workbook.params_cloud_sql import CloudSql
from workbook.servers import retried

if TYPE_CHECKING:
    import requests

_ADDRESS = "https://sqladmin.googleapis.com"
_CALL_SECONDS = 60
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
# A call that may pass is made so often, with doubling waits: a quarter of a minute in all.
_TRIES = 6
_PAGE = 100
_DISABLED = {"accessNotConfigured", "SERVICE_DISABLED"}
_TOO_MANY = {"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "RATE_LIMIT_EXCEEDED"}
_NOTHING_WRITTEN = "Without the backup there would be no way back to the instance as it stands, so nothing is written."

Resource = dict[str, Any]


class Busy(TransientError):
    """The instance is about something else; it takes one operation at a time."""


class Admin:
    """The backups of one instance. `place` is where they are; no call is made before one is needed.

    Raises TerminalError where the machine has no login.
    """

    def __init__(self, settings: CloudSql):
        self.place = Instance.of(settings.instance or "")
        self._session = _session(settings)
        project = f"{(settings.endpoint or _ADDRESS).rstrip('/')}/v1/projects/{quote(self.place.project, safe='')}"
        self._operations = f"{project}/operations"
        self._instance = f"{project}/instances/{quote(self.place.name, safe='')}"
        self._runs = f"{self._instance}/backupRuns"

    def reach(self) -> None:
        """Raise Refused where the instance or its backups cannot be seen."""
        self._get(self._runs, "cloudsql.backupRuns.list", maxResults=1)

    def addresses(self) -> set[str]:
        """The instance's own addresses and names, none of which may be the one that it is reached by."""
        found = self._get(self._instance, "cloudsql.instances.get")
        names = [found.get("dnsName"), *(entry.get("name") for entry in found.get("dnsNames", ()))]
        numbers = [entry.get("ipAddress") for entry in found.get("ipAddresses", ())]
        return {str(word).rstrip(".").lower() for word in (*names, *numbers) if word}

    def insert(self, description: str, location: str | None) -> Resource:
        """Ask for a backup; the operation. Tried once: an answer that is lost may have been a yes."""
        body = {"description": description, **({"location": location} if location else {})}
        return self._once("POST", self._runs, "cloudsql.backupRuns.create", json=body)

    def operation(self, name: str) -> Resource:
        """An operation as it stands."""
        return self._get(f"{self._operations}/{quote(name, safe='')}", "cloudsql.instances.get")

    def backup(self, id: str) -> Resource | None:
        """A backup by its number; None where there is none."""
        try:
            return self._get(f"{self._runs}/{quote(id, safe='')}", "cloudsql.backupRuns.get")
        except WorkbookError as error:
            if error.code == 404:
                return None
            raise

    def find(self, description: str) -> Resource | None:
        """The backup on demand that bears this description, the latest first; None where there is none."""
        page: Resource = {"nextPageToken": None}
        while "nextPageToken" in page:
            page = self._get(self._runs, "cloudsql.backupRuns.list", maxResults=_PAGE, pageToken=page["nextPageToken"])
            for run in page.get("items", ()):
                if run.get("description") == description and run.get("type") == "ON_DEMAND":
                    return dict(run)
        return None

    def delete(self, id: str) -> Resource:
        """Have a backup deleted; the operation."""
        return self._once("DELETE", f"{self._runs}/{quote(id, safe='')}", "cloudsql.backupRuns.delete")

    def _get(self, url: str, permission: str, **query: Any) -> Resource:
        return retried(lambda: self._once("GET", url, permission, params=query), _TRIES)

    def _once(self, verb: str, url: str, permission: str, **content: Any) -> Resource:
        # Imported here: not a tenth of the runs asks this API.
        import google.auth.exceptions
        import requests

        try:
            # The login must not follow an answer to another host.
            answer = self._session.request(verb, url, timeout=_CALL_SECONDS, allow_redirects=False, **content)
            if answer.status_code != 200:
                raise explained(answer.status_code, answer.content, self.place, permission)
            resource: Resource = answer.json()
            return resource
        except google.auth.exceptions.TransportError as error:
            raise _unreachable(error) from None
        except google.auth.exceptions.GoogleAuthError as error:
            # Its words may hold what the login was asked for with.
            raise _no_login(type(error).__name__) from None
        except requests.RequestException as error:
            raise _unreachable(error) from None


def explained(status: int, content: bytes, place: Instance, permission: str) -> WorkbookError:
    """The error of a call for which `permission` is needed, in our words; `code` is the HTTP status."""
    said, reasons = _said(content)
    for met, made in _ANSWERS:
        if met(status, reasons):
            found = made(place, permission, said or f"HTTP status {status}")
            found.code = status
            return found
    raise AssertionError("the last line meets all")


def _unreachable(error: Exception) -> TransientError:
    return TransientError(
        f"The Cloud SQL Admin API cannot be reached: {type(error).__name__}.",
        _NOTHING_WRITTEN,
        "Check the network and cloud_sql.endpoint, then run again.",
    )


def _disabled(place: Instance, permission: str, said: str) -> WorkbookError:
    return Refused(
        f"The Cloud SQL Admin API is not enabled in the project {place.project}.",
        _NOTHING_WRITTEN,
        f"Enable it, wait a minute, then run again: gcloud services enable sqladmin.googleapis.com --project={place.project}",
    )


def _busy(place: Instance, permission: str, said: str) -> WorkbookError:
    return Busy(
        f"The instance {place.name} is about another operation: {said}",
        "It takes one at a time, a backup among them.",
        "Wait for it to end (gcloud sql operations list), then run again.",
    )


def _too_many(place: Instance, permission: str, said: str) -> WorkbookError:
    return TransientError(
        f"The Cloud SQL Admin API has had too many requests: {said}",
        _NOTHING_WRITTEN,
        "Wait some minutes, then run again; the quota is that of the project.",
    )


def _no_permission(place: Instance, permission: str, said: str) -> WorkbookError:
    return Refused(
        f"The account may not do this to the backups of {place.project}:{place.name}, the permission {permission} is"
        f" missing: {said}",
        _NOTHING_WRITTEN,
        f"Give it roles/cloudsql.editor in the project {place.project}, or a role with {permission}, then run again. Check"
        " cloud_sql.instance too: of a project that does not exist the API says the same.",
    )


def _not_there(place: Instance, permission: str, said: str) -> WorkbookError:
    return Refused(
        f"There is no instance {place.name} in the project {place.project}, or not what was asked of it: {said}",
        _NOTHING_WRITTEN,
        "Mend cloud_sql.instance (project:region:instance, as gcloud sql instances describe has it under connectionName).",
    )


def _away(place: Instance, permission: str, said: str) -> WorkbookError:
    return TransientError(
        f"The Cloud SQL Admin API failed: {said}", _NOTHING_WRITTEN, "Wait some minutes, then run again."
    )


def _else(place: Instance, permission: str, said: str) -> WorkbookError:
    return Refused(
        f"The Cloud SQL Admin API refused: {said}",
        _NOTHING_WRITTEN,
        "Mend the cause named above, or switch cloud_sql.backups off, then run again.",
    )


def _no_login(what: str) -> TerminalError:
    return TerminalError(
        f"No credentials for the Cloud SQL Admin API: {what}.",
        _NOTHING_WRITTEN,
        "Run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS.",
    )


# The first line that is met tells what an answer means.
_ANSWERS: tuple[tuple[Callable[[int, set[str]], bool], Callable[[Instance, str, str], WorkbookError]], ...] = (
    (lambda code, reasons: code == 403 and bool(reasons & _DISABLED), _disabled),
    (lambda code, reasons: "operationInProgress" in reasons, _busy),
    (lambda code, reasons: code == 429 or bool(reasons & _TOO_MANY), _too_many),
    (lambda code, reasons: code == 401, lambda place, permission, said: _no_login(said)),
    (lambda code, reasons: code == 403, _no_permission),
    (lambda code, reasons: code == 404, _not_there),
    (lambda code, reasons: code >= 500 or code == 408, _away),
    (lambda code, reasons: True, _else),
)


def _said(content: bytes) -> tuple[str, set[str]]:
    """The message of an error and its reasons, of either form that Google's APIs have."""
    try:
        error = json.loads(content)["error"]
        details: list[Mapping[str, Any]] = [*error.get("errors", ()), *error.get("details", ())]
        reasons = {str(detail["reason"]) for detail in details if "reason" in detail}
        return " ".join(str(error.get("message", "")).split())[:300], reasons
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", set()


def _session(settings: CloudSql) -> "requests.Session":
    import google.auth
    import google.auth.exceptions
    import requests
    from google.auth.transport.requests import AuthorizedSession

    if settings.anonymous:
        session = requests.Session()
        # Neither a proxy nor a login of the machine: what is asked is here.
        session.trust_env = False
        return session
    try:
        credentials, _ = google.auth.default(scopes=_SCOPES)
    except google.auth.exceptions.DefaultCredentialsError as error:
        raise _no_login(type(error).__name__) from None
    return AuthorizedSession(credentials)
