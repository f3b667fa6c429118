"""The embedded broker beside bare sqlite3, and how fast a waiting consumer wakes.

`cycle` is what the host's part is measured beside: `async with Bench(...) as bench: await bench.cycle()`.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles
from typing import Final, Self

from benchmarks.report import Figure, report
from dragoman.adapter import ACCEPT, SubscribeOptions, Subscription
from dragoman.embedded import EmbeddedAdapter, EmbeddedConfig, connect
from dragoman.message import Channel, Message

BATCH: Final = 100
BYTES: Final = 256
ROUNDS: Final = 15
#: Batches in one round.
REPEAT: Final = 20
WAKES: Final = 200
QUEUE: Final = Channel("orders")


class Bare:
    """The same batches into a table of nothing but data, with the same durability."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, data BLOB)")
        self._rows = [(os.urandom(BYTES),) for _ in range(BATCH)]

    async def insert(self) -> None:
        """One batch."""
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT INTO message (data) VALUES (?)", self._rows)
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._db.close()


class Bench:
    """A broker of its own, with one consumer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stack = AsyncExitStack()
        self.messages = [Message.of(os.urandom(BYTES)) for _ in range(BATCH)]
        self.adapter: EmbeddedAdapter
        self.consumer: Subscription

    async def __aenter__(self) -> Self:
        self.adapter = await connect(EmbeddedConfig(path=str(self._path)))
        self._stack.push_async_callback(self.adapter.close)
        options = SubscribeOptions(group="bench")
        self.consumer = await self._stack.enter_async_context(self.adapter.subscribe(QUEUE, options))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def publish(self) -> None:
        """One batch, to a topic that nobody reads."""
        await self.adapter.publish(Channel("unread", "topic"), self.messages)

    async def cycle(self) -> None:
        """One batch: published, received, accepted, one after the other."""
        await self.adapter.publish(QUEUE, self.messages)
        await self._drain()

    async def stream(self) -> None:
        """A round of batches, published by one task while another one receives and accepts."""
        await asyncio.gather(self._publish_round(), self._drain_round())

    async def _publish_round(self) -> None:
        for _ in range(REPEAT):
            await self.adapter.publish(QUEUE, self.messages)

    async def _drain_round(self) -> None:
        for _ in range(REPEAT):
            await self._drain()

    async def _drain(self) -> None:
        left = BATCH
        while left:
            batch = await self.consumer.receive(left)
            left -= len(batch)
            await self.consumer.settle([(delivery, ACCEPT) for delivery in batch])


async def _microseconds(call: Callable[[], Awaitable[None]], repeat: int = REPEAT) -> float:
    """For each message of a round."""
    start = time.perf_counter()
    for _ in range(repeat):
        await call()
    return (time.perf_counter() - start) / (REPEAT * BATCH) * 1e6


async def _throughput(folder: Path) -> list[Figure]:
    bare = Bare(folder / "bare.db")
    times: dict[str, list[float]] = {"bare": [], "publish": [], "cycle": [], "stream": []}
    async with Bench(folder / "log.db") as bench:
        for _ in range(ROUNDS):
            times["bare"].append(await _microseconds(bare.insert))
            times["publish"].append(await _microseconds(bench.publish))
            times["cycle"].append(await _microseconds(bench.cycle))
            times["stream"].append(await _microseconds(bench.stream, 1))
    bare.close()
    base = median(times["bare"])

    def figure(name: str, key: str, target: str = "") -> Figure:
        # The ratio of each round's neighbours: the disk's moods hit both.
        ratio = median(one / other for one, other in zip(times["bare"], times[key], strict=True))
        return Figure(name, median(times[key]), "µs/message", ratio, "bare sqlite3 inserts", target)

    return [
        Figure("bare sqlite3 inserts of 100 x 256 B, synchronous=FULL", base, "µs/message"),
        figure("publish 100 x 256 B", "publish", ">= 0.33"),
        figure("publish, receive, accept: one after the other", "cycle"),
        figure("publish, receive, accept: two tasks at once", "stream", ">= 0.30"),
    ]


async def _answer(path: str, pipe: Connection) -> None:
    """The other process: says when each message arrived, by the clock that both share."""
    adapter = await connect(EmbeddedConfig(path=path, poll=3600))
    async with adapter.subscribe(QUEUE, SubscribeOptions(group="wake")) as consumer:
        pipe.send(0.0)
        for _ in range(WAKES):
            batch = await consumer.receive(1)
            arrived = time.monotonic()
            await consumer.settle([(delivery, ACCEPT) for delivery in batch])
            pipe.send(arrived)
    await adapter.close()


def other_process(path: str, pipe: Connection) -> None:
    """Run `_answer`."""
    asyncio.run(_answer(path, pipe))


async def _wake_across(folder: Path) -> list[float]:
    path = str(folder / "across.db")
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(target=other_process, args=(path, theirs))
    child.start()
    ours.recv()
    adapter = await connect(EmbeddedConfig(path=path))
    found = []
    for _ in range(WAKES):
        await asyncio.sleep(0.003)  # the other one is waiting by now
        published = time.monotonic()
        await adapter.publish(QUEUE, [Message(b"x")])
        found.append(await asyncio.to_thread(ours.recv) - published)
    await adapter.close()
    child.join()
    return found


async def _wake_within(folder: Path) -> list[float]:
    adapter = await connect(EmbeddedConfig(path=str(folder / "within.db"), poll=3600))
    found = []

    async def wait() -> float:
        batch = await consumer.receive(1)
        arrived = time.monotonic()
        await consumer.settle([(delivery, ACCEPT) for delivery in batch])
        return arrived

    async with adapter.subscribe(QUEUE, SubscribeOptions(group="wake")) as consumer:
        for _ in range(WAKES):
            waiting = asyncio.create_task(wait())
            await asyncio.sleep(0.003)
            published = time.monotonic()
            await adapter.publish(QUEUE, [Message(b"x")])
            found.append(await waiting - published)
    await adapter.close()
    return found


def _latency(name: str, seconds: list[float]) -> list[Figure]:
    milliseconds = [second * 1e3 for second in seconds]
    return [
        Figure(f"{name}, median", median(milliseconds), "ms", target="<= 20"),
        Figure(f"{name}, 99th percentile", quantiles(milliseconds, n=100)[98], "ms", target="<= 20"),
    ]


async def measure(folder: Path) -> list[Figure]:
    """Everything, with files in this folder."""
    return [
        *await _throughput(folder),
        *_latency("from publish to a waiting receive, same process", await _wake_within(folder)),
        *_latency("from publish to a waiting receive, another process", await _wake_across(folder)),
    ]


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        report("embedded", asyncio.run(measure(Path(folder))))


if __name__ == "__main__":
    main()
