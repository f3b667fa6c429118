"""Turns: of all guests that compute, one at a time goes on, and between two of them everything else does.

What a guest waits for is part of its turn, as long as it does not really wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any, Final


class Turns:
    """Who is next.

    However many guests compute at once, whatever else the event loop has to do waits for one of their turns at most,
    not for one of each.
    """

    def __init__(self) -> None:
        self._waiting: Final[deque[asyncio.Future[None]]] = deque()
        self._due = False

    async def next(self) -> None:
        """Wait for the next turn; the event loop has run once before it comes. Cancelling gives it up."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        if not self._due:
            self._due = True
            loop.call_soon(self._give, loop)
        await turn

    def _give(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                loop.call_soon(self._give, loop)
                return
        self._due = False


@coroutine
def rest(operation: Coroutine[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, Any]:
    """Await the rest of an operation whose first step was taken by hand, and gave what it waits for."""
    go_on: Any
    while True:
        try:
            go_on, given = operation.send, (yield waits_for)
        except BaseException as error:  # noqa: BLE001 - it is meant for the operation; cancellation, too
            go_on, given = operation.throw, error
        try:
            waits_for = go_on(given)
        except StopIteration as done:
            return done.value
