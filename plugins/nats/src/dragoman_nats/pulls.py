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
    """The requests that the server has of one consumer, by their number, with what each may still bring."""

    def __init__(self) -> None:
        self._open: OrderedDict[int, int] = OrderedDict()
        self._next = 0
        self.asked = 0

    def request(self, count: int) -> tuple[int, bytes]:
        """A new request for `count` messages: its number, and what to send."""
        self._next += 1
        self._open[self._next] = count
        self.asked += count
        body = {"batch": count, "expires": int(EXPIRES * 1e9), "idle_heartbeat": int(HEARTBEAT * 1e9)}
        return self._next, json.dumps(body).encode()

    def arrived(self) -> None:
        """One message came. The server serves requests in their order."""
        if not self._open:
            return
        number = next(iter(self._open))
        self.asked -= 1
        self._open[number] -= 1
        if self._open[number] <= 0:
            del self._open[number]

    def ended(self, number: int) -> None:
        """The server ended a request: what it has not brought will not come."""
        self.asked -= self._open.pop(number, 0)
