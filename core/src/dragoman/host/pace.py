"""How many tries of a handler begin in one turn of the event loop."""

from __future__ import annotations

from typing import Final

#: Seconds for which a step holds up everything else.
_LONG: Final = 0.001
#: After so many shorter ones as many begin as there are places.
_SHORT: Final = 100


class Pace:
    """As many as there are places; one by one where they take long before they first wait.

    A dozen that each hold up the loop for two milliseconds would otherwise do so together, and whatever else waits for
    three turns of the loop waits for all of them three times.

    Attributes:
        at_once: how many.
    """

    __slots__ = ("_places", "_short", "at_once")

    def __init__(self, places: int) -> None:
        self.at_once = self._places = places
        self._short = 0

    def took(self, seconds: float) -> None:
        """So long a try held up the loop until it first waited, or ended."""
        if seconds > _LONG:
            self.at_once, self._short = 1, 0
        elif self.at_once < self._places:
            self._short += 1
            if self._short >= _SHORT:
                self.at_once = self._places
