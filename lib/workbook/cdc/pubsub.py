"""Google's Pub/Sub as the stream uses it: a topic, a subscription to apply from, and a place for what cannot be read."""

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, NamedTuple

from workbook import params
from workbook.errors import TerminalError, TransientError, UsageError, WorkbookError
from workbook.params import Settings
from workbook.plan import Journal

# A request holds 10 MB and 1,000 messages at most: https://cloud.google.com/pubsub/quotas#resource_limits
_REQUEST_BYTES, _REQUEST_MESSAGES = 8 << 20, 1000
_CALL_SECONDS = 60.0
# One that stays away is told of so often.
_SAID_SECONDS = 30.0
_ACKNOWLEDGED = 1000
# A subscription that nobody reads from is deleted after 31 days by default; this one never.
KEPT_SECONDS, ACK_SECONDS = 7 * 86400, 30

#: Content and attributes.
Message = tuple[bytes, Mapping[str, str]]


class Arrived(NamedTuple):
    """A message as it was pulled: its name at Pub/Sub, content, attributes, and what it is acknowledged by."""

    name: str
    data: bytes
    attributes: dict[str, str]
    handle: str


@dataclass(frozen=True)
class Place:
    """Where the stream's messages are: project, topic, and the address of an emulator or None."""

    project: str
    topic: str
    endpoint: str | None = None

    @property
    def subscription(self) -> str:
        """What the target is fed from."""
        return f"{self.topic}-apply"

    @property
    def dead(self) -> str:
        """The topic of messages that cannot be read, and its subscription."""
        return f"{self.topic}-dead"

    @property
    def resources(self) -> tuple[tuple[str, str], ...]:
        """Topics and subscriptions in the order in which they can be made: kind and name."""
        topics = (("topic", self.topic), ("topic", self.dead))
        return (*topics, ("subscription", self.subscription), ("subscription", self.dead))


def place(settings: Settings) -> Place:
    """Where the params put the stream. Raises UsageError where they name a sandbox that has no emulator."""
    where = named(settings)
    endpoint = os.environ.get("PUBSUB_EMULATOR_HOST") or settings.cdc.pubsub_endpoint
    if endpoint == "sandbox:pubsub":
        endpoint = params.sandbox_state(endpoint)["pubsub"]["endpoint"]
        if endpoint is None:
            raise UsageError(
                "The params name sandbox:pubsub, and the sandbox has no Pub/Sub emulator.",
                "There is nothing to send changes to.",
                "Install the Google Cloud CLI with its pubsub-emulator, then take the sandbox down and up again.",
            )
    return replace(where, endpoint=endpoint)


def named(settings: Settings) -> Place:
    """The names alone, as they are on Google Cloud."""
    cdc = settings.cdc
    return Place(cdc.pubsub_project or settings.warehouse.project, cdc.topic or f"workbook-{settings.environment}")


