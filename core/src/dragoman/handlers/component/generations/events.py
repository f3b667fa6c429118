"""The `events` generation, of November 2022 to March 2023. `wit/events/` is its text.

What travels is an event of CloudEvents; `dragoman.formats.cloudevents` says how it becomes a message. Its extensions
also hold what else the broker knows of a message, by the names that it has there, and `channel`; on the way out a name
that CloudEvents does not allow for an extension, or that is portable (`ttl`), is metadata again. A message that is no
event is made one: its type is `dragoman.message`, its source the channel, its id the `message-id`, or a new one.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from dragoman.errors import (
    AuthenticationFailed,
    ChannelNotFound,
    Closed,
    ConnectionLost,
    DragomanError,
    HandlerError,
    NotGranted,
    PayloadTooLarge,
    PermissionDenied,
    PublishFailed,
    StorageFailed,
    TimedOut,
    UnsupportedFormat,
)
from dragoman.formats import cloudevents
from dragoman.handlers.component.generations.failures import Cases, failed
from dragoman.handlers.component.generations.generation import Generation, one
from dragoman.handlers.component.values import Err
from dragoman.handlers.handler import Context, Wanted
from dragoman.message import PORTABLE_NAMES, Channel, Message, Metadata

#: specversion, type, source, id, data, datacontenttype, dataschema, subject, time, extensions.
Event = tuple[
    str, str, str, str, bytes | None, str | None, str | None, str | None, str | None, Sequence[tuple[str, str]] | None
]
#: The type of what was no event before.
MESSAGE: Final = "dragoman.message"
#: The extension that says where an event came from; it is not sent on.
CHANNEL: Final = "channel"

_CASES: Final = Cases(
    {
        DragomanError: "unexpected-error",
        PayloadTooLarge: "payload-too-large",
        ChannelNotFound: "queue-or-topic-not-found",
        NotGranted: "insufficient-permissions",
        PermissionDenied: "insufficient-permissions",
        AuthenticationFailed: "insufficient-permissions",
        StorageFailed: "service-unavailable",
        TimedOut: "service-unavailable",
        PublishFailed: "delivery-failed",
        ConnectionLost: "connection-lost",
        Closed: "connection-lost",
        UnsupportedFormat: "unsupported-message-format",
    }
)
_OPTIONAL: Final = ("datacontenttype", "dataschema", "subject", "time")
#: What stands for itself in a URI reference, besides letters and digits.
_URI: Final = "/:@!$&'()*+,;=~"
_NAMED: Final = frozenset((*cloudevents.REQUIRED, *_OPTIONAL))


class Session:
    """The functions that a guest may call while it handles an event."""

    __slots__ = ("__weakref__", "_messages", "context")

    def __init__(self, context: Context, messages: Sequence[Message]) -> None:
        self.context = context
        self._messages = messages

    def argument(self) -> Event:
        """See `generation.Session`."""
        return event_of(self._messages[0])

    def wanted(self, value: Sequence[str]) -> Wanted:
        """See `generation.Session`; it is never asked."""
        return Wanted(tuple(value))

    def failure(self, error: tuple[str, str]) -> HandlerError:
        """See `generation.Session`."""
        case, text = error
        return failed(text, case)

    async def publish(self, channel: tuple[str, str], event: Event) -> Err | None:
        """`pub.publish`: ok when the broker has the event."""
        try:
            await self.context.publish(_channel(channel), message_of(event))
        except DragomanError as error:
            return _CASES.of(error)
        return None

    async def subscribe(self, channel: tuple[str, str]) -> str | Err:
        """`sub.subscribe`: gives the token."""
        try:
            return await self.context.subscribe(_channel(channel))
        except DragomanError as error:
            return _CASES.of(error)

    async def unsubscribe(self, token: str) -> Err | None:
        """`sub.unsubscribe`."""
        try:
            await self.context.unsubscribe(token)
        except DragomanError as error:
            return _CASES.of(error)
        return None


def _channel(channel: tuple[str, str]) -> str:
    kind, name = channel
    return str(Channel(name, "topic" if kind == "topic" else "queue"))


def event_of(message: Message) -> Event:
    """A message as a guest gets it."""
    attributes, data, rest = cloudevents.event_of(message) or _made(message)
    extensions = tuple((name, value) for name, value in attributes.items() if name not in _NAMED and name != CHANNEL)
    channel = ((CHANNEL, f"{message.channel.kind}:{message.channel.name}"),) if message.channel else ()
    value = attributes.get
    return (
        attributes["specversion"], attributes["type"], attributes["source"], attributes["id"], data or None,
        value("datacontenttype"), value("dataschema"), value("subject"), value("time"), channel + extensions + rest,
    )  # fmt: skip


def _made(message: Message) -> tuple[dict[str, str], bytes, Metadata]:
    """An event made of a message that is none."""
    attributes = {
        "specversion": cloudevents.VERSION,
        "type": MESSAGE,
        "source": quote(str(message.channel), _URI, errors="replace") if message.channel else "unknown",
        "id": message.id or str(uuid.uuid4()),
    }
    if (time := message.get("time")) is not None:
        attributes["time"] = time
    if message.content_type is not None:
        attributes["datacontenttype"] = message.content_type
    if message.key is not None:
        attributes["partitionkey"] = message.key
    rest = tuple(pair for pair in message.metadata if pair[0] not in ("message-id", "time", "key"))
    return attributes, message.data, rest


def message_of(event: Event) -> Message:
    """A guest's event as a message."""
    specversion, type_, source, id_, data, content_type, schema, subject, time, extensions = event
    attributes = [("specversion", specversion), ("id", id_), ("source", source), ("type", type_)]
    optional = zip(_OPTIONAL, (content_type, schema, subject, time), strict=True)
    attributes += [(name, value) for name, value in optional if value is not None]
    rest: list[tuple[str, str]] = []
    for name, value in extensions or ():
        if name != CHANNEL:
            is_attribute = cloudevents.NAME.fullmatch(name) and name not in PORTABLE_NAMES
            (attributes if is_attribute else rest).append((name, value))
    return cloudevents.to_message(tuple(attributes), data or b"", tuple(rest))


_STRING: Final = "option<string>"
_EVENT: Final = (
    "record { specversion: string, ty: string, source: string, id: string, data: option<list<u8>>, "
    f"datacontenttype: {_STRING}, dataschema: {_STRING}, subject: {_STRING}, time: {_STRING}, "
    "extensions: option<list<tuple<string, string>>> }"
)
_CHANNEL: Final = "variant { queue(string), topic(string) }"
_ERROR: Final = (
    "variant { payload-too-large(string), queue-or-topic-not-found(string), insufficient-permissions(string), "
    "service-unavailable(string), delivery-failed(string), connection-lost(string), "
    "unsupported-message-format(string), unexpected-error(string) }"
)
_DONE: Final = f"result<_, {_ERROR}>"

GENERATION: Final = Generation(
    name="events",
    package="wasi:messaging",
    handler="wasi:messaging/handler with on-receive: func(e: event) -> result<_, messaging-error>",
    handles=(f"({_EVENT}) -> {_DONE}",),
    wants=(),
    provides={
        "types": {},
        "pub": {"publish": one(f"({_CHANNEL}, {_EVENT}) -> {_DONE}", Session.publish, suspends=True)},
        "sub": {
            "subscribe": one(f"({_CHANNEL}) -> result<string, {_ERROR}>", Session.subscribe, suspends=True),
            "unsubscribe": one(f"(string) -> {_DONE}", Session.unsubscribe, suspends=True),
        },
    },
    resources={},
    session=Session,
)
