"""What a case works with: connections that are closed after it, waits that end, and counting consumers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from dragoman.adapter import ACCEPT, Adapter, Capability, Delivery, Outcome, Release, SubscribeOptions, Subscription
from dragoman.errors import ConnectionLost
from dragoman.message import Channel, ChannelKind, Message
from dragoman.testing.harness import Harness
from dragoman.testing.ledger import ConformanceError, Ledger, expect

T = TypeVar("T")
Settings = Any
Decide = Callable[[Delivery], Outcome | None]


def accept_all(_: Delivery) -> Outcome:
    """Settle everything as done."""
    return ACCEPT


class Bench:
    """One case's connections and channels. `async with`; leaving it closes every connection and finds leaked tasks.

    Attributes:
        harness: the adapter's author's.
        adapter: a connection that is open from the start.
    """

    adapter: Adapter

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self._open: list[Adapter] = []
        self._before: set[asyncio.Task[Any]] = set()

    @property
    def kind(self) -> ChannelKind:
        """The kind of channel for cases that do not care."""
        return "queue" if Capability.QUEUE in self.harness.adapter.capabilities else "topic"

    async def connect(self, settings: Settings = None) -> Adapter:
        """Another connection, closed after the case."""
        config = self.harness.adapter.config.model_validate(
            dict(self.harness.settings if settings is None else settings)
        )
        adapter = await self.within(self.harness.adapter.connect(config), "a connection")
        self._open.append(adapter)
        return adapter

    async def connect_patiently(self) -> Adapter:
        """Connect to a broker that may not be back yet."""
        deadline = time.monotonic() + self.harness.patience
        while True:
            try:
                return await self.connect()
            except ConnectionLost:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)

    async def channel(self, kind: ChannelKind | None = None) -> Channel:
        """A fresh channel, made on the broker."""
        channel = self.harness.channel(kind or self.kind)
        await self.harness.create(channel)
        return channel

    def options(self, channel: Channel, group: str = "readers", **others: Any) -> SubscribeOptions:
        """Options for a member of a group of a queue, or a plain subscription to a topic."""
        return SubscribeOptions(group=group if channel.kind == "queue" else None, **others)

    @asynccontextmanager
    async def subscribed(
        self, channel: Channel, group: str = "readers", *, adapter: Adapter | None = None, **others: Any
    ) -> AsyncIterator[Subscription]:
        """A subscription of the main connection, or of `adapter`."""
        context = (adapter or self.adapter).subscribe(channel, self.options(channel, group, **others))
        async with _bounded(context, self.harness.patience, f"a subscription to {channel}") as subscription:
            yield subscription

    @asynccontextmanager
    async def members(self, channel: Channel, count: int, group: str = "readers") -> AsyncIterator[list[Subscription]]:
        """So many subscriptions at once, opened side by side as a host would."""
        async with AsyncExitStack() as stack:
            entering = (self.subscribed(channel, group) for _ in range(count))
            opened = await asyncio.gather(*(_enter(stack, context) for context in entering))
            yield list(opened)

    async def publish(self, channel: Channel, ids: Iterable[str], *, key: str | None = None, batch: int = 100) -> None:
        """Publish messages whose bodies are these ids."""
        messages = [Message.of(name, key=key) for name in ids]
        for start in range(0, len(messages), batch):
            sent = self.adapter.publish(channel, messages[start : start + batch])
            await self.within(sent, f"the confirmation of {len(messages[start : start + batch])} messages to {channel}")

    async def within(self, awaitable: Awaitable[T], what: str) -> T:
        """Wait, but not for ever."""
        try:
            async with asyncio.timeout(self.harness.patience) as limit:
                return await awaitable
        except TimeoutError:
            if not limit.expired():
                raise
            raise ConformanceError(f"{what} did not come within {self.harness.patience:g} s") from None

    async def receive(self, subscription: Subscription, limit: int = 100, what: str = "a delivery") -> list[Delivery]:
        """One batch, checked against its limit."""
        batch = await self.within(subscription.receive(limit), what)
        expect(1 <= len(batch) <= limit, f"receive({limit}) gave {len(batch)} deliveries; expected 1 to {limit}")
        return list(batch)

    async def accept(self, subscription: Subscription, deliveries: Iterable[Delivery]) -> None:
        """Settle them as done."""
        await self.within(subscription.settle([(one, ACCEPT) for one in deliveries]), "the end of settle()")

    async def release(self, subscription: Subscription, deliveries: Iterable[Delivery]) -> None:
        """Give them back."""
        await self.within(subscription.settle([(one, Release()) for one in deliveries]), "the end of settle()")

    async def take(self, subscription: Subscription, count: int, what: str = "deliveries") -> list[Delivery]:
        """Exactly so many deliveries, unsettled."""
        taken: list[Delivery] = []
        while len(taken) < count:
            taken += await self.receive(subscription, count - len(taken), f"{what} ({len(taken)} of {count} came)")
        return taken

    async def collect(
        self, subscriptions: Sequence[Subscription], ledger: Ledger, decide: Decide = accept_all, *, limit: int = 100
    ) -> None:
        """Consume with all of them until the ledger is complete; what `decide` gives None for stays unsettled."""
        consumers = [asyncio.ensure_future(self._consume(one, ledger, decide, limit)) for one in subscriptions]
        try:
            await self.until_complete(ledger, consumers)
        finally:
            await self.end(consumers)

    async def _consume(self, subscription: Subscription, ledger: Ledger, decide: Decide, limit: int) -> None:
        while True:
            batch = await subscription.receive(limit)
            expect(1 <= len(batch) <= limit, f"receive({limit}) gave {len(batch)} deliveries; expected 1 to {limit}")
            outcomes = [(delivery, outcome) for delivery in batch if (outcome := decide(delivery)) is not None]
            await asyncio.shield(subscription.settle(outcomes))
            ledger.add(batch)

    async def end(self, tasks: Sequence[asyncio.Future[Any]]) -> None:
        """Cancel them, and wait until they have ended."""
        for task in tasks:
            task.cancel()
        _, left = await asyncio.wait(tasks, timeout=self.harness.patience)
        expect(not left, f"{len(left)} calls went on for {self.harness.patience:g} s after they were cancelled: {left}")

    async def until_complete(self, ledger: Ledger, workers: Sequence[asyncio.Future[Any]] = ()) -> None:
        """Wait for the ledger; fail when nothing has come for `patience` seconds, or when a worker failed."""
        complete = asyncio.ensure_future(ledger.complete.wait())
        try:
            while not ledger.complete.is_set():
                before = ledger.seen.total()
                alive = [worker for worker in workers if not worker.done()]
                await asyncio.wait(
                    [complete, *alive], timeout=self.harness.patience, return_when=asyncio.FIRST_COMPLETED
                )
                _raise_first(workers)
                stuck = not ledger.complete.is_set() and ledger.seen.total() == before and len(alive) == _alive(workers)
                expect(not stuck, f"{ledger}, and nothing came for {self.harness.patience:g} s")
        finally:
            complete.cancel()

    async def expect_quiet(self, subscription: Subscription, why: str) -> None:
        """Nothing comes."""
        came = await self.whatever_comes(subscription)
        expect(not came, f"{len(came)} deliveries came, though {why}: {[d.message.data[:40] for d in came[:4]]}")

    async def whatever_comes(self, subscription: Subscription) -> list[Delivery]:
        """What comes until nothing has come for `quiet` seconds, unsettled."""
        came: list[Delivery] = []
        with suppress(TimeoutError):
            while True:
                async with asyncio.timeout(self.harness.quiet):
                    came += await subscription.receive(100)
        return came

    async def written(self, channel: Channel) -> None:
        """Wait until the broker would find the channel again after a crash."""
        await self.within(self.harness.written(channel), f"{channel} in the broker's files")

    async def restart(self) -> None:
        """Restart the server; without one, close every connection. Connections made before are of no more use."""
        if self.harness.has_server:
            await self.harness.restart()
        else:
            await self._close_all()

    async def _close_all(self) -> None:
        adapters, self._open = self._open, []
        for adapter in adapters:
            await self.within(adapter.close(), "the end of close()")

    async def __aenter__(self) -> Self:
        self._before = asyncio.all_tasks()
        self.adapter = await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close_all()
        if error is None:
            await self._expect_no_tasks_left()

    async def _expect_no_tasks_left(self) -> None:
        # A task that was cancelled by the closing may need a moment to end.
        if ending := asyncio.all_tasks() - self._before:
            await asyncio.wait(ending, timeout=2)
        left = asyncio.all_tasks() - self._before
        expect(not left, f"{len(left)} tasks still run after every connection was closed: {[str(t) for t in left][:3]}")


@asynccontextmanager
async def _bounded(context: Any, patience: float, what: str) -> AsyncIterator[Subscription]:
    """Enter and leave a subscription within `patience` seconds each."""
    try:
        async with asyncio.timeout(patience) as entering:
            subscription = await context.__aenter__()
    except TimeoutError:
        if not entering.expired():
            raise
        raise ConformanceError(f"{what} was not confirmed within {patience:g} s") from None
    try:
        yield subscription
    finally:
        async with asyncio.timeout(patience):
            await context.__aexit__(None, None, None)


async def _enter(stack: AsyncExitStack, context: Any) -> Subscription:
    opened: Subscription = await stack.enter_async_context(context)
    return opened


def _alive(workers: Sequence[asyncio.Future[Any]]) -> int:
    return sum(not worker.done() for worker in workers)


def _raise_first(workers: Sequence[asyncio.Future[Any]]) -> None:
    for worker in workers:
        if worker.done() and not worker.cancelled() and (error := worker.exception()):
            raise error
