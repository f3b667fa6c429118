"""The least that `client.py` does for users, so that cases can go on after a broker was gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from dragoman.adapter import Adapter, SubscribeOptions
from dragoman.errors import BrokerError, Closed, ConnectionLost
from dragoman.message import Channel, Message
from dragoman.testing.bench import Bench, Decide
from dragoman.testing.ledger import Ledger

#: What a client answers with a new connection.
LOST = (ConnectionLost, Closed)


class Link:
    """A connection that is made anew when it is lost."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._lock = asyncio.Lock()
        self._adapter: Adapter | None = None
        self._state = "did not begin"
        self._made = 0

    def __str__(self) -> str:
        """What it does, for a message."""
        return f"{self._state}, over its connection number {self._made}"

    async def adapter(self, lost: Adapter | None = None) -> Adapter:
        """The connection; a new one if it is `lost`."""
        async with self._lock:
            if self._adapter is None or self._adapter is lost:
                if lost is not None:
                    await self._bench.within(lost.close(), "the end of close() of a lost connection")
                self._adapter = await self._bench.connect_patiently()
                self._made += 1
            return self._adapter

    async def publish(self, channel: Channel, messages: Sequence[Message]) -> None:
        """Publish until it is confirmed. Makes duplicates where an outcome was unknown."""
        adapter = await self.adapter()
        deadline = time.monotonic() + self._bench.harness.patience
        while True:
            try:
                return await self._bench.within(adapter.publish(channel, messages), "a confirmation or an error")
            except BrokerError as error:
                if not (error.retryable or isinstance(error, Closed)) or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)
                if isinstance(error, LOST):
                    adapter = await self.adapter(adapter)

    async def consume(self, channel: Channel, options: SubscribeOptions, ledger: Ledger, decide: Decide) -> None:
        """Consume until cancelled, with a new subscription whenever one ends."""
        adapter = await self.adapter()
        while True:
            try:
                self._state = "subscribes"
                async with adapter.subscribe(channel, options) as subscription:
                    self._state = "is subscribed"
                    while True:
                        batch = await subscription.receive(100)
                        ledger.add(batch)
                        await subscription.settle([(one, outcome) for one in batch if (outcome := decide(one))])
            except BrokerError as error:
                self._state = f"stopped by {error!r}"
                if not (error.retryable or isinstance(error, Closed)):
                    raise
                await asyncio.sleep(0.05)
                if isinstance(error, LOST):
                    adapter = await self.adapter(adapter)
