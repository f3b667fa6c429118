"""The connection that users hold, and that the host works with.

    async with dragoman.connect("embedded:orders.db") as client:
        await client.publish("orders", b'{"id": 1}', key="1")
        async with client.subscribe("orders", group="billing") as orders:
            async for delivery in orders:
                print(delivery.message.data)
                await orders.accept(delivery)

A client checks what its adapter can do before it asks, and puts its own name into the errors. A call that finds no
connection waits for one, for as long as the client's `wait` says. What may have reached the broker is never repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from math import inf
from typing import Final, Self

from dragoman.adapter import Adapter, AdapterType, Capability, RequestReply, Start, SubscribeOptions
from dragoman.errors import BrokerError, ConnectionLost, PublishFailed
from dragoman.link import Link
from dragoman.message import Channel, ChannelKind, Message, MessageLike, MetadataLike
from dragoman.observe.traces import Traces
from dragoman.subscription import Subscription

_KINDS: Final = {"queue": Capability.QUEUE, "topic": Capability.TOPIC}


class Client:
    """A named connection. Made by `dragoman.connect`; used on the loop that made it, by any number of tasks."""

    def __init__(self, link: Link, traces: Traces | None = None) -> None:
        """A client of that link, which is not connected yet; `traces` get a span for whatever it sends."""
        self._link = link
        self._traces = traces

    async def __aenter__(self) -> Self:
        await self._link.live(0)  # whoever begins with a broker that is not there wants to know it now
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def name(self) -> str:
        """Its name in the configuration, or the adapter's where there is none; errors begin with it."""
        return self._link.name

    @property
    def type(self) -> AdapterType:
        """The adapter that it speaks through: its name, format and capabilities."""
        return self._link.type

    @property
    def connected(self) -> bool:
        """Whether there is a connection that is not known to be lost."""
        return self._link.adapter is not None

    def require(self, kind: ChannelKind) -> None:
        """Check that the adapter has channels of that kind. Raises `Unsupported`."""
        self._link.require(_KINDS[kind])

    async def ready(self, within: float | None = None) -> None:
        """Wait until there is a connection.

        Args:
            within: seconds; None waits as long as it takes.

        Raises:
            ConnectionLost: there was none in that time, or `stop_waiting` was called.
            AuthenticationFailed: and whatever else the broker refuses us for: that is not waited for.
            Closed: the client was closed.
        """
        await self._link.live(inf if within is None else within)

    def stop_waiting(self) -> None:
        """From now on a call that finds no connection fails at once, and those that wait do so now. Never blocks."""
        self._link.stop_waiting()

    async def publish(
        self,
        channel: Channel | str,
        *messages: MessageLike,
        key: str | None = None,
        content_type: str | None = None,
        metadata: MetadataLike = (),
    ) -> None:
        """Send messages to a channel, in order; returns when the broker has them all.

        Without a connection it waits for one. A cancelled call may have sent them.

        Args:
            channel: a channel, or the text that `Channel.parse` reads.
            messages: what to send; text is sent as UTF-8. The other arguments are for bytes and text only.
            key: messages of one key stay in order.
            content_type: the media type of the bytes or text.
            metadata: names and values.

        Raises:
            ConnectionLost: there was no connection in time, and nothing was sent.
            PublishFailed: the broker refused; or the connection broke, and `outcome_unknown` says so.
            BrokerError: as the adapter's `publish`, with the client's name as `where`.
            Unsupported: the adapter has no channels of that kind.
            TypeError: a `Message` was given together with `key`, `content_type` or `metadata`.
        """
        where = self._channel(channel)
        batch = as_messages(messages, key, content_type, metadata)
        if self._traces is None:
            return await self._publish(where, batch)
        with self._traces.sending(self.type, where, batch) as traced:
            return await self._publish(where, traced)

    async def _publish(self, where: Channel, batch: Sequence[Message]) -> None:
        deadline: float | None = None
        while True:
            adapter = await self._live_to_send(deadline)
            try:
                return await adapter.publish(where, batch)
            except BrokerError as error:
                told = self._unsent(error, adapter)
                now = asyncio.get_running_loop().time()
                deadline = now + self._link.wait if deadline is None else deadline
                # By the contract of adapters nothing was sent then; all else may have arrived, and is not repeated.
                if not isinstance(error, ConnectionLost) or now >= deadline:
                    raise told from error.__cause__

    def created(self, channel: Channel, messages: Sequence[Message]) -> Sequence[Message]:
        """Messages that will be published later, as parts of the trace that is under way now. Never blocks."""
        if self._traces is None:
            return messages
        with self._traces.sending(self.type, channel, messages, "create") as traced:
            return traced

    @asynccontextmanager
    async def subscribe(
        self,
        channel: Channel | str,
        *,
        group: str | None = None,
        start: Start | None = None,
        prefetch: int = 256,
        extensions: Mapping[str, str] | None = None,
        transactions: bool = False,
    ) -> AsyncIterator[Subscription]:
        """A subscription that is open, and confirmed by the broker, inside `async with`.

        Without a connection it waits for one. Leaving the block closes it: what was not settled goes back.

        Args:
            channel: a channel, or the text that `Channel.parse` reads.
            group: who shares the messages of a queue; a queue needs one.
            start: where a new group or subscription begins; see `dragoman.adapter.SubscribeOptions`.
            prefetch: how many unsettled deliveries may be here at once.
            extensions: settings of the broker's own for this subscription.
            transactions: whether `Subscription.transact` will be called.

        Raises:
            BrokerError: as the adapter's `subscribe`, with the client's name as `where`.
            Unsupported: the adapter has no channels of that kind, can't start in the past, or has no transactions.
            ValueError: a queue without a group.
        """
        where = self._channel(channel)
        if where.kind == "queue" and group is None:
            raise ValueError(f"{self.name}: subscribing to the queue {where.name!r} needs a group: pass group='...'")
        if start is not None:
            self._link.require(Capability.REPLAY)
        if transactions:
            self._link.require(Capability.TRANSACTIONS)
        options = SubscribeOptions(group, prefetch, start, extensions or {}, transactions)
        adapter = await self._link.live()
        async with AsyncExitStack() as stack:
            try:
                opened = await stack.enter_async_context(adapter.subscribe(where, options))
            except BrokerError as error:
                lost = ConnectionLost("the connection was lost while subscribing")
                raise self._link.failed(error, adapter, lost) from error.__cause__
            subscription = Subscription(self._link, adapter, opened, where, transactions=transactions)
            stack.callback(subscription.end)
            yield subscription

    async def request(
        self,
        channel: Channel | str,
        message: MessageLike,
        *,
        timeout: float | None = None,
        expected: int | None = None,
    ) -> Sequence[Message]:
        """Send a request and wait for its replies, as `dragoman.adapter.RequestReply.request` says.

        Without a connection it waits for one. A request that may have been sent is never sent again.

        Args:
            channel: where those who answer are subscribed.
            message: the request; text is sent as UTF-8.
            timeout: seconds, once it is sent; None waits until cancelled.
            expected: how many replies to wait for. None waits for one without a timeout, and with one for all that come
                within it.

        Returns:
            At least one reply.

        Raises:
            TimedOut: no reply came in time.
            ConnectionLost: there was no connection in time, and nothing was sent; or it was lost while waiting.
            BrokerError: as the adapter's `request`, with the client's name as `where`.
            Unsupported: the adapter can't send requests.
        """
        self._link.require(Capability.REQUEST_REPLY)
        where = self._channel(channel)
        (request,) = as_messages((message,))
        if self._traces is None:
            return await self._request(where, request, timeout, expected)
        with self._traces.sending(self.type, where, (request,)) as (traced,):
            return await self._request(where, traced, timeout, expected)

    async def _request(
        self, where: Channel, request: Message, timeout: float | None, expected: int | None
    ) -> Sequence[Message]:
        adapter = await self._live_to_send()
        try:
            return await _requests(adapter).request(where, request, timeout=timeout, expected=expected)
        except BrokerError as error:
            raise self._unsent(error, adapter) from error.__cause__

    async def reply(self, to: Message, *replies: MessageLike) -> None:
        """Answer a request, also several times; does nothing where `to` asked for no reply.

        Raises:
            BrokerError: as the adapter's `reply`, with the client's name as `where`.
            Unsupported: the adapter can't send replies.
        """
        self._link.require(Capability.REQUEST_REPLY)
        batch = as_messages(replies)
        if self._traces is None or not (address := to.get("reply-to")):
            return await self._reply(to, batch)
        with self._traces.sending(self.type, Channel(address), batch) as traced:
            return await self._reply(to, traced)

    async def _reply(self, to: Message, replies: Sequence[Message]) -> None:
        adapter = await self._live_to_send()
        try:
            await _requests(adapter).reply(to, replies)
        except BrokerError as error:
            raise self._unsent(error, adapter) from error.__cause__

    async def close(self) -> None:
        """Close every subscription and the connection. Idempotent; closes also when cancelled."""
        await self._link.close()

    async def _live_to_send(self, deadline: float | None = None) -> Adapter:
        """The adapter, connected until that moment by the loop's clock; without one, within `wait`."""
        if (adapter := self._link.adapter) is not None:
            return adapter
        within = None if deadline is None else max(0.0, deadline - asyncio.get_running_loop().time())
        try:
            return await self._link.live(within)
        except ConnectionLost as error:
            error.hint = "nothing was sent"
            raise

    def _unsent(self, error: BrokerError, adapter: Adapter) -> BrokerError:
        lost = PublishFailed("the connection was lost while sending", outcome_unknown=True)
        return self._link.failed(error, adapter, lost)

    def _channel(self, channel: Channel | str) -> Channel:
        self._link.refuse_if_closed()
        found = channel if isinstance(channel, Channel) else Channel.parse(channel)
        self._link.require(_KINDS[found.kind])
        return found


def _requests(adapter: Adapter) -> RequestReply:
    if not isinstance(adapter, RequestReply):
        raise TypeError(f"{type(adapter).__name__} declares `request-reply`, but has no `request` and `reply`")
    return adapter


def as_messages(
    given: Iterable[MessageLike],
    key: str | None = None,
    content_type: str | None = None,
    metadata: MetadataLike = (),
) -> list[Message]:
    """Messages from what users pass to `publish`.

    Raises:
        TypeError: a `Message` was given together with `key`, `content_type` or `metadata`.
    """
    plain = key is None and content_type is None and not metadata
    messages = []
    for one in given:
        if not isinstance(one, Message):
            messages.append(Message.of(one, key=key, content_type=content_type, metadata=metadata))
        elif plain:
            messages.append(one)
        else:
            raise TypeError("key, content_type and metadata are for bytes and text: a Message has its own")
    return messages
