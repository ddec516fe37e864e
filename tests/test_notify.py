"""Who is told what, and when: against a receiver of webhooks and a mail server that the tests start."""

import json
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, Session

from workbook import params
from workbook.errors import TransientError, UsageError
from workbook.phases.notify import tell, try_out
from workbook.phases.order import PHASES
from workbook.phases.record import RunRecord

SECRET = "pl4nted-s3cret-value"


class Receiver(HTTPServer):
    """Takes POSTs; `answer` is the status that it gives."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answer = 200

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                server = self.server
                assert isinstance(server, Receiver)
                server.headers.append(dict(self.headers))
                server.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(server.answer)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class Mailbox:
    """Keeps the mails that the server takes, and the passwords that were given."""

    def __init__(self) -> None:
        self.mails: list[str] = []
        self.passwords: list[bytes] = []
        self.encrypted: list[bool] = []
        self.answer = "250 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.mails.append((envelope.content or b"").decode())  # type: ignore[union-attr]
        self.encrypted.append(session.ssl is not None)
        return self.answer

    def login(self, server: Any, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        self.passwords.append(data.password)
        return AuthResult(success=data.password == SECRET.encode())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost and its key, in one file."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run(["openssl", *words.split(), "-keyout", path, "-out", f"{path}.crt"], check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@pytest.fixture
def mailbox(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Mailbox, int]]:
    """A mail server that wants STARTTLS before a password; and its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(
        box,
        "127.0.0.1",
        port,
        server_hostname="localhost",
        tls_context=context,
        require_starttls=True,
        authenticator=box.login,
    )
    controller.start()
    try:
        yield box, port
    finally:
        controller.stop()


class Nights:
    """Runs of an environment, made by their records alone, with what the channels are told after each."""

    def __init__(self, folder: Path, notify: dict[str, Any]):
        self.folder = folder
        content = {
            "environment": "live",
            "source": {"url": "mysql://root@127.0.0.1:1", "databases": ["shop"]},
            "target": {"url": "mysql://root@127.0.0.1:2"},
            "warehouse": {"project": "local-project", "dataset": "shop"},
            "notify": notify,
        }
        self.settings = params.from_values(content, folder, "the test")
        self.said: list[str] = []

    def night(self, **statuses: str) -> dict[str, Any]:
        """A run in which the named phases ended so; none: it could not begin. What run.json then holds."""
        kinds = [kind for kind in PHASES if kind.name in statuses] or [PHASES[0]]
        record = RunRecord.start(self.settings, self.folder / "reports", kinds)
        for kind in kinds:
            if kind.name in statuses:
                record.phase_ended(kind, None, 1.0, statuses[kind.name])
        record.end(next((status for status in statuses.values() if status != "ok"), "ok" if statuses else "error"))
        tell(self.settings, record, self.said.append)
        written: dict[str, Any] = json.loads((record.folder / "run.json").read_text())
        return written


@pytest.fixture(autouse=True)
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBOOK_REPORTS", str(tmp_path / "reports"))


def test_only_a_change_of_state_is_told(tmp_path: Path, receiver: Receiver) -> None:
    nights = Nights(tmp_path, {"webhook": receiver.url, "site_url": "https://reports.example/shop/"})
    nights.night(bulk_load="ok", validate="ok")
    assert receiver.got == []
    bad = nights.night(bulk_load="ok", validate="failed")
    nights.night(bulk_load="ok", validate="failed")
    assert len(receiver.got) == 1
    told = receiver.got[0]
    assert told["text"].startswith(
        "Migration workbook, live: validate has a bad verdict https://reports.example/shop/2"
    )
    assert (told["state"], told["wrong"], told["before"]) == ("bad", {"validate": "failed"}, {})
    assert told["link"] == f"https://reports.example/shop/{bad['run_id']}/index.html"
    assert bad["notified"] == [{"channel": "webhook", "sent": True, "why": None}]
    # A run of other phases says nothing of the one that is bad, and a run that does not get there neither.
    nights.night(profile="ok")
    nights.night(bulk_load="error")
    nights.night(bulk_load="ok")
    assert [item["wrong"] for item in receiver.got[1:]] == [
        {"validate": "failed", "bulk_load": "error"},
        {"validate": "failed"},
    ]
    nights.night()
    nights.night(bulk_load="ok", validate="ok")
    assert [item["wrong"] for item in receiver.got[3:]] == [{"validate": "failed", "start": "error"}, {}]
    assert receiver.got[-1]["text"].startswith("Migration workbook, live: good again")


@pytest.mark.parametrize("answer", [500, 302])
def test_what_could_not_be_told_is_on_record_and_told_the_next_night(
    tmp_path: Path, receiver: Receiver, answer: int
) -> None:
    nights = Nights(tmp_path, {"webhook": receiver.url})
    receiver.answer = answer
    night = nights.night(validate="failed")
    assert night["status"] == "failed"
    assert night["notified"] == [{"channel": "webhook", "sent": False, "why": f"it answered with {answer}"}]
    assert nights.said == [f"The webhook could not be told: it answered with {answer}"]
    # Nothing was sent after a redirect.
    assert len(receiver.got) == 1
    receiver.answer = 204
    nights.night(validate="failed")
    assert receiver.got[-1]["wrong"] == {"validate": "failed"}
    assert len(receiver.got) == 2


