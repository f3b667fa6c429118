"""A RabbitMQ that is short of memory: it reads nothing more from whoever publishes, until it has enough again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

import dragoman
from dragoman.adapter import SubscribeOptions
from dragoman.errors import PublishFailed
from dragoman.message import Channel, Message
from dragoman_amqp.adapter import AmqpAdapter, connect
from dragoman_amqp.settings import AmqpSettings
from tests.plugins.amqp.conftest import GROUP, bodies, take
from tests.servers import RabbitMQ


@pytest.fixture
def short_of_memory(rabbitmq: RabbitMQ) -> Iterator[RabbitMQ]:
    """The session's server, with its alarm on until the test turns it off."""
    rabbitmq.alarm(on=True)
    try:
        yield rabbitmq
    finally:
        rabbitmq.alarm(on=False)


async def _adapter(server: RabbitMQ, **more: Any) -> AmqpAdapter:
    return await connect(AmqpSettings.model_validate({"url": server.url, "timeout": "2s", **more}))


async def test_publishing_waits_within_its_bound_and_says_why(short_of_memory: RabbitMQ) -> None:
    """Nothing is lost: what the connection held is taken when the alarm is over, and so is what comes then."""
    server, channel = short_of_memory, Channel(f"alarm-{uuid4().hex[:8]}")
    adapter = await _adapter(server)
    try:
        with pytest.raises(PublishFailed, match=r"did not confirm within 2 s.*low on memory") as caught:
            await adapter.publish(channel, [Message(b"held"), Message(b"held, too")])
        assert caught.value.outcome_unknown
        await asyncio.to_thread(server.alarm, on=False)
        await adapter.publish(channel, [Message(b"after")])
        async with adapter.subscribe(channel, SubscribeOptions(group=GROUP.group)) as subscription:
            assert sorted(bodies(await take(subscription, 3))) == [b"after", b"held", b"held, too"]
    finally:
        await adapter.close()


async def test_an_alarm_that_ends_in_time_is_only_waited_for(short_of_memory: RabbitMQ) -> None:
    """The publish that began in it is confirmed after it, longer than three heartbeats later: no outage was seen."""
    server, channel = short_of_memory, Channel(f"alarm-{uuid4().hex[:8]}")
    settings = {"url": server.url, "timeout": "60s", "heartbeat": 1}
    async with dragoman.connect(settings, client="shop") as client:
        publishing = asyncio.create_task(client.publish(channel, "patient"))
        await asyncio.sleep(4)  # the alarm itself
        assert not publishing.done()
        assert client.connected
        await asyncio.to_thread(server.alarm, on=False)
        await publishing
        async with client.subscribe(channel, group="g") as subscription:
            (delivery,) = await subscription.receive(1)
            assert delivery.message.data == b"patient"
            await subscription.accept(delivery)


async def test_what_waits_is_consumed_in_an_alarm(rabbitmq: RabbitMQ) -> None:
    """From a connection that publishes nothing: that is how a broker gets its memory back."""
    channel = Channel(f"alarm-{uuid4().hex[:8]}")
    adapter = await _adapter(rabbitmq)
    try:
        await adapter.publish(channel, [Message(b"%d" % number) for number in range(100)])
        await asyncio.to_thread(rabbitmq.alarm, on=True)
        other = await _adapter(rabbitmq)
        try:
            async with other.subscribe(channel, SubscribeOptions(group=GROUP.group)) as subscription:
                assert len(await take(subscription, 100)) == 100
        finally:
            await other.close()
    finally:
        await asyncio.to_thread(rabbitmq.alarm, on=False)
        await adapter.close()
