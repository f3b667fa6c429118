"""How long a message of a well-behaved handler takes, alone and beside each kind of bad neighbour.

A message every five milliseconds, from its publication to the confirmation of what its handler sent: a small component
with a fresh instance, on the dictionary broker, so that only the host is measured. Alone and beside take turns. The
neighbour has the default concurrency, a deadline of a second, and always more messages.

With `BENCH_CLOCK=loop` the time is the event loop's own: what it computes for others while the message waits, whatever
else the machine does. That says something on a busy machine, too, but leaves out what waits for another thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, thread_time
from types import ModuleType
from typing import Any, Final

from tests.dictionary.broker import Broker
from tests.guests.build import COMPILED, guest
from tests.host.running import plugins

from benchmarks.report import Figure, report
from dragoman.config.model import Config
from dragoman.handlers.handler import Context
from dragoman.host.host import Host
from dragoman.message import Channel, Message

CLOCK: Final = thread_time if os.environ.get("BENCH_CLOCK") == "loop" else perf_counter
ROUNDS: Final = int(os.environ.get("BENCH_ROUNDS", "3"))
MESSAGES: Final = 300
EVERY: Final = 0.005
AIM: Final = "<= 50 more than alone"
PYTHON: Final = ("fails", "is_slow", "is_stuck")
GUESTS: Final[Mapping[str, Mapping[str, str]]] = {
    "hostile": {
        "L": "computes without end", "F": "fills its memory without end", "C": "copies its memory without end",
        "A": "fills a table without end", "D": "calls itself without end", "G": "takes all memory",
        "B": "makes a body of 100 MB", "N": "names 100 MB", "W": "sets millions of pairs",
        "R": "sets pairs that share 1 MB", "P": "adds pairs without end", "Q": "holds bodies of 1 MB without end",
        "M": "holds messages without end", "H": "asks for the body without end", "S": "sends without end",
        "T": "sends ten thousand times", "Y": "names what is no UTF-8", "X": "drops twice", "U": "makes handles up",
    },
    "hostile_system": {
        "O": "prints without end", "E": "exits", "R": "asks for 64 MB of randomness", "N": "asks for randomness",
        "S": "opens sockets", "C": "reads the clock without end",
    },
}  # fmt: skip


async def fails(_message: Message, _context: Context) -> None:
    """On every message."""
    raise RuntimeError("no luck")


async def is_slow(_message: Message, _context: Context) -> None:
    """Takes half a second."""
    await asyncio.sleep(0.5)


async def is_stuck(_message: Message, _context: Context) -> None:
    """Until its deadline."""
    await asyncio.Event().wait()


class Watched(Broker):
    """A broker that notes when each message of `out` has come."""

    def __init__(self) -> None:
        super().__init__()
        self.came: dict[bytes, float] = {}

    def append(self, channel: Channel, message: Message) -> None:
        """See `Broker`."""
        super().append(channel, message)
        if channel.name == "out":
            self.came[message.data] = CLOCK()


def configuration(bad: Mapping[str, Any] | None) -> Config:
    """The well-behaved handler, and the other."""
    good = {"component": guest("upper"), "client": "default", "subscribe": ["in"], "publish": ["out"]}
    short = {"deadline": "1s", "retry": {"attempts": 1}, "exhausted": "drop"}
    other = {"client": "default", "subscribe": ["bad"], "publish": ["away"], **short}
    handlers = {"good": good} | ({"bad": {**other, **bad}} if bad else {})
    return Config.model_validate(
        {"clients": {"default": {"adapter": "dictionary"}}, "handlers": handlers, "host": {"cache": COMPILED}}
    )


async def feed(broker: Broker, host: Host, order: bytes) -> None:
    """Let the bad handler never want for messages."""
    counters = host.counters["bad"]
    put = 0
    while True:
        done = counters.handled + counters.dropped
        for _ in range(done + 200 - put):
            broker.append(Channel("bad"), Message(order + b"out"))
            put += 1
        await asyncio.sleep(EVERY)


async def latencies(bad: Mapping[str, Any] | None, order: bytes) -> list[float]:
    """Seconds of each message."""
    broker, put = Watched(), dict[bytes, float]()
    async with Host(configuration(bad), plugins=plugins(broker), folder=Path("/nonexistent")) as host:
        gc.collect()
        gc.freeze()  # as `dragoman run` does
        feeding = asyncio.create_task(feed(broker, host, order)) if bad else None
        await asyncio.sleep(0.1)
        due, last = perf_counter(), CLOCK()
        for number in range(MESSAGES):
            body = b"%05d" % number
            # When it should have been put, had the loop not stood still.
            put[body] = min(CLOCK(), last + EVERY)
            broker.append(Channel("in"), Message(body))
            due, last = max(due + EVERY, perf_counter()), CLOCK()
            await asyncio.sleep(due - perf_counter())
        async with asyncio.timeout(120):
            while len(broker.came) < MESSAGES:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(EVERY)
        if feeding is not None:
            feeding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await feeding
    return [broker.came[body] - began for body, began in put.items()]


def percentile(seconds: list[float]) -> float:
    """The 99th, in milliseconds."""
    return quantiles(seconds, n=100)[98] * 1e3


async def measure(name: str, bad: Mapping[str, Any], order: bytes) -> None:
    """Print one pair of figures."""
    rounds = [(percentile(await latencies(None, b"")), percentile(await latencies(bad, order))) for _ in range(ROUNDS)]
    alone, beside = median(one for one, _ in rounds), median(two for _, two in rounds)
    figure = Figure(
        f"99th percentile beside one that {name}", beside, "ms", beside / alone, f"alone: {alone:.1f} ms", AIM
    )
    report("neighbours", [figure])


def main() -> None:
    """Measure and print each as soon as it is done."""
    logging.getLogger("dragoman").addHandler(logging.NullHandler())
    logging.getLogger("dragoman").propagate = False
    module = sys.modules["benchmark_neighbours"] = ModuleType("benchmark_neighbours")
    for function in (fails, is_slow, is_stuck):
        setattr(module, function.__name__, function)
        name = function.__name__.replace("_", " ")
        asyncio.run(measure(f"{name} (Python)", {"python": f"{module.__name__}:{function.__name__}"}, b""))
    for component, deeds in GUESTS.items():
        for order, name in deeds.items():
            asyncio.run(measure(name, {"component": guest(component)}, order.encode()))


if __name__ == "__main__":
    main()
