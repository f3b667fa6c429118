"""Queues, topics, settling, delays, order and replay, in one process."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dragoman.adapter import ACCEPT, Adapter, Lag, Reject, Release, RequestReply, Start, SubscribeOptions
from dragoman.errors import Closed, PayloadTooLarge, Unsupported
from dragoman.message import Channel, Message

from .conftest import GROUP, QUEUE, Open, accept, bodies, nothing_comes, numbered, take_all

TOPIC = Channel("orders", "topic")


@pytest.mark.parametrize("memory", [False, True])
async def test_a_group_gets_what_was_there_before_it_once_and_in_order(open_: Open, memory: bool) -> None:
    """A new group on a queue begins with what waits; lag counts it down. The same in memory."""
    adapter: Adapter = await open_(**({"path": ":memory:"} if memory else {}))
    assert isinstance(adapter, RequestReply)
    await adapter.publish(QUEUE, numbered(range(250)))
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        assert isinstance(subscription, Lag)
        assert await subscription.lag() == 250
        assert await take_all(subscription, 250) == [str(number) for number in range(250)]
        assert await subscription.lag() == 0
        assert await nothing_comes(subscription)


async def test_members_compete_and_each_group_gets_all(open_: Open) -> None:
    """Two members share a group's messages without overlap; another group misses none."""
    adapter = await open_()
    async with (
        adapter.subscribe(QUEUE, GROUP) as one,
        adapter.subscribe(QUEUE, GROUP) as two,
        adapter.subscribe(QUEUE, SubscribeOptions(group="h")) as other,
    ):
        await adapter.publish(QUEUE, numbered(range(100)))
        halves = bodies(await one.receive(50)), bodies(await two.receive(50))
        assert sorted(halves[0] + halves[1], key=int) == [str(number) for number in range(100)]
        assert await take_all(other, 100) == [str(number) for number in range(100)]


async def test_every_topic_subscriber_gets_what_comes_from_now_on(open_: Open) -> None:
    """What was published before the subscription is not for it."""
    adapter = await open_()
    await adapter.publish(TOPIC, numbered([1]))
    options = SubscribeOptions()
    async with adapter.subscribe(TOPIC, options) as one, adapter.subscribe(TOPIC, options) as two:
        await adapter.publish(TOPIC, numbered([2]))
        assert bodies(await one.receive(10)) == bodies(await two.receive(10)) == ["2"]


async def test_a_named_topic_subscription_outlives_the_connection(open_: Open) -> None:
    """What came while nobody was connected waits under the name."""
    first = await open_()
    async with first.subscribe(TOPIC, GROUP):
        pass
    await first.close()
    second = await open_()
    await second.publish(TOPIC, numbered([1]))
    async with second.subscribe(TOPIC, GROUP) as subscription:
        assert await take_all(subscription, 1) == ["1"]


async def test_what_is_released_comes_again_and_counts(open_: Open) -> None:
    """Deliveries are counted; a rejected message does not come again."""
    adapter = await open_()
    await adapter.publish(QUEUE, numbered([1]))
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        for count in (1, 2, 3):
            [delivery] = await subscription.receive(10)
            assert (delivery.count, delivery.message.data) == (count, b"1")
            await subscription.settle([(delivery, Release())])
        [delivery] = await subscription.receive(10)
        await subscription.settle([(delivery, Reject("no"))])
        assert await nothing_comes(subscription)


async def test_settling_twice_changes_nothing(open_: Open) -> None:
    """The second outcome must not settle the next delivery of the same message."""
    adapter = await open_()
    await adapter.publish(QUEUE, numbered([1]))
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        [first] = await subscription.receive(1)
        await subscription.settle([(first, Release())])
        [again] = await subscription.receive(1)
        await subscription.settle([(first, ACCEPT)])
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        assert bodies(await subscription.receive(1)) == bodies([again])


