"""Something that fails for a while: said once in the log when it begins, and once when it is over."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from dragoman.errors import DragomanError
from dragoman.host.backoff import Backoff

_log: Final = logging.getLogger("dragoman.host")
#: What is waited between two calls of a broker that fail.
BACKOFF: Final = Backoff(first=0.1, longest=30.0)


class Outage:
    """Whether one kind of call works.

    Attributes:
        failures: how many calls have failed in a row.
    """

    __slots__ = ("_extra", "_what", "failures")

    def __init__(self, what: str, extra: Mapping[str, object]) -> None:
        """`what` completes the sentence "handler x can't ..."; `extra` goes with each line of the log."""
        self._what = what
        self._extra = dict(extra)
        self.failures = 0

    def failed(self, error: BaseException) -> float:
        """One more call failed; seconds to wait before the next. An error that is none of ours brings its traceback."""
        self.failures += 1
        if self.failures == 1:
            trace = None if isinstance(error, DragomanError) else error
            _log.warning("can't %s: %s", self._what, one_line(error), extra=self._extra, exc_info=trace)
        return BACKOFF.after(self.failures)

    def over(self) -> None:
        """A call worked."""
        if self.failures:
            self.failures = 0
            _log.info("can %s again", self._what, extra=self._extra)


def one_line(error: BaseException) -> str:
    """What is said of an error in logs, counters and dead letters."""
    text = str(error) if isinstance(error, DragomanError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())
