"""The `formats` generation, of June 2023 to February 2024. `wit/formats/` is its text.

Messages are records that come and go in lists. What a record can't say otherwise is in its metadata:

* `content-type`: the media type of the body.
* `channel`: the channel that a message came from; only the host says it.
* `dragoman-receipt`: which delivery it is, for `complete-message` and `abandon-message`; opaque, and good for one of
  them, once, while the messages are handled. Neither of the last two is sent on.

There are two forms: in the earlier one clients and errors are numbers. An error has nothing but a text, which begins
with what kind it is: `timeout: `, `connection: `, `permission-denied: ` or `other: `.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dragoman.errors import DragomanError, HandlerError, HandlerFailed
from dragoman.handlers.component.generations.failures import failed, told
from dragoman.handlers.component.generations.generation import Generation, one
from dragoman.handlers.component.generations.messages import METADATA, Client
from dragoman.handlers.component.values import Err
from dragoman.handlers.handler import Context, Wanted
from dragoman.message import FormatSpec, Message

#: Data, format, metadata.
Record = tuple[bytes, str, Sequence[tuple[str, str]] | None]
#: Channels, extensions.
Configuration = tuple[Sequence[str], Sequence[tuple[str, str]] | None]

CHANNEL: Final = "channel"
RECEIPT: Final = "dragoman-receipt"
CONTENT_TYPE: Final = "content-type"
#: How many messages one call of `subscribe-receive` gives at most.
_LIMIT: Final = 100
#: How many clients and errors that are numbers a guest may hold.
_HELD: Final = 1_000

_OURS: Final = frozenset((CHANNEL, RECEIPT, CONTENT_TYPE))
_FORMATS: Final = {spec.value: spec for spec in FormatSpec}


class GuestError:
    """An error as a guest holds it.

    Attributes:
        text: what `trace` says.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Session:
    """The functions that a guest may call while it handles messages; clients and errors are resources."""

    __slots__ = ("__weakref__", "_last", "_messages", "context")

    def __init__(self, context: Context, messages: Sequence[Message]) -> None:
        self.context = context
        self._messages = messages
        self._last = ""

    def argument(self) -> list[Record]:
        """See `generation.Session`."""
        return [self._record(message) for message in self._messages]

    def wanted(self, value: Configuration) -> Wanted:
        """See `generation.Session`."""
        channels, extensions = value
        return Wanted(tuple(channels), dict(extensions or ()))

    def failure(self, error: Any) -> HandlerError:
        """See `generation.Session`."""
        return failed(error.text)

    def refused(self, text: str) -> Err:
        """An error for the guest."""
        self._last = text
        return Err(GuestError(text))

    def client(self, client: Any) -> str | None:
        """The name of a client that the guest holds; None where it holds none."""
        name: str | None = client.name
        return name

    def connect(self, name: str) -> Any:
        """`client.connect`: only to clients that the configuration grants."""
        try:
            self.context.connect(name)
        except DragomanError as error:
            return self.refused(told(error))
        return Client(name)

    def last(self) -> str:
        """`error.trace`: the text of the last error that the guest was given."""
        return self._last

    async def send(self, client: Any, channel: str, records: Sequence[Record]) -> Err | None:
        """`producer.send`: ok when the broker has them all."""
        if (name := self.client(client)) is None:
            return self.refused(_NO_CLIENT)
        try:
            await self.context.publish(channel, *[_message(record) for record in records], client=name)
        except DragomanError as error:
            return self.refused(told(error))
        return None

    async def try_receive(self, client: Any, channel: str, milliseconds: int) -> list[Record] | Err | None:
        """`consumer.subscribe-try-receive`: none where nothing came in time."""
        received = await self._receive(client, channel, milliseconds / 1000)
        return received or None

    async def receive(self, client: Any, channel: str) -> list[Record] | Err:
        """`consumer.subscribe-receive`."""
        return await self._receive(client, channel, None)

    async def _receive(self, client: Any, channel: str, timeout: float | None) -> list[Record] | Err:
        if (name := self.client(client)) is None:
            return self.refused(_NO_CLIENT)
        try:
            messages = await self.context.receive(channel, client=name, timeout=timeout, limit=_LIMIT)
        except DragomanError as error:
            return self.refused(told(error))
        return [self._record(message) for message in messages]

    async def update(self, configuration: Configuration) -> Err | None:
        """`consumer.update-guest-configuration`: ok when the broker has confirmed what is new."""
        try:
            await self.context.set_subscriptions(self.wanted(configuration))
        except DragomanError as error:
            return self.refused(told(error))
        return None

    async def complete(self, record: Record) -> Err | None:
        """`consumer.complete-message`: it is accepted, whatever becomes of the call."""
        try:
            await self.context.complete(_receipt(record))
        except DragomanError as error:
            return self.refused(told(error))
        return None

    async def abandon(self, record: Record) -> Err | None:
        """`consumer.abandon-message`: the configuration says what becomes of it."""
        try:
            await self.context.abandon(_receipt(record))
        except DragomanError as error:
            return self.refused(told(error))
        return None

    def _record(self, message: Message) -> Record:
        own = [(CHANNEL, message.channel.name if message.channel else ""), (RECEIPT, self.context.receipt(message))]
        if message.content_type is not None:
            own.append((CONTENT_TYPE, message.content_type))
        own += [pair for pair in message.metadata if pair[0] not in _OURS]
        return message.data, message.format.value, own


