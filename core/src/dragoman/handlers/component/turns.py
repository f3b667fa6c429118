"""Turns: of all guests that compute, one at a time goes on, and between two of them everything else does."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final


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
