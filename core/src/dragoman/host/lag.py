"""Keeps the counters told how many messages wait on the broker, where it knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from dragoman.adapter import Capability
from dragoman.client import Client
from dragoman.errors import BrokerError
from dragoman.host.counters import Counters
from dragoman.subscription import Subscription

#: Seconds between two questions: enough for whoever looks, and next to nothing for the broker.
_INTERVAL: Final = 2.0


@asynccontextmanager
async def watching(client: Client, subscription: Subscription, counters: Counters) -> AsyncIterator[None]:
    """Ask while inside the block; outside of it nothing is known."""
    if Capability.LAG not in client.type.capabilities:
        yield
        return
    watch = asyncio.create_task(_watch(subscription, counters), name=f"lag of {subscription.channel}")
    try:
        yield
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        counters.lag.pop(str(subscription.channel), None)


async def _watch(subscription: Subscription, counters: Counters) -> None:
    while True:
        with suppress(BrokerError):  # whoever receives notices, too, and says so
            counters.lag[str(subscription.channel)] = await subscription.lag()
        await asyncio.sleep(_INTERVAL)
