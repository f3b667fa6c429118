"""The adapter of the dictionary broker: complete, and as plain as the contract allows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count

from pydantic import BaseModel, ConfigDict, Field

from dragoman.adapter import (
    CONTRACT,
    AdapterType,
    Capability,
    Delivery,
    Outcome,
    SubscribeOptions,
)
from dragoman.errors import Closed, ConnectionLost, TimedOut, Unsupported
from dragoman.message import Channel, FormatSpec, Message
from tests.dictionary.broker import Broker, Connection, Group, Slot

EVERYTHING = frozenset(Capability) - {Capability.DEAD_LETTER}
_ids = count(1)


class Settings(BaseModel):
    """The settings of the dictionary adapter."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    url: str = Field("dictionary:", description="nothing but the scheme")


def dictionary(
    broker: Broker,
    name: str = "dictionary",
    capabilities: frozenset[Capability] = EVERYTHING,
    widening: frozenset[str] = frozenset(),
) -> AdapterType:
    """An adapter of that broker, with these capabilities."""

    async def connect(settings: Settings) -> DictionaryAdapter:
        await broker.call("connect")
        return DictionaryAdapter(broker, capabilities)

    return AdapterType(
        name=name,
        format=FormatSpec.RAW,
        config=Settings,
        capabilities=capabilities,
        connect=connect,
        contract=CONTRACT,
        schemes=(name,),
        widening=widening,
    )


class DictionaryAdapter:
    """One connection."""

    def __init__(self, broker: Broker, capabilities: frozenset[Capability]) -> None:
        self.broker = broker
        self.capabilities = capabilities
        self.connection = Connection(broker)
        self.closed = False

    def check(self) -> None:
        """Raise if it is closed or cut."""
        if self.closed:
            raise Closed("the adapter is closed")
        if self.connection.lost.is_set():
            raise ConnectionLost("the connection was cut")

    async def publish(self, channel: Channel, messages: Sequence[Message]) -> None:
        """See `dragoman.adapter.Adapter`."""
        self.check()
        await self.broker.call("publish")
        self.check()
        for message in messages:
            self.broker.refuse(message)
            self.broker.append(channel, message)

    @asynccontextmanager
    async def subscribe(self, channel: Channel, options: SubscribeOptions) -> AsyncIterator[DictionarySubscription]:
        """See `dragoman.adapter.Adapter`."""
        self.check()
        await self.broker.call("subscribe")
        if unknown := sorted(set(options.extensions) - self.broker.extensions):
            raise Unsupported(f"the dictionary has no settings {unknown}")
        if options.transactions and Capability.TRANSACTIONS not in self.capabilities:
            raise Unsupported("these capabilities have no transactions")
        self.broker.subscribed.append((channel, options))
        name = options.group if options.group is not None else object()
        group = self.broker.group(channel, name, options.start)
        subscription = DictionarySubscription(self, channel, options, group)
        self.connection.memberships.add((group, subscription))
        try:
            yield subscription
        finally:
            subscription.close()
            self.connection.memberships.discard((group, subscription))
            if options.group is None:
                del self.broker.groups[channel][name]

    async def request(
        self, channel: Channel, message: Message, *, timeout: float | None, expected: int | None
    ) -> Sequence[Message]:
        """See `dragoman.adapter.RequestReply`."""
        self.check()
        await self.broker.call("request")
        address = f"replies-{next(_ids)}"
        replies = self.broker.replies[address] = asyncio.Queue(1_000)
        wanted = expected if expected is not None else (1 if timeout is None else 1_000)
        found: list[Message] = []
        try:
            self.broker.append(
                channel,
                message.with_metadata(reply_to=address, correlation_id=message.get("correlation-id") or address),
            )
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    while len(found) < wanted:
                        found.append(await replies.get())
        finally:
            del self.broker.replies[address]
        if not found:
            raise TimedOut(f"no reply within {timeout} s")
        return found

    async def reply(self, to: Message, replies: Sequence[Message]) -> None:
        """See `dragoman.adapter.RequestReply`."""
        self.check()
        await self.broker.call("reply")
        waiting = self.broker.replies.get(to.get("reply-to") or "")
        if waiting is None:
            return
        for reply in replies:
            waiting.put_nowait(reply.with_metadata(correlation_id=to.get("correlation-id")))

    async def close(self) -> None:
        """See `dragoman.adapter.Adapter`."""
        self.closed = True
        self.connection.cut()


