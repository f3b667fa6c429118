"""Whether memory stays flat: a million messages through the host, as they come and as a backlog.

`python -m benchmarks memory [BROKER...]`, of `embedded`, `amqp`, `kafka`, `mqtt` and `nats`; `COUNT=100000` before it
makes it shorter.

The host runs in a process of its own, with a Python function that does nothing, and tells its resident memory on the
way. First another process publishes while the host handles, at most `AHEAD` messages ahead of it; then all of them wait
when the host starts. The publisher's memory is told too.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

from tests.servers import Kafka, Mosquitto, Nats, RabbitMQ

import dragoman
from benchmarks.consuming import BODY, FUNCTION, GROUP, name
from benchmarks.report import Figure, report
from dragoman.config.model import Config
from dragoman.host.host import Host
from dragoman.message import Channel, Message
from dragoman.plugins import load_plugins

COUNT: Final = int(os.environ.get("COUNT", "1_000_000"))
#: How many messages are published at once, and how far ahead of the host.
PORTION: Final = 500
AHEAD: Final = 20_000
#: At which shares of all messages memory is told.
POINTS: Final = (0.05, 0.25, 0.5, 0.75, 1.0)
#: Growth from the first point to the last that is no leak: allocators keep some.
MOST: Final = 8.0
BROKERS: Final = ("embedded", "amqp", "kafka", "mqtt", "nats")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def resident() -> float:
    """This process's memory in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE / 1e6


@contextmanager
def _embedded() -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        yield {"adapter": "embedded", "path": f"{folder}/log.db"}


@contextmanager
def _served(server: AbstractContextManager[Any], **more: Any) -> Iterator[dict[str, Any]]:
    with server as running:
        yield {"url": running.direct, **more}


def _section(broker: str) -> AbstractContextManager[dict[str, Any]]:
    """A server of its own, and how to reach it."""
    match broker:
        case "amqp":
            return _served(RabbitMQ(), queue_type="classic")
        case "kafka":
            return _served(Kafka(), create_topics=True)
        case "mqtt":
            return _served(Mosquitto(crash_safe=False))
        case "nats":
            return _served(Nats())
        case _:
            return _embedded()


# The process that is measured


async def _handle(section: Mapping[str, Any], channel: str, count: int) -> None:
    """Run the host; tell on each line how many it has handled, and its memory."""
    work = {"client": "main", "subscribe": [channel], "group": GROUP, "concurrency": 64, **FUNCTION}
    config = Config.model_validate({"clients": {"main": dict(section)}, "handlers": {"work": work}})
    async with Host(config, plugins=load_plugins(), folder=Path()) as host:
        counters = host.counters["work"]
        told = -1
        while told < count or counters.in_hand:
            if counters.handled != told:
                told = counters.handled
                print(json.dumps([told, resident()]), flush=True)
            await asyncio.sleep(0.02)


class _Measured:
    """The host in a process of its own, and what it tells."""

    def __init__(self, section: Mapping[str, Any], channel: str) -> None:
        self._command = [sys.executable, "-m", "benchmarks.memory", "--handle", json.dumps([section, channel, COUNT])]
        self.handled = 0
        self.points: dict[float, float] = {}
        self.news = asyncio.Event()

    async def run(self) -> None:
        """Until it has handled everything."""
        process = await asyncio.create_subprocess_exec(*self._command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                self.handled, memory = json.loads(line)
                self._note(memory)
                self.news.set()
            if await process.wait():
                raise RuntimeError(f"the host ended with {process.returncode}")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    def _note(self, memory: float) -> None:
        for point in POINTS:
            if self.handled >= point * COUNT:
                self.points.setdefault(point, memory)


async def _publish(section: Mapping[str, Any], channel: str, measured: _Measured | None) -> tuple[float, float]:
    """All messages; waits for the host where it must not be too far ahead. This process's memory, early and at last."""
    async with dragoman.connect(section) as client:
        early = resident()
        for number in range(0, COUNT, PORTION):
            while measured is not None and number - measured.handled > AHEAD:
                measured.news.clear()
                await measured.news.wait()
            await client.publish(channel, *[Message(BODY)] * PORTION)
            if number <= COUNT * POINTS[0]:
                early = resident()
        return early, resident()


async def _flow(section: Mapping[str, Any]) -> tuple[_Measured, tuple[float, float]]:
    channel = await _subscribed(section)
    measured = _Measured(section, channel)
    async with asyncio.TaskGroup() as group:
        group.create_task(measured.run())
        published = group.create_task(_publish(section, channel, measured))
    return measured, published.result()


async def _backlog(section: Mapping[str, Any]) -> tuple[_Measured, tuple[float, float]]:
    channel = await _subscribed(section)
    published = await _publish(section, channel, None)
    measured = _Measured(section, channel)
    await measured.run()
    return measured, published


async def _subscribed(section: Mapping[str, Any]) -> str:
    """A queue of its own that the group has subscribed to: MQTT keeps nothing for those who never came."""
    channel = name().replace(".", "/") if "mqtt" in str(section.get("url")) else name()
    async with dragoman.connect(section) as client, client.subscribe(Channel(channel), group=GROUP):
        return channel


def _rows(what: str, measured: _Measured, published: tuple[float, float]) -> Sequence[Figure]:
    first = measured.points[POINTS[0]]
    rows = [
        Figure(f"{what}: the host after {point * COUNT:,.0f} messages", memory, "MB")
        for point, memory in measured.points.items()
    ]
    rows.append(Figure(f"{what}: growth of the host", measured.points[1.0] - first, "MB", target=f"<= {MOST:g}"))
    return [*rows, Figure(f"{what}: growth of the publisher", published[1] - published[0], "MB", target=f"<= {MOST:g}")]


def main() -> None:
    """Print the figures."""
    if sys.argv[1:2] == ["--handle"]:
        section, channel, count = json.loads(sys.argv[2])
        asyncio.run(_handle(section, channel, count))
        return
    for broker in sys.argv[1:] or BROKERS:
        if broker not in BROKERS:
            sys.exit(f"there is no broker {broker!r}; expected one of {', '.join(BROKERS)}")
        with _section(broker) as section:
            section["client_id"] = name() if broker == "mqtt" else None
            given = {key: value for key, value in section.items() if value is not None}
            for what, run in (("as they come", _flow), ("a backlog", _backlog)):
                report("memory", _rows(f"{broker}, {what}", *asyncio.run(run(given))))


if __name__ == "__main__":
    main()
