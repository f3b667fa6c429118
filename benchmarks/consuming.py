"""What the benchmarks of all brokers do alike: their messages, their clock, and consuming through the whole host.

The clock runs from the first message that a function is given to the last one that is accepted. So nobody is charged
for connecting, subscribing or joining a group, which is measured in `start`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from uuid import uuid4

from tests.guests.build import guest

import dragoman
from benchmarks.side_by_side import COUNT, IN_FLIGHT, Measured, Stopwatch
from dragoman.adapter import ACCEPT, Subscription
from dragoman.config.model import Config
from dragoman.handlers.handler import Context
from dragoman.host.host import Host
from dragoman.host.source import BATCH
from dragoman.message import Channel, Message
from dragoman.plugins import load_plugins

#: 256 B; the first one makes the component return ok.
BODY: Final = b"K" + b"x" * 255
#: What all messages are published with at once, where publishing is not what is measured.
PORTION: Final = 100
#: The group that consumes.
GROUP: Final = "bench"
_MODULE: Final = "benchmark_handlers"
_LOOK: Final = 0.002


def name() -> str:
    """A name that nobody has used."""
    return f"bench.{uuid4().hex}"


async def filled(section: Mapping[str, Any], channel: Channel, count: int = COUNT) -> Channel:
    """That channel, with so many messages in it; `section` says with which client."""
    async with dragoman.connect(section) as client:
        for number in range(0, count, PORTION):
            await client.publish(channel, *[Message(BODY)] * min(PORTION, count - number))
    return channel


class Clock:
    """Runs from the first of so many messages to the last.

    Attributes:
        count: how many.
        done: set with the last one.
        seen: how many there were.
    """

    def __init__(self, count: int = COUNT) -> None:
        self.count = count
        self.done = asyncio.Event()
        self.seen = 0
        self._watch: Stopwatch | None = None

    def one(self) -> None:
        """A message."""
        if self._watch is None:
            self._watch = Stopwatch()
        self.seen += 1
        if self.seen == self.count:
            self.done.set()

    def many(self, messages: int) -> None:
        """So many at once, which were not handled yet."""
        if self._watch is None:
            self._watch = Stopwatch()
        self.seen += messages
        if self.seen >= self.count:
            self.done.set()

    def rate(self) -> Measured:
        """How fast it went until now."""
        assert self._watch is not None
        return self._watch.over(self.count)

    async def finished(self) -> Measured:
        """Wait for the last one; how fast it went."""
        await self.done.wait()
        return self.rate()


async def through_adapter(subscription: Subscription, *, limit: int = IN_FLIGHT, count: int = COUNT) -> Measured:
    """Receive, call a function for each message, settle: what the adapter is good for without the host."""
    clock = Clock(count)
    while not clock.done.is_set():
        batch = await subscription.receive(limit)
        clock.many(len(batch))
        for delivery in batch:
            await _handle(delivery.message.data)
        await subscription.settle([(delivery, ACCEPT) for delivery in batch])
    return clock.rate()


async def through_host(
    client: Mapping[str, Any], channel: Channel, handler: Mapping[str, Any], *, in_hand: int = IN_FLIGHT, batch: int = 0
) -> Measured:
    """The whole host: its clock stops when everything is settled.

    Args:
        client: the section of the client in a configuration.
        channel: what has the messages.
        handler: `FUNCTION` or `COMPONENT`.
        in_hand: how many messages may be in hand at once, as others' prefetch.
        batch: how many messages the function is given at once at most, two of them under way; 0 gives it one.
    """
    places = {"concurrency": 2, "batch": {"size": batch, "wait": 0.01}} if batch else {"concurrency": in_hand - BATCH}
    work = {"client": "main", "subscribe": [str(channel)], "group": GROUP, **places, **handler}
    config = Config.model_validate({"clients": {"main": dict(client)}, "handlers": {"work": work}})
    clock = Clock()
    async with Host(config, plugins=load_plugins(), folder=Path()) as host:
        counters = host.counters["work"]
        while not counters.received:  # noqa: ASYNC110 - counters have no event
            await asyncio.sleep(_LOOK / 4)
        clock.many(COUNT)
        while counters.handled < COUNT or counters.in_hand:  # noqa: ASYNC110 - the same
            await asyncio.sleep(_LOOK)
        return clock.rate()


async def nothing(message: Message, context: Context) -> None:
    """A handler that does nothing."""


async def nothing_many(messages: Sequence[Message], _: Context) -> None:
    """A handler of batches that does as little with each message."""
    for message in messages:
        await _handle(message.data)


async def _handle(data: bytes) -> None:
    """The same, without the host."""


def _function(function: Callable[..., Any]) -> dict[str, str]:
    """The handler, importable as a configuration names it."""
    module = sys.modules.setdefault(_MODULE, ModuleType(_MODULE))
    setattr(module, function.__name__, function)
    return {"python": f"{_MODULE}:{function.__name__}"}


#: A Python function that does nothing, and one for batches.
FUNCTION: Final[Mapping[str, Any]] = _function(nothing)
FUNCTION_MANY: Final[Mapping[str, Any]] = _function(nothing_many)


def component() -> Mapping[str, Any]:
    """A component of WebAssembly text that reads its message and returns ok, in a fresh instance for each."""
    return {"component": str(guest("misbehaves"))}


async def raw(message: Any) -> bytes:
    """FastStream's cheapest decoder: the function gets the bytes."""
    body: bytes = message.body
    return body
