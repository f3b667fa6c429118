"""What the host adds to each message, beside a loop that calls the adapter's `receive` and `settle`.

The handler is a Python function that does nothing. Rounds of both are interleaved; the figure is the median of their
differences. On the dictionary nothing waits, so the time is the process's own, which its neighbours on the machine
stretch less. On the embedded broker, the whole way from publish to accept is also measured beside bare sqlite3.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from types import ModuleType
from typing import Final

from tests.dictionary.adapter import Settings, dictionary
from tests.dictionary.broker import Broker

from benchmarks import embedded
from benchmarks.report import Figure, report
from dragoman.adapter import ACCEPT, Adapter, SubscribeOptions
from dragoman.config.model import Config
from dragoman.handlers.handler import Context
from dragoman.host.host import Host
from dragoman.message import Channel, Message
from dragoman.plugins import Plugin, Plugins, load_plugins

MESSAGES: Final = 20_000
ROUNDS: Final = 7
CHANNEL: Final = Channel("in")


async def nothing(message: Message, context: Context) -> None:
    """The handler."""


@contextmanager
def handler_module() -> Iterator[str]:
    """A reference to the handler, as a configuration says it."""
    module = ModuleType("benchmark_handlers")
    module.nothing = nothing  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    try:
        yield f"{module.__name__}:nothing"
    finally:
        del sys.modules[module.__name__]


def configuration(client: dict[str, str], concurrency: int, reference: str) -> Config:
    """One handler on one channel."""
    handler = {"python": reference, "client": "main", "subscribe": [CHANNEL.name], "concurrency": concurrency}
    return Config.model_validate({"clients": {"main": client}, "handlers": {"work": handler}})


async def settled(host: Host, messages: int) -> None:
    """Wait until the host has settled so many since it started."""
    counters = host.counters["work"]
    while counters.handled < messages or counters.in_hand:  # noqa: ASYNC110 - counters have no event
        await asyncio.sleep(0.0005)


async def bare(adapter: Adapter) -> float:
    """Seconds of computing that a loop of `receive` and `settle` takes."""
    async with adapter.subscribe(CHANNEL, SubscribeOptions("work")) as subscription:
        begin = process_time()
        left = MESSAGES
        while left:
            batch = await subscription.receive(100)
            await subscription.settle([(delivery, ACCEPT) for delivery in batch])
            left -= len(batch)
        return process_time() - begin


async def hosted(host: Host) -> float:
    """Seconds of computing that the host takes for as many, its start included."""
    begin = process_time()
    async with host:
        await settled(host, MESSAGES)
        return process_time() - begin


def filled(keys: int) -> Broker:
    """A broker with the messages; with that many keys, or none."""
    gc.collect()
    broker = Broker()
    for number in range(MESSAGES):
        broker.append(CHANNEL, Message.of(b"x" * 256, key=str(number % keys) if keys else None))
    return broker


async def on_the_dictionary(concurrency: int, keys: int, reference: str) -> list[Figure]:
    """In memory, where the broker costs next to nothing."""
    config = configuration({"adapter": "dictionary"}, concurrency, reference)
    rounds: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        adapter = await dictionary(filled(keys)).connect(Settings())
        one = await bare(adapter)
        await adapter.close()
        plugin = Plugin("dictionary", "dragoman-dictionary", "1", (dictionary(filled(keys)),))
        two = await hosted(Host(config, plugins=Plugins([plugin]), folder=Path()))
        rounds.append((one / MESSAGES * 1e6, two / MESSAGES * 1e6))
    name = f"dictionary, concurrency {concurrency}, " + (f"{keys} keys" if keys else "no keys")
    return [
        Figure(f"receive and settle, {name}", median(one for one, _ in rounds), "µs/message"),
        Figure(f"host, {name}", median(two for _, two in rounds), "µs/message"),
        Figure(f"added by the host, {name}", median(two - one for one, two in rounds), "µs/message", target="<= 15"),
    ]


async def on_the_embedded(folder: Path, reference: str) -> list[Figure]:
    """Publish, handle and accept, all at once in one process; with and without the host."""
    path = folder / "log.db"
    each = embedded.REPEAT * embedded.BATCH
    inserts = embedded.Bare(folder / "bare.db")
    rounds: list[tuple[float, float, float]] = []
    config = configuration({"adapter": "embedded", "path": str(path)}, 16, reference)
    async with embedded.Bench(path) as bench, Host(config, plugins=load_plugins(), folder=Path()) as host:
        for number in range(1, embedded.ROUNDS + 1):
            begin = perf_counter()
            for _ in range(embedded.REPEAT):
                await inserts.insert()
            inserted = perf_counter()
            await bench.stream()
            streamed = perf_counter()
            for _ in range(embedded.REPEAT):
                await bench.adapter.publish(CHANNEL, bench.messages)
            await settled(host, number * each)
            done = perf_counter()
            rounds.append(tuple(s / each * 1e6 for s in (inserted - begin, streamed - inserted, done - streamed)))  # type: ignore[arg-type]
    inserts.close()
    ratio = median(one / three for one, _, three in rounds)
    return [
        Figure("bare sqlite3 inserts of 100 x 256 B", median(one for one, _, _ in rounds), "µs/message"),
        Figure("publish, receive, settle: embedded", median(two for _, two, _ in rounds), "µs/message"),
        Figure(
            "publish, handle, accept: embedded, host",
            median(three for _, _, three in rounds),
            "µs/message",
            ratio,
            "bare sqlite3 inserts",
            ">= 0.15",
        ),
        Figure(
            "added by the host, embedded", median(three - two for _, two, three in rounds), "µs/message", target="<= 15"
        ),
    ]


def main() -> None:
    """Measure and print."""
    from benchmarks.watched import watched

    found: list[Figure] = []
    with handler_module() as reference, tempfile.TemporaryDirectory() as folder:
        for concurrency, keys in ((16, 0), (1, 0), (64, 0), (16, 100)):
            found += asyncio.run(on_the_dictionary(concurrency, keys, reference))
        found += asyncio.run(on_the_embedded(Path(folder), reference))
        found += asyncio.run(watched(reference))
    report("host", found)


if __name__ == "__main__":
    main()
