"""The Admin API of Cloud SQL on loopback, as far as its own description goes: what that does not know is refused.

There is no emulator of it. Each request is held against the discovery document that google-api-python-client brings (path,
method, parameters, the body by its schema), and so is each answer, so that neither side can make anything up.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import googleapiclient

DOCUMENT = json.loads(
    (Path(googleapiclient.__file__).parent / "discovery_cache" / "documents" / "sqladmin.v1.json").read_text()
)
_JSON = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict, "number": (int, float)}


@dataclass(frozen=True)
class Method:
    """A method of the API by its description."""

    id: str
    verb: str
    path: re.Pattern[str]
    query: frozenset[str]
    request: str | None
    response: str


def _methods() -> list[Method]:
    found = []
    for resource in DOCUMENT["resources"].values():
        for method in resource.get("methods", {}).values():
            path = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(method["path"]))
            query = {key for key, value in method.get("parameters", {}).items() if value["location"] == "query"}
            found.append(
                Method(
                    method["id"],
                    method["httpMethod"],
                    re.compile(f"/{path}"),
                    frozenset(query | DOCUMENT["parameters"].keys()),
                    method.get("request", {}).get("$ref"),
                    method["response"]["$ref"],
                )
            )
    return found


METHODS = _methods()


def breaches(value: Any, schema: dict[str, Any], place: str, sent: bool = False) -> list[str]:
    """What in a value is not as its schema has it; `sent` by a client, who may not set what is only read."""
    if "$ref" in schema:
        schema = DOCUMENT["schemas"][schema["$ref"]]
    if not isinstance(value, _JSON[schema["type"]]) or (isinstance(value, bool) and schema["type"] != "boolean"):
        return [f"{place} is no {schema['type']}"]
    if schema["type"] == "array":
        return [line for item in value for line in breaches(item, schema["items"], f"{place}[]", sent)]
    if schema["type"] == "object":
        lines = []
        for name, inner in value.items():
            known = schema.get("properties", {}).get(name)
            if known is None:
                lines.append(f"{place} has no {name}")
            elif sent and known.get("readOnly"):
                lines.append(f"{place}.{name} is only read")
            else:
                lines += breaches(inner, known, f"{place}.{name}", sent)
        return lines
    if "enum" in schema and value not in schema["enum"]:
        return [f"{place} is none of its values: {value}"]
    if schema.get("format") == "int64" and not re.fullmatch(r"-?\d+", value):
        return [f"{place} is no int64: {value}"]
    if schema.get("format") == "google-datetime":
        datetime.fromisoformat(value)
    return []


@dataclass
class Answer:
    """What is answered once in the place of the right answer; where `done`, the right thing is done all the same."""

    method: str
    status: int
    body: dict[str, Any]
    done: bool = False


@dataclass
class CloudSql:
    """Instances with their backups and operations; an operation goes a step on whenever it is looked at."""

    instances: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    operations: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    on_insert: Callable[[], None] = lambda: None
    held: bool = False  # operations stay as they are
    ends_with: dict[str, str] | None = None
    size: str | None = "1234567890"
    page: int = 2
    url: str = ""
    numbers: Iterator[int] = field(default_factory=itertools.count)
    asked: threading.Event = field(default_factory=threading.Event)

    def of(self, instance: str = "shop") -> list[dict[str, Any]]:
        return self.instances[f"my-project:{instance}"]

    def ids(self, instance: str = "shop") -> list[str]:
        return [run["id"] for run in self.of(instance) if run["status"] == "SUCCESSFUL"]

    def add(self, status: str = "SUCCESSFUL", instance: str = "shop", **values: str) -> dict[str, Any]:
        runs = self.instances.setdefault(f"my-project:{instance}", [])
        now = datetime.now(UTC)
        run = {
            "kind": "sql#backupRun", "id": str(1700000000000 + next(self.numbers)), "instance": instance, "status": status,
            "type": "ON_DEMAND", "enqueuedTime": now.isoformat(), "location": "eu", "databaseVersion": "MYSQL_8_4",
            "backupKind": "SNAPSHOT", "description": "by hand", **values,
        }  # fmt: skip
        if status == "SUCCESSFUL":
            self._end(run)
        runs.append(run)
        return run

    def _end(self, run: dict[str, Any]) -> None:
        now = datetime.now(UTC)
        run.update(status="SUCCESSFUL", startTime=(now - timedelta(seconds=60)).isoformat(), endTime=now.isoformat())
        if self.size is not None:
            run["maxChargeableBytes"] = self.size

    def _operation(self, kind: str, run: dict[str, Any]) -> dict[str, Any]:
        operation = {
            "kind": "sql#operation", "name": f"operation-{len(self.operations)}", "status": "PENDING",
            "operationType": kind, "targetId": run["instance"], "targetProject": "my-project",
            "insertTime": datetime.now(UTC).isoformat(), "backupContext": {"backupId": run["id"]},
        }  # fmt: skip
        self.operations[operation["name"]] = operation
        return operation

    def _step(self, operation: dict[str, Any]) -> None:
        if self.held or operation["status"] == "DONE":
            return
        operation["status"] = {"PENDING": "RUNNING", "RUNNING": "DONE"}[operation["status"]]
        (run,) = [run for run in self.of(operation["targetId"]) if run["id"] == operation["backupContext"]["backupId"]]
        if operation["operationType"] == "DELETE_BACKUP":
            run["status"] = "DELETED" if operation["status"] == "DONE" else "DELETION_PENDING"
        elif operation["status"] == "RUNNING":
            run["status"] = "RUNNING"
        elif self.ends_with is not None:
            run.update(status="FAILED", error={"kind": "sql#operationError", **self.ends_with})
            operation["error"] = {"errors": [{"kind": "sql#operationError", **self.ends_with}]}
        else:
            self._end(run)

    def do(self, method: str, path: dict[str, str], query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        if method == "sql.operations.get":
            operation = self.operations.get(path["operation"])
            if operation is None:
                return refusal(404, "The Cloud SQL operation does not exist.", "operationDoesNotExist")
            self._step(operation)
            return 200, operation
        runs = self.instances.get(f"{path['project']}:{path['instance']}")
        if path["project"] != "my-project":
            return refusal(403, "The client is not authorized to make this request.", "notAuthorized")
        if runs is None:
            return refusal(404, "The Cloud SQL instance does not exist.", "instanceDoesNotExist")
        if method == "sql.instances.get":
            addresses = [{"type": "PRIVATE", "ipAddress": "10.20.0.5"}]
            return 200, {"name": path["instance"], "ipAddresses": addresses, "dnsName": "abc.sql.goog."}
        if method in ("sql.backupRuns.insert", "sql.backupRuns.delete") and any(
            operation["status"] != "DONE" and operation["targetId"] == path["instance"]
            for operation in self.operations.values()
        ):
            message = "Operation failed because another operation was already in progress."
            return refusal(409, message, "operationInProgress")
        if method == "sql.backupRuns.insert":
            self.on_insert()
            run = self.add("ENQUEUED", path["instance"], **body)
            self.asked.set()
            return 200, self._operation("BACKUP_VOLUME", run)
        if method == "sql.backupRuns.list":
            # Backups move on by themselves; only somebody who looks at operations is told of these.
            start = int(query.get("pageToken", ["0"])[0])
            listed = [run for run in runs[::-1] if run["status"] != "DELETED"]
            size = min(self.page, int(query.get("maxResults", ["100"])[0]))
            answer: dict[str, Any] = {"kind": "sql#backupRunsList", "items": listed[start : start + size]}
            if start + size < len(listed):
                answer["nextPageToken"] = str(start + size)
            return 200, answer
        found = [run for run in runs if run["id"] == path["id"] and run["status"] != "DELETED"]
        if not found:
            return refusal(404, "The Cloud SQL backup run does not exist.", "backupRunDoesNotExist")
        if method == "sql.backupRuns.get":
            for operation in self.operations.values():
                if operation["backupContext"]["backupId"] == path["id"]:
                    self._step(operation)
            return 200, found[0]
        assert method == "sql.backupRuns.delete", method
        return 200, self._operation("DELETE_BACKUP", found[0])

    def answer(self, verb: str, target: str, content: bytes) -> tuple[int, Any]:
        """What a request is answered with; what its description does not know is kept in `wrong`."""
        parts = urlsplit(target)
        for method in METHODS:
            match = method.path.fullmatch(parts.path)
            if match is None or method.verb != verb:
                continue
            query = parse_qs(parts.query)
            body = json.loads(content) if content else None
            lines = [f"{method.id} has no parameter {name}" for name in query if name not in method.query]
            if (method.request is None) != (body is None):
                lines.append(f"{method.id} wants {method.request or 'no body'}")
            elif method.request is not None:
                lines += breaches(body, {"$ref": method.request}, method.request, sent=True)
            if lines:
                self.wrong += lines
                return refusal(400, "; ".join(lines), "invalid")
            self.calls.append(method.id)
            instead = next((answer for answer in self.answers if answer.method == method.id), None)
            if instead is not None:
                self.answers.remove(instead)
            if instead is None or instead.done:
                path = {name: unquote(value) for name, value in match.groupdict().items()}
                status, answer = self.do(method.id, path, query, body)
                if status == 200:
                    self.wrong += breaches(answer, {"$ref": method.response}, method.response)
            return (status, answer) if instead is None else (instead.status, instead.body)
        self.wrong.append(f"no method for {verb} {parts.path}")
        return refusal(404, "Not found", "notFound")


def refusal(status: int, message: str, *reasons: str) -> tuple[int, dict[str, Any]]:
    """An error as the API words it."""
    errors = [{"message": message, "domain": "global", "reason": reason} for reason in reasons]
    return status, {"error": {"code": status, "message": message, "errors": errors}}


@contextmanager
def cloud_sql_server() -> Iterator[CloudSql]:
    """The API on a free port of loopback, with one instance; ends with a proof that no request was wrong."""
    state = CloudSql(instances={"my-project:shop": []})
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with lock:
                state.headers.append(dict(self.headers))
                try:
                    status, answer = state.answer(self.command, self.path, content)
                except Exception as error:
                    state.wrong.append(repr(error))
                    status, answer = refusal(400, "a fault of the stand-in", "invalid")
            if status == 0:  # the line is cut
                self.close_connection = True
                self.connection.close()
                return
            sent = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_DELETE = _any  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

        def handle(self) -> None:
            # A client that was killed leaves a line that is cut.
            with suppress(OSError):
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
    assert not state.wrong, state.wrong
