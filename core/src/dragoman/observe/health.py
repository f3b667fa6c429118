"""Whether a host lives, and whether it is ready: what an orchestrator asks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Literal

from dragoman.host.counters import Counters
from dragoman.observe.page import Page

State = Literal["starting", "ready", "draining"]


class Health:
    """What is said of a host.

    It lives while it answers. It is ready while every subscription is confirmed, nothing that it needs is away, and it
    has not been asked to stop.

    Args:
        counters: gives the counters of each handler.

    Attributes:
        state: set by whoever runs the host.
    """

    def __init__(self, counters: Callable[[], Mapping[str, Counters]]) -> None:
        self._counters = counters
        self.state: State = "starting"

    def live(self, _: str = "") -> Page:
        """The page `/live`."""
        return _page({"live": True, "state": self.state}, ok=True)

    def ready(self, _: str = "") -> Page:
        """The page `/ready`: 200, or 503 with what it waits for."""
        waits = {
            name: [f"can't {what}: {why}" for what, why in counters.outages.items()]
            for name, counters in self._counters().items()
            if counters.outages
        }
        ready = self.state == "ready" and not waits
        return _page({"ready": ready, "state": self.state, "waiting": waits}, ok=ready)


def _page(found: Mapping[str, object], *, ok: bool) -> Page:
    status = HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE
    return Page(json.dumps(found).encode() + b"\n", "application/json", status)
