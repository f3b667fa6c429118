"""Connections to a real broker, and channels of each test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

from dragoman.message import Channel
from dragoman_mqtt.adapter import MqttAdapter, connect
from dragoman_mqtt.settings import MqttSettings
from tests.servers import Mosquitto

Connect = Callable[..., Awaitable[MqttAdapter]]


@pytest.fixture
def channel() -> Channel:
    """A queue that no other test uses."""
    return Channel(f"test/{uuid4().hex}")


@pytest.fixture
def topic() -> Channel:
    """A topic that no other test uses."""
    return Channel(f"test/{uuid4().hex}", "topic")


@pytest.fixture
async def another(mosquitto: Mosquitto) -> AsyncIterator[Connect]:
    """Opens connections with settings of their own, and closes them after the test."""
    client_id, opened = f"test-{uuid4().hex[:8]}", list[MqttAdapter]()

    async def open_one(**settings: Any) -> MqttAdapter:
        adapter = await connect(MqttSettings(**{"url": mosquitto.url, "client_id": client_id, **settings}))
        opened.append(adapter)
        return adapter

    yield open_one
    for adapter in opened:
        await adapter.close()


@pytest.fixture
async def adapter(another: Connect) -> MqttAdapter:
    """A connection."""
    return await another()
