"""Full disks, locked, corrupt and foreign files, cancelled calls: a clear error, and nothing confirmed is lost."""

from __future__ import annotations

import asyncio
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dragoman.adapter import SubscribeOptions
from dragoman.embedded import EmbeddedConfig, connect
from dragoman.embedded.schema import open_file
from dragoman.errors import BrokerError, Closed, StorageFailed
from dragoman.message import Message

from .conftest import GROUP, QUEUE, Open, accept, bodies, nothing_comes, numbered, take_all


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root can mount a small disk; test_a_limited_file covers the error")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_new_file_is_opened_by_many_at_once(tmp_path: Path) -> None:
    """One of them makes it, and the others wait: workers start together, and whoever sends does not wait for them."""
    together = threading.Barrier(4)

    def opened(number: int) -> None:
        together.wait()
        open_file(EmbeddedConfig(path=str(tmp_path / f"{number}.db"))).close()

    with ThreadPoolExecutor(4) as threads:
        for number in range(60):
            for done in [threads.submit(opened, number) for _ in range(4)]:
                done.result()


async def test_a_full_disk_is_said_and_room_is_enough_to_go_on(small_disk: Path) -> None:
    """Everything confirmed is there; nothing else is. The same connection goes on once there is room."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(2**20))
    adapter = await connect(EmbeddedConfig(path=str(small_disk / "log.db")))
    confirmed: list[str] = []

    async def fill() -> None:
        for number in range(10_000):
            await adapter.publish(QUEUE, [Message.of(f"{number} ".ljust(10_000, "x"))])
            confirmed.append(str(number))

    with pytest.raises(StorageFailed, match="disk is full") as full:
        await fill()
    assert full.value.retryable
    with pytest.raises(StorageFailed):
        await adapter.publish(QUEUE, [Message(bytes(500_000))])
    ballast.unlink()
    await adapter.publish(QUEUE, [Message.of("after ")])
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        found = [body.split()[0] for body in await take_all(subscription, len(confirmed) + 1)]
        assert await nothing_comes(subscription)
    assert found == [*confirmed, "after"]
    await adapter.close()


async def test_a_limited_file_fails_the_one_who_is_to_blame(open_: Open) -> None:
    """The kernel refuses to let the file grow: of two calls in one transaction the small one succeeds."""
    adapter = await open_()
    await adapter.publish(QUEUE, numbered([1]))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, before[1]))
    try:
        results = await asyncio.gather(
            adapter.publish(QUEUE, [Message(bytes(2**21))]),
            adapter.publish(QUEUE, numbered([2])),
            return_exceptions=True,
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert isinstance(results[0], StorageFailed)
    assert results[1] is None
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        assert await take_all(subscription, 2) == ["1", "2"]
        assert await nothing_comes(subscription)


async def test_a_locked_file_is_waited_for_then_said(open_: Open, path: Path) -> None:
    """The wait is bounded, the loop goes on meanwhile, and the next call works."""
    adapter = await open_(lock_timeout="100ms")
    await adapter.publish(QUEUE, numbered([1]))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    ticks = 0
    publishing = asyncio.create_task(adapter.publish(QUEUE, numbered([2])))
    while not publishing.done():
        await asyncio.sleep(0.001)
        ticks += 1
    with pytest.raises(StorageFailed, match="another process holds the file's write lock"):
        await publishing
    assert ticks > 5  # the loop went on meanwhile
    publishing = asyncio.create_task(adapter.publish(QUEUE, numbered([3])))
    await asyncio.sleep(0.01)
    other.execute("ROLLBACK")
    other.close()
    await publishing
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        assert await take_all(subscription, 2) == ["1", "3"]


async def test_a_file_that_is_not_ours_is_refused_and_left_alone(tmp_path: Path) -> None:
    """Each with its own one-line reason; not a byte is changed."""
    text, foreign, newer = tmp_path / "a.txt", tmp_path / "b.db", tmp_path / "c.db"
    text.write_text("Dear diary, this is no database at all. " * 100)
    with sqlite3.connect(foreign) as db:
        db.execute("CREATE TABLE t (x)")
    db.close()
    await (await connect(EmbeddedConfig(path=str(newer)))).close()
    with sqlite3.connect(newer) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    cases = {
        text: "no SQLite database",
        foreign: "something else",
        newer: "newer Dragoman",
        tmp_path: "can't be opened",
        tmp_path / "no" / "x.db": "its folder exists",
    }
    for path, words in cases.items():
        before = path.read_bytes() if path.is_file() else None
        with pytest.raises(StorageFailed, match=words) as caught:
            await connect(EmbeddedConfig(path=str(path)))
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
        # A folder may be made and a permission given; what is in the file stays in it.
        assert caught.value.retryable == (not path.is_file())
        assert (path.read_bytes() if path.is_file() else None) == before


async def test_a_corrupt_file_is_an_error_never_a_crash_or_a_hang(path: Path) -> None:
    """Random damage anywhere, 60 times: each call works or raises from our tree."""
    adapter = await connect(EmbeddedConfig(path=str(path)))
    await adapter.publish(QUEUE, numbered(range(200), "k"))
    await adapter.close()
    damage = Damage(path)
    refused = 0
    for _ in range(60):
        damage.do()
        refused += await _refuses(path)
    assert refused > 10


class Damage:
    """A file as it was, but for 600 random bytes somewhere, and without what SQLite left beside it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._whole = path.read_bytes()
        self._chance = random.Random(1)  # noqa: S311 (the same damage in every run)

    def do(self) -> None:
        """Write it."""
        for left in self._path.parent.glob("log.db-*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        damaged = bytearray(self._whole)
        at = self._chance.randrange(len(damaged) - 600)
        damaged[at : at + 600] = self._chance.randbytes(600)
        self._path.write_bytes(damaged)


async def _refuses(path: Path) -> bool:
    try:
        adapter = await connect(EmbeddedConfig(path=str(path), poll=3600))
    except StorageFailed:
        return True
    try:
        async with asyncio.timeout(10), adapter.subscribe(QUEUE, GROUP) as subscription:
            await nothing_comes(subscription)
            await adapter.publish(QUEUE, numbered([1]))
            await accept(subscription, await subscription.receive(300))
    except BrokerError:
        return True
    finally:
        await adapter.close()
    return False


@pytest.mark.parametrize("seed", range(8))
async def test_cancelling_at_any_await_loses_nothing(open_: Open, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Receives, settles and publishes are cancelled at random moments; everything confirmed comes at last."""
    chance = random.Random(seed)  # noqa: S311 (the same moments in every run)
    if seed % 2:
        # Every durable commit goes through the thread, as on a slow disk.
        monkeypatch.setattr("dragoman.embedded.store.QUICK", 0.0)
    adapter = await open_()
    confirmed: set[str] = set()
    found: list[str] = []

    async def publish(number: int) -> None:
        await adapter.publish(QUEUE, numbered([number]))
        confirmed.add(str(number))

    async with adapter.subscribe(QUEUE, SubscribeOptions(group="g", prefetch=8)) as subscription:

        async def receive() -> None:
            batch = await subscription.receive(3)
            found.extend(bodies(batch))
            await asyncio.shield(accept(subscription, batch))

        for number in range(150):
            tasks = [asyncio.create_task(publish(number)), asyncio.create_task(receive())]
            for _ in range(chance.randrange(12)):
                await asyncio.sleep(0)
            if chance.random() < 0.3:
                await asyncio.sleep(0.0005)
            if chance.random() < 0.5:
                tasks[0].cancel()
            tasks[1].cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await adapter.publish(QUEUE, numbered([-1]))
        while "-1" not in found:
            await receive()
        assert await nothing_comes(subscription)
    assert len(found) == len(set(found))
    assert confirmed <= set(found)


def test_a_loop_that_ends_too_early_leaves_nobody_waiting(path: Path) -> None:
    """A program that fails without closing anything ends all the same, with its own error."""
    program = f"""
import asyncio
from dragoman.adapter import SubscribeOptions
from dragoman.embedded import EmbeddedConfig, connect
from dragoman.embedded.schema import open_file
from dragoman.message import Channel, Message

async def read(adapter):
    async with adapter.subscribe(Channel("q"), SubscribeOptions(group="g")) as subscription:
        await subscription.receive(1)

async def main():
    adapter = await connect(EmbeddedConfig(path={str(path)!r}))
    tasks = [asyncio.create_task(read(adapter)) for _ in range(3)]
    await adapter.publish(Channel("other"), [Message(b"x")])
    1 / 0

asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "ZeroDivisionError" in ended.stderr


async def test_a_removed_wake_up_folder_comes_back(open_: Open, path: Path) -> None:
    """Somebody tidied up: wake-ups work again by themselves."""
    one, two = await open_(poll=0.05), await open_(poll=3600)
    async with one.subscribe(QUEUE, GROUP) as subscription:
        shutil.rmtree(f"{path}-wake")
        assert two._store.bell
        while not two._store.bell.names():  # noqa: ASYNC110 (it comes back by itself: nothing tells of it)
            await asyncio.sleep(0.01)
        waiting = asyncio.create_task(subscription.receive(1))
        await two.publish(QUEUE, numbered([1]))
        assert bodies(await asyncio.wait_for(waiting, 30)) == ["1"]


async def test_calls_under_way_end_when_the_adapter_closes(open_: Open) -> None:
    """Each is confirmed or says `Closed`; exactly the confirmed ones are stored."""
    adapter = await open_()
    publishing = [asyncio.create_task(adapter.publish(QUEUE, numbered([number]))) for number in range(20)]
    await asyncio.sleep(0)
    await adapter.close()
    results = await asyncio.gather(*publishing, return_exceptions=True)
    stored = [str(number) for number, result in enumerate(results) if result is None]
    assert all(result is None or isinstance(result, Closed) for result in results)
    again = await open_()
    async with again.subscribe(QUEUE, GROUP) as subscription:
        assert await take_all(subscription, len(stored)) == stored
        assert await nothing_comes(subscription)
