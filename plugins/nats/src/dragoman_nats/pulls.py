"""Asking a pull consumer for messages: overlapping requests, never more asked for than may be in hand.

Source: NATS ADR-37 (pull consumers) and the status messages of `CONSUMER.MSG.NEXT`.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import Final

#: Seconds that the server keeps a request, and between its signs of life while it has nothing to give.
EXPIRES: Final = 60.0
HEARTBEAT: Final = 5.0


class Pulls:
    """The requests that the server has of one consumer, by their number, with what each may still bring.

    Attributes:
        asked: how many messages they may still bring together.
    """

    def __init__(self) -> None:
        self._open: OrderedDict[int, int] = OrderedDict()
        self._next = 0
        self.asked = 0
        # The server serves requests in their order: the first one, and what it may still bring.
        self._first = 0
        self._left = 0

    def request(self, count: int) -> tuple[int, bytes]:
        """A new request for `count` messages: its number, and what to send."""
        self._next += 1
        self._open[self._next] = count
        self.asked += count
        if not self._first:
            self._turn()
        body = {"batch": count, "expires": int(EXPIRES * 1e9), "idle_heartbeat": int(HEARTBEAT * 1e9)}
        return self._next, json.dumps(body).encode()

    def arrived(self) -> None:
        """One message came."""
        if self._first:
            self.asked -= 1
            self._left -= 1
            if self._left <= 0:
                self._turn()

    def ended(self, number: int) -> None:
        """The server ended a request: what it has not brought will not come."""
        if number == self._first:
            self.asked -= self._left
            self._turn()
        else:
            self.asked -= self._open.pop(number, 0)

    def _turn(self) -> None:
        """The first one is over: it is the turn of the next."""
        self._first, self._left = self._open.popitem(last=False) if self._open else (0, 0)