def test_a_receiver_that_is_away_or_a_missing_secret_changes_nothing(tmp_path: Path) -> None:
    away = {
        "webhook": "http://127.0.0.1:9/",
        "mail_server": "smtp://127.0.0.1:9",
        "mail_from": "a@x",
        "mail_to": ["b@x"],
    }
    night = Nights(tmp_path, away).night(validate="failed")
    assert night["status"] == "failed"
    assert [(item["channel"], item["sent"]) for item in night["notified"]] == [("webhook", False), ("mail", False)]
    secret = Nights(tmp_path, {"webhook": "env:WORKBOOK_TEST_NO_SUCH_HOOK"}).night(bulk_load="error")
    assert secret["notified"][0]["why"] == "The environment variable WORKBOOK_TEST_NO_SUCH_HOOK is not set."


def test_the_webhook_and_its_token_come_from_references_and_stay_there(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBOOK_TEST_HOOK", f"{receiver.url}/{SECRET}")
    (tmp_path / "token").write_text(f"{SECRET}\n")
    nights = Nights(tmp_path, {"webhook": "env:WORKBOOK_TEST_HOOK", "webhook_token": "file:token"})
    nights.night(validate="failed")
    assert receiver.headers[0]["Authorization"] == f"Bearer {SECRET}"
    receiver.answer = 404
    nights.night(validate="error")
    assert "404" in nights.said[0]
    assert SECRET not in str(nights.said)
    for path in (tmp_path / "reports").rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


def test_a_token_is_not_sent_in_the_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBOOK_TEST_TOKEN", SECRET)
    nights = Nights(tmp_path, {"webhook": "http://hook.invalid/", "webhook_token": "env:WORKBOOK_TEST_TOKEN"})
    assert "token would be read on the way" in nights.night(validate="failed")["notified"][0]["why"]


def test_a_mail_goes_out_encrypted_with_the_password_of_its_reference(
    tmp_path: Path, mailbox: tuple[Mailbox, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, port = mailbox
    monkeypatch.setenv("WORKBOOK_TEST_MAIL", SECRET)
    keys = {
        "mail_server": f"smtp://night%40shop@localhost:{port}",
        "mail_password": "env:WORKBOOK_TEST_MAIL",
        "mail_from": "workbook@shop.example",
        "mail_to": ["oncall@shop.example", "lead@shop.example"],
    }
    nights = Nights(tmp_path, keys)
    night = nights.night(validate="failed")
    assert night["notified"] == [{"channel": "mail", "sent": True, "why": None}]
    assert box.passwords == [SECRET.encode()]
    assert box.encrypted == [True]
    (mail,) = box.mails
    assert "Subject: [workbook] live: validate has a bad verdict" in mail
    assert "To: oncall@shop.example, lead@shop.example" in mail
    assert night["run_id"] in mail
    box.answer = "554 not today"
    night = nights.night(validate="ok")
    assert night["notified"] == [{"channel": "mail", "sent": False, "why": "the mail server answered with 554"}]


def test_a_trial_tells_everybody_or_says_who_could_not_be_told(tmp_path: Path, receiver: Receiver) -> None:
    nights = Nights(tmp_path, {"webhook": receiver.url})
    assert try_out(nights.settings) == ["webhook"]
    assert receiver.got[0]["state"] == "good"
    receiver.answer = 403
    with pytest.raises(TransientError, match="403"):
        try_out(nights.settings)
    with pytest.raises(UsageError, match="nobody"):
        try_out(Nights(tmp_path, {}).settings)


@pytest.mark.parametrize(
    "notify",
    [
        {"webhook": "ftp://x"},
        {"webhook": "hook"},
        {"webhook": "https://user:secret@x/"},
        {"mail_server": "smtp://x"},
        {"mail_server": "http://x", "mail_from": "a@x", "mail_to": ["b@x"]},
        {"mail_server": "smtp://x", "mail_from": "a@x\nBcc: c@x", "mail_to": ["b@x"]},
        {"mail_server": "smtp://x:99999", "mail_from": "a@x", "mail_to": ["b@x"]},
        {"webhok": "https://x"},
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, notify: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Nights(tmp_path, notify)


def test_a_run_of_the_command_tells(tmp_path: Path, receiver: Receiver) -> None:
    """A run that cannot begin, with servers that are not there: on record, told, and its status is what it would be."""
    assert os.environ["WORKBOOK_REPORTS"]
    nights = Nights(tmp_path, {"webhook": receiver.url})
    from workbook.phases.run import run

    with pytest.raises(TransientError):
        run(nights.settings, tmp_path / "params.yaml", {}, ["profile"], nights.said.append, "02:00")
    assert receiver.got[0]["wrong"] == {"start": "error"}
