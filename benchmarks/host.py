"""What the host adds to each message, beside a loop that calls the adapter's `receive` and `settle`.

The handler is a Python function that does nothing. Rounds of both are interleaved; the figure is the difference of
their medians.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from types import ModuleType
from typing import Final

from tests.dictionary.adapter import Settings, dictionary
from tests.dictionary.broker import Broker

from benchmarks.report import Figure, report
from dragoman.adapter import ACCEPT, Adapter, SubscribeOptions
from dragoman.config.model import Config
from dragoman.handlers.handler import Context
from dragoman.host.host import Host
from dragoman.message import Channel, Message
from dragoman.plugins import Plugin, Plugins

MESSAGES: Final = 20_000
ROUNDS: Final = 7
BATCH: Final = 100
CHANNEL: Final = Channel("in")


async def nothing(message: Message, context: Context) -> None:
    """The handler."""


async def bare(adapter: Adapter, messages: int) -> float:
    """Seconds that a loop of `receive` and `settle` takes."""
    async with adapter.subscribe(CHANNEL, SubscribeOptions("work")) as subscription:
        begin = perf_counter()
        left = messages
        while left:
            batch = await subscription.receive(BATCH)
            await subscription.settle([(delivery, ACCEPT) for delivery in batch])
            left -= len(batch)
        return perf_counter() - begin


async def hosted(config: Config, plugins: Plugins, messages: int) -> float:
    """Seconds that the host takes to handle as many, from ready to the last one settled."""
    host = Host(config, plugins=plugins, folder=Path())
    begin = perf_counter()
    async with host:
        counters = host.counters["work"]
        while counters.received < messages or counters.in_hand:  # noqa: ASYNC110 - counters have no event
            await asyncio.sleep(0.001)
        return perf_counter() - begin


def filled(keys: int) -> Broker:
    """A broker with the messages; with that many keys, or none."""
    broker = Broker()
    for number in range(MESSAGES):
        broker.append(CHANNEL, Message.of(b"x" * 256, key=str(number % keys) if keys else None))
    return broker


def configuration(concurrency: int) -> Config:
    """One handler on one channel."""
    handler = {
        "python": "benchmark_functions:nothing",
        "client": "main",
        "subscribe": ["in"],
        "concurrency": concurrency,
    }
    return Config.model_validate({"clients": {"main": {"adapter": "dictionary"}}, "handlers": {"work": handler}})


async def dictionary_rounds(concurrency: int, keys: int) -> tuple[float, float]:
    """Microseconds per message of both, in memory."""
    config = configuration(concurrency)
    rounds: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        broker = filled(keys)
        adapter = await dictionary(broker).connect(Settings())
        gc.collect()
        one = await bare(adapter, MESSAGES)
        await adapter.close()
        broker = filled(keys)
        gc.collect()
        plugins = Plugins([Plugin("dictionary", "dragoman-dictionary", "1", (dictionary(broker),))])
        rounds.append((one, await hosted(config, plugins, MESSAGES)))
    return _micro(rounds)


def _micro(rounds: list[tuple[float, float]]) -> tuple[float, float]:
    return tuple(median(column) / MESSAGES * 1e6 for column in zip(*rounds, strict=True))  # type: ignore[return-value]


def figures(name: str, bare_time: float, host_time: float) -> list[Figure]:
    """The three figures of one comparison."""
    return [
        Figure(f"receive and settle, {name}", bare_time, "µs/message"),
        Figure(f"host, {name}", host_time, "µs/message", host_time / bare_time, "receive and settle"),
        Figure(f"added by the host, {name}", host_time - bare_time, "µs/message", target="<= 15"),
    ]


def main() -> None:
    """Run it."""
    module = sys.modules["benchmark_functions"] = ModuleType("benchmark_functions")
    module.nothing = nothing  # type: ignore[attr-defined]
    found: list[Figure] = []
    for concurrency, keys in ((16, 0), (1, 0), (64, 0), (16, 100)):
        name = f"dictionary, concurrency {concurrency}, " + (f"{keys} keys" if keys else "no keys")
        found += figures(name, *asyncio.run(dictionary_rounds(concurrency, keys)))
    report("host", found)


if __name__ == "__main__":
    main()