class DictionarySubscription:
    """See `dragoman.adapter.Subscription`, `Lag` and `Transactions`."""

    def __init__(self, adapter: DictionaryAdapter, channel: Channel, options: SubscribeOptions, group: Group) -> None:
        self._adapter = adapter
        self._channel = channel
        self._options = options
        self._group = group
        self._changed = asyncio.Event()
        self._held: set[Slot] = set()
        self._closed = False
        group.changed.add(self._changed)

    def close(self) -> None:
        """What was not settled goes back."""
        self._closed = True
        self._group.changed.discard(self._changed)
        self._group.leave(self)
        self._changed.set()

    def _check(self) -> None:
        if self._closed:
            raise Closed("the subscription is closed")
        self._adapter.check()

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """See `dragoman.adapter.Subscription`."""
        broker = self._adapter.broker
        while True:
            self._check()
            await broker.call("receive")
            self._check()
            self._changed.clear()
            held = len(self._held) - (broker.settling if broker.generous else 0)
            slots = self._group.take(self, min(limit, self._options.prefetch - held))
            if slots:
                self._held.update(slots)
                broker.most_held = max(broker.most_held, len(self._held))
                broker.sizes["receive"].append(len(slots))
                return [self._delivery(slot) for slot in slots]
            await self._wait()

    def _delivery(self, slot: Slot) -> Delivery:
        capabilities = self._adapter.capabilities
        lane = slot.lane if Capability.ORDER in capabilities else None
        return Delivery(slot.message, lane, slot.count if Capability.DELIVERY_COUNT in capabilities else 1, slot)

    async def _wait(self) -> None:
        due = self._group.next_due()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(due):
                lost = asyncio.ensure_future(self._adapter.connection.lost.wait())
                changed = asyncio.ensure_future(self._changed.wait())
                try:
                    await asyncio.wait([lost, changed], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    lost.cancel()
                    changed.cancel()

    async def settle(self, outcomes: Sequence[tuple[Delivery, Outcome]]) -> None:
        """See `dragoman.adapter.Subscription`."""
        self._check()
        broker = self._adapter.broker
        broker.settling += len(outcomes)
        if broker.generous:
            self._group.wake()
        try:
            await broker.call("settle")
        finally:
            broker.settling -= len(outcomes)
        self._check()
        for delivery, outcome in outcomes:
            self._settle(delivery, outcome)
        broker.sizes["settle"].append(len(outcomes))
        self._group.wake()

    def _settle(self, delivery: Delivery, outcome: Outcome) -> None:
        slot = delivery.token
        if slot not in self._held:
            raise AssertionError(f"settled twice, or never delivered here: {delivery}")
        if getattr(outcome, "delay", 0) and Capability.DELAY not in self._adapter.capabilities:
            raise Unsupported("a delay")
        self._held.discard(slot)
        self._group.settle(slot, outcome)
        settled = (str(self._channel), self._options.group, slot.message.data, outcome)
        self._adapter.broker.settled.append(settled)

    async def transact(
        self, outcomes: Sequence[tuple[Delivery, Outcome]], sends: Sequence[tuple[Channel, Sequence[Message]]]
    ) -> Sequence[Delivery]:
        """See `dragoman.adapter.Transactions`."""
        self._check()
        broker = self._adapter.broker
        await broker.call("transact")
        self._check()
        gone = [delivery for delivery, _ in outcomes if delivery.token not in self._held]
        if gone:
            return gone
        for message in (each for _, messages in sends for each in messages):
            broker.refuse(message)
        for channel, messages in sends:
            for message in messages:
                broker.append(channel, message)
        for delivery, outcome in outcomes:
            self._settle(delivery, outcome)
        broker.sizes["transact"].append(len(outcomes))
        self._group.wake()
        return ()

    async def lag(self) -> int:
        """See `dragoman.adapter.Lag`."""
        self._check()
        return sum(slot.holder is None for slot in self._group.pending.values())
