"""Publishing to a real Kafka."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from dragoman.adapter import SubscribeOptions
from dragoman.errors import ChannelNotFound, Closed, PayloadTooLarge, UnsupportedFormat
from dragoman.message import Channel, Message
from dragoman_kafka import KAFKA
from dragoman_kafka.adapter import KafkaAdapter
from tests.plugins.kafka.conftest import settings_for
from tests.plugins.kafka.receiving import bodies, drain, messages
from tests.servers import Server


async def stored(server: Server, topic: str, partitions: int = 4) -> list[Any]:
    """Everything in a topic, read with the client library alone: partition by partition, in order."""
    async with AIOKafkaConsumer(bootstrap_servers=server.direct.removeprefix("kafka://")) as consumer:
        every = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(every)
        await consumer.seek_to_beginning(*every)
        ends = await consumer.end_offsets(every)
        found = []
        for each in every:
            while await consumer.position(each) < ends[each]:
                found += (await consumer.getmany(each, timeout_ms=200)).get(each, [])
        return found


async def create(server: Server, topic: str, partitions: int = 4, **config: str) -> None:
    """Make a topic with settings of its own, with the client library alone."""
    admin = AIOKafkaAdminClient(bootstrap_servers=server.direct.removeprefix("kafka://"))
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=config)])
        while topic not in await admin.list_topics():  # noqa: ASYNC110 - the broker hears of it a little later
            await asyncio.sleep(0.01)
    finally:
        await admin.close()


async def test_a_record_has_what_the_message_had(adapter: KafkaAdapter, kafka: Server, channel: Channel) -> None:
    """Key, headers (repeated, empty, not UTF-8), time, partition and a tombstone, as another client sees them."""
    odd = b"\xff\x00".decode("utf-8", "surrogateescape")
    await adapter.publish(
        channel,
        [
            Message(
                bytes(range(256)),
                (("key", odd), ("a", "1"), ("a", ""), ("b", odd), ("time", "2023-11-14T22:13:20.123Z")),
                "text/plain",
            ),
            Message(b"", (("kafka.partition", "3"), ("kafka.tombstone", "true"))),
        ],
    )
    first, last = await stored(kafka, channel.name)
    assert (first.key, first.value, first.timestamp) == (b"\xff\x00", bytes(range(256)), 1_700_000_000_123)
    assert first.headers == (("content-type", b"text/plain"), ("a", b"1"), ("a", b""), ("b", b"\xff\x00"))
    assert (last.key, last.value, last.partition) == (None, None, 3)


async def test_keys_choose_partitions_as_javas_client_does(
    adapter: KafkaAdapter, kafka: Server, channel: Channel
) -> None:
    """Other producers of the same topic must agree on where a key is: murmur2, as written by the Java client."""
    await adapter.publish(channel, [Message.of("", key=key) for key in ("21", "foobar", "a-little-bit-long-string")])
    by_key = {record.key: record.partition for record in await stored(kafka, channel.name)}
    # The hashes are those in the tests of org.apache.kafka.common.utils.Utils.
    hashes = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}
    assert by_key == {key: (number & 0x7FFFFFFF) % 4 for key, number in hashes.items()}


async def test_calls_at_once_keep_the_order_in_which_they_began(
    adapter: KafkaAdapter, kafka: Server, channel: Channel
) -> None:
    """Also the first ones, which wait until the topic is there."""
    await asyncio.gather(*(adapter.publish(channel, [message]) for message in messages(500, key="k")))
    assert [int(record.value) for record in await stored(kafka, channel.name)] == list(range(500))


async def test_a_large_call_keeps_its_order_over_many_batches(
    adapter: KafkaAdapter, kafka: Server, channel: Channel
) -> None:
    """Three megabytes of one key, in batches of a quarter of one."""
    await adapter.publish(channel, [Message.of(f"{number:06}".ljust(3000), key="k") for number in range(1000)])
    assert [int(record.value) for record in await stored(kafka, channel.name)] == list(range(1000))


async def test_publishing_waits_for_room(kafka: Server, channel: Channel) -> None:
    """No more than the buffer is ever queued, nothing is lost, and the order stays."""
    adapter = await KAFKA.connect(settings_for(kafka, buffer="10kB", batch="4kB"))
    assert isinstance(adapter, KafkaAdapter)
    most = 0

    async def publish(message: Message) -> None:
        nonlocal most
        await adapter.publish(channel, [message])
        most = max(most, adapter._publisher.buffered)

    await asyncio.gather(*(publish(Message.of(f"{n:04}".ljust(1000), key="k")) for n in range(200)))
    assert [int(record.value) for record in await stored(kafka, channel.name)] == list(range(200))
    assert 0 < most < 12_000
    await adapter.close()


async def test_nothing_to_publish_needs_no_broker(adapter: KafkaAdapter) -> None:
    """Not even the topic."""
    await adapter.publish(Channel("never-made"), [])


async def test_a_topic_is_not_made_unless_told_to(kafka: Server, channel: Channel) -> None:
    """Neither by us nor by the broker's own habit of making what is asked for."""
    adapter = await KAFKA.connect(settings_for(kafka, create_topics=False))
    for _ in range(2):
        with pytest.raises(ChannelNotFound, match="create_topics"):
            await adapter.publish(channel, messages(1))
        with pytest.raises(ChannelNotFound, match=channel.name):
            async with adapter.subscribe(channel, SubscribeOptions(group="g")):
                pass
    await create(kafka, channel.name)
    await adapter.publish(channel, messages(1))
    await adapter.close()


