"""`dragoman run` as users run it: a process, a component and a Python function one after the other, a real file."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import dragoman as library
from tests.cli.process import Running

Run = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., Running]

COUNT = 2_000
#: What a handler of the default concurrency has in hand at most: 16, and one batch of 128.
IN_HAND = 16 + 128


def _orders(first: int = 0, count: int = COUNT) -> list[str]:
    return [f"order {number}" for number in range(first, first + count)]


def _send(dragoman: Run, orders: list[str]) -> None:
    done = dragoman("send", "default", "in", stdin="\n".join(orders) + "\n")
    assert done.returncode == 0, done.stderr


def _wait_for(dragoman: Run, channel: str, count: int) -> None:
    """Wait until there are so many messages on a channel."""
    assert dragoman("tail", "default", channel, "--from-start", "--count", str(count)).returncode == 0


async def _done(folder: Path, wanted: set[str]) -> Counter[str]:
    """What is on the last channel, and how often, when all that is wanted is there."""
    found: Counter[str] = Counter()
    async with (
        asyncio.timeout(60),
        library.connect(folder / "dragoman.toml", client="default") as client,
        client.subscribe("topic:done", start=library.Start()) as subscription,
    ):
        while wanted - found.keys() or await subscription.lag():
            deliveries = await subscription.receive(500)
            found.update(delivery.message.data.decode().lower() for delivery in deliveries)
            await subscription.accept(*deliveries)
    return found


async def test_every_message_goes_through_both_handlers_and_a_drain_ends_with_0(
    dragoman: Run, start: Start, folder: Path
) -> None:
    """Each exactly once, for nothing went wrong; the bad one is a dead letter with its reason."""
    running = start("run")
    assert running.event("ready")["handlers"] == ["capitals", "last", "answers"]
    orders = _orders()
    await asyncio.to_thread(_send, dragoman, [*orders[:1000], "bad", *orders[1000:]])
    assert await _done(folder, set(orders)) == Counter(orders)
    letter = dragoman("tail", "default", "dead", "--from-start", "--count", "1", "--json")
    running.signal(signal.SIGTERM)
    assert running.end() == 0
    assert "no good" in letter.stdout
    counters = [event for event in running.events() if event["event"] == "counters"][-1]["handlers"]
    assert counters["capitals"]["handled"] == COUNT + 1
    assert (counters["last"]["handled"], counters["last"]["dead_lettered"]) == (COUNT, 1)
    assert all(one["in_hand"] == 0 for one in counters.values())


async def test_a_drain_in_the_middle_loses_nothing_and_doubles_nothing(
    dragoman: Run, start: Start, folder: Path
) -> None:
    """What was in hand is finished, the rest waits for the next host."""
    orders = _orders(count=6_000)
    _send(dragoman, orders)
    running = start("run")
    await asyncio.to_thread(_wait_for, dragoman, "done", 100)
    running.signal(signal.SIGTERM)
    assert running.end() == 0
    assert await _so_far(folder) < len(orders), "it was done before it was drained"
    running = start("run")
    running.event("ready")
    assert await _done(folder, set(orders)) == Counter(orders)
    running.signal(signal.SIGTERM)
    assert running.end() == 0


async def test_kill_in_the_middle_loses_nothing(dragoman: Run, start: Start, folder: Path) -> None:
    """Every message arrives; those that come twice are no more than were in flight at each kill."""
    orders = _orders(count=6_000)
    _send(dragoman, orders)
    left = []
    for number in range(3):
        running = start("run")
        await asyncio.to_thread(_wait_for, dragoman, "done", 300 * (number + 1))
        running.signal(signal.SIGKILL)
        assert running.end() == -signal.SIGKILL
        left.append(len(orders) - await _so_far(folder))
    assert left[0] > 0, "it was done before it was killed"
    running = start("run")
    running.event("ready")
    found = await _done(folder, set(orders))
    running.signal(signal.SIGTERM)
    assert running.end() == 0
    assert found.keys() == set(orders)
    twice = found.total() - len(orders)
    assert twice <= len(left) * 2 * IN_HAND, twice


async def _so_far(folder: Path) -> int:
    """How many messages are on the last channel."""
    async with (
        library.connect(folder / "dragoman.toml", client="default") as client,
        client.subscribe("topic:done", start=library.Start()) as subscription,
    ):
        return await subscription.lag()


async def test_two_hosts_share_the_work_and_one_may_die(dragoman: Run, start: Start, folder: Path) -> None:
    """They are members of one group: the one that lives gets what the other had in hand."""
    orders = _orders()
    first, second = start("run"), start("run")
    first.event("ready")
    second.event("ready")
    await asyncio.to_thread(_send, dragoman, orders)
    await asyncio.to_thread(_wait_for, dragoman, "done", 200)
    first.signal(signal.SIGKILL)
    found = await _done(folder, set(orders))
    second.signal(signal.SIGTERM)
    assert second.end() == 0
    assert found.keys() == set(orders)
    assert found.total() - COUNT <= 2 * IN_HAND


def test_a_request_gets_its_reply(dragoman: Run, start: Start) -> None:
    """From a handler in another process."""
    running = start("run")
    running.event("ready")
    done = dragoman("request", "default", "questions", "Zaragoza")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "azogaraZ")


def test_tail_takes_nothing_away_from_the_handlers(dragoman: Run, start: Start) -> None:
    """Somebody looks at a channel first; its handler still gets every message."""
    _send(dragoman, ["a", "b", "c"])
    _wait_for(dragoman, "in", 3)
    start("run").event("ready")
    shown = dragoman("tail", "default", "done", "--from-start", "--count", "3")
    assert sorted(line for line in shown.stdout.splitlines() if line[0] != " ") == ["A", "B", "C"]


def test_every_mistake_of_a_configuration_is_said_at_once(dragoman: Run, folder: Path) -> None:
    """With 2, before anything runs; a line for each, with the nearest valid name."""
    config = folder / "dragoman.toml"
    config.write_text(
        config.read_text()
        .replace('client = "default"\nsubscribe = ["in"]', 'client = "defualt"\nsubscribe = ["in"]')
        .replace("attempts", "atempts")
        .replace('publish = ["done"]', 'publish = ["done"]\ndeadline = "soon"')
        .replace('adapter = "embedded"', 'adapter = "embeded"')
    )
    done = dragoman("run")
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if "dragoman.toml" in line]
    for wanted in ("'default'", "'attempts'", "'soon'", "'embedded'"):
        assert any(wanted in line for line in lines), done.stderr
    assert "Traceback" not in done.stderr
