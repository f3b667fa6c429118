"""Receiving from a real Kafka, and settling."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from dragoman.adapter import ACCEPT, Lag, Reject, Release, Start, SubscribeOptions
from dragoman.errors import Closed, ConnectionLost, Unsupported
from dragoman.message import Channel, Message
from dragoman_kafka import KAFKA
from dragoman_kafka.adapter import KafkaAdapter
from tests.plugins.kafka.conftest import settings_for
from tests.plugins.kafka.receiving import accept, bodies, drain, drain_until_quiet, messages, take
from tests.servers import Server

GROUP = SubscribeOptions(group="g")
RELEASE = Release()


async def test_what_was_published_before_comes_and_what_was_accepted_does_not_come_again(
    adapter: KafkaAdapter, channel: Channel
) -> None:
    """A new group begins at the beginning; later it goes on where it was."""
    await adapter.publish(channel, messages(100))
    async with adapter.subscribe(channel, GROUP) as subscription:
        assert sorted(bodies(await drain(subscription)), key=int) == [str(n) for n in range(100)]
    async with adapter.subscribe(channel, GROUP) as subscription:
        assert await drain(subscription) == []


async def test_only_what_is_before_the_first_unsettled_delivery_is_committed(
    adapter: KafkaAdapter, channel: Channel
) -> None:
    """Accept A, B and D, refuse C and E, begin anew: C and E come again, and D at most once more."""
    await adapter.publish(channel, [Message.of(name, key="k") for name in "ABCDE"])
    async with adapter.subscribe(channel, GROUP) as subscription:
        a, b, c, d, e = await take(subscription, 5)
        await accept(subscription, a, b, d)
        await subscription.settle([(e, RELEASE), (c, RELEASE)])
        assert bodies(await take(subscription, 2)) == ["C", "E"]
    async with adapter.subscribe(channel, GROUP) as subscription:
        assert bodies(await drain(subscription)) == ["C", "D", "E"]


async def test_released_deliveries_come_again_a_hundred_times(adapter: KafkaAdapter, channel: Channel) -> None:
    """Earliest first, before anything new of their lane, and the rest is not held up."""
    await adapter.publish(channel, messages(10, key="k"))
    async with adapter.subscribe(channel, GROUP) as subscription:
        held = await take(subscription, 5)
        for _ in range(100):
            await subscription.settle([(delivery, RELEASE) for delivery in reversed(held)])
            held = await take(subscription, 5)
            assert bodies(held) == ["0", "1", "2", "3", "4"]
        await accept(subscription, *held)
        assert bodies(await drain(subscription)) == ["5", "6", "7", "8", "9"]


async def test_a_rejected_delivery_does_not_come_again(adapter: KafkaAdapter, channel: Channel) -> None:
    """Kafka has no place for it: the host has written it to its dead letters before."""
    await adapter.publish(channel, messages(2, key="k"))
    async with adapter.subscribe(channel, GROUP) as subscription:
        first, second = await take(subscription, 2)
        await subscription.settle([(first, Reject("no good")), (second, ACCEPT)])
    async with adapter.subscribe(channel, GROUP) as subscription:
        assert await drain(subscription) == []


async def test_a_delay_is_not_ours_to_keep(adapter: KafkaAdapter, channel: Channel) -> None:
    """It raises, and settles nothing of that call."""
    await adapter.publish(channel, messages(1))
    async with adapter.subscribe(channel, GROUP) as subscription:
        [delivery] = await take(subscription, 1)
        with pytest.raises(Unsupported):
            await subscription.settle([(delivery, Release(delay=1.0))])
        await accept(subscription, delivery)
        assert await subscription.lag() == 0


async def test_a_lane_is_a_partition_or_a_key(kafka: Server, channel: Channel) -> None:
    """As the setting says; without a key there is no order to keep."""
    adapter = await KAFKA.connect(settings_for(kafka, lanes="key", topic_partitions=1))
    await adapter.publish(channel, [Message.of("", key="a"), Message.of("", key="b"), Message.of("")])
    async with adapter.subscribe(channel, GROUP) as subscription:
        assert [each.lane for each in await take(subscription, 3)] == [(0, b"a"), (0, b"b"), None]
    await adapter.close()
    other = await KAFKA.connect(settings_for(kafka))
    async with other.subscribe(channel, SubscribeOptions(group="h")) as subscription:
        assert [each.lane for each in await take(subscription, 3)] == [0, 0, 0]
    await other.close()


async def test_never_more_unsettled_than_the_prefetch(adapter: KafkaAdapter, channel: Channel) -> None:
    """However much waits; and settling lets the next ones come."""
    await adapter.publish(channel, messages(100, key="k"))
    async with adapter.subscribe(channel, SubscribeOptions(group="g", prefetch=8)) as subscription:
        held = await take(subscription, 8)
        with pytest.raises(TimeoutError):
            await take(subscription, 1, seconds=0.5)
        await accept(subscription, *held)
        assert bodies(await drain(subscription)) == [str(n) for n in range(8, 100)]


async def test_a_partition_that_is_never_settled_does_not_stop_the_others(
    adapter: KafkaAdapter, channel: Channel
) -> None:
    """Though it could fill every place that the subscription has."""
    stuck = [Message.of("stuck").with_metadata(**{"kafka.partition": "0"})] * 500
    await adapter.publish(channel, stuck)
    others = [Message.of(str(n)).with_metadata(**{"kafka.partition": str(1 + n % 3)}) for n in range(300)]
    async with adapter.subscribe(channel, SubscribeOptions(group="g", prefetch=64)) as subscription:
        await take(subscription, 40)
        await adapter.publish(channel, others)
        arrived: set[str] = set()
        async with asyncio.timeout(20):
            while len(arrived) < 300:
                taken = [each for each in await subscription.receive(100) if each.message.data != b"stuck"]
                arrived.update(bodies(taken))
                await accept(subscription, *taken)


async def test_cancelling_receive_loses_nothing(adapter: KafkaAdapter, channel: Channel) -> None:
    """Cancelled again and again, at whatever step it waits."""
    await adapter.publish(channel, messages(1, first=1000))
    found: list[str] = []
    async with adapter.subscribe(channel, SubscribeOptions(group="g", prefetch=16)) as subscription:
        publishing = asyncio.create_task(_publish_slowly(adapter, channel))
        step = 0
        async with asyncio.timeout(30):
            while len(found) < 301:
                receiving = asyncio.create_task(subscription.receive(7))
                for _ in range(step % 5):
                    await asyncio.sleep(0)
                step += 1
                receiving.cancel()
                await asyncio.wait([receiving])
                if not receiving.cancelled():
                    found += bodies(receiving.result())
                    await accept(subscription, *receiving.result())
                await asyncio.sleep(0)
        await publishing
    assert len(found) == len(set(found))


async def _publish_slowly(adapter: KafkaAdapter, channel: Channel) -> None:
    for message in messages(300):
        await adapter.publish(channel, [message])


async def test_cancelling_settle_does_not_undo_it(adapter: KafkaAdapter, channel: Channel) -> None:
    """Cancelled at each step once it has begun, the commit is made all the same."""
    await adapter.publish(channel, messages(20, key="k"))
    async with adapter.subscribe(channel, GROUP) as subscription:
        for step, delivery in enumerate(await take(subscription, 20)):
            settling = asyncio.create_task(accept(subscription, delivery))
            for _ in range(1 + step % 4):
                await asyncio.sleep(0)
            settling.cancel()
            await asyncio.wait([settling])
        await adapter.publish(channel, messages(1, key="k", first=20))
        await accept(subscription, *await take(subscription, 1))
    async with adapter.subscribe(channel, GROUP) as subscription:
        assert bodies(await drain(subscription)) == []


async def test_settling_one_by_one_at_once_shares_commits(
    adapter: KafkaAdapter, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One commit at a time, and each for all that was settled before it."""
    await adapter.publish(channel, messages(200))
    async with adapter.subscribe(channel, GROUP) as subscription:
        commits = 0
        commit = subscription._consumer.commit

        async def counted(offsets: object) -> None:
            nonlocal commits
            commits += 1
            await commit(offsets)

        monkeypatch.setattr(subscription._consumer, "commit", counted)
        await asyncio.gather(*(accept(subscription, each) for each in await take(subscription, 200)))
        assert 1 <= commits <= 3
        assert await subscription.lag() == 0


