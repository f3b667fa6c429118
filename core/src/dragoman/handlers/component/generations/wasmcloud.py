"""The interface of wasmCloud, `wasmcloud:messaging`. `wit/wasmcloud/` is its text.

Its messages have a subject, a body and a place for replies, and nothing else. What else a message has goes on like
this:

* A guest that publishes the body of the message in hand passes that message on: content type, format and all metadata
  stay with it, except for the place for replies, which is what the guest says.
* Any other message that it publishes or requests has the key of the message in hand, so that order survives, and no
  content type.
* Published to the place where the message in hand wants its reply, it is that reply, and needs no grant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from dragoman.errors import DragomanError, HandlerError
from dragoman.handlers.component.generations import core
from dragoman.handlers.component.generations.failures import failed, told
from dragoman.handlers.component.generations.generation import Generation, Provided, one
from dragoman.handlers.component.values import Err
from dragoman.handlers.handler import Context, Wanted
from dragoman.message import Message

#: Subject, body, and the place for replies.
BrokerMessage = tuple[str, bytes | None, str | None]


class Session:
    """The functions that a guest may call while it handles a message."""

    __slots__ = ("__weakref__", "_message", "context")

    def __init__(self, context: Context, messages: Sequence[Message]) -> None:
        self.context = context
        self._message = messages[0] if messages else Message()

    def argument(self) -> BrokerMessage:
        """See `generation.Session`."""
        return _record(self._message)

    def wanted(self, value: Sequence[str]) -> Wanted:
        """See `generation.Session`; it is never asked."""
        return Wanted(tuple(value))

    def failure(self, error: str) -> HandlerError:
        """See `generation.Session`."""
        return failed(error)

    async def publish(self, record: BrokerMessage) -> Err | None:
        """`consumer.publish`: ok when the broker has the message."""
        subject, body, reply_to = record
        message = self._made(body or b"", reply_to)
        try:
            if subject == self._message.get("reply-to"):
                await self.context.reply(self._message, message)
            else:
                await self.context.publish(subject, message)
        except DragomanError as error:
            return Err(told(error))
        return None

    async def request(self, subject: str, body: bytes | None, milliseconds: int) -> BrokerMessage | Err:
        """`consumer.request`: the first reply."""
        replies = await self._request(subject, body, milliseconds / 1000, 1)
        return replies if isinstance(replies, Err) else replies[0]

    async def request_multi(
        self, subject: str, body: bytes | None, milliseconds: int, most: int
    ) -> list[BrokerMessage] | Err:
        """`consumer.request-multi` of 0.1: the replies until the time or the number is reached; 0 is no limit."""
        return await self._request(subject, body, milliseconds / 1000 or None, most or None)

    async def _request(
        self, subject: str, body: bytes | None, timeout: float | None, expected: int | None
    ) -> list[BrokerMessage] | Err:
        message = self._made(body or b"", None)
        try:
            replies = await self.context.request(subject, message, timeout=timeout, expected=expected)
        except DragomanError as error:
            return Err(told(error))
        return [_record(reply) for reply in replies]

    def _made(self, body: bytes, reply_to: str | None) -> Message:
        """The message that the guest sends, with what its interface can't say."""
        origin = self._message
        if body == origin.data and origin.channel is not None:
            kept = tuple(pair for pair in origin.metadata if pair[0] != "reply-to")
            made = replace(origin, metadata=kept, channel=None)
        else:
            made = Message.of(body, key=origin.key)
        return made if reply_to is None else replace(made, metadata=(*made.metadata, ("reply-to", reply_to)))


def _record(message: Message) -> BrokerMessage:
    return message.channel.name if message.channel else "", message.data, message.get("reply-to")


_OLD_BODY: Final = "option<list<u8>>"


def _message(body: str) -> str:
    return f"record {{ subject: string, body: {body}, reply-to: option<string> }}"


_MESSAGE: Final = _message("list<u8>")
_OLD: Final = _message(_OLD_BODY)
_DONE: Final = "result<_, string>"

GENERATION: Final = Generation(
    name="wasmcloud",
    package="wasmcloud:messaging",
    handler="wasmcloud:messaging/handler with handle-message: func(msg: broker-message) -> result<_, string>",
    handles=(f"({_MESSAGE}) -> {_DONE}", f"({_OLD}) -> {_DONE}"),
    wants=(),
    provides={
        "types": {},
        "consumer": {
            "publish": (
                Provided(f"({_MESSAGE}) -> {_DONE}", Session.publish, suspends=True),
                Provided(f"({_OLD}) -> {_DONE}", Session.publish, suspends=True),
            ),
            "request": (
                Provided(f"(string, list<u8>, u32) -> result<{_MESSAGE}, string>", Session.request, suspends=True),
                Provided(f"(string, {_OLD_BODY}, u32) -> result<{_OLD}, string>", Session.request, suspends=True),
            ),
            "request-multi": one(
                f"(string, {_OLD_BODY}, u32, u32) -> result<list<{_OLD}>, string>", Session.request_multi, suspends=True
            ),
        },
    },
    resources={},
    session=Session,
)
#: Version 0.3.0 as wasmCloud 1.x had it: `core`, as it was in October 2024.
RESOURCES: Final = core.made("wasmcloud", "wasmcloud:messaging")
