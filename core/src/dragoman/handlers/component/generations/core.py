"""The `core` generation: what upstream has since October 2024. `wit/core/` is its text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dragoman.errors import (
    AuthenticationFailed,
    Closed,
    ConnectionLost,
    DragomanError,
    HandlerFailed,
    NotGranted,
    PermissionDenied,
    TimedOut,
)
from dragoman.handlers.component.generations.generation import Entry, Generation, Provided
from dragoman.handlers.component.instances import Instance
from dragoman.handlers.component.program import Program
from dragoman.handlers.component.text import printable
from dragoman.handlers.component.types import Shape
from dragoman.handlers.component.values import Err
from dragoman.handlers.handler import Context
from dragoman.message import Message

_ERROR: Final = "variant { timeout, connection(string), permission-denied(string), other(string) }"
_METADATA: Final = "list<tuple<string, string>>"
#: Characters of a guest's error that are kept.
_ERROR_TEXT: Final = 2000


class Client:
    """A client as a guest holds it.

    Attributes:
        name: of the client in the configuration; None after `disconnect`.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name: str | None = name


class GuestMessage:
    """A message as a guest holds it: it may be changed until it is sent.

    What the guest does not touch stays here as it came, so a message that is passed on loses nothing.
    """

    __slots__ = ("content_type", "data", "metadata", "origin")

    def __init__(self, origin: Message) -> None:
        self.origin = origin
        self.data = origin.data
        self.content_type = origin.content_type
        self.metadata = origin.metadata

    @property
    def topic(self) -> str | None:
        """The channel that it arrived on."""
        return self.origin.channel.name if self.origin.channel else None

    def add(self, key: str, value: str) -> None:
        """Set a name to one value."""
        self.remove(key)
        self.metadata = (*self.metadata, (key, value))

    def remove(self, key: str) -> None:
        """Remove every value of a name."""
        self.metadata = tuple(pair for pair in self.metadata if pair[0] != key)

    def message(self) -> Message:
        """What it is now."""
        origin = self.origin
        made = Message(self.data, self.metadata, self.content_type, origin.format, origin.channel)
        return origin if made == origin else made


class RequestOptions:
    """What a guest asks of a request.

    Attributes:
        timeout: seconds, or None.
        expected: how many replies, or None.
    """

    __slots__ = ("expected", "timeout")

    def __init__(self) -> None:
        self.timeout: float | None = None
        self.expected: int | None = None


