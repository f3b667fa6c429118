"""Several processes on one file, killed at any moment; every message is counted by identity."""

from __future__ import annotations

import asyncio
import os
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from dragoman.embedded import EmbeddedConfig, connect
from dragoman.message import Message

from .conftest import GROUP, QUEUE, Open, Spawn, accept, bodies, line, nothing_comes, numbered, take_all


async def test_a_waiting_consumer_is_woken_by_another_process_without_looking(open_: Open, spawn: Spawn) -> None:
    """Polling is off in both processes: only the wake-up can do it."""
    adapter = await open_(poll=3600)
    child = await spawn("publish_when_asked")
    assert await line(child) == "ready"
    assert child.stdin
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        for _ in range(5):
            waiting = asyncio.create_task(subscription.receive(1))
            await nothing_waits(subscription)
            child.stdin.write(b"go\n")
            await accept(subscription, await asyncio.wait_for(waiting, 30))


async def nothing_waits(subscription: object) -> None:
    """Let a receive look at the log and begin to wait."""
    for _ in range(3):
        assert await subscription.lag() == 0  # type: ignore[attr-defined]


async def test_where_there_are_no_pipes_polling_finds_it(
    open_: Open, spawn: Spawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On such a file system consumers look often instead."""

    def no_pipes(path: str) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(os, "mkfifo", no_pipes)
    adapter = await open_()
    child = await spawn("publish_when_asked")
    assert await line(child) == "ready"
    assert child.stdin
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        waiting = asyncio.create_task(subscription.receive(1))
        await nothing_waits(subscription)
        child.stdin.write(b"go\n")
        assert await asyncio.wait_for(waiting, 30)


async def test_without_pipes_a_lease_decides_who_lives(open_: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The living keep what they hold; what one that is gone held comes back after a lease."""

    def no_pipes(path: str) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(os, "mkfifo", no_pipes)
    living, dying, watching = [await open_(poll=0.05, lease=1) for _ in range(3)]
    await living.publish(QUEUE, numbered(range(4)))
    async with (
        living.subscribe(QUEUE, GROUP) as kept,
        dying.subscribe(QUEUE, GROUP) as lost,
        watching.subscribe(QUEUE, GROUP) as subscription,
    ):
        held = await kept.receive(2)
        gone = await lost.receive(2)
        dying._upkeep._task.cancel()
        assert bodies(await subscription.receive(4)) == bodies(gone)
        await accept(kept, held)
        assert await nothing_comes(subscription)


async def test_wake_ups_work_at_the_end_of_a_long_path(tmp_path: Path) -> None:
    """A Unix socket's name would have to be shorter than 108 bytes."""
    folder = tmp_path / ("d" * 200) / ("e" * 200)
    folder.mkdir(parents=True)
    config = EmbeddedConfig(path=str(folder / "log.db"), poll=3600)
    one, two = await connect(config), await connect(config)
    async with one.subscribe(QUEUE, GROUP) as subscription:
        waiting = asyncio.create_task(subscription.receive(1))
        await nothing_waits(subscription)
        await two.publish(QUEUE, numbered([1]))
        assert bodies(await asyncio.wait_for(waiting, 30)) == ["1"]
    await one.close()
    await two.close()
    assert [entry.name for entry in folder.iterdir()] == ["log.db"]


async def test_what_a_killed_consumer_held_goes_to_another_one(open_: Open, spawn: Spawn) -> None:
    """All of it, counted as delivered twice; nothing else comes again."""
    adapter = await open_(poll=0.05)
    await adapter.publish(QUEUE, numbered(range(100)))
    child = await spawn("hold", "g", 60)
    assert await line(child) == "held 60"
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        rest = await subscription.receive(100)
        assert sorted(bodies(rest), key=int) == [str(number) for number in range(60, 100)]
        await accept(subscription, rest)
        child.kill()
        again = await subscription.receive(100)
        assert sorted(bodies(again), key=int) == [str(number) for number in range(60)]
        assert {delivery.count for delivery in again} == {2}
        await accept(subscription, again)
        assert await nothing_comes(subscription)


async def test_whoever_joins_after_a_killed_consumer_gets_first_what_that_one_held(open_: Open, spawn: Spawn) -> None:
    """Polling is off: joining itself sees that the process is gone. The order is as if it had never been there."""
    adapter = await open_(poll=3600)
    await adapter.publish(QUEUE, numbered(range(100)))
    child = await spawn("hold", "g", 60)
    assert await line(child) == "held 60"
    child.kill()
    await child.wait()
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        assert bodies(await subscription.receive(100)) == [str(number) for number in range(100)]


async def test_a_consumer_that_stands_still_loses_its_lease_and_comes_back(open_: Open) -> None:
    """Two connections; the first one's own task is stopped, as if its process were."""
    adapter = await open_(poll=0.05, lease=1)
    still = await open_(poll=0.05, lease=1)
    await adapter.publish(QUEUE, numbered(range(4)))
    async with still.subscribe(QUEUE, GROUP) as stopped, adapter.subscribe(QUEUE, GROUP) as subscription:
        lost = await stopped.receive(2)
        still._upkeep._task.cancel()
        await accept(subscription, await subscription.receive(10))
        again = await subscription.receive(10)
        assert bodies(again) == bodies(lost)
        await accept(stopped, lost)
        await accept(subscription, again)
        await adapter.publish(QUEUE, numbered([9]))
        assert bodies(await stopped.receive(1)) == ["9"]


async def test_everything_that_a_killed_publisher_confirmed_is_there(open_: Open, spawn: Spawn) -> None:
    """Nothing is missing in between, and no batch is there in part."""
    child = await spawn("publish")
    confirmed = [int(await line(child)) for _ in range(30)][-1]
    child.kill()
    await child.wait()
    assert child.stdout
    confirmed = max([confirmed, *map(int, (await child.stdout.read()).split())])
    adapter = await open_()
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        stored = await subscription.lag()
        found = await take_all(subscription, stored)
    assert found == [str(number) for number in range(stored)]
    assert stored >= confirmed
    assert stored % 10 == 0


async def test_competing_processes_lose_nothing_and_keep_the_order_of_each_key(open_: Open, spawn: Spawn) -> None:
    """Three consumers, one of them killed on the way; 1,000 messages of 20 keys."""
    adapter = await open_(poll=0.05)
    children = [await spawn("consume", "g") for _ in range(3)]
    for child in children:
        assert await line(child) == "ready"
    for first in range(0, 1000, 50):
        numbers = range(first, first + 50)
        await adapter.publish(QUEUE, [Message.of(str(number), key=str(number % 20)) for number in numbers])
    found: list[tuple[int, str, int]] = []

    async def read(child: asyncio.subprocess.Process, most: int) -> None:
        for _ in range(most):
            if not (text := await line(child)):
                return
            number, key, moment = text.split()
            found.append((int(number), key, int(moment)))

    readers = [asyncio.create_task(read(child, 2000)) for child in children[1:]]
    await read(children[0], 40)
    children[0].kill()
    await read(children[0], 2000)
    while len({number for number, _, _ in found}) < 1000:  # noqa: ASYNC110 (three processes fill it)
        await asyncio.sleep(0.01)
    for child in children[1:]:
        child.kill()
    await asyncio.gather(*readers)
    repeated = [number for number, count in Counter(number for number, _, _ in found).items() if count > 1]
    assert {number for number, _, _ in found} == set(range(1000))
    assert len(repeated) <= 7  # at most the batch that the killed one had in hand
    by_key: dict[str, list[int]] = defaultdict(list)
    for number, key, _ in sorted(found, key=lambda each: each[2]):
        if number not in by_key[key]:
            by_key[key].append(number)
    assert dict(by_key) == {str(key): list(range(key, 1000, 20)) for key in range(20)}


async def test_requests_are_answered_by_another_process(open_: Open, spawn: Spawn) -> None:
    """Many at once, each with its own reply."""
    adapter = await open_(poll=3600)
    child = await spawn("answer")
    assert await line(child) == "ready"
    asked = [adapter.request(QUEUE, Message.of(f"n{index}"), timeout=30, expected=1) for index in range(20)]
    replies = await asyncio.gather(*asked)
    assert [[reply.data for reply in each] for each in replies] == [[f"N{index}".encode()] for index in range(20)]
