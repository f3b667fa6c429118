"""What `run` shows while it runs, and the figures that it shows."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from dragoman.host.counters import Counters
from dragoman.host.workers.supervisor import WorkerState

#: Seconds that a rate is taken over, at least.
_WINDOW: Final = 1.0


class View(Protocol):
    """Shows how a host is doing: a table on a terminal, lines in a pipe."""

    interval: float

    def log(self, record: logging.LogRecord) -> None:
        """Show a line of the log."""
        ...

    def event(self, name: str, text: str, **about: str | float | list[str]) -> None:
        """Show that something happened to the host as a whole."""
        ...

    def counters(self, counters: Mapping[str, Counters], workers: Sequence[WorkerState] = ()) -> None:
        """Show the counters of each handler, of all workers together; every `interval` seconds and at the end."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Figures:
    """The counters of a handler at one moment, as people look at them.

    Attributes:
        rate: messages a second that were handled, over the last second or more.
        lag: messages that wait on the broker, of all its channels; None where it does not know.
        p50: milliseconds that half of the tries that went well took at most; None before the first.
        p99: the same, for 99 in 100.
    """

    received: int
    in_hand: int
    waiting: int
    lag: int | None
    handled: int
    rate: float
    sent: int
    failed: int
    retried: int
    dead_lettered: int
    dropped: int
    released: int
    p50: float | None
    p99: float | None
    last_error: str | None
    outages: Mapping[str, str]


class Rates:
    """Makes figures of counters, and remembers what it needs for the rates."""

    def __init__(self) -> None:
        self._looks: dict[str, _Look] = {}

    def figures(self, name: str, counters: Counters) -> Figures:
        """The handler's figures now."""
        look = self._looks.setdefault(name, _Look(time.monotonic(), counters.handled))
        return Figures(
            received=counters.received,
            in_hand=counters.in_hand,
            waiting=counters.waiting,
            lag=sum(counters.lag.values()) if counters.lag else None,
            handled=counters.handled,
            rate=look.rate(counters.handled),
            sent=counters.sent,
            failed=counters.failed,
            retried=counters.retried,
            dead_lettered=counters.dead_lettered,
            dropped=counters.dropped,
            released=counters.released,
            p50=_milliseconds(counters, 50),
            p99=_milliseconds(counters, 99),
            last_error=counters.last_error,
            outages=dict(counters.outages),
        )


class _Look:
    def __init__(self, when: float, handled: int) -> None:
        self._when = when
        self._handled = handled
        self._rate = 0.0

    def rate(self, handled: int) -> float:
        now = time.monotonic()
        # Over less time it would jump up and down with every batch.
        if now - self._when >= _WINDOW:
            self._rate = round((handled - self._handled) / (now - self._when), 1)
            self._when, self._handled = now, handled
        return self._rate


def _milliseconds(counters: Counters, percent: float) -> float | None:
    return round(counters.latencies.percentile(percent) * 1000, 3) if counters.latencies.count else None
