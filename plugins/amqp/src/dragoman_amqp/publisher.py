"""Publishing to one channel: messages go out in one write per turn of the loop, and a table waits for confirmations.

Each channel has a publisher, and with it an AMQP channel, of its own: whatever the broker refuses ends an AMQP channel
and with it everything that is under way there, and this must not hit messages to somewhere else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from pamqp import commands

from dragoman.errors import (
    BrokerError,
    ChannelNotFound,
    PayloadTooLarge,
    PermissionDenied,
    PublishFailed,
)
from dragoman.message import Message
from dragoman_amqp.channels import Channel, Listener
from dragoman_amqp.records import to_properties
from dragoman_amqp.settings import AmqpSettings
from dragoman_amqp.topology import Way
from dragoman_amqp.wire import Wire

#: What a request has as its `reply-to`; the broker writes the real address over it.
DIRECT_REPLY_TO: Final = "amq.rabbitmq.reply-to"
_REFUSALS: Final = (ChannelNotFound, PermissionDenied, PayloadTooLarge)


class _Call:
    """The messages of one call of `publish` that are not confirmed yet."""

    __slots__ = ("begun", "done", "error", "left")

    def __init__(self, count: int, done: asyncio.Future[None], begun: float) -> None:
        self.left = count
        self.done = done
        self.begun = begun
        self.error: BrokerError | None = None

    def confirmed(self) -> None:
        self.left -= 1
        if not self.left and not self.done.done():
            if self.error is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(self.error)

    def failed(self, error: BrokerError) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class ReplyListener(Protocol):
    """Whoever waits for replies to what a publisher sends."""

    @property
    def busy(self) -> bool:
        """Whether replies are still to come."""

    def replied(self, properties: bytes, body: bytes) -> None:
        """A reply came. Never blocks."""

    def lost(self, error: BrokerError) -> None:
        """No more will come. Never blocks."""


#: A message under way, with what it takes to know it again when it is returned.
_Sent = tuple[_Call, bytes, bytes]


class Publisher(Listener):
    """Publishes to one channel, and waits for the broker's confirmations.

    Attributes:
        stale: whether the next message needs a new publisher.
    """

    def __init__(
        self,
        wire: Wire,
        settings: AmqpSettings,
        where: str,
        find_way: Callable[[], Awaitable[Way]],
        replies: ReplyListener | None = None,
    ) -> None:
        """A publisher that opens its AMQP channel with the first message.

        Args:
            wire: the connection.
            settings: the client's.
            where: what errors call the channel.
            find_way: makes the channel, and says how to get there.
            replies: who is told of replies by direct reply-to.
        """
        self._wire = wire
        self._settings = settings
        self._user = settings.user
        self._where = where
        self._find_way = find_way
        self._replies = replies
        self._channel: Channel | None = None
        self._routes: dict[tuple[str, bool], bytes] = {}
        self._way = Way("", "", mandatory=True)
        self._next = 1
        self._sent: dict[int, _Sent] = {}
        self._queue: deque[asyncio.Future[None]] = deque()
        self._watch: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._shrunk = asyncio.Event()
        self.stale = False

    async def publish(self, messages: Sequence[Message], way: Way | None = None) -> None:
        """See `dragoman.adapter.Adapter.publish`.

        Args:
            messages: what to publish.
            way: another way than the channel's.
        """
        encoded = self._encoded(messages)
        if not encoded:
            return
        channel = self._channel
        if channel is None or self._queue or not self._can_send(channel):
            channel = await self._turn()
        await self._send(channel, encoded, way or self._way)

    def _encoded(self, messages: Sequence[Message]) -> list[tuple[bytes, bytes]]:
        largest, user = self._settings.max_message, self._user
        encoded = []
        for message in messages:
            if len(message.data) > largest:
                raise PayloadTooLarge(
                    f"a message of {len(message.data)} bytes",
                    where=self._where,
                    expected=f"at most {largest} bytes",
                    hint="the setting `max_message`, and the broker's own `max_message_size`",
                )
            encoded.append((to_properties(message, user), message.data))
        return encoded

    def _can_send(self, channel: Channel) -> bool:
        return channel.error is None and not self._wire.congested and len(self._sent) < self._settings.max_unconfirmed

    async def _turn(self) -> Channel:
        """Wait until it is our turn and there is room; who came first goes first."""
        mine: asyncio.Future[None] = self._loop.create_future()
        self._queue.append(mine)
        try:
            if self._queue[0] is not mine:
                await mine
            return await self._ready()
        finally:
            first = self._queue[0] is mine
            self._queue.remove(mine)
            if first and self._queue and not self._queue[0].done():
                self._queue[0].set_result(None)

    async def _ready(self) -> Channel:
        if self._channel is None:
            self._way = await self._find_way()
            self._channel = await self._opened()
        deadline = self._loop.time() + self._settings.timeout
        while not self._can_send(self._channel):
            if self._channel.error is not None:
                raise self._channel.error
            await self._room(deadline)
        return self._channel

    async def _opened(self) -> Channel:
        channel = await Channel.open(self._wire, self, where=self._where, timeout=self._settings.timeout)
        try:
            await channel.call(commands.Confirm.Select())
            if self._replies is not None:
                await channel.call(commands.Basic.Consume(queue=DIRECT_REPLY_TO, no_ack=True))
        except BaseException:
            channel.abandon()
            raise
        return channel

    async def _room(self, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline) as limit:
                await self._wire.room()
                if len(self._sent) >= self._settings.max_unconfirmed:
                    self._shrunk.clear()
                    await self._shrunk.wait()
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise self._late("took no more messages") from error

    def _late(self, what: str, *, outcome_unknown: bool = False) -> PublishFailed:
        return PublishFailed(
            f"the broker {what} within {self._settings.timeout:g} s",
            where=self._where,
            outcome_unknown=outcome_unknown,
            hint=f"it says: {self._wire.blocked}" if self._wire.blocked else None,
        )

    def _send(self, channel: Channel, encoded: list[tuple[bytes, bytes]], way: Way) -> asyncio.Future[None]:
        """Write the messages and enter them into the table; nothing may come between the two."""
        route = self._route(channel, way)
        begun = self._loop.time()
        done: asyncio.Future[None] = self._loop.create_future()
        call = _Call(len(encoded), done, begun)
        for properties, body in encoded:
            channel.publish(route, properties, body)
            self._sent[self._next] = call, properties, body
            self._next += 1
        if self._watch is None:
            self._watch = self._loop.call_at(begun + self._settings.timeout, self._look)
        return done

    def _route(self, channel: Channel, way: Way) -> bytes:
        route = self._routes.get((way.key, way.mandatory))
        if route is None:
            if len(self._routes) >= 64:
                self._routes.clear()
            route = self._routes[way.key, way.mandatory] = channel.route(way.exchange, way.key, mandatory=way.mandatory)
        return route

    def _look(self) -> None:
        """Whether the oldest message has waited too long for its confirmation."""
        self._watch = None
        if not self._sent or self._channel is None:
            return
        oldest = next(iter(self._sent.values()))[0].begun
        due = oldest + self._settings.timeout
        if due <= self._loop.time():
            self._channel.fail(self._late("did not confirm", outcome_unknown=True))
        else:
            self._watch = self._loop.call_at(due, self._look)

    # Listener

    def confirmed(self, tag: int, *, multiple: bool, taken: bool) -> None:
        """See `dragoman_amqp.channels.Listener`."""
        sent = self._sent
        if multiple:
            while sent and (number := next(iter(sent))) <= tag:
                self._settled(sent.pop(number)[0], taken=taken)
        elif tag in sent:
            self._settled(sent.pop(tag)[0], taken=taken)
        self._shrunk.set()
        if not sent and self.stale:
            self.retire()

    def _settled(self, call: _Call, *, taken: bool) -> None:
        if not taken and call.error is None:
            call.error = PublishFailed(
                "the broker refused a message", where=self._where, hint="its queue may be full, or without a majority"
            )
        call.confirmed()

    def returned(self, refusal: BrokerError, properties: bytes, body: bytes) -> None:
        """See `dragoman_amqp.channels.Listener`."""
        # Nothing in it says which message it was; of several that are the same, any one will do.
        self.stale = True
        alike = [call for call, its, data in self._sent.values() if data == body and call.error is None]
        same = [call for call, its, data in self._sent.values() if (its, data) == (properties, body) and not call.error]
        for call in (same or alike)[:1]:
            call.error = refusal

    def delivered(self, tag: int, key: bytes, properties: bytes, body: bytes, *, redelivered: bool) -> None:
        """See `dragoman_amqp.channels.Listener`."""
        del tag, key, redelivered
        if self._replies is not None:
            self._replies.replied(properties, body)

    def ended(self, error: BrokerError) -> None:
        """See `dragoman_amqp.channels.Listener`."""
        self.stale = True
        if self._replies is not None:
            self._replies.lost(error)
        self._shrunk.set()
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        sent, self._sent = self._sent, {}
        for call, _, _ in sent.values():
            call.failed(error if isinstance(error, (*_REFUSALS, PublishFailed)) else self._unknown(error))

    def _unknown(self, error: BrokerError) -> PublishFailed:
        unknown = PublishFailed(
            f"{error.what}, before the broker confirmed", where=self._where, outcome_unknown=True, hint=error.hint
        )
        unknown.__cause__ = error
        return unknown

    def retire(self) -> None:
        """Take no more messages, and end when those under way are confirmed and replied to. Never blocks."""
        self.stale = True
        busy = self._sent or self._queue or (self._replies is not None and self._replies.busy)
        if not busy and self._channel is not None:
            self._channel.abandon()