async def test_a_delay_is_kept_and_holds_up_nobody_else(open_: Open) -> None:
    """A delayed message comes after its delay, others come at once."""
    adapter = await open_()
    await adapter.publish(QUEUE, numbered([1, 2]))
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        first, second = await subscription.receive(2)
        loop = asyncio.get_running_loop()
        released = loop.time()
        await subscription.settle([(first, Release(0.2)), (second, Release())])
        assert bodies(await subscription.receive(2)) == ["2"]
        assert bodies(await subscription.receive(2)) == ["1"]
        assert loop.time() - released >= 0.2


async def test_setting_the_clock_back_stalls_no_delay(open_: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Delays are measured by a clock that nobody can set."""
    adapter = await open_()
    await adapter.publish(QUEUE, numbered([1]))
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        [delivery] = await subscription.receive(1)
        await subscription.settle([(delivery, Release(0.05))])
        monkeypatch.setattr("time.time", lambda: 0.0)
        assert bodies(await subscription.receive(1)) == ["1"]
        await adapter.publish(QUEUE, numbered([2]))
        assert bodies(await subscription.receive(1)) == ["2"]


async def test_a_key_stays_with_one_member_until_it_is_settled(open_: Open) -> None:
    """Other members get other keys, and what has none; then the rest of the key, in order."""
    adapter = await open_()
    await adapter.publish(QUEUE, [*numbered([1, 2], "a"), *numbered([3], "b"), *numbered([4], "a"), *numbered([5])])
    async with adapter.subscribe(QUEUE, GROUP) as one, adapter.subscribe(QUEUE, GROUP) as two:
        [first] = await one.receive(1)
        assert first.lane == "a"
        others = await two.receive(10)
        assert [(delivery.message.data, delivery.lane) for delivery in others] == [(b"3", "b"), (b"5", None)]
        waiting = asyncio.create_task(two.receive(10))
        await accept(one, [first])
        assert bodies(await waiting) == ["2", "4"]


async def test_later_messages_of_a_key_wait_behind_a_delayed_one(open_: Open) -> None:
    """No member gets a key's next message before the one that was released."""
    adapter = await open_()
    await adapter.publish(QUEUE, [*numbered([1, 2], "a"), *numbered([3], "b")])
    async with adapter.subscribe(QUEUE, GROUP) as one, adapter.subscribe(QUEUE, GROUP) as two:
        [first] = await one.receive(1)
        await one.settle([(first, Release(0.1))])
        assert bodies(await two.receive(10)) == ["3"]
        assert bodies(await two.receive(10)) == ["1", "2"]


async def test_a_blocked_key_holds_up_other_keys_only_beyond_a_bound(
    open_: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is passed over is bounded; when the key is free again, nothing is missing and the order holds."""
    monkeypatch.setattr("dragoman.embedded.groups.PASSED_OVER", 20)
    adapter = await open_()
    await adapter.publish(QUEUE, [*numbered(range(100), "a"), *numbered([100], "b")])
    async with adapter.subscribe(QUEUE, GROUP) as one, adapter.subscribe(QUEUE, GROUP) as two:
        [first] = await one.receive(1)
        assert await nothing_comes(two)
        await accept(one, [first])
        assert [first.message.data.decode(), *await take_all(two, 100)] == [str(number) for number in range(101)]


async def test_no_more_than_prefetch_is_in_hand(open_: Open) -> None:
    """More comes when something is settled."""
    adapter = await open_()
    await adapter.publish(QUEUE, numbered(range(10)))
    async with adapter.subscribe(QUEUE, SubscribeOptions(group="g", prefetch=4)) as subscription:
        batch = await subscription.receive(10)
        assert bodies(batch) == ["0", "1", "2", "3"]
        waiting = asyncio.create_task(subscription.receive(10))
        await accept(subscription, batch[:1])
        assert bodies(await waiting) == ["4"]


async def test_a_batch_ends_when_its_data_is_large(open_: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large messages come in smaller batches; none is left out."""
    monkeypatch.setattr("dragoman.embedded.groups.BATCH_BYTES", 1000)
    adapter = await open_()
    await adapter.publish(QUEUE, [Message(bytes(600)) for _ in range(5)])
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        sizes = [len(await subscription.receive(5)) for _ in range(3)]
    assert sizes == [2, 2, 1]


async def test_replay_from_the_start_an_offset_or_a_time(open_: Open) -> None:
    """A new subscription may begin in the past; a time without a zone is refused."""
    adapter = await open_()
    await adapter.publish(TOPIC, numbered(range(3)))
    between = datetime.now(UTC)
    await adapter.publish(TOPIC, numbered(range(3, 6)))

    async def first(start: Start) -> str:
        async with adapter.subscribe(TOPIC, SubscribeOptions(start=start)) as subscription:
            [delivery] = await subscription.receive(1)
            return delivery.message.data.decode()

    assert await first(Start()) == "0"
    assert await first(Start(offset=2)) == "2"
    assert await first(Start(time=between)) == "3"
    assert await first(Start(time=between - timedelta(days=1))) == "0"
    with pytest.raises(ValueError, match="time zone"):
        await first(Start(time=between.replace(tzinfo=None)))


async def test_a_group_that_exists_goes_on_where_it_was(open_: Open) -> None:
    """`start` is for new groups."""
    adapter = await open_()
    await adapter.publish(QUEUE, numbered([1, 2]))
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        await accept(subscription, await subscription.receive(1))
    async with adapter.subscribe(QUEUE, SubscribeOptions(group="g", start=Start())) as subscription:
        assert bodies(await subscription.receive(5)) == ["2"]


async def test_unsettled_deliveries_go_back_when_the_subscription_closes(open_: Open) -> None:
    """Another member that already waits gets them at once."""
    adapter = await open_()
    await adapter.publish(QUEUE, numbered([1, 2]))
    async with adapter.subscribe(QUEUE, GROUP) as one, adapter.subscribe(QUEUE, GROUP) as two:
        async with adapter.subscribe(QUEUE, GROUP) as brief:
            held = await brief.receive(5)
            waiting = asyncio.create_task(one.receive(5))
        assert bodies(await waiting) == ["1", "2"]
        with pytest.raises(Closed):
            await brief.settle([(held[0], ACCEPT)])
        assert await nothing_comes(two)


async def test_closing_ends_a_waiting_receive_and_every_later_call(open_: Open) -> None:
    """All of them with `Closed`; closing again does nothing."""
    adapter = await open_()
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        waiting = asyncio.create_task(subscription.receive(1))
        await nothing_comes(subscription)
        await asyncio.gather(adapter.close(), adapter.close())
        with pytest.raises(Closed):
            await waiting
        with pytest.raises(Closed):
            await subscription.receive(1)
    await adapter.close()
    with pytest.raises(Closed):
        await adapter.publish(QUEUE, numbered([1]))
    with pytest.raises(Closed):
        async with adapter.subscribe(QUEUE, GROUP):
            pass


@pytest.mark.parametrize("turns", range(1, 7))
async def test_a_cancelled_close_closes_all_the_same(open_: Open, path: Path, turns: int) -> None:
    """Whenever the cancellation comes; what was in hand goes back."""
    adapter = await open_()
    await adapter.publish(QUEUE, numbered([1]))
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        await subscription.receive(1)
        closing = asyncio.create_task(adapter.close())
        for _ in range(turns):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        with pytest.raises(Closed):
            await adapter.publish(QUEUE, numbered([2]))
        await adapter.close()
    assert not {str(path), f"{path}-wal"} & set(open_files())
    again = await open_()
    async with again.subscribe(QUEUE, GROUP) as subscription:
        assert bodies(await subscription.receive(1)) == ["1"]


def open_files() -> list[str]:
    """What this process has open."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.append(str(entry.readlink()))
    return found


async def test_options_that_it_does_not_know_are_refused(open_: Open) -> None:
    """Also a queue without a group, and a message too large: then nothing of the batch is stored."""
    adapter = await open_(max_message=100)
    for options in (SubscribeOptions(), SubscribeOptions(group="g", extensions={"x": "y"})):
        with pytest.raises(Unsupported):
            async with adapter.subscribe(QUEUE, options):
                pass
    with pytest.raises(PayloadTooLarge, match="max_message"):
        await adapter.publish(QUEUE, [Message(b"small"), Message(bytes(101))])
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        assert await subscription.lag() == 0