class PubSub:
    """Calls to Pub/Sub. Raises TransientError where it stays away, of which `say` tells, TerminalError where it refuses."""

    def __init__(self, where: Place, patience: float = _CALL_SECONDS, say: Callable[[str], None] = lambda text: None):
        require_client()
        self.where = where
        self._patience = max(1.0, patience)
        self._say, self._said = say, -_SAID_SECONDS
        from google.pubsub_v1 import PublisherClient, SubscriberClient

        transports: tuple[dict[str, Any], dict[str, Any]] = {}, {}
        if where.endpoint:
            import grpc
            from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
            from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

            limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
            for known, kind in zip(transports, (PublisherGrpcTransport, SubscriberGrpcTransport), strict=True):
                known["transport"] = kind(channel=grpc.insecure_channel(where.endpoint, options=limits))
        self._publisher = PublisherClient(**transports[0])
        self._subscriber = SubscriberClient(**transports[1])

    def ensure(self) -> None:
        """Make topics and subscriptions where they are not there."""
        for kind, name in self.where.resources:
            self.make(kind, name)

    def make(self, kind: str, name: str) -> bool:
        """Make a topic or subscription; False where it is there, or where an administrator is the one to make it."""
        from google.api_core.exceptions import AlreadyExists, PermissionDenied

        with self._explained(f"the {kind} {name} was made"):
            try:
                if kind == "topic":
                    self._publisher.create_topic(name=self._topic(name), **self._patient())
                    return True
                self._subscriber.create_subscription(
                    request={
                        "name": self._subscription(name),
                        "topic": self._topic(self.where.dead if name == self.where.dead else self.where.topic),
                        "ack_deadline_seconds": ACK_SECONDS,
                        "message_retention_duration": {"seconds": KEPT_SECONDS},
                        "expiration_policy": {},
                    },
                    **self._patient(),
                )
                return True
            except (AlreadyExists, PermissionDenied):
                return False

    def remove(self, kind: str, name: str) -> None:
        """Take a topic or subscription away; one that is not there is no error."""
        from google.api_core.exceptions import NotFound

        with self._explained(f"the {kind} {name} was removed"), contextlib.suppress(NotFound):
            if kind == "topic":
                self._publisher.delete_topic(topic=self._topic(name), **self._patient())
            else:
                self._subscriber.delete_subscription(subscription=self._subscription(name), **self._patient())

    def publish(self, messages: Sequence[Message], dead: bool = False) -> None:
        """Send messages, as few requests as hold them; all are kept by Pub/Sub when this returns."""
        topic = self._topic(self.where.dead if dead else self.where.topic)
        pending: list[dict[str, Any]] = []
        size = 0
        with self._explained("changes were published"):
            for data, attributes in messages:
                if pending and (size + len(data) > _REQUEST_BYTES or len(pending) == _REQUEST_MESSAGES):
                    self._publisher.publish(request={"topic": topic, "messages": pending}, **self._patient())
                    pending, size = [], 0
                pending.append({"data": data, "attributes": dict(attributes)})
                size += len(data)
            if pending:
                self._publisher.publish(request={"topic": topic, "messages": pending}, **self._patient())

    def pull(self, most: int, seconds: float) -> list[Arrived]:
        """Messages that wait in the subscription, none after so many seconds; each is to be acknowledged.

        Not by a streaming pull: the emulator hands messages to streams of clients that are gone.
        """
        from google.api_core.exceptions import DeadlineExceeded

        name = self._subscription(self.where.subscription)
        with self._explained("changes were pulled"), contextlib.suppress(DeadlineExceeded):
            answer = self._subscriber.pull(subscription=name, max_messages=most, timeout=seconds, retry=None)
            return [
                Arrived(each.message.message_id, each.message.data, dict(each.message.attributes), each.ack_id)
                for each in answer.received_messages
            ]
        return []

    def acknowledge(self, messages: Sequence[Arrived]) -> None:
        """Have Pub/Sub forget messages; what it hands on once more in spite of that is dropped as old."""
        from google.api_core.exceptions import GoogleAPIError

        handles = [message.handle for message in messages]
        for start in range(0, len(handles), _ACKNOWLEDGED):
            with contextlib.suppress(GoogleAPIError):
                self._subscriber.acknowledge(
                    subscription=self._subscription(self.where.subscription),
                    ack_ids=handles[start : start + _ACKNOWLEDGED],
                    timeout=_CALL_SECONDS,
                )

    def dead_messages(self, most: int, seconds: float = 5.0) -> list[Any]:
        """Messages that could not be read, as they were published; they stay where they are."""
        from google.api_core.exceptions import DeadlineExceeded

        name = self._subscription(self.where.dead)
        with self._explained("dead messages were read"), contextlib.suppress(DeadlineExceeded):
            found = self._subscriber.pull(subscription=name, max_messages=most, timeout=seconds, retry=None)
            handles = [each.ack_id for each in found.received_messages]
            if handles:
                self._subscriber.modify_ack_deadline(subscription=name, ack_ids=handles, ack_deadline_seconds=0)
            return [each.message for each in found.received_messages]
        return []

    def close(self) -> None:
        """Let the connections go."""
        for client in (self._subscriber.transport, self._publisher.transport):
            with contextlib.suppress(Exception):
                client.close()

    def _topic(self, name: str) -> str:
        return f"projects/{self.where.project}/topics/{name}"

    def _subscription(self, name: str) -> str:
        return f"projects/{self.where.project}/subscriptions/{name}"

    def _patient(self) -> dict[str, Any]:
        from google.api_core import exceptions, retry

        passing = (
            exceptions.ServiceUnavailable,
            exceptions.DeadlineExceeded,
            exceptions.Aborted,
            exceptions.InternalServerError,
            exceptions.ResourceExhausted,
        )
        again = retry.Retry(
            predicate=retry.if_exception_type(*passing), maximum=5, timeout=self._patience, on_error=self._away
        )
        return {"retry": again, "timeout": _CALL_SECONDS}

    def _away(self, error: Exception) -> None:
        if time.monotonic() - self._said > _SAID_SECONDS:
            self._said = time.monotonic()
            self._say(f"Pub/Sub does not answer, waiting for it ({type(error).__name__}: {str(error)[:200]})")

    @contextlib.contextmanager
    def _explained(self, during: str) -> Any:
        from google.api_core import exceptions

        try:
            yield
        except exceptions.GoogleAPIError as error:
            raise explained(error, f"{self.where.project}/{self.where.topic}", during) from None


def make_ready(settings: Settings, journal: Journal) -> None:
    """Make what the stream needs at Pub/Sub, noted in the journal so that a rollback takes away what was made here."""
    with contextlib.closing(PubSub(place(settings), settings.cdc.patience_s)) as pubsub:
        for kind, name in pubsub.where.resources:
            number = journal.intend(f"Pub/Sub {kind} {name}", f"{kind} {name}", "pubsub")
            if pubsub.make(kind, name):
                journal.confirm(number)
            else:
                journal.cancel(number)


def take_away(settings: Settings, made: Sequence[str]) -> None:
    """Take away what `make_ready` made, as its journal has it."""
    if made:
        with contextlib.closing(PubSub(place(settings), settings.cdc.patience_s)) as pubsub:
            for line in made:
                pubsub.remove(*line.split(" ", 1))


def explained(error: BaseException, what: str, during: str) -> WorkbookError:
    """A failure of Pub/Sub in three parts."""
    from google.api_core import exceptions

    found = f"Pub/Sub answered while {during} ({what}): {type(error).__name__}: {str(error)[:300]}"
    final = isinstance(
        error,
        exceptions.PermissionDenied | exceptions.Unauthenticated | exceptions.NotFound | exceptions.InvalidArgument,
    )
    if final:
        return TerminalError(
            found,
            "Changes cannot travel; nothing that was applied is lost.",
            "Make topics, subscriptions and roles as notebook 09 lists them, then `workbook cdc run` goes on.",
        )
    return TransientError(
        found,
        "Changes cannot travel; nothing that was applied is lost.",
        "`workbook cdc run` goes on where it was, once Pub/Sub answers again.",
    )


def require_client() -> None:
    """Raise UsageError where Pub/Sub's client is not installed."""
    try:
        missing = find_spec("google.cloud.pubsub_v1") is None
    except ModuleNotFoundError:
        missing = True
    if missing:
        raise UsageError(
            "Pub/Sub's client is not installed.",
            "The params set cdc.transport to pubsub, and changes cannot travel there without it.",
            "Install it with: pip install 'migration-workbook[cdc]', or set cdc.transport to direct.",
        )
