"""Requests by RabbitMQ's direct reply-to: the replies need no queue.

Source: https://www.rabbitmq.com/docs/direct-reply-to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final
from uuid import uuid4

from dragoman.errors import BrokerError, PublishFailed, TimedOut
from dragoman.formats import amqp
from dragoman.message import Channel, Message
from dragoman_amqp.publisher import DIRECT_REPLY_TO, Publisher
from dragoman_amqp.records import to_message
from dragoman_amqp.settings import AmqpSettings
from dragoman_amqp.topology import Way
from dragoman_amqp.wire import Wire

#: Replies kept for one request; what comes beyond is dropped.
_MOST: Final = 10_000
_CORRELATION: Final = ("correlation-id", amqp.CORRELATION_ID)
_REPLY_TO: Final = ("reply-to", amqp.REPLY_TO)


class _Waiting:
    """The replies to one request so far."""

    def __init__(self) -> None:
        self.replies: list[Message] = []
        self.error: BrokerError | None = None
        self.changed = asyncio.Event()


class Requests:
    """Requests to one channel, and the replies to each.

    Attributes:
        publisher: sends them; direct reply-to wants requests and replies on one AMQP channel.
    """

    def __init__(
        self, wire: Wire, settings: AmqpSettings, channel: Channel, find_way: Callable[[], Awaitable[Way]]
    ) -> None:
        self._channel = channel
        self._open: dict[str, _Waiting] = {}
        self.publisher = Publisher(wire, settings, str(channel), find_way, self)

    @property
    def busy(self) -> bool:
        """See `dragoman_amqp.publisher.Replies`."""
        return bool(self._open)

    async def request(self, message: Message, timeout: float | None, expected: int | None) -> Sequence[Message]:
        """See `dragoman.adapter.RequestReply.request`."""
        correlation = _first(message, _CORRELATION) or uuid4().hex
        if correlation in self._open:
            raise PublishFailed(
                f"a request with the correlation-id {correlation!r} still waits for its replies",
                where=str(self._channel),
                expected="one of its own for each request",
            )
        waiting = self._open[correlation] = _Waiting()
        try:
            async with asyncio.timeout(timeout) as limit:
                await self.publisher.publish([_addressed(message, DIRECT_REPLY_TO, correlation)])
                await _gathered(waiting, expected if expected is not None else (1 if timeout is None else _MOST))
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            del self._open[correlation]
            if self.publisher.stale:
                self.publisher.retire()
        if not waiting.replies:
            raise waiting.error or TimedOut(f"no reply within {timeout or 0:g} s", where=str(self._channel))
        return waiting.replies

    def replied(self, properties: bytes, body: bytes) -> None:
        """See `dragoman_amqp.publisher.Replies`."""
        message, _ = to_message(properties, body, self._channel)
        waiting = self._open.get(message.get("correlation-id") or "")
        if waiting is not None and len(waiting.replies) < _MOST:
            waiting.replies.append(message)
            waiting.changed.set()

    def lost(self, error: BrokerError) -> None:
        """See `dragoman_amqp.publisher.Replies`."""
        for waiting in self._open.values():
            waiting.error = error
            waiting.changed.set()


async def _gathered(waiting: _Waiting, wanted: int) -> None:
    while len(waiting.replies) < wanted and waiting.error is None:
        waiting.changed.clear()
        await waiting.changed.wait()


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
