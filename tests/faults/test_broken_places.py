"""The disk is full, the file is locked, the clock is set back: what was stored is handled, once all is well again."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import dragoman as library
from dragoman.adapter import Start
from dragoman.client import Client
from dragoman.config.model import Config
from dragoman.errors import StorageFailed
from dragoman.handlers.handler import Context
from dragoman.host.host import Host
from dragoman.message import Message
from dragoman.plugins import load_plugins
from tests.faults.killing import IN_HAND, KEYS
from tests.host.running import module_of, until

#: A whole minute with `DRAGOMAN_LOCK_SECONDS=60`; how long it lasts changes nothing but the number of attempts.
LOCKED = float(os.environ.get("DRAGOMAN_LOCK_SECONDS", "3"))


class Place:
    """A file, a host whose handler sends what it hears on `in` to `out`, and somebody who publishes.

    Attributes:
        host: it.
        stored: the numbers that the broker has said it has.
        refused: how often it said that it has not.
        handled: how often each was handled.
    """

    def __init__(self, host: Host, client: Client, handled: list[int]) -> None:
        self.host = host
        self.client = client
        self.stored: list[int] = []
        self.refused = 0
        self.handled = handled

    async def publish(self, numbers: Iterable[int], size: int = 10) -> None:
        """Publish them one after the other; one that is refused is not tried again."""
        for number in numbers:
            try:
                await self.client.publish("in", f"{number} ".ljust(size, "x"), key=str(number % KEYS))
            except StorageFailed:
                self.refused += 1
            else:
                self.stored.append(number)

    async def check(self, what: str) -> None:
        """Wait until all is handled and settled; then what came out is what was stored, and hardly any of it twice."""
        await until(lambda: set(self.handled) >= set(self.stored), 60)
        await until(lambda: not self.host.counters["work"].in_hand, 60)
        found: list[int] = []
        async with self.client.subscribe("topic:out", start=Start()) as subscription:
            while await subscription.lag():
                deliveries = await subscription.receive(500)
                found += [int(delivery.message.data.split()[0]) for delivery in deliveries]
                await subscription.accept(*deliveries)
        first = list(dict.fromkeys(found))
        again = len(found) - len(first)
        print(f"{what}: {len(self.stored)} stored, {self.refused} refused, {len(first)} out, {again} again")
        # A publisher that was refused does not know: what it sent may be there all the same, but nothing else is.
        assert set(first) >= set(self.stored)
        assert again <= IN_HAND
        for key in range(KEYS):
            numbers = [number for number in first if number % KEYS == key]
            assert numbers == sorted(numbers)
        assert not self.host.counters["work"].outages


@asynccontextmanager
async def place(path: Path, **settings: Any) -> AsyncIterator[Place]:
    """See the class."""
    handled: list[int] = []

    async def work(message: Message, context: Context) -> None:
        await context.publish("out", message.data, key=message.key)
        handled.append(int(message.data.split()[0]))

    client = {"adapter": "embedded", "path": str(path), **settings}
    with module_of(work=work) as module:
        handler = {
            "python": f"{module}:work", "client": "main", "subscribe": ["in"], "publish": ["out"],
            "retry": {"attempts": 3, "backoff": "10ms", "max_backoff": "100ms"}, "dead_letter": "dead",
        }  # fmt: skip
        config = Config.model_validate({"clients": {"main": client}, "handlers": {"work": handler}})
        async with (
            Host(config, plugins=load_plugins(), folder=Path("/nonexistent")) as host,
            library.connect(client, client="main") as other,
        ):
            yield Place(host, other, handled)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MiB: SQLite's log alone takes up to four before it is written back."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root can mount a small disk; tests/embedded/test_faults.py covers the error")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.timeout(120)
async def test_a_full_disk_stops_the_work_and_room_lets_it_go_on(small_disk: Path) -> None:
    """Publishers are told; no message is lost, dead-lettered or dropped for it, and the host needs no restart."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(8 * 2**20))
    async with place(small_disk / "log.db") as there:
        number = 0
        while there.refused < 20:
            await there.publish(range(number, number + 20), 10_000)
            number += 20
        counters = there.host.counters["work"]
        await until(lambda: counters.failed > 3 or counters.outages or not counters.in_hand, 30)
        ballast.unlink()
        await there.publish(range(number, number + 20), 10_000)
        await there.check("disk full")
        assert counters.dead_lettered == 0
        assert there.stored[-1] == number + 19


@pytest.mark.timeout(60 + 2 * LOCKED)
async def test_a_locked_file_is_waited_for(tmp_path: Path) -> None:
    """Another process holds the write lock for much longer than anybody waits for it; then everything goes on."""
    async with place(tmp_path / "log.db", lock_timeout="200ms") as there:
        await there.publish(range(300))
        other = sqlite3.connect(tmp_path / "log.db", isolation_level=None, timeout=5)
        other.execute("BEGIN IMMEDIATE")
        publishing = asyncio.create_task(there.publish(range(300, 320)))
        await asyncio.sleep(LOCKED)  # the lock itself
        other.execute("ROLLBACK")
        other.close()
        await publishing
        await there.publish(range(320, 600))
        await there.check(f"locked for {LOCKED:g} s")
        assert there.refused > 0
        assert there.host.counters["work"].dead_lettered == 0


async def test_a_clock_that_is_set_back_an_hour_holds_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is stored before and after it comes in order, and so it is for a host that starts in the past."""
    real: Callable[[], float] = time.time
    async with place(tmp_path / "log.db") as there:
        await there.publish(range(300))
        monkeypatch.setattr(time, "time", lambda: real() - 3600)
        await there.publish(range(300, 600))
        began = time.monotonic()
        await there.check("clock set back")
        assert time.monotonic() - began < 30
    monkeypatch.setattr(time, "time", lambda: real() - 7200)
    async with place(tmp_path / "log.db") as there:
        await there.publish(range(600, 700))
        await until(lambda: len(there.handled) == 100, 30)
        assert Counter(there.handled) == Counter(range(600, 700))
