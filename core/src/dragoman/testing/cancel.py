"""Cancels a call at one chosen point of all those where it can be cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, Literal, TypeVar

T = TypeVar("T")

#: When to cancel: as the call begins to wait, or as what it waits for arrives, which is where messages get lost.
Moment = Literal["waiting", "arriving"]


class _CancelledAt(Generic[T]):
    """Awaits a call, and cancels the task around it at the call's n-th suspension."""

    def __init__(self, call: Awaitable[T], point: int, moment: Moment) -> None:
        self._call = call
        self._point = point
        self._moment = moment
        self.reached = False

    def __await__(self) -> Generator[Any, None, T]:
        steps = self._call.__await__()
        point = 0
        error: BaseException | None = None
        while True:
            try:
                waits_for = next(steps) if error is None else steps.throw(error)
            except StopIteration as end:
                result: T = end.value
                return result
            if point == self._point:
                self._cancel(waits_for)
            point += 1
            error = None
            try:
                yield waits_for
            except BaseException as thrown:  # noqa: BLE001 - whatever is thrown in belongs to the call
                error = thrown

    def _cancel(self, waits_for: Any) -> None:
        self.reached = True
        task = asyncio.current_task()
        if task is None:
            return
        if self._moment == "arriving" and isinstance(waits_for, asyncio.Future):
            # Runs before the task's own callback, so that the task finds itself cancelled with the result at hand.
            waits_for.add_done_callback(lambda _: task.cancel())
        else:
            task.cancel()


async def cancelled_at(
    call: Callable[[], Awaitable[T]], point: int, moment: Moment, patience: float
) -> tuple[bool, T | None]:
    """Run the call in a task that is cancelled at its n-th suspension.

    Returns:
        Whether the call has that many suspensions, and its result, None where it was cancelled.
    """
    watched = _CancelledAt(call(), point, moment)

    async def run() -> T:
        return await watched

    task = asyncio.ensure_future(run())
    done, _ = await asyncio.wait([task], timeout=patience)
    if not done:
        task.cancel()
        await asyncio.wait([task])
    if task.cancelled():
        return watched.reached, None
    return watched.reached, task.result()
