"""The resources `client` and `message`, and what else the generations with resources share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dragoman.errors import DragomanError, HandlerError
from dragoman.handlers.component.generations.failures import Cases, failed
from dragoman.handlers.component.generations.generation import Provided, one
from dragoman.handlers.component.values import Err
from dragoman.handlers.handler import Context, Wanted
from dragoman.message import Message

METADATA: Final = "list<tuple<string, string>>"
_SELF: Final = "borrow<message>"


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

    Attributes:
        origin: the message as it came, or as the guest made it.
        topic: the channel on which it came, or to which the guest wants to send it.
    """

    __slots__ = ("content_type", "data", "metadata", "origin", "topic")

    def __init__(self, origin: Message, topic: str | None = None) -> None:
        self.origin = origin
        self.topic = topic if origin.channel is None else origin.channel.name
        self.data = origin.data
        self.content_type = origin.content_type
        self.metadata = origin.metadata

    def remove(self, key: str) -> None:
        """Remove every value of a name."""
        self.metadata = tuple(pair for pair in self.metadata if pair[0] != key)

    def message(self) -> Message:
        """What it is now."""
        origin = self.origin
        made = Message(self.data, self.metadata, self.content_type, origin.format, origin.channel)
        return origin if made == origin else made


class MessageSession:
    """A `generation.Session` of a generation whose handler takes one message."""

    __slots__ = ("__weakref__", "_cases", "_messages", "_unsaid", "context")

    def __init__(self, context: Context, messages: Sequence[Message], cases: Cases) -> None:
        self.context = context
        self._messages = messages
        self._cases = cases
        self._unsaid: tuple[str, str] | None = None

    def argument(self) -> GuestMessage:
        """See `generation.Session`."""
        return GuestMessage(self._messages[0])

    def wanted(self, value: Sequence[str]) -> Wanted:
        """See `generation.Session`."""
        return Wanted(tuple(value))

    def failure(self, error: tuple[str, str | None]) -> HandlerError:
        """See `generation.Session`."""
        case, text = error
        if text is None and self._unsaid is not None and self._unsaid[0] == case:
            text = self._unsaid[1]  # what the guest passes on, it could not read
        return failed(text, case)

    def refused(self, error: DragomanError) -> Err:
        """The error for the guest."""
        told = self._cases.of(error)
        case, text = told.payload
        if text is None:
            self._unsaid = case, str(error)
        return told

    def connect(self, name: str) -> Client | Err:
        """`client.connect`: only to clients that the configuration grants."""
        try:
            self.context.connect(name)
        except DragomanError as error:
            return self.refused(error)
        return Client(name)


# What follows are functions that guests call; the session, which none of them needs, comes first.


def _content_type(_: object, message: GuestMessage) -> str | None:
    return message.content_type


def _set_content_type(_: object, message: GuestMessage, content_type: str) -> None:
    message.content_type = content_type


def _data(_: object, message: GuestMessage) -> bytes:
    return message.data


def _set_data(_: object, message: GuestMessage, data: bytes) -> None:
    message.data = data


def _metadata(_: object, message: GuestMessage) -> Sequence[tuple[str, str]] | None:
    return message.metadata or None


def _add_metadata(_: object, message: GuestMessage, key: str, value: str) -> None:
    message.remove(key)
    message.metadata = (*message.metadata, (key, value))


def _set_metadata(_: object, message: GuestMessage, metadata: list[tuple[str, str]]) -> None:
    message.metadata = tuple(metadata)


def _remove_metadata(_: object, message: GuestMessage, key: str) -> None:
    message.remove(key)


def _method(name: str, types: str, call: Any) -> tuple[str, Sequence[Provided]]:
    parameters, arrow, result = types.partition(" -> ")
    return f"[method]message.{name}", one(f"({_SELF}{parameters and ', '}{parameters}){arrow}{result}", call)


#: The methods that every generation with this resource has.
METHODS: Final[Mapping[str, Sequence[Provided]]] = dict(
    (
        _method("content-type", " -> option<string>", _content_type),
        _method("set-content-type", "string", _set_content_type),
        _method("data", " -> list<u8>", _data),
        _method("set-data", "list<u8>", _set_data),
        _method("metadata", f" -> option<{METADATA}>", _metadata),
        _method("add-metadata", "string, string", _add_metadata),
    )
)
#: Those that came in October 2024.
LATER_METHODS: Final[Mapping[str, Sequence[Provided]]] = dict(
    (
        _method("set-metadata", METADATA, _set_metadata),
        _method("remove-metadata", "string", _remove_metadata),
    )
)
