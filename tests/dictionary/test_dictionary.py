"""The fake is first-class: what the tests of the host rely on holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from dragoman.adapter import ACCEPT, Capability, Lag, Reject, Release, RequestReply, Start, SubscribeOptions
from dragoman.errors import Closed, ConnectionLost, PublishFailed, TimedOut, Unsupported
from dragoman.message import Channel, Message
from tests.dictionary.adapter import EVERYTHING, DictionaryAdapter, Settings, dictionary
from tests.dictionary.broker import Broker

QUEUE = Channel("q")
TOPIC = Channel("t", "topic")
GROUP = SubscribeOptions("g")


@pytest.fixture
def broker() -> Broker:
    """An empty one."""
    return Broker()


@pytest.fixture
async def adapter(broker: Broker) -> AsyncIterator[DictionaryAdapter]:
    """A connection to it."""
    adapter = await dictionary(broker).connect(Settings())
    yield adapter
    await adapter.close()


def bodies(*texts: str, key: str | None = None) -> list[Message]:
    """Messages with these bodies."""
    return [Message.of(text, key=key) for text in texts]


async def test_a_queue_keeps_messages_and_gives_each_to_one_member_of_a_group(adapter: DictionaryAdapter) -> None:
    """And to every group."""
    await adapter.publish(QUEUE, bodies("a", "b", "c"))
    async with (
        adapter.subscribe(QUEUE, GROUP) as one,
        adapter.subscribe(QUEUE, GROUP) as two,
        adapter.subscribe(QUEUE, SubscribeOptions("h")) as other,
    ):
        first, second = await one.receive(2), await two.receive(2)
        assert [d.message.data for d in [*first, *second]] == [b"a", b"b", b"c"]
        assert [d.message.data for d in await other.receive(9)] == [b"a", b"b", b"c"]
        assert first[0].message.channel == QUEUE


async def test_a_topic_gives_what_comes_to_every_subscription(adapter: DictionaryAdapter) -> None:
    """Not what came before."""
    options = SubscribeOptions()
    await adapter.publish(TOPIC, bodies("old"))
    async with adapter.subscribe(TOPIC, options) as one, adapter.subscribe(TOPIC, options) as two:
        await adapter.publish(TOPIC, bodies("new"))
        assert [(await each.receive(9))[0].message.data for each in (one, two)] == [b"new", b"new"]
    assert not adapter.broker.groups[TOPIC]


async def test_a_subscription_starts_in_the_past(adapter: DictionaryAdapter) -> None:
    """At the very beginning, an offset or a time."""
    await adapter.publish(TOPIC, bodies("a", "b"))
    between = datetime.now(UTC)
    await adapter.publish(TOPIC, bodies("c"))
    starts = {Start(): b"a", Start(offset=1): b"b", Start(time=between): b"c"}
    for start, first in starts.items():
        async with adapter.subscribe(TOPIC, SubscribeOptions(start=start)) as subscription:
            assert (await subscription.receive(1))[0].message.data == first


async def test_settling_forgets_or_brings_back(adapter: DictionaryAdapter) -> None:
    """Accepted and rejected messages are gone; released ones come again and are counted."""
    await adapter.publish(QUEUE, bodies("a", "b", "c"))
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        a, b, c = await subscription.receive(3)
        await subscription.settle([(a, ACCEPT), (b, Reject("no")), (c, Release())])
        (again,) = await subscription.receive(3)
        assert (again.message.data, again.count, c.count) == (b"c", 2, 1)
    assert adapter.broker.left("q", "g") == [b"c"]
    assert adapter.broker.accepted("q") == [b"a"]


async def test_a_delayed_release_comes_later(adapter: DictionaryAdapter) -> None:
    """And wakes who waits for it."""
    await adapter.publish(QUEUE, bodies("a"))
    loop = asyncio.get_running_loop()
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        began = loop.time()
        await subscription.settle([((await subscription.receive(1))[0], Release(0.05))])
        assert (await subscription.receive(1))[0].count == 2
        assert loop.time() - began >= 0.05


async def test_a_lane_is_with_one_member_and_waits_for_its_first(adapter: DictionaryAdapter) -> None:
    """Another member gets none of it, and nothing comes before a delayed one."""
    await adapter.publish(QUEUE, bodies("a1", "a2", key="a") + bodies("b1", key="b"))
    async with adapter.subscribe(QUEUE, GROUP) as one, adapter.subscribe(QUEUE, GROUP) as two:
        (first,) = await one.receive(1)
        assert [d.message.data for d in await two.receive(9)] == [b"b1"]
        await one.settle([(first, Release(0.03))])
        assert [d.message.data for d in await one.receive(9)] == [b"a1", b"a2"]


async def test_what_is_unsettled_goes_back_when_a_subscription_closes(adapter: DictionaryAdapter) -> None:
    """In its order; the closed one refuses."""
    await adapter.publish(QUEUE, bodies("a", "b"))
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        await subscription.receive(2)
    with pytest.raises(Closed):
        await subscription.receive(1)
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        assert [(d.message.data, d.count) for d in await subscription.receive(2)] == [(b"a", 2), (b"b", 2)]


async def test_closing_ends_a_waiting_receive(adapter: DictionaryAdapter) -> None:
    """With `Closed`."""
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        waiting = asyncio.create_task(subscription.receive(1))
        await asyncio.sleep(0)
    with pytest.raises(Closed):
        await waiting


async def test_a_cancelled_receive_loses_nothing(adapter: DictionaryAdapter) -> None:
    """Whatever the moment."""
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        for turns in range(4):
            waiting = asyncio.create_task(subscription.receive(1))
            await asyncio.sleep(0)
            await adapter.publish(QUEUE, bodies(str(turns)))
            for _ in range(turns):
                await asyncio.sleep(0)
            if not waiting.done():
                waiting.cancel()
            got = await asyncio.gather(waiting, return_exceptions=True)
            batch = await subscription.receive(1) if isinstance(got[0], BaseException) else got[0]
            assert batch[0].message.data == str(turns).encode()
            await subscription.settle([(batch[0], ACCEPT)])


async def test_no_more_than_prefetch_is_held(adapter: DictionaryAdapter) -> None:
    """Until something is settled."""
    await adapter.publish(QUEUE, bodies("a", "b", "c"))
    async with adapter.subscribe(QUEUE, SubscribeOptions("g", prefetch=2)) as subscription:
        held = await subscription.receive(9)
        assert len(held) == 2
        waiting = asyncio.create_task(subscription.receive(9))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        await subscription.settle([(held[0], ACCEPT)])
        assert [d.message.data for d in await waiting] == [b"c"]


async def test_requests_are_answered(adapter: DictionaryAdapter) -> None:
    """Once, several times, or not in time."""
    assert isinstance(adapter, RequestReply)

    async def answer() -> None:
        async with adapter.subscribe(QUEUE, GROUP) as subscription:
            for _ in range(2):
                (delivery,) = await subscription.receive(1)
                await adapter.reply(delivery.message, bodies("one", "two"))
                await subscription.settle([(delivery, ACCEPT)])

    answering = asyncio.create_task(answer())
    (one,) = await adapter.request(QUEUE, Message(b"?"), timeout=None, expected=None)
    both = await adapter.request(QUEUE, Message(b"?"), timeout=5, expected=2)
    assert [one.data, *(reply.data for reply in both)] == [b"one", b"one", b"two"]
    await answering
    with pytest.raises(TimedOut):
        await adapter.request(QUEUE, Message(b"?"), timeout=0.01, expected=None)
    await adapter.reply(Message(b"no request"), bodies("x"))


async def test_lag_is_what_waits(adapter: DictionaryAdapter) -> None:
    """What is in hand does not count."""
    await adapter.publish(QUEUE, bodies("a", "b", "c"))
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        assert isinstance(subscription, Lag)
        await subscription.receive(1)
        assert await subscription.lag() == 2


async def test_it_fails_on_demand_and_only_once_for_each_error(adapter: DictionaryAdapter) -> None:
    """Nothing of the failed call happens."""
    adapter.broker.fail("publish", PublishFailed("full"))
    with pytest.raises(PublishFailed, match="full"):
        await adapter.publish(QUEUE, bodies("a"))
    await adapter.publish(QUEUE, bodies("b"))
    assert adapter.broker.data("q") == [b"b"]


async def test_it_holds_calls_on_demand(adapter: DictionaryAdapter) -> None:
    """Until the block ends."""
    with adapter.broker.hold("publish"):
        waiting = asyncio.create_task(adapter.publish(QUEUE, bodies("a")))
        await asyncio.sleep(0.01)
        assert not waiting.done()
    await waiting
    assert adapter.broker.data("q") == [b"a"]


async def test_a_cut_connection_gives_everything_back(adapter: DictionaryAdapter) -> None:
    """Every call says so, a new connection gets it all."""
    await adapter.publish(QUEUE, bodies("a"))
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        (delivery,) = await subscription.receive(1)
        waiting = asyncio.create_task(subscription.receive(1))
        await asyncio.sleep(0)
        adapter.broker.drop()
        for call in (waiting, subscription.settle([(delivery, ACCEPT)]), adapter.publish(QUEUE, [])):
            with pytest.raises(ConnectionLost):
                await call
    again = await dictionary(adapter.broker).connect(Settings())
    async with again.subscribe(QUEUE, GROUP) as subscription:
        assert [(d.message.data, d.count) for d in await subscription.receive(1)] == [(b"a", 2)]
    await again.close()


async def test_what_is_not_declared_is_not_done(broker: Broker) -> None:
    """Lanes, counts, delays and unknown settings."""
    adapter = await dictionary(broker, capabilities=EVERYTHING - {Capability.ORDER, Capability.DELAY}).connect(
        Settings()
    )
    await adapter.publish(QUEUE, bodies("a", key="k"))
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        (delivery,) = await subscription.receive(1)
        assert delivery.lane is None
        with pytest.raises(Unsupported):
            await subscription.settle([(delivery, Release(1.0))])
    with pytest.raises(Unsupported):
        async with adapter.subscribe(QUEUE, SubscribeOptions("g", extensions={"x": "y"})):
            pass
    await adapter.close()
    with pytest.raises(Closed):
        await adapter.publish(QUEUE, [])


async def test_settling_twice_is_noticed(adapter: DictionaryAdapter) -> None:
    """It is an error of the caller, so the tests of the host fail."""
    await adapter.publish(QUEUE, bodies("a"))
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        (delivery,) = await subscription.receive(1)
        await subscription.settle([(delivery, ACCEPT)])
        with pytest.raises(AssertionError, match="settled twice"):
            await subscription.settle([(delivery, ACCEPT)])