class EarlierSession(Session):
    """The same, with clients and errors that are numbers."""

    __slots__ = ("_clients", "_errors", "_next")

    def __init__(self, context: Context, messages: Sequence[Message]) -> None:
        super().__init__(context, messages)
        self._clients: dict[int, str] = {}
        self._errors: dict[int, str] = {}
        self._next = 0

    def failure(self, error: int) -> HandlerError:
        """See `generation.Session`. A guest may make up a number."""
        text = self._errors.get(error)
        return failed(text) if text is not None else HandlerFailed(f"the guest returned the error {error}")

    def refused(self, text: str) -> Err:
        """An error for the guest. It forgets the oldest when it holds too many."""
        if len(self._errors) >= _HELD:
            del self._errors[next(iter(self._errors))]
        self._next += 1
        self._errors[self._next] = text
        return Err(self._next)

    def client(self, client: int) -> str | None:
        """See `Session`."""
        return self._clients.get(client)

    def connect(self, name: str) -> int | Err:
        """`connect`."""
        if len(self._clients) >= _HELD:
            return self.refused(f"other: the guest holds {_HELD} clients; expected a call of `disconnect` for some")
        made = super().connect(name)
        if isinstance(made, Err):
            return made
        self._next += 1
        self._clients[self._next] = name
        return self._next

    def disconnect(self, client: int) -> None:
        """`disconnect`: the connection is the host's, so only this number ends."""
        self._clients.pop(client, None)

    def trace(self, error: int) -> str:
        """`trace`."""
        return self._errors.get(error, "")

    def drop_error(self, error: int) -> None:
        """`drop-error`."""
        self._errors.pop(error, None)


_NO_CLIENT: Final = "connection: there is no such client, or it was disconnected; connect again"


def _receipt(record: Record) -> str:
    """The receipt in a record; empty where it has none, which is no receipt either."""
    return next((value for name, value in record[2] or () if name == RECEIPT), "")


def _message(record: Record) -> Message:
    """A guest's record as a message."""
    data, spec, metadata = record
    if not metadata:
        return Message(data, (), None, _FORMATS[spec])
    content_type, others = None, []
    for pair in metadata:
        if pair[0] not in _OURS:
            others.append(pair)
        elif content_type is None and pair[0] == CONTENT_TYPE:
            content_type = pair[1]
    return Message(data, tuple(others), content_type, _FORMATS[spec])


_RECORD: Final = (
    "record { data: list<u8>, format: enum { cloudevents, http, amqp, mqtt, kafka, raw }, "
    f"metadata: option<{METADATA}> }}"
)
_RECORDS: Final = f"list<{_RECORD}>"
_CONFIGURATION: Final = f"record {{ channels: list<string>, extensions: option<{METADATA}> }}"


def _made(session: type[Session], client: str, error: str, types: Any, resources: Sequence[str]) -> Generation:
    """A form of the generation: how it says clients and errors, and its functions for them."""
    done = f"result<_, {error}>"
    return Generation(
        name="formats",
        package="wasi:messaging",
        handler="wasi:messaging/messaging-guest with handler: func(ms: list<message>) -> result<_, error>",
        handles=(f"({_RECORDS}) -> {done}",),
        wants=(f"() -> result<{_CONFIGURATION}, {error}>",),
        provides={
            "messaging-types": types,
            "producer": {"send": one(f"({client}, string, {_RECORDS}) -> {done}", session.send, suspends=True)},
            "consumer": {
                "subscribe-try-receive": one(
                    f"({client}, string, u32) -> result<option<{_RECORDS}>, {error}>",
                    session.try_receive,
                    suspends=True,
                ),
                "subscribe-receive": one(
                    f"({client}, string) -> result<{_RECORDS}, {error}>", session.receive, suspends=True
                ),
                "update-guest-configuration": one(f"({_CONFIGURATION}) -> {done}", session.update, suspends=True),
                "complete-message": one(f"({_RECORD}) -> {done}", session.complete, suspends=True),
                "abandon-message": one(f"({_RECORD}) -> {done}", session.abandon, suspends=True),
            },
        },
        resources={"messaging-types": resources},
        session=session,
        batches=True,
    )


#: With resources.
LATER: Final = _made(
    Session,
    "own<client>",
    "own<error>",
    {
        "[static]client.connect": one("(string) -> result<own<client>, own<error>>", Session.connect),
        "[static]error.trace": one("() -> string", Session.last),
    },
    ("client", "error"),
)
#: With numbers.
EARLIER: Final = _made(
    EarlierSession,
    "u32",
    "u32",
    {
        "connect": one("(string) -> result<u32, u32>", EarlierSession.connect),
        "disconnect": one("(u32)", EarlierSession.disconnect),
        "trace": one("(u32) -> string", EarlierSession.trace),
        "drop-error": one("(u32)", EarlierSession.drop_error),
    },
    (),
)
