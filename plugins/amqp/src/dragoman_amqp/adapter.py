"""A connection to a broker that speaks AMQP 0-9-1."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, TypeVar

from dragoman.adapter import SubscribeOptions
from dragoman.errors import Unsupported
from dragoman.message import Channel, Message
from dragoman_amqp import boundary
from dragoman_amqp.connection import Connection, connected
from dragoman_amqp.extensions import parse
from dragoman_amqp.publisher import Publisher
from dragoman_amqp.requests import Requests, answers
from dragoman_amqp.settings import AmqpSettings
from dragoman_amqp.subscription import AmqpSubscription
from dragoman_amqp.topology import Topology, Way

K = TypeVar("K")
P = TypeVar("P", Publisher, Requests)
#: Channels to publish to that are kept open; of more, the one that was not used for longest is closed.
_KEPT: Final = 128


class AmqpAdapter:
    """See `dragoman.adapter.Adapter`. It never reconnects: what is lost raises `ConnectionLost`."""

    def __init__(self, connection: Connection, settings: AmqpSettings) -> None:
        self._connection = connection
        self._wire = connection.wire
        self._settings = settings
        self._topology = Topology(self._wire, settings, connection.server)
        self._publishers: OrderedDict[Channel | None, Publisher] = OrderedDict()
        self._requests: OrderedDict[Channel, Requests] = OrderedDict()
        self._subscriptions: set[AmqpSubscription] = set()
        self._closing: asyncio.Task[None] | None = None

    async def publish(self, channel: Channel, messages: Sequence[Message]) -> None:
        """See `dragoman.adapter.Adapter.publish`. Waits at most the setting `timeout`.

        A message that no queue gets is `ChannelNotFound`; for a topic, only with `topics_need_subscribers`.
        """
        publisher = self._publishers.get(channel)
        if publisher is None or publisher.stale or self._closing is not None:
            publisher = self._publisher(channel)
        await publisher.publish(messages)

    def _publisher(self, channel: Channel | None) -> Publisher:
        async def way() -> Way:
            return Way("", "", mandatory=True) if channel is None else await self._topology.way(channel)

        where = "replies" if channel is None else str(channel)
        return self._kept(self._publishers, channel, lambda: Publisher(self._wire, self._settings, where, way))

    def _kept(self, table: OrderedDict[K, P], key: K, make: Callable[[], P]) -> P:
        """What the table has for the key, made anew where it is of no more use."""
        self._check()
        found = table.get(key)
        if found is None or _publisher_of(found).stale:
            found = table[key] = make()
        table.move_to_end(key)
        if len(table) > _KEPT:
            _publisher_of(table.popitem(last=False)[1]).retire()
        return found

    def subscribe(self, channel: Channel, options: SubscribeOptions) -> AbstractAsyncContextManager[AmqpSubscription]:
        """See `dragoman.adapter.Adapter.subscribe`."""
        return self._subscribed(channel, options)

    @asynccontextmanager
    async def _subscribed(self, channel: Channel, options: SubscribeOptions) -> AsyncGenerator[AmqpSubscription]:
        self._check()
        extensions = parse(options.extensions)
        if channel.kind == "queue" and not options.group:
            raise Unsupported("a queue needs a group", where=str(channel), expected="the name of a group")
        if options.start is not None:
            raise Unsupported("AMQP can't start in the past", where=str(channel))
        if options.transactions:
            raise Unsupported("this adapter has no transactions", where=str(channel))
        if extensions.binding_keys and (channel.kind == "queue" or options.group is not None):
            raise Unsupported("`binding-keys` are for a topic without a group", where=str(channel))
        subscription = AmqpSubscription(self._wire, self._topology, channel)
        self._subscriptions.add(subscription)
        try:
            await subscription.open(options, extensions, self._settings.timeout)
            self._check()
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            await subscription.close()

    async def request(
        self, channel: Channel, message: Message, *, timeout: float | None, expected: int | None
    ) -> Sequence[Message]:
        """See `dragoman.adapter.RequestReply.request`."""

        async def way() -> Way:
            return await self._topology.way(channel)

        requests = self._kept(self._requests, channel, lambda: Requests(self._wire, self._settings, channel, way))
        return await requests.request(message, timeout, expected)

    async def reply(self, to: Message, replies: Sequence[Message]) -> None:
        """See `dragoman.adapter.RequestReply.reply`."""
        self._check()
        found = answers(to, replies)
        if found is not None:
            way, messages = found
            await self._publisher(None).publish(messages, way)

    def _check(self) -> None:
        if self._closing is not None:
            raise boundary.closed(self._settings.place)
        if self._wire.error is not None:
            raise self._wire.error

    async def close(self) -> None:
        """See `dragoman.adapter.Adapter.close`."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        await asyncio.gather(*(each.close() for each in self._subscriptions), return_exceptions=True)
        await self._connection.close()


def _publisher_of(kept: Publisher | Requests) -> Publisher:
    return kept.publisher if isinstance(kept, Requests) else kept


async def connect(settings: AmqpSettings) -> AmqpAdapter:
    """Connect to a broker.

    Raises:
        ConnectionLost: none of the hosts can be reached.
        AuthenticationFailed: the broker does not accept the name, password or certificate, or we not its certificate.
        PermissionDenied: there is no such virtual host, or it is not for us.
    """
    return AmqpAdapter(await connected(settings), settings)