async def test_settle_returns_when_the_broker_knows(kafka: Server, channel: Channel) -> None:
    """After kill -9 right behind it, nothing that was accepted comes again."""
    # A busy machine takes its time to start a broker: the outage must not be what ends this.
    adapter = await KAFKA.connect(settings_for(kafka, timeout=60.0))
    try:
        await adapter.publish(channel, messages(50))
        async with adapter.subscribe(channel, GROUP) as subscription:
            await accept(subscription, *await take(subscription, 50))
            await asyncio.to_thread(kafka.restart)
            await adapter.publish(channel, messages(1, first=50))
            assert bodies(await drain(subscription)) == ["50"]
        async with adapter.subscribe(channel, GROUP) as subscription:
            assert await drain(subscription) == []
    finally:
        await adapter.close()


async def test_a_queue_needs_a_group(adapter: KafkaAdapter, channel: Channel) -> None:
    """There is no name that would do for everybody."""
    with pytest.raises(Unsupported, match="needs a group"):
        async with adapter.subscribe(channel, SubscribeOptions()):
            pass


async def test_of_a_topic_everybody_gets_what_comes_from_now_on(adapter: KafkaAdapter, channel: Channel) -> None:
    """Also what comes the moment after it is ready, in every partition."""
    topic = Channel(channel.name, "topic")
    await adapter.publish(topic, messages(8, first=100))
    async with (
        adapter.subscribe(topic, SubscribeOptions()) as one,
        adapter.subscribe(topic, SubscribeOptions()) as other,
    ):
        await asyncio.gather(*(adapter.publish(topic, [message]) for message in messages(20)))
        for subscription in (one, other):
            assert sorted(bodies(await take(subscription, 20)), key=int) == [str(n) for n in range(20)]


