"""Groups whose members come, go and die, on a real Kafka."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
from aiokafka import errors as theirs

from dragoman.adapter import Release, SubscribeOptions
from dragoman.errors import Closed
from dragoman.message import Channel, Message
from dragoman_kafka import KAFKA
from dragoman_kafka.adapter import KafkaAdapter
from dragoman_kafka.subscription import KafkaSubscription
from tests.plugins.kafka.conftest import settings_for
from tests.plugins.kafka.receiving import accept, bodies, drain, drain_until_quiet, messages, take, until
from tests.servers import Server

GROUP = SubscribeOptions(group="g")
RELEASE = Release()


async def work(subscription: KafkaSubscription, done: list[str]) -> None:
    """Handle everything, a few at a time, until the subscription is closed."""
    try:
        while True:
            taken = await subscription.receive(10)
            await asyncio.sleep(0.001)
            done += bodies(taken)
            await accept(subscription, *taken)
    except Closed:
        return


async def test_members_of_a_group_share_and_groups_get_everything(adapter: KafkaAdapter, channel: Channel) -> None:
    """Each message once in each group, whoever of it gets it."""
    done: dict[str, list[str]] = {"a": [], "b": []}
    async with AsyncExitStack() as stack:
        workers = []
        for group in ("a", "a", "b"):
            subscription = await stack.enter_async_context(adapter.subscribe(channel, SubscribeOptions(group=group)))
            workers.append(asyncio.create_task(work(subscription, done[group])))
        await adapter.publish(channel, messages(1000))
        await until(lambda: len(done["a"]) >= 1000 and len(done["b"]) >= 1000)
    await asyncio.gather(*workers)
    for group in done.values():
        assert Counter(group) == Counter(str(n) for n in range(1000))


async def test_what_is_in_hand_is_waited_for_and_committed_when_a_member_joins(
    adapter: KafkaAdapter, channel: Channel
) -> None:
    """The new member gets none of it, and nothing comes twice."""
    await adapter.publish(channel, messages(40))
    async with adapter.subscribe(channel, GROUP) as first:
        held = await take(first, 40)
        opening = asyncio.create_task(_opened(adapter, channel))
        await until(lambda: first.rebalancing.under_way)
        assert not opening.done()
        await accept(first, *held[:20])
        await asyncio.sleep(0.2)
        assert not opening.done(), "half of it is still in hand"
        await accept(first, *held[20:])
        stack, second = await opening
        async with stack:
            await adapter.publish(channel, messages(40, first=40))
            done: list[str] = []
            workers = [asyncio.create_task(work(each, done)) for each in (first, second)]
            await until(lambda: len(done) >= 40)
            assert sorted(done, key=int) == [str(n) for n in range(40, 80)]
            for worker in workers:
                worker.cancel()


async def _opened(adapter: KafkaAdapter, channel: Channel) -> tuple[AsyncExitStack, KafkaSubscription]:
    stack = AsyncExitStack()
    return stack, await stack.enter_async_context(adapter.subscribe(channel, GROUP))


async def test_waiting_for_what_is_in_hand_is_bounded(kafka: Server, channel: Channel) -> None:
    """A handler that never ends does not keep the group waiting: what moves comes again elsewhere, the rest stays."""
    adapter = await KAFKA.connect(settings_for(kafka, rebalance_timeout=2.0))
    await adapter.publish(channel, [Message.of(str(number), key=str(number)) for number in range(40)])
    async with adapter.subscribe(channel, GROUP) as first:
        held = await take(first, 40)
        began = time.monotonic()
        async with adapter.subscribe(channel, GROUP) as second:
            assert 1.0 < time.monotonic() - began < 5.0
            moved = [each for each in held if each.token[0].lost]
            assert {each.lane for each in moved} < {each.lane for each in held}, "some stay, and some move"
            again = await take(second, len(moved))
            assert sorted(bodies(again)) == sorted(bodies(moved))
            await accept(first, *held)  # of what has moved it says nothing
            assert await first.lag() + len(again) >= len(moved)
            await accept(second, *again)
            assert await second.lag() == 0
            for each in (first, second):
                assert bodies(await drain_until_quiet(each, 0.1)) == []
    await adapter.close()


@pytest.mark.parametrize("settles", ["before", "after", "releases"])
async def test_a_subscription_to_another_channel_opens_while_one_holds_messages(
    adapter: KafkaAdapter, queue: Callable[[], Channel], settles: str
) -> None:
    """A handler that subscribes in the middle of a message is what the group waits for. None of it comes twice."""
    one, other = queue(), queue()
    await adapter.publish(one, messages(40))
    await adapter.publish(other, messages(40, first=40))
    async with adapter.subscribe(one, SubscribeOptions(group="g", prefetch=20)) as first:
        held = await take(first, 10)
        if settles == "before":
            await accept(first, *held[5:])
        async with adapter.subscribe(other, GROUP) as second:
            seen = bodies(held)
            if settles == "releases":
                await first.settle([(each, RELEASE) for each in held])
                seen = []
            else:
                await accept(first, *(held[:5] if settles == "before" else held))
            seen += bodies(await drain(first))
            seen += bodies(await drain(second))
    assert sorted(seen, key=int) == [str(n) for n in range(80)]


async def test_what_is_settled_while_the_group_settles_is_committed(
    adapter: KafkaAdapter, queue: Callable[[], Channel]
) -> None:
    """A commit waits until the partitions are given out: then it counts, and nothing comes twice."""
    one, other = queue(), queue()
    await adapter.publish(one, messages(100))
    await adapter.publish(other, messages(1, first=100))
    done: list[str] = []

    async with adapter.subscribe(one, SubscribeOptions(group="g", prefetch=10)) as first:
        slow = asyncio.create_task(one_by_one(first, done))
        for _ in range(3):
            async with adapter.subscribe(other, GROUP):
                pass
        async with adapter.subscribe(other, GROUP) as second:
            done += bodies(await drain(second))
        await until(lambda: len(done) >= 101)
        assert await first.lag() == 0
    await slow
    assert sorted(done, key=int) == [str(n) for n in range(101)]


async def one_by_one(subscription: KafkaSubscription, done: list[str]) -> None:
    """Handle everything, each message for itself, and two hundredths of a second for each."""
    try:
        while True:
            (taken,) = await subscription.receive(1)
            await asyncio.sleep(0.02)
            done += bodies([taken])
            await accept(subscription, taken)
    except Closed:
        return


async def test_a_commit_that_comes_too_late_is_no_error(adapter: KafkaAdapter, channel: Channel) -> None:
    """The group has gone on without us: what we settled comes again, and nobody is told that it failed."""
    await adapter.publish(channel, messages(4))
    async with adapter.subscribe(channel, GROUP) as subscription:
        held = await take(subscription, 4)
        # What the broker does to a member that it thinks dead.
        coordinator = subscription._consumer._coordinator
        coordinator.member_id = "somebody-else"
        await accept(subscription, *held)
        assert all(progress.lost for progress in {each.token[0] for each in held})
        assert sorted(bodies(await drain(subscription))) == ["0", "1", "2", "3"]


async def test_a_failed_commit_says_so(
    adapter: KafkaAdapter, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the broker forbids is no rebalance, and is not passed over in silence."""
    from dragoman.errors import PermissionDenied

    await adapter.publish(channel, messages(1))
    async with adapter.subscribe(channel, GROUP) as subscription:
        held = await take(subscription, 1)

        async def refuse(_offsets: object) -> None:
            raise theirs.GroupAuthorizationFailedError("g")

        with monkeypatch.context() as patch:
            patch.setattr(subscription._consumer, "commit", refuse)
            with pytest.raises(PermissionDenied) as caught:
                await accept(subscription, *held)
        assert isinstance(caught.value.__cause__, theirs.GroupAuthorizationFailedError)


