"""Connections to a real server, and channels of each test's own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence

import pytest

from dragoman.adapter import Delivery, SubscribeOptions, Subscription
from dragoman.message import Channel
from dragoman_amqp.adapter import AmqpAdapter, connect
from dragoman_amqp.settings import AmqpSettings
from tests.servers import RabbitMQ

#: Seconds after which what a test waits for does not come any more.
PATIENCE = 20.0
GROUP = SubscribeOptions(group="readers")


@pytest.fixture
def channel() -> Channel:
    """A queue that no other test uses."""
    return Channel(f"test.{secrets.token_hex(6)}")


@pytest.fixture
def topic() -> Channel:
    """A topic that no other test uses."""
    return Channel(f"test.{secrets.token_hex(6)}", "topic")


@pytest.fixture
async def adapter(rabbitmq: RabbitMQ) -> AsyncIterator[AmqpAdapter]:
    """A connection."""
    opened = await connect(AmqpSettings(url=rabbitmq.url))
    yield opened
    await opened.close()


async def take(subscription: Subscription, count: int) -> list[Delivery]:
    """So many deliveries, unsettled."""
    taken: list[Delivery] = []
    async with asyncio.timeout(PATIENCE):
        while len(taken) < count:
            taken += await subscription.receive(count - len(taken))
    return taken


def bodies(deliveries: Sequence[Delivery]) -> list[bytes]:
    """What is in them."""
    return [delivery.message.data for delivery in deliveries]
