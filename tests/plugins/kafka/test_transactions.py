"""Transactions on a real Kafka: who was given up can do nothing, and who comes after waits."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from dragoman.adapter import ACCEPT, SubscribeOptions
from dragoman.errors import PayloadTooLarge
from dragoman.message import Channel, Message
from dragoman_kafka import KAFKA, KafkaSettings
from dragoman_kafka.adapter import KafkaAdapter
from tests.plugins.kafka.receiving import bodies, drain_until_quiet, messages, take

GROUP = SubscribeOptions(group="g", transactions=True)


async def everything(adapter: KafkaAdapter, channel: Channel) -> list[str]:
    """What can be read of it, in a group of its own."""
    async with adapter.subscribe(channel, SubscribeOptions(group=f"reader-of-{channel.name}")) as subscription:
        return bodies(await drain_until_quiet(subscription))


async def test_a_member_of_an_earlier_generation_can_do_nothing(adapter: KafkaAdapter, channel: Channel) -> None:
    """The broker refuses its offsets, and what it sent is never seen; with the right generation it goes on."""
    target = Channel(f"{channel.name}-out")
    await adapter.publish(channel, messages(3))
    async with adapter.subscribe(channel, GROUP) as subscription:
        held = await take(subscription, 3)
        coordinator = subscription._consumer._coordinator
        coordinator.generation -= 1
        gone = await subscription.transact([(held[0], ACCEPT)], [(target, [Message.of("ghost")])])
        coordinator.generation += 1
        assert list(gone) == held[:1]
        assert await everything(adapter, target) == []
    async with adapter.subscribe(channel, GROUP) as subscription:
        again = await take(subscription, 3)
        assert bodies(again) == bodies(held)
        sends = [(target, [Message.of(f"{body}-done") for body in bodies(again)])]
        assert not await subscription.transact([(one, ACCEPT) for one in again], sends)
    assert await everything(adapter, target) == ["0-done", "1-done", "2-done"]
    async with adapter.subscribe(channel, GROUP) as subscription:
        assert await drain_until_quiet(subscription) == []


async def test_a_member_that_the_group_does_not_know_can_do_nothing(adapter: KafkaAdapter, channel: Channel) -> None:
    """Without a generation the broker would take its offsets from anybody, so we don't ask it."""
    target = Channel(f"{channel.name}-out")
    await adapter.publish(channel, messages(1))
    async with adapter.subscribe(channel, GROUP) as subscription:
        held = await take(subscription, 1)
        coordinator = subscription._consumer._coordinator
        generation, coordinator.generation = coordinator.generation, -1
        gone = await subscription.transact([(held[0], ACCEPT)], [(target, [Message.of("ghost")])])
        coordinator.generation = generation
        assert list(gone) == held
    assert await everything(adapter, target) == []


async def test_a_group_is_joined_where_an_open_transaction_will_have_it(
    adapter: KafkaAdapter, settings: KafkaSettings, channel: Channel
) -> None:
    """A partition's new owner waits for the end of a transaction that changes how far the group is."""
    await adapter.publish(channel, messages(4, key="k"))
    async with adapter.subscribe(channel, GROUP) as subscription:
        (first, *_) = await take(subscription, 4)
    partition = TopicPartition(channel.name, int(first.message.get("kafka.partition") or 0))
    producer = AIOKafkaProducer(**settings.connection(), transactional_id=f"other-{channel.name}")
    await producer.start()
    try:
        await producer.begin_transaction()
        await producer.send_offsets_to_transaction({partition: 3}, "g")
        async with adapter.subscribe(channel, GROUP) as subscription:
            receiving = asyncio.create_task(subscription.receive(10))
            await asyncio.sleep(1.0)  # nothing tells that it waits; without waiting it would have all four by now
            assert not receiving.done()
            await producer.commit_transaction()
            assert bodies(await receiving) == ["3"]
    finally:
        await producer.stop()


async def test_small_messages_in_a_batch_too_large_for_the_topic_are_sent_in_several(
    adapter: KafkaAdapter, settings: KafkaSettings, channel: Channel
) -> None:
    """A transaction goes through with a broker that takes less in one request than we put into it."""
    target = Channel(f"{channel.name}-out")
    large = KafkaSettings.model_validate({**settings.model_dump(), "batch": "4MiB", "max_message": "4MiB"})
    other = await KAFKA.connect(large)
    try:
        await other.publish(channel, messages(1))
        async with other.subscribe(channel, GROUP) as subscription:
            held = await take(subscription, 1)
            sends = [(target, [Message.of(f"{number}".ljust(300_000)) for number in range(8)])]
            assert not await subscription.transact([(held[0], ACCEPT)], sends)
            with pytest.raises(PayloadTooLarge):
                await subscription.transact([], [(target, [Message.of("small"), Message(b"x" * 2_000_000)])])
            assert not await subscription.transact([], [(target, [Message.of("last")])])
    finally:
        await other.close()
    assert [body.strip() for body in await everything(adapter, target)] == [*map(str, range(8)), "last"]
