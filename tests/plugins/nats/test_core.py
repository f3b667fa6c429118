"""Core NATS, at most once: what it must not do, and what it says when it can't keep up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import nats as nats_py
import pytest

from dragoman.adapter import ACCEPT, Delivery, Reject, Release, SubscribeOptions, Subscription
from dragoman.errors import BrokerError
from dragoman.message import Channel, Message
from dragoman_nats import core
from dragoman_nats.adapter import NatsCoreAdapter, connect_core
from dragoman_nats.settings import CoreSettings
from tests.servers import Nats

GROUP = SubscribeOptions(group="g")


@pytest.fixture
async def plain(nats: Nats) -> AsyncIterator[NatsCoreAdapter]:
    """A connection without JetStream."""
    adapter = await connect_core(CoreSettings(url=nats.url))
    yield adapter
    await adapter.close()


async def _take(subscription: Subscription, count: int) -> list[Delivery]:
    taken: list[Delivery] = []
    async with asyncio.timeout(20):
        while len(taken) < count:
            taken += await subscription.receive(count - len(taken))
    return taken


async def test_settling_sends_nothing_to_whoever_waits_for_a_reply(
    plain: NatsCoreAdapter, nats: Nats, channel: Channel
) -> None:
    """An acknowledgement as JetStream knows it would be taken for the reply."""
    client = await nats_py.connect(nats.url)
    inbox = await client.subscribe("a.reply.inbox")
    async with plain.subscribe(channel, GROUP) as subscription:
        for _ in range(3):
            await client.publish(channel.name, b"?", reply="a.reply.inbox")
        deliveries = await _take(subscription, 3)
        await subscription.settle(list(zip(deliveries, (ACCEPT, Release(), Reject("no")), strict=True)))
        await plain.publish(Channel("a.reply.inbox"), [Message(b"the first that came")])
    assert (await inbox.next_msg(timeout=10)).data == b"the first that came"
    await client.close()


async def test_what_is_published_is_with_the_server(nats: Nats, channel: Channel) -> None:
    """Not in a buffer of ours: the socket may go at once. nats-py's own `publish` would have lost them."""
    client = await nats_py.connect(nats.url)
    heard = await client.subscribe(channel.name)
    await client.flush()
    adapter = await connect_core(CoreSettings(url=nats.url))
    await adapter.publish(channel, [Message(b"%d" % number) for number in range(1_000)])
    adapter._connection.wire._transport._io_writer.transport.abort()  # type: ignore[union-attr]
    assert [(await heard.next_msg(timeout=10)).data for _ in range(1_000)] == [b"%d" % n for n in range(1_000)]
    await adapter.close()
    await client.close()


async def test_a_subscriber_that_is_too_slow_is_told_how_many_it_lost(
    plain: NatsCoreAdapter, nats: Nats, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once; what was kept comes after that, and so does what is published then."""
    monkeypatch.setattr(core, "_BUFFER", 100)
    publisher = await connect_core(CoreSettings(url=nats.url))
    async with plain.subscribe(channel, GROUP) as subscription:
        await publisher.publish(channel, [Message(b"%d" % number) for number in range(150)])
        await plain._connection.wire.read_by_server()  # what the server sent before its answer is here
        with pytest.raises(BrokerError, match=r"50 messages were dropped.*adapter = 'nats' keeps them"):
            await subscription.receive(10)
        kept = await _take(subscription, 100)
        assert [delivery.message.data for delivery in kept] == [b"%d" % number for number in range(100)]
        await subscription.settle([(delivery, ACCEPT) for delivery in kept])
        await publisher.publish(channel, [Message(b"later")])
        assert (await _take(subscription, 1))[0].message.data == b"later"
    await publisher.close()
