"""Telling people, by webhook and by mail, when the state of an environment changes: only then, and never to a run's harm."""

import json
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from workbook.errors import TransientError, UsageError, WorkbookError
from workbook.params import LOOPBACK, Settings, secret
from workbook.params_nights import REFERENCE
from workbook.phases.ledger import Ledger, now
from workbook.phases.record import RunRecord

_SECONDS = 10
_WHY = "It is needed to tell people how the run went."
# Under these names the ledger keeps how each phase last ended, and what a channel was last told.
_STATE, _TOLD = "state of phases", "told by {}"
# The name in the state under which stands a run that could not begin.
_START = "start"


@dataclass(frozen=True)
class Message:
    """What is told: what is wrong now, by phase, and what was when this channel was last told. No values, no names of tables."""

    environment: str
    run_id: str | None
    wrong: Mapping[str, str]
    before: Mapping[str, str]
    at: str
    link: str | None

    @property
    def subject(self) -> str:
        """The message in one line."""
        if not self.wrong:
            return f"{self.environment}: good again" if self.before else f"{self.environment}: good"
        words = ", ".join(
            f"{phase.replace('_', ' ')} {_SAID.get(status, status)}" for phase, status in self.wrong.items()
        )
        return f"{self.environment}: {words}"

    def asdict(self) -> dict[str, Any]:
        """For a webhook; `text` is what chats show."""
        return {
            "text": f"Migration workbook, {self.subject}" + (f" {self.link}" if self.link else ""),
            "environment": self.environment,
            "state": "bad" if self.wrong else "good",
            "wrong": dict(self.wrong),
            "before": dict(self.before),
            "run_id": self.run_id,
            "at": self.at,
            "link": self.link,
        }

    def mail(self, sender: str, recipients: tuple[str, ...]) -> EmailMessage:
        """For people's mailboxes."""
        mail = EmailMessage()
        mail["Subject"] = f"[workbook] {self.subject}"
        mail["From"] = sender
        mail["To"] = ", ".join(recipients)
        lines = [self.subject, "", f"Run:   {self.run_id or 'none: a trial'}", f"Time:  {self.at}"]
        lines += [f"Page:  {self.link}"] if self.link else ["Page:  in the folder of the run, index.html"]
        lines += ["", "Before: " + (", ".join(f"{name} {word}" for name, word in self.before.items()) or "good")]
        lines += ["", "The next mail comes when this changes."]
        mail.set_content("\n".join(lines) + "\n")
        return mail


_SAID = {"failed": "has a bad verdict", "error": "could not be carried out"}


def tell(settings: Settings, record: RunRecord, say: Callable[[str], None]) -> None:
    """Tell each channel of the params where the state differs from what it was last told; what came of it is in run.json.

    A channel that fails is tried again after the next run, and changes nothing else.
    """
    ledger = Ledger(settings.environment)
    state = _after(ledger.noted(_STATE) or {}, record.content)
    ledger.note(_STATE, state)
    wrong = {name: status for name, status in state.items() if status != "ok"}
    found = []
    for channel, send in _channels(settings).items():
        told = ledger.noted(_TOLD.format(channel)) or {}
        if told == wrong:
            continue
        link = _link(settings, record.content["run_id"])
        message = Message(settings.environment, record.content["run_id"], wrong, told, now(), link)
        why = _sent(send, message)
        if why is None:
            ledger.note(_TOLD.format(channel), wrong)
        else:
            say(f"The {channel} could not be told: {why}")
        found.append({"channel": channel, "sent": why is None, "why": why})
    if found:
        record.content["notified"] = found
        record.write()


def try_out(settings: Settings) -> list[str]:
    """Send a trial message by each channel; their names. Raises UsageError where there is none, else what failed."""
    channels = _channels(settings)
    if not channels:
        raise UsageError(
            "The params name nobody to tell.", "There is nothing to try.", "Set notify.webhook, or notify.mail_server."
        )
    message = Message(settings.environment, None, {}, {}, now(), _link(settings, None))
    for channel, send in channels.items():
        why = _sent(send, message)
        if why is not None:
            raise TransientError(
                f"The {channel} could not be told: {why}",
                "A night that goes wrong would not be heard of.",
                "Mend the section notify of the params (params/README.md), then try again.",
            )
    return list(channels)