class Session:
    """The functions that a guest may call while it handles one message."""

    __slots__ = ("_context",)

    def __init__(self, context: Context) -> None:
        self._context = context

    def connect(self, name: str) -> Client | Err:
        """`client.connect`: only to clients that the configuration grants."""
        try:
            self._context.connect(name)
        except DragomanError as error:
            return failure(error)
        return Client(name)

    def disconnect(self, client: Client) -> Err | None:
        """`client.disconnect`: the connection is the host's, so only this handle ends."""
        if client.name is None:
            return Err(("connection", "the client is disconnected already"))
        client.name = None
        return None

    def new_message(self, data: bytes) -> GuestMessage:
        """The constructor of `message`."""
        return GuestMessage(Message(data))

    def topic(self, message: GuestMessage) -> str | None:
        """`message.topic`: none for a message that the guest has made."""
        return message.topic

    def topic_or_empty(self, message: GuestMessage) -> str:
        """`message.topic` of 2024-10, which can't say none."""
        return message.topic or ""

    def content_type(self, message: GuestMessage) -> str | None:
        """`message.content-type`."""
        return message.content_type

    def set_content_type(self, message: GuestMessage, content_type: str) -> None:
        """`message.set-content-type`."""
        message.content_type = content_type

    def data(self, message: GuestMessage) -> bytes:
        """`message.data`."""
        return message.data

    def set_data(self, message: GuestMessage, data: bytes) -> None:
        """`message.set-data`."""
        message.data = data

    # Bodies as text, for wrapped components: Latin-1 has a character for every byte.

    def new_of_text(self, text: str) -> GuestMessage:
        """`new_message`."""
        return GuestMessage(Message(text.encode("latin-1")))

    def text(self, message: GuestMessage) -> str:
        """`data`."""
        return str(message.data, "latin-1")

    def set_text(self, message: GuestMessage, text: str) -> None:
        """`set_data`."""
        message.data = text.encode("latin-1")

    def metadata(self, message: GuestMessage) -> Sequence[tuple[str, str]] | None:
        """`message.metadata`: none where there is nothing."""
        return message.metadata or None

    def add_metadata(self, message: GuestMessage, key: str, value: str) -> None:
        """`message.add-metadata`: overwrites the values that the key has."""
        message.add(key, value)

    def set_metadata(self, message: GuestMessage, metadata: list[tuple[str, str]]) -> None:
        """`message.set-metadata`: replaces everything."""
        message.metadata = tuple(metadata)

    def remove_metadata(self, message: GuestMessage, key: str) -> None:
        """`message.remove-metadata`."""
        message.remove(key)

    async def send(self, client: Client, topic: str, message: GuestMessage) -> Err | None:
        """`producer.send`: ok when the broker has the message."""
        if client.name is None:
            return _DISCONNECTED
        try:
            await self._context.publish(topic, message.message(), client=client.name)
        except DragomanError as error:
            return failure(error)
        return None

    def new_options(self) -> RequestOptions:
        """The constructor of `request-options`."""
        return RequestOptions()

    def set_timeout(self, options: RequestOptions, milliseconds: int) -> None:
        """`request-options.set-timeout-ms`."""
        options.timeout = milliseconds / 1000

    def set_expected(self, options: RequestOptions, replies: int) -> None:
        """`request-options.set-expected-replies`."""
        options.expected = replies

    async def request(
        self, client: Client, topic: str, message: GuestMessage, options: RequestOptions | None
    ) -> list[GuestMessage] | Err:
        """`request-reply.request`."""
        if client.name is None:
            return _DISCONNECTED
        wanted = options or RequestOptions()
        try:
            replies = await self._context.request(
                topic, message.message(), client=client.name, timeout=wanted.timeout, expected=wanted.expected
            )
        except DragomanError as error:
            return failure(error)
        return [GuestMessage(reply) for reply in replies]

    async def request_on_own_topic(
        self, client: Client, message: GuestMessage, options: RequestOptions | None
    ) -> list[GuestMessage] | Err:
        """`request-reply.request` of 2024-10: the message says where to."""
        if message.topic is None:
            return Err(("other", "the message has no topic, and this form of `request` takes no other"))
        return await self.request(client, message.topic, message, options)

    async def reply(self, to: GuestMessage, message: GuestMessage) -> Err | None:
        """`request-reply.reply`: to where the message asked as it came, whatever the guest has written into it since.

        A reply needs no grant, so a guest that could name its place could publish anywhere.
        """
        try:
            await self._context.reply(to.origin, message.message())
        except DragomanError as error:
            return failure(error)
        return None


_DISCONNECTED: Final = Err(("connection", "the client was disconnected; connect again"))


def failure(error: DragomanError) -> Err:
    """An error of ours as the case that a guest understands."""
    match error:
        case TimedOut():
            return Err(("timeout", None))
        case ConnectionLost() | Closed() | AuthenticationFailed():
            return Err(("connection", str(error)))
        case NotGranted() | PermissionDenied():
            return Err(("permission-denied", str(error)))
        case _:
            return Err(("other", str(error)))


class _Handler:
    """A component's `incoming-handler`."""

    def __init__(self, program: Program, shape: Shape) -> None:
        found = GENERATION.find(shape.exports, "incoming-handler")
        assert found is not None  # noqa: S101 - that is how the generation was recognised
        name, interface = found
        self._handle = program.export(name, "handle", interface.functions["handle"])
        topics = interface.functions.get("get-topics")
        self._topics = program.export(name, "get-topics", topics) if topics else None

    async def handle(self, instance: Instance, message: Message, context: Context) -> None:
        instance.session = Session(context)
        result = await instance.call(self._handle, GuestMessage(message))
        if isinstance(result, Err):
            raise _failed(result)

    async def channels(self, instance: Instance, context: Context) -> Sequence[str] | None:
        if self._topics is None:
            return None
        instance.session = Session(context)
        topics: Sequence[str] | Err = await instance.call(self._topics)
        if isinstance(topics, Err):
            raise _failed(topics)
        return topics


