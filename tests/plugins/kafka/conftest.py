"""Connections to a real Kafka, with patience that is short enough for tests."""

import itertools
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from dragoman.message import Channel
from dragoman_kafka import KAFKA, KafkaSettings
from dragoman_kafka.adapter import KafkaAdapter
from tests.servers import Server

_numbers = itertools.count()


def settings_for(server: Server, **changes: Any) -> KafkaSettings:
    """Settings that make topics, and that know soon when somebody is away."""
    quick = {"create_topics": True, "timeout": 10.0, "session_timeout": 3.0, "rebalance_timeout": 6.0}
    return KafkaSettings(**{"url": server.url, **quick, **changes})


@pytest.fixture
def settings(kafka: Server) -> KafkaSettings:
    """The session's Kafka."""
    return settings_for(kafka)


@pytest.fixture
async def adapter(settings: KafkaSettings) -> AsyncIterator[KafkaAdapter]:
    """A connection to it."""
    connected = await KAFKA.connect(settings)
    assert isinstance(connected, KafkaAdapter)
    try:
        yield connected
    finally:
        await connected.close()


@pytest.fixture
def queue() -> Callable[[], Channel]:
    """Makes a queue that no other test knows."""
    return lambda: Channel(f"queue-{next(_numbers)}-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def channel(queue: Callable[[], Channel]) -> Channel:
    """A queue that no other test knows."""
    return queue()
