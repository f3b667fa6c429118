"""Hosts that are killed and started again, and what became of every message."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import dragoman as library
from dragoman.client import Client
from tests.guests.build import COMPILED, ROOT, component, source

KEYS = 50
#: What a handler of the default concurrency has in hand at most: 16, and one batch of 128.
IN_HAND = 16 + 128
#: What a client of a broker needs besides its URL so that a member that died is missed soon.
QUICK: dict[str, dict[str, Any]] = {
    "kafka": {"create_topics": True, "session_timeout": "6s", "rebalance_timeout": "5s", "timeout": "10s"},
    "rabbitmq": {"heartbeat": 2},
    "mosquitto": {"keepalive": 2},
    "nats": {"ack_wait": "2s"},
}

_HANDLER = """
async def work(message, context):
    await context.publish({out!r}, message.data.upper(), key=message.key)
"""
_CONFIG = """
[clients.default]
{settings}
[handlers.work]
{kind}
client = "default"
subscribe = ["{into}"]
publish = ["{out}"]
sends = "{sends}"
retry = {{ attempts = 1000, backoff = "50ms", max_backoff = "200ms" }}
[host]
cache = "{cache}"
"""


class Case:
    """One handler between two channels, run by processes that die.

    Attributes:
        config: the file.
        into: the channel that it hears.
        out: the channel that it sends to: for each message one, with the same body.
        settings: of the client.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], kind: str = "python", sends: str = "direct") -> None:
        """`kind` is `python` or `component`; a component sends without the key."""
        mark = uuid4().hex[:6]
        self.settings = settings
        self.into, self.out = f"in-{mark}", mark[:3]
        self.config = folder / "dragoman.toml"
        if kind == "python":
            name = f"app_{mark}"
            (folder / f"{name}.py").write_text(_HANDLER.format(out=self.out))
            reference = f'python = "{name}:work"'
        else:
            text = source("upper").replace('"defaultout', f'"default{self.out}')
            reference = f'component = "{component(f"upper-{self.out}", text)}"'
        lines = "\n".join(f"{key} = {_toml(value)}" for key, value in settings.items())
        self.config.write_text(
            _CONFIG.format(settings=lines, kind=reference, into=self.into, out=self.out, cache=COMPILED, sends=sends)
        )

    @asynccontextmanager
    async def host(self, *step: object) -> AsyncIterator[asyncio.subprocess.Process]:
        """A host that runs, until it kills itself at that step or this ends, with `kill -9`."""
        command = [sys.executable, "-m", "tests.faults.process", str(self.config), *map(str, step)]
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            assert await process.wait() == -signal.SIGKILL
            process._transport.close()  # type: ignore[attr-defined]

    def client(self) -> Client:
        """A client of the same broker."""
        return library.connect({**self.settings}, client="default")


class Found:
    """What has come out so far, gathered while it lasts.

    Attributes:
        times: how often each body came.
        order: the bodies of each key in the order of their first coming.
    """

    def __init__(self) -> None:
        self.times: Counter[str] = Counter()
        self.order: defaultdict[int, list[int]] = defaultdict(list)

    async def gather(self, client: Client, channel: str, ready: asyncio.Event) -> None:
        """Gather until it is cancelled."""
        async with client.subscribe(channel, group="found") as subscription:
            ready.set()
            while True:
                deliveries = await subscription.receive(500)
                for delivery in deliveries:
                    body = delivery.message.data.decode()
                    if not self.times[body]:
                        number = int(body)
                        self.order[number % KEYS].append(number)
                    self.times[body] += 1
                await subscription.accept(*deliveries)

    async def at_least(self, count: int, seconds: float = 250) -> None:
        """Wait until so many different ones have come."""
        async with asyncio.timeout(seconds):
            while len(self.times) < count:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.002)

    @property
    def twice(self) -> int:
        """How many came again."""
        return self.times.total() - len(self.times)

    def __str__(self) -> str:
        """The counts."""
        return f"{len(self.times)} came out, {self.twice} again"

    def check(self, stored: Iterable[int], most_twice: int, *, ordered: bool = True) -> None:
        """Everything that was stored has come, nothing else, in order within each key, and hardly anything twice."""
        missing = {str(number) for number in stored} - self.times.keys()
        assert not missing, sorted(missing)[:20]
        assert self.twice <= most_twice, self.twice
        if ordered:
            assert all(numbers == sorted(numbers) for numbers in self.order.values())


@asynccontextmanager
async def gathering(case: Case) -> AsyncIterator[tuple[Client, Found]]:
    """A client of the case, and what comes out of it."""
    found, ready = Found(), asyncio.Event()
    async with case.client() as client:
        task = asyncio.create_task(found.gather(client, case.out, ready))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
        try:
            yield client, found
            if task.done():
                task.result()
        finally:
            task.cancel()
            waiting.cancel()
            await asyncio.gather(task, waiting, return_exceptions=True)


async def publish(client: Client, channel: str, numbers: Iterable[int]) -> set[int]:
    """Publish them one after the other, each with its key; those that the broker has said it has."""
    stored: set[int] = set()
    for number in numbers:
        await client.publish(channel, str(number), key=str(number % KEYS))
        stored.add(number)
    return stored


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool | int) else f'"{value}"'
