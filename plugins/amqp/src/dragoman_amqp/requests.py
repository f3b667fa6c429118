"""Requests by RabbitMQ's direct reply-to: the replies need no queue.

Source: https://www.rabbitmq.com/docs/direct-reply-to.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final
from uuid import uuid4

from dragoman.errors import BrokerError, PublishFailed
from dragoman.formats import amqp
from dragoman.message import Channel, Message
from dragoman.replies import Replies
from dragoman_amqp.publisher import DIRECT_REPLY_TO, Publisher
from dragoman_amqp.records import to_message
from dragoman_amqp.settings import AmqpSettings
from dragoman_amqp.topology import Way
from dragoman_amqp.wire import Wire

_CORRELATION: Final = ("correlation-id", amqp.CORRELATION_ID)
_REPLY_TO: Final = ("reply-to", amqp.REPLY_TO)


class Requests:
    """Requests to one channel, and the replies to each.

    Attributes:
        publisher: sends them; direct reply-to wants requests and replies on one AMQP channel.
    """

    def __init__(
        self, wire: Wire, settings: AmqpSettings, channel: Channel, find_way: Callable[[], Awaitable[Way]]
    ) -> None:
        self._channel = channel
        self._replies: Replies[str] = Replies()
        self.publisher = Publisher(wire, settings, str(channel), find_way, self)

    @property
    def busy(self) -> bool:
        """See `dragoman_amqp.publisher.ReplyListener`."""
        return bool(self._replies)

    async def request(self, message: Message, timeout: float | None, expected: int | None) -> Sequence[Message]:
        """See `dragoman.adapter.RequestReply.request`."""
        correlation = _first(message, _CORRELATION) or uuid4().hex
        if correlation in self._replies:
            raise PublishFailed(
                f"a request with the correlation-id {correlation!r} still waits for its replies",
                where=str(self._channel),
                expected="one of its own for each request",
            )

        async def send() -> None:
            await self.publisher.publish([_addressed(message, DIRECT_REPLY_TO, correlation)])

        try:
            where = str(self._channel)
            return await self._replies.gather(correlation, send, where=where, timeout=timeout, expected=expected)
        finally:
            if self.publisher.stale:
                self.publisher.retire()

    def replied(self, properties: bytes, body: bytes) -> None:
        """See `dragoman_amqp.publisher.ReplyListener`."""
        message, _ = to_message(properties, body, self._channel)
        self._replies.came(message.get("correlation-id") or "", message)

    def lost(self, error: BrokerError) -> None:
        """See `dragoman_amqp.publisher.ReplyListener`."""
        self._replies.lost(error)


def answers(to: Message, replies: Sequence[Message]) -> tuple[Way, list[Message]] | None:
    """The replies to a request and their way, or None where it asked for none."""
    address = _first(to, _REPLY_TO)
    if not address:
        return None
    correlation = _first(to, _CORRELATION) or to.id
    # The broker takes a direct reply-to for no queue, and would return what has to reach one.
    mandatory = not address.startswith(DIRECT_REPLY_TO)
    return Way("", address, mandatory), [_addressed(reply, None, correlation) for reply in replies]


def _first(message: Message, names: tuple[str, ...]) -> str | None:
    return next((value for name, value in message.metadata if name in names), None)


def _addressed(message: Message, reply_to: str | None, correlation: str | None) -> Message:
    given = {_REPLY_TO: reply_to, _CORRELATION: correlation}
    overridden = [name for names, value in given.items() if value is not None for name in names]
    kept = tuple(pair for pair in message.metadata if pair[0] not in overridden)
    return replace(message, metadata=kept + tuple((names[0], value) for names, value in given.items() if value))
