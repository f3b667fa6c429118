"""Guests that begin in a thread come to the loop when their steps are known to be short, however many there are."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from time import thread_time

from dragoman.handlers.component.aside import LONG, Aside


async def _steps(aside: Aside, number: int, where: Counter[str]) -> None:
    for _ in range(number):
        if aside.maybe and await aside.on():
            where[await aside.run(lambda: threading.current_thread().name)] += 1
        else:
            where["loop"] += 1
            await asyncio.sleep(0)


async def test_steps_that_follow_each_other_without_a_gap_come_to_the_loop() -> None:
    """With twenty messages at once there is always one in the thread: the others wait until it is empty."""
    aside, where = Aside(), Counter[str]()
    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(_steps(aside, 50, where))
    assert not aside.maybe
    assert where.total() == 20 * 50
    assert where["loop"] >= 20 * 50 - 100 - 20
    aside.close()


async def test_a_long_step_keeps_all_of_them_in_the_thread() -> None:
    """Also those that wait for it to be done."""

    def long() -> None:
        until = thread_time() + 2 * LONG
        while thread_time() < until:
            pass

    aside, where = Aside(), Counter[str]()
    await _steps(aside, 20, where)
    assert where["loop"] == 0
    await aside.run(long)  # one alone could have been Python's garbage collector
    first = asyncio.create_task(aside.run(long))
    await asyncio.sleep(0)
    await asyncio.wait_for(_steps(aside, 10, where), 10)
    await first
    assert aside.maybe
    assert where["loop"] == 0
    aside.close()
