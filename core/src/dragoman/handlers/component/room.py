"""Room for so many at once: a semaphore that costs next to nothing while there is some."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final


class Room:
    """Counts who is in; the others wait in order.

    `asyncio.Semaphore` can only be entered through a coroutine, which costs more than the rest of taking an instance.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: Final[deque[asyncio.Future[None]]] = deque()

    def enter(self) -> bool:
        """Take a place if one is free. Never blocks."""
        if self._free:  # then nobody waits
            self._free -= 1
            return True
        return False

    async def wait(self) -> None:
        """Take a place when it is one's turn. Cancelling it takes none."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was given the place meanwhile
                self.leave()
            raise

    def leave(self) -> None:
        """Let the next one have the place, of those that still want it. Never blocks."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
