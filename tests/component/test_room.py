"""Room for so many at once, as all components share it."""

from __future__ import annotations

import asyncio

from dragoman.handlers.component.room import Room


async def test_places_are_given_in_order() -> None:
    """Who comes when it is full waits, and gets the next place in turn."""
    room, entered = Room(1), list[int]()
    assert room.enter()
    assert not room.enter()

    async def enter(number: int) -> None:
        await room.wait()
        entered.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(enter(number))
            await asyncio.sleep(0)
        for expected in ([0], [0, 1], [0, 1, 2]):
            room.leave()
            await asyncio.sleep(0)
            assert entered == expected
    assert not room.enter()
    room.leave()
    assert room.enter()


async def test_who_stops_waiting_takes_no_place() -> None:
    """Neither one that is cancelled while it waits, nor one that had just been given a place."""
    room = Room(1)
    assert room.enter()
    waiting = asyncio.create_task(room.wait())
    given = asyncio.create_task(room.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    room.leave()  # to the other one, which has not gone on yet
    given.cancel()
    await asyncio.gather(waiting, given, return_exceptions=True)
    assert waiting.cancelled()
    assert given.cancelled()
    assert room.enter()
