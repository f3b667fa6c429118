"""How long to wait before the next try of something that failed."""

from __future__ import annotations

import random
from dataclasses import dataclass

#: Doubling further changes nothing, and 2.0**1024 would overflow.
_LAST_DOUBLING = 63


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double, with a share of them random, so that what failed together does not come back together.

    Attributes:
        first: seconds after the first failure.
        longest: the most seconds; it holds before the random share is taken off.
        jitter: the share of each wait that is random, from 0 to 1.
    """

    first: float
    longest: float
    jitter: float = 0.5

    def after(self, failures: int) -> float:
        """Seconds to wait after that many failures in a row (at least one)."""
        return self._less_jitter(min(self.longest, self.first * 2.0 ** min(failures - 1, _LAST_DOUBLING)))

    def at_most(self) -> float:
        """Seconds of the longest wait, still with its random share."""
        return self._less_jitter(self.longest)

    def _less_jitter(self, seconds: float) -> float:
        return seconds * (1 - self.jitter * random.random())  # noqa: S311 - no secret
