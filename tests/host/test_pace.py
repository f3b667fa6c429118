"""How many tries begin in one turn of the loop."""

from __future__ import annotations

import asyncio
from time import perf_counter, sleep

from dragoman.handlers.handler import Context
from dragoman.host.pace import Pace
from dragoman.message import Message
from tests.dictionary.broker import Broker
from tests.host.running import put, running, until


def test_a_long_step_makes_it_one_and_a_hundred_short_ones_all_of_them() -> None:
    """Each long one begins the count anew."""
    pace = Pace(16)
    assert pace.at_once == 16
    pace.took(0.002)
    for _ in range(99):
        pace.took(0.0001)
    assert pace.at_once == 1
    pace.took(0.002)
    for _ in range(100):
        assert pace.at_once == 1
        pace.took(0.0001)
    assert pace.at_once == 16


async def test_tries_that_take_long_leave_the_loop_to_others_between_two_of_them() -> None:
    """Sixteen that each hold it up before they wait begin one in each turn, and are all under way at once then."""
    broker, turns, begun, done = Broker(), 0, list[int](), asyncio.Event()
    put(broker, *(b"%d" % number for number in range(48)))

    async def hold_up(_message: Message, _context: Context) -> None:
        began = perf_counter()
        while perf_counter() - began < 0.003:
            sleep(0.0005)  # noqa: ASYNC251 - that is what it does
        begun.append(turns)
        await done.wait()

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with running(broker, hold_up, concurrency=16) as host:
        counting = asyncio.create_task(count())
        await until(lambda: len(begun) == 16)
        assert len(set(begun[1:])) == 15, "no two of them in one turn"
        done.set()
        await until(lambda: host.counters["work"].handled == 48)
        counting.cancel()