async def test_a_slow_handler_keeps_its_deliveries(kafka: Server, channel: Channel) -> None:
    """Longer than the session: as long as the process lives, nobody else gets them."""
    adapter = await KAFKA.connect(settings_for(kafka, session_timeout=1.0, rebalance_timeout=2.0))
    await adapter.publish(channel, messages(4))
    async with adapter.subscribe(channel, GROUP) as subscription:
        held = await take(subscription, 4)
        with pytest.raises(TimeoutError):
            await take(subscription, 1, seconds=2.5)
        await accept(subscription, *held)
        assert await subscription.lag() == 0
    await adapter.close()


async def test_a_loop_that_stood_still_joins_again_and_loses_nothing(kafka: Server, channel: Channel) -> None:
    """A handler that blocks the loop stops the heartbeats; the group goes on without us, and we come back."""
    adapter = await KAFKA.connect(settings_for(kafka, session_timeout=1.0, rebalance_timeout=2.0))
    await adapter.publish(channel, messages(20))
    async with adapter.subscribe(channel, GROUP) as subscription:
        held = await take(subscription, 10)
        time.sleep(2.5)  # noqa: ASYNC251 - that is the handler
        await accept(subscription, *held)
        found = set(bodies(held)) | set(bodies(await drain(subscription)))
        assert found == {str(n) for n in range(20)}
    await adapter.close()


async def test_members_that_come_and_go_lose_nothing_and_keep_the_order_of_keys(
    adapter: KafkaAdapter, channel: Channel
) -> None:
    """Everything comes, and each key's messages first come in their order."""
    done: list[str] = []
    total = 2000

    async def publish() -> None:
        for start in range(0, total, 50):
            batch = [Message.of(str(n), key=f"k{n % 16}") for n in range(start, start + 50)]
            await adapter.publish(channel, batch)

    async def member(seconds: float) -> None:
        async with adapter.subscribe(channel, SubscribeOptions(group="g", prefetch=32)) as subscription:
            worker = asyncio.create_task(work(subscription, done))
            await asyncio.sleep(seconds)
        await worker

    await adapter.publish(channel, messages(0) or [Message.of("first", key="k0")])
    await asyncio.gather(publish(), member(1.0), member(2.0), member(0.5))
    async with adapter.subscribe(channel, GROUP) as last:
        done += bodies(await drain(last))
    assert set(done) == {"first", *(str(n) for n in range(total))}
    for key in range(16):
        firsts = list(dict.fromkeys(int(each) for each in done if each != "first" and int(each) % 16 == key))
        assert firsts == sorted(firsts)


async def test_ten_members_at_once(adapter: KafkaAdapter, channel: Channel) -> None:
    """More than there are partitions: they open, and close, and nothing is lost."""
    await adapter.publish(channel, messages(100))
    done: list[str] = []
    async with AsyncExitStack() as stack:
        opening = [stack.enter_async_context(adapter.subscribe(channel, GROUP)) for _ in range(10)]
        members = await asyncio.gather(*opening)
        workers = [asyncio.create_task(work(each, done)) for each in members]
        await until(lambda: len(set(done)) >= 100)
        await asyncio.gather(*(each.close() for each in members))
    await asyncio.gather(*workers)
    assert set(done) == {str(n) for n in range(100)}
