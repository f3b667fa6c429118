"""The host is killed, at random moments and between any two steps: nothing is lost, and little comes twice."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from tests.faults.killing import IN_HAND, QUICK, Case, gathering, publish
from tests.faults.process import STEPS
from tests.servers import Server

#: Another one with `DRAGOMAN_SEED`.
SEED = os.environ.get("DRAGOMAN_SEED", "1")
MESSAGES = 5_000
KILLS = 10


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["python", "component"])
async def test_killed_ten_times_in_the_middle_of_five_thousand(tmp_path: Path, kind: str) -> None:
    """Every message is handled, and what is handled is sent; at most what was in hand comes twice."""
    chance = random.Random(f"{SEED} {kind}")
    moments = sorted(chance.sample(range(1, MESSAGES - 500), KILLS))
    case = Case(tmp_path, {"adapter": "embedded", "path": str(tmp_path / "log.db"), "poll": "100ms"}, kind)
    async with gathering(case) as (client, found):
        publishing = asyncio.create_task(publish(client, case.into, range(MESSAGES)))
        for moment in moments:
            async with case.host():
                await found.at_least(moment)
                await asyncio.sleep(chance.random() * 0.02)  # a moment that no step decides
        async with case.host():
            await found.at_least(MESSAGES)
            stored = await publishing
    print(
        f"seed {SEED}, {kind}: killed after {moments}; {MESSAGES} stored, {len(found.times)} out, {found.twice} twice"
    )
    found.check(stored, KILLS * IN_HAND)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kind", ["python", "component"])
async def test_killed_between_two_steps(tmp_path: Path, step: str, kind: str) -> None:
    """Wherever it happens; what was handled and not settled comes again, and is not lost.

    What the handler sends for a message is there if its message was accepted, and in the order of its key.
    """
    chance = random.Random(f"{SEED} {step}")
    case = Case(tmp_path, {"adapter": "embedded", "path": str(tmp_path / "log.db"), "poll": "100ms"}, kind)
    async with gathering(case) as (client, found):
        stored = await publish(client, case.into, range(300))
        numbers = [1, chance.randrange(2, 5 if step in ("received", "settled") else 150)]
        for number in numbers:
            async with case.host(step, number) as process:
                await process.wait()
        async with case.host():
            await found.at_least(len(stored))
    print(f"seed {SEED}: killed at {step} {numbers}; {len(stored)} stored, {found}")
    found.check(stored, len(numbers) * IN_HAND)


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Server:
    """The one of that name."""
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("server", "name"), [(name, name) for name in QUICK], indirect=["server"], ids=list(QUICK))
@pytest.mark.parametrize("kind", ["python", "component"])
async def test_killed_in_the_middle_on_a_real_broker(tmp_path: Path, server: Server, name: str, kind: str) -> None:
    """The same on each of them: another host of the group, or the next one, gets what the dead one held."""
    case = Case(tmp_path, {"url": server.url, **QUICK[name]}, kind)
    count = 500
    async with gathering(case) as (client, found):
        async with case.host() as first:
            assert await first.stdout.readline() == b"ready\n"  # type: ignore[union-attr]
            publishing = asyncio.create_task(publish(client, case.into, range(count)))
            await found.at_least(count // 3)
        async with case.host():
            stored = await publishing
            await found.at_least(count)
    print(f"{name}, {kind}: {count} stored, {found}")
    found.check(stored, IN_HAND, ordered=False)