def _failed(error: Err) -> HandlerFailed:
    case, text = error.payload
    return HandlerFailed(f"the guest returned {case}" + (f": {printable(text)[:_ERROR_TEXT]}" if text else ""))


def _recognises(shape: Shape) -> bool:
    exported = GENERATION.find(shape.exports, "incoming-handler")
    handle = exported[1].functions.get("handle") if exported else None
    return handle is not None and handle.signature == f"(own<message>) -> result<_, {_ERROR}>"


def _enter(program: Program, shape: Shape) -> Entry:
    return _Handler(program, shape)


def _one(signature: str, call: Any, *, suspends: bool = False) -> Sequence[Provided]:
    return (Provided(signature, call, suspends),)


_MESSAGE: Final = "borrow<message>"
_OPTIONS: Final = "option<own<request-options>>"
_REPLIES: Final = f"result<list<own<message>>, {_ERROR}>"

GENERATION: Final = Generation(
    name="core",
    package="wasi:messaging",
    expected="an export wasi:messaging/incoming-handler with handle: func(message: message) -> result<_, error>",
    recognises=_recognises,
    provides={
        "types": {
            "[static]client.connect": _one(f"(string) -> result<own<client>, {_ERROR}>", Session.connect),
            "[method]client.disconnect": _one(f"(borrow<client>) -> result<_, {_ERROR}>", Session.disconnect),
            "[constructor]message": _one("(list<u8>) -> own<message>", Session.new_message),
            "[method]message.topic": (
                Provided(f"({_MESSAGE}) -> option<string>", Session.topic),
                Provided(f"({_MESSAGE}) -> string", Session.topic_or_empty),
            ),
            "[method]message.content-type": _one(f"({_MESSAGE}) -> option<string>", Session.content_type),
            "[method]message.set-content-type": _one(f"({_MESSAGE}, string)", Session.set_content_type),
            "[method]message.data": _one(f"({_MESSAGE}) -> list<u8>", Session.data),
            "[method]message.set-data": _one(f"({_MESSAGE}, list<u8>)", Session.set_data),
            "[method]message.metadata": _one(f"({_MESSAGE}) -> option<{_METADATA}>", Session.metadata),
            "[method]message.add-metadata": _one(f"({_MESSAGE}, string, string)", Session.add_metadata),
            "[method]message.set-metadata": _one(f"({_MESSAGE}, {_METADATA})", Session.set_metadata),
            "[method]message.remove-metadata": _one(f"({_MESSAGE}, string)", Session.remove_metadata),
        },
        "producer": {
            "send": _one(f"(borrow<client>, string, own<message>) -> result<_, {_ERROR}>", Session.send, suspends=True),
        },
        "request-reply": {
            "[constructor]request-options": _one("() -> own<request-options>", Session.new_options),
            "[method]request-options.set-timeout-ms": _one("(borrow<request-options>, u32)", Session.set_timeout),
            "[method]request-options.set-expected-replies": _one(
                "(borrow<request-options>, u32)", Session.set_expected
            ),
            "request": (
                Provided(f"(borrow<client>, string, {_MESSAGE}, {_OPTIONS}) -> {_REPLIES}", Session.request, True),
                Provided(f"(borrow<client>, {_MESSAGE}, {_OPTIONS}) -> {_REPLIES}", Session.request_on_own_topic, True),
            ),
            "reply": _one(f"({_MESSAGE}, own<message>) -> result<_, {_ERROR}>", Session.reply, suspends=True),
        },
    },
    resources={"types": ("client", "message"), "request-reply": ("request-options",)},
    bodies={"new": Session.new_of_text, "get": Session.text, "set": Session.set_text},
    enter=_enter,
)
