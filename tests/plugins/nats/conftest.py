"""Connections to a real server, and channels of each test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from dragoman.message import Channel
from dragoman_nats.adapter import NatsAdapter, connect
from dragoman_nats.settings import NatsSettings
from tests.servers import Nats


@pytest.fixture
def channel() -> Channel:
    """A channel that no other test uses."""
    return Channel(f"test.{uuid4().hex}")


@pytest.fixture
async def adapter(nats: Nats) -> AsyncIterator[NatsAdapter]:
    """A connection."""
    opened = await connect(NatsSettings(url=nats.url))
    yield opened
    await opened.close()