def _after(state: Mapping[str, str], run: Mapping[str, Any]) -> dict[str, str]:
    """The state of the phases after a run: those that it did not reach are as they were."""
    ran = {phase["name"]: phase["status"] for phase in run["phases"] if phase["status"] not in ("pending", "skipped")}
    begun = "ok" if ran else str(run["status"])
    return {**state, _START: begun, **ran}


def _channels(settings: Settings) -> dict[str, Callable[[Message], None]]:
    notify = settings.notify
    found: dict[str, Callable[[Message], None]] = {}
    if notify.webhook:
        found["webhook"] = lambda message: _post(settings, message)
    if notify.mail_server:
        found["mail"] = lambda message: _mail(settings, message)
    return found


def _sent(send: Callable[[Message], None], message: Message) -> str | None:
    """None where the message went out, else why not, in words without a secret."""
    try:
        send(message)
    except WorkbookError as error:
        return error.found
    except urllib.error.HTTPError as error:
        return f"it answered with {error.code}"
    except urllib.error.URLError as error:
        return f"it cannot be reached: {type(error.reason).__name__}"
    except smtplib.SMTPResponseException as error:
        return f"the mail server answered with {error.smtp_code}"
    except Exception as error:  # whatever a network, a proxy or a server does: the run is done and stays so
        return f"{type(error).__name__}"
    return None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A POST that is sent elsewhere becomes a GET, and would carry the token there."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _post(settings: Settings, message: Message) -> None:
    url = settings.notify.webhook or ""
    if REFERENCE.match(url):
        url = secret(url, settings.folder, _WHY)
    parts = urlsplit(url)
    headers = {"Content-Type": "application/json", "User-Agent": "migration-workbook"}
    if settings.notify.webhook_token is not None:
        if parts.scheme != "https" and parts.hostname not in LOOPBACK:
            raise UsageError(
                "The webhook is no https URL, and its token would be read on the way.", "", "Give an https URL."
            )
        headers["Authorization"] = f"Bearer {secret(settings.notify.webhook_token, settings.folder, _WHY)}"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError("The webhook is no http or https URL.", _WHY, "Mend notify.webhook or what it refers to.")
    request = urllib.request.Request(url, json.dumps(message.asdict()).encode(), headers, method="POST")
    with urllib.request.build_opener(_NoRedirect).open(request, timeout=_SECONDS):
        pass


def _mail(settings: Settings, message: Message) -> None:
    notify = settings.notify
    parts = urlsplit(notify.mail_server or "")
    host, context = parts.hostname or "", ssl.create_default_context()
    server: smtplib.SMTP
    if parts.scheme == "smtps":
        server = smtplib.SMTP_SSL(host, parts.port or 465, timeout=_SECONDS, context=context)
    else:
        server = smtplib.SMTP(host, parts.port or 587, timeout=_SECONDS)
    with server:
        server.ehlo()
        safe = parts.scheme == "smtps" or host in LOOPBACK
        if parts.scheme == "smtp" and server.has_extn("starttls"):
            server.starttls(context=context)
            server.ehlo()
            safe = True
        if notify.mail_password is not None:
            if not safe:
                raise UsageError(
                    "The mail server offers no TLS, and the password would be read on the way.", "", "Use smtps://."
                )
            server.login(unquote(parts.username or ""), secret(notify.mail_password, settings.folder, _WHY))
        server.send_message(message.mail(notify.mail_from or "", notify.mail_to))


def _link(settings: Settings, run_id: str | None) -> str | None:
    site = settings.notify.site_url
    if site is None:
        return None
    return f"{site.rstrip('/')}/{f'{quote(run_id)}/' if run_id else ''}index.html"
