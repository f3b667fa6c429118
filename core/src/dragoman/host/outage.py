"""Something that fails for a while: said once in the log when it begins, and once when it is over."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Final

from dragoman.backoff import Backoff
from dragoman.errors import DragomanError
from dragoman.host.counters import Counters

_log: Final = logging.getLogger("dragoman.host")
#: What is waited between two calls of a broker that fail.
BACKOFF: Final = Backoff(first=0.1, longest=30.0)
#: Seconds after which what works again has proved itself; what fails sooner goes on with the pause where it was.
_STEADY: Final = 5.0


class Outage:
    """Whether one kind of call works.

    Attributes:
        failures: how many calls have failed, since it last worked for a while.
    """

    __slots__ = ("_counters", "_extra", "_over", "_since", "_what", "failures")

    def __init__(self, what: str, extra: Mapping[str, object], counters: Counters) -> None:
        """`what` completes the sentence "can't ..."; `extra` goes with each line of the log."""
        self._what = what
        self._extra = dict(extra)
        self._counters = counters
        self._since: float | None = None
        self._over = 0.0
        self.failures = 0

    def failed(self, error: BaseException) -> float:
        """One more call failed; seconds to wait before the next. An error that is none of ours brings its traceback."""
        if self._since is None:
            self._begin(error)
        self.failures += 1
        self.still(error)
        return BACKOFF.after(self.failures)

    def still(self, error: BaseException) -> None:
        """It goes on, by now for this reason."""
        self._counters.outages[self._what] = self._counters.last_error = one_line(error)

    def over(self) -> None:
        """A call worked."""
        if self._since is not None:
            self._over = time.monotonic()
            lasted, self._since = self._over - self._since, None
            self._counters.outages.pop(self._what, None)
            _log.info("can %s again, after %.3g s", self._what, lasted, extra=self._extra)

    def _begin(self, error: BaseException) -> None:
        self._since = time.monotonic()
        if self._since - self._over >= _STEADY:
            self.failures = 0
        trace = None if isinstance(error, DragomanError) else error
        _log.warning("can't %s: %s", self._what, one_line(error), extra=self._extra, exc_info=trace)


def one_line(error: BaseException) -> str:
    """What is said of an error in logs, counters and dead letters."""
    text = str(error) if isinstance(error, DragomanError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())