async def test_a_topic_is_made_in_the_shape_that_was_asked_for(kafka: Server, queue: Callable[[], Channel]) -> None:
    """Or in the broker's own, which has four partitions here."""
    shaped, natural = queue(), queue()
    one = await KAFKA.connect(settings_for(kafka, topic_partitions=7, topic_replication=1))
    other = await KAFKA.connect(settings_for(kafka))
    assert isinstance(one, KafkaAdapter)
    assert isinstance(other, KafkaAdapter)
    await asyncio.gather(one.publish(shaped, messages(1)), other.publish(natural, messages(1)))
    assert one._topics.known(shaped.name) == tuple(range(7))
    assert other._topics.known(natural.name) == tuple(range(4))
    await asyncio.gather(one.close(), other.close())


async def test_a_name_that_no_topic_can_have(adapter: KafkaAdapter) -> None:
    """An error that says which names can be had, also where topics may be made."""
    with pytest.raises(ChannelNotFound, match="no topic can have that name"):
        await adapter.publish(Channel("orders created!"), messages(1))


async def test_a_partition_that_is_not_there_is_refused(adapter: KafkaAdapter, kafka: Server, channel: Channel) -> None:
    """Before anything of the call is sent."""
    wish = Message.of("x").with_metadata(**{"kafka.partition": "9"})
    with pytest.raises(UnsupportedFormat, match="no partition 9"):
        await adapter.publish(channel, [*messages(1), wish])
    assert await stored(kafka, channel.name) == []


async def test_a_message_over_our_own_limit_is_refused_before_any_is_sent(
    adapter: KafkaAdapter, kafka: Server, channel: Channel
) -> None:
    """And the next call goes on."""
    with pytest.raises(PayloadTooLarge, match="max_message"):
        await adapter.publish(channel, [Message.of("small"), Message(bytes(2**20))])
    await adapter.publish(channel, [Message.of("next")])
    assert [record.value for record in await stored(kafka, channel.name)] == [b"next"]


async def test_a_message_over_the_topics_limit_is_refused_alone(
    adapter: KafkaAdapter, kafka: Server, channel: Channel
) -> None:
    """The others of its batch arrive, in order, and its partition goes on: aiokafka alone would leave it stuck."""
    await create(kafka, channel.name, **{"max.message.bytes": "20000"})
    sizes = [5000, 5000, 40_000, 5000, 30_000, *[5000] * 8]
    calls = [adapter.publish(channel, [Message.of(f"{n:02}".ljust(size), key="k")]) for n, size in enumerate(sizes)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [PayloadTooLarge if size > 20_000 else type(None) for size in sizes]
    await adapter.publish(channel, [Message.of("99", key="k")])
    expected = [n for n, size in enumerate(sizes) if size <= 20_000]
    assert [int(record.value) for record in await stored(kafka, channel.name)] == [*expected, 99]


async def test_a_cancelled_publish_leaves_the_others_alone(
    adapter: KafkaAdapter, kafka: Server, channel: Channel
) -> None:
    """What was cancelled may have arrived, once at most; everything else arrived once, in order."""
    await adapter.publish(channel, messages(1, key="k", first=1000))
    tasks = [asyncio.create_task(adapter.publish(channel, [message])) for message in messages(300, key="k")]
    for step in range(6):
        await asyncio.sleep(0)
        for task in tasks[step::6]:
            if step % 2:
                task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    # Behind everything that was given up.
    await adapter.publish(channel, messages(1, key="k", first=2000))
    found = [int(record.value) for record in await stored(kafka, channel.name)][1:-1]
    assert found == sorted(set(found))
    assert {n for n, result in enumerate(results) if result is None} <= set(found)
    assert adapter._publisher.buffered == 0
    assert not adapter._publisher._calls


@pytest.mark.parametrize("codec", ["gzip"])
async def test_what_is_compressed_arrives(kafka: Server, channel: Channel, codec: str) -> None:
    """Gzip needs nothing installed."""
    adapter = await KAFKA.connect(settings_for(kafka, compression=codec))
    await adapter.publish(channel, [Message.of("a" * 10_000, key="k")])
    assert [record.value for record in await stored(kafka, channel.name)] == [b"a" * 10_000]
    await adapter.close()


async def test_without_idempotence_it_publishes_too(kafka: Server, channel: Channel) -> None:
    """For clusters that do not let us have a producer id."""
    adapter = await KAFKA.connect(settings_for(kafka, idempotent=False))
    await adapter.publish(channel, messages(10, key="k"))
    async with adapter.subscribe(channel, SubscribeOptions(group="g")) as subscription:
        assert bodies(await drain(subscription)) == [str(n) for n in range(10)]
    await adapter.close()


async def test_after_close_everything_says_so(adapter: KafkaAdapter, channel: Channel) -> None:
    """What waits, what comes later; and closing twice, at once and again."""
    waiting = asyncio.create_task(adapter.publish(channel, messages(1)))
    await asyncio.sleep(0)
    await asyncio.gather(adapter.close(), adapter.close())
    with pytest.raises(Closed):
        await waiting
    with pytest.raises(Closed):
        await adapter.publish(channel, messages(1))
    with pytest.raises(Closed):
        async with adapter.subscribe(channel, SubscribeOptions(group="g")):
            pass
    await adapter.close()
