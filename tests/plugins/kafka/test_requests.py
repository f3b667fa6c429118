"""Requests on Kafka, which has none of its own: what the conformance kit does not ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaProducer

from dragoman.adapter import ACCEPT, SubscribeOptions
from dragoman.errors import ChannelNotFound, Closed
from dragoman.message import Channel, Message
from dragoman_kafka.adapter import KafkaAdapter, connect
from tests.plugins.kafka.conftest import settings_for
from tests.servers import Server


@asynccontextmanager
async def _answering(adapter: KafkaAdapter, channel: Channel) -> AsyncIterator[None]:
    """Every request is answered with its own body."""

    async def answer() -> None:
        async with adapter.subscribe(channel, SubscribeOptions(group="answering")) as subscription:
            while True:
                for delivery in await subscription.receive(100):
                    await adapter.reply(delivery.message, [Message(delivery.message.data)])
                    await subscription.settle([(delivery, ACCEPT)])

    answering = asyncio.create_task(answer())
    try:
        yield
    finally:
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)


def _question(number: int, correlation: str = "the same") -> Message:
    return Message.of(str(number), metadata={"correlation-id": correlation})


async def test_clients_that_use_the_same_correlation_id_get_their_own_replies(
    adapter: KafkaAdapter, kafka: Server, channel: Channel
) -> None:
    """Also several requests of one client: they share the topic of replies, and each finds its own."""
    other = await connect(settings_for(kafka))
    try:
        async with _answering(adapter, channel):
            asking = [
                client.request(channel, _question(number), timeout=30, expected=1)
                for number, client in enumerate((adapter, other) * 10)
            ]
            replies = await asyncio.gather(*asking)
    finally:
        await other.close()
    assert [[reply.data for reply in found] for found in replies] == [[str(number).encode()] for number in range(20)]
    assert {reply.get("correlation-id") for found in replies for reply in found} == {"the same"}


async def test_whoever_answers_with_the_correlation_id_alone_is_understood(
    adapter: KafkaAdapter, kafka: Server, channel: Channel
) -> None:
    """As a service does that knows nothing of us: it reads `reply-to` and `correlation-id`."""
    async with (
        adapter.subscribe(channel, SubscribeOptions(group="foreign")) as subscription,
        AIOKafkaProducer(bootstrap_servers=kafka.url.removeprefix("kafka://")) as foreign,
    ):
        asking = asyncio.create_task(adapter.request(channel, _question(1, "42"), timeout=30, expected=1))
        (asked,) = await subscription.receive(1)
        topic = asked.message.get("reply-to")
        assert topic is not None
        await foreign.send_and_wait(topic, b"not for us", headers=[("correlation-id", b"43")])
        await foreign.send_and_wait(topic, b"no headers at all")
        await foreign.send_and_wait(topic, b"forty-two", headers=[("correlation-id", b"42")])
        (reply,) = await asking
        await subscription.settle([(asked, ACCEPT)])
    assert reply.data == b"forty-two"


async def test_a_request_that_is_passed_on_is_answered_to_whom_it_came_from(
    adapter: KafkaAdapter, kafka: Server, channel: Channel
) -> None:
    """A handler may ask again with what it was asked: its own request gets its own reply."""
    between = Channel(f"{channel.name}-between")
    other = await connect(settings_for(kafka))
    try:
        async with (
            _answering(other, channel),
            other.subscribe(between, SubscribeOptions(group="between")) as subscription,
        ):
            asking = asyncio.create_task(adapter.request(between, _question(1), timeout=30, expected=1))
            (asked,) = await subscription.receive(1)
            (inner,) = await other.request(channel, asked.message, timeout=30, expected=1)
            assert not asking.done()
            await other.reply(asked.message, [Message(b"outer:" + inner.data)])
            await subscription.settle([(asked, ACCEPT)])
            (outer,) = await asking
    finally:
        await other.close()
    assert outer.data == b"outer:1"


async def test_without_a_topic_for_replies_a_request_says_what_is_missing(
    adapter: KafkaAdapter, kafka: Server, channel: Channel
) -> None:
    """And nothing is sent: the topic is not ours to make."""
    await adapter.publish(channel, [Message(b"the first")])
    strict = await connect(settings_for(kafka, create_topics=False, reply_topic="no-such-replies"))
    try:
        with pytest.raises(ChannelNotFound, match=r"no-such-replies: .*replies come there.*create_topics = true"):
            await strict.request(channel, Message(b"?"), timeout=30, expected=1)
        async with adapter.subscribe(channel, SubscribeOptions(group="looking")) as subscription:
            assert await subscription.lag() == 1
    finally:
        await strict.close()


async def test_a_request_outlives_a_short_outage(adapter: KafkaAdapter, kafka: Server, channel: Channel) -> None:
    """What was asked before it is answered after it."""
    async with adapter.subscribe(channel, SubscribeOptions(group="slow")) as subscription:
        asking = asyncio.create_task(adapter.request(channel, _question(1), timeout=60, expected=1))
        (asked,) = await subscription.receive(1)
        await asyncio.to_thread(kafka.cut)
        await asyncio.sleep(1)  # the outage itself
        await asyncio.to_thread(kafka.restore)
        await adapter.reply(asked.message, [Message(b"late")])
        (reply,) = await asking
        await subscription.settle([(asked, ACCEPT)])
    assert reply.data == b"late"


async def test_closing_ends_a_request_that_waits(kafka: Server, channel: Channel) -> None:
    """With `Closed`, as everything else."""
    closing = await connect(settings_for(kafka))
    async with closing.subscribe(channel, SubscribeOptions(group="silent")) as subscription:
        asking = asyncio.create_task(closing.request(channel, _question(1), timeout=None, expected=1))
        await subscription.receive(1)
        await closing.close()
        with pytest.raises(Closed):
            await asking
        with pytest.raises(Closed):
            await closing.request(channel, _question(2), timeout=None, expected=1)