async def test_a_named_subscription_to_a_topic_outlives_the_connection(adapter: KafkaAdapter, channel: Channel) -> None:
    """It begins when it is first opened, and misses nothing while it is closed."""
    topic = Channel(channel.name, "topic")
    await adapter.publish(topic, messages(3, first=100))
    named = SubscribeOptions(group="billing")
    async with adapter.subscribe(topic, named):
        pass
    await adapter.publish(topic, messages(3))
    async with adapter.subscribe(topic, named) as subscription:
        assert sorted(bodies(await drain(subscription))) == ["0", "1", "2"]


async def test_replay_from_an_offset_from_a_time_and_from_the_beginning(
    adapter: KafkaAdapter, queue: Callable[[], Channel]
) -> None:
    """Only a group that is new begins there."""
    channel, moment = queue(), datetime(2024, 1, 1, tzinfo=UTC).timestamp()
    for number in range(6):
        time = datetime.fromtimestamp(moment + number, UTC)
        await adapter.publish(
            channel, [Message.of(str(number), key="k", metadata={"time": f"{time:%Y-%m-%dT%H:%M:%S}.000Z"})]
        )
    for group, start, expected in (
        ("offset", Start(offset=4), "45"),
        ("time", Start(time=datetime.fromtimestamp(moment + 2, UTC)), "2345"),
        ("later", Start(time=datetime(2100, 1, 1, tzinfo=UTC)), ""),
        ("beginning", Start(), "012345"),
    ):
        options = SubscribeOptions(group=group, start=start)
        async with adapter.subscribe(channel, options) as subscription:
            assert "".join(bodies(await drain(subscription))) == expected
        async with adapter.subscribe(channel, options) as subscription:
            assert await drain(subscription) == [], "a group that has begun goes on where it was"
    async with adapter.subscribe(Channel(channel.name, "topic"), SubscribeOptions(start=Start())) as subscription:
        assert "".join(bodies(await drain(subscription))) == "012345"


async def test_a_group_that_has_members_begins_in_another_channel_where_it_is_told(
    adapter: KafkaAdapter, queue: Callable[[], Channel]
) -> None:
    """Of such a group the broker takes a commit from its members only."""
    one, other = queue(), queue()
    await adapter.publish(other, messages(6, key="k"))
    for start, expected in ((Start(offset=4), "45"), (Start(), "012345")):
        options = SubscribeOptions(group=f"g{expected}", start=start)
        async with adapter.subscribe(one, SubscribeOptions(group=options.group)):
            async with adapter.subscribe(other, options) as subscription:
                assert "".join(bodies(await drain(subscription))) == expected
            async with adapter.subscribe(other, options) as subscription:
                assert await drain(subscription) == [], "a group that has begun goes on where it was"
    at_the_end = SubscribeOptions(group="end", start=Start(time=datetime(2100, 1, 1, tzinfo=UTC)))
    async with (
        adapter.subscribe(one, SubscribeOptions(group="end")),
        adapter.subscribe(other, at_the_end) as first,
        adapter.subscribe(other, at_the_end) as second,
    ):
        await adapter.publish(other, messages(4, first=6, key="k"))
        found: list[str] = []
        while len(found) < 4:
            for each in (first, second):
                found += bodies(await drain_until_quiet(each, 0.1))
        assert found == ["6", "7", "8", "9"]


async def test_partitions_and_offsets_as_extensions(adapter: KafkaAdapter, channel: Channel) -> None:
    """Some partitions only, from chosen offsets; mistakes say what would have been right."""
    places = [Message.of(f"{p}:{n}").with_metadata(**{"kafka.partition": str(p)}) for p in range(4) for n in range(3)]
    await adapter.publish(channel, places)
    some = SubscribeOptions(group="some", extensions={"partitions": "0,2", "offsets": "2:2"})
    async with adapter.subscribe(channel, some) as subscription:
        assert sorted(bodies(await drain_until_quiet(subscription))) == ["0:0", "0:1", "0:2", "2:2"]
    async with adapter.subscribe(channel, some) as subscription:
        assert await drain_until_quiet(subscription) == []
    with pytest.raises(Unsupported, match=r"some of \(0, 1, 2, 3\)"):
        async with adapter.subscribe(channel, SubscribeOptions(group="none", extensions={"partitions": "4"})):
            pass
    with pytest.raises(Unsupported, match="did you mean 'offsets'"):
        async with adapter.subscribe(channel, SubscribeOptions(group="none", extensions={"offset": "4"})):
            pass


async def test_partitions_of_ones_own_in_a_group_that_shares_is_an_error(
    adapter: KafkaAdapter, channel: Channel
) -> None:
    """The group's members know nothing of it, and the broker takes no commit: that must not pass in silence."""
    await adapter.publish(channel, messages(4))
    own = SubscribeOptions(group="g", extensions={"partitions": "0,1,2,3"})
    async with adapter.subscribe(channel, GROUP), adapter.subscribe(channel, own) as subscription:
        with pytest.raises(ConnectionLost, match="Commit"):
            await accept(subscription, *await take(subscription, 4))


async def test_lag_is_what_waits(adapter: KafkaAdapter, channel: Channel) -> None:
    """What is in hand does not count."""
    await adapter.publish(channel, messages(20))
    async with adapter.subscribe(channel, GROUP) as subscription:
        assert isinstance(subscription, Lag)
        assert await subscription.lag() == 20
        taken = await take(subscription, 15)
        assert await subscription.lag() == 5
        await accept(subscription, *taken)
        assert await subscription.lag() == 5


async def test_what_was_settled_behind_an_unsettled_one_does_not_wait(adapter: KafkaAdapter, channel: Channel) -> None:
    """It can't be committed yet, but nobody is waited for: a replay of dead letters would, for what stays there."""
    await adapter.publish(channel, messages(10, key="k"))
    async with adapter.subscribe(channel, GROUP) as subscription:
        held, *others = await take(subscription, 10)
        await accept(subscription, *others)
        assert await subscription.lag() == 0
        await subscription.settle([(held, RELEASE)])
        assert await subscription.lag() == 1
        await adapter.publish(channel, messages(3, key="k"))
        assert bodies(await take(subscription, 2)) == ["0", "0"]
        assert await subscription.lag() == 2
    async with adapter.subscribe(channel, GROUP) as subscription:
        assert len(await take(subscription, 13)) == 13
        assert await subscription.lag() == 0


async def test_closing_ends_a_waiting_receive_and_gives_back_what_is_unsettled(
    adapter: KafkaAdapter, channel: Channel
) -> None:
    """And whatever is called afterwards raises `Closed`."""
    await adapter.publish(channel, messages(4, key="k"))
    async with adapter.subscribe(channel, GROUP) as subscription:
        held = await take(subscription, 4)
        await accept(subscription, held[0])
        waiting = asyncio.create_task(subscription.receive(1))
        await asyncio.sleep(0.1)
    with pytest.raises(Closed):
        await waiting
    for used in (subscription.receive(1), subscription.settle([(held[1], ACCEPT)]), subscription.lag()):
        with pytest.raises(Closed):
            await used
    await subscription.close()
    async with adapter.subscribe(channel, GROUP) as subscription:
        assert bodies(await drain(subscription)) == ["1", "2", "3"]


async def test_closing_the_connection_closes_its_subscriptions(adapter: KafkaAdapter, channel: Channel) -> None:
    """Also with a delivery in hand and somebody waiting."""
    await adapter.publish(channel, messages(1))
    async with adapter.subscribe(channel, GROUP) as subscription:
        await take(subscription, 1)
        waiting = asyncio.create_task(subscription.receive(1))
        await asyncio.sleep(0)
        await adapter.close()
        with pytest.raises(Closed):
            await waiting


async def test_an_aborted_transaction_is_not_delivered(adapter: KafkaAdapter, kafka: Server, channel: Channel) -> None:
    """And the places that it leaves in the log don't stop the commits."""
    from aiokafka import AIOKafkaProducer

    await adapter.publish(channel, messages(1, key="k"))
    servers = kafka.direct.removeprefix("kafka://")
    async with AIOKafkaProducer(bootstrap_servers=servers, transactional_id=channel.name) as producer:
        for commits in (False, True):
            await producer.begin_transaction()
            await producer.send_and_wait(channel.name, b"yes" if commits else b"no", b"k")
            await (producer.commit_transaction() if commits else producer.abort_transaction())
    async with adapter.subscribe(channel, GROUP) as subscription:
        assert bodies(await drain_until_quiet(subscription)) == ["0", "yes"]
    async with adapter.subscribe(channel, GROUP) as subscription:
        assert await drain_until_quiet(subscription) == []
