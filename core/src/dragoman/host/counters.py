"""What a handler has done so far, in numbers that cost next to nothing to keep."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

#: Each doubling of time is divided into this many buckets: a percentile is at most an eighth too high.
_STEPS: Final = 8
_STEP_BITS: Final = 3
#: About 12 days; what takes longer counts as that.
_LONGEST: Final = 2**40 - 1
_RECENT: Final = 0.1


class Latencies:
    """How long something took: a histogram of fixed size over microseconds."""

    __slots__ = ("_buckets", "count", "longest", "mean")

    def __init__(self) -> None:
        self._buckets = [0] * (_index(_LONGEST) + 1)
        self.count = 0
        self.longest = 0.0
        #: Seconds, the recent ones weighing most.
        self.mean = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self._buckets[_index(min(int(seconds * 1e6), _LONGEST))] += 1
        self.mean += (seconds - self.mean) * (_RECENT if self.count else 1.0)
        self.count += 1
        self.longest = max(self.longest, seconds)

    def percentile(self, percent: float) -> float:
        """Seconds that `percent` % of them took at most; 0 where there are none."""
        wanted = self.count * percent / 100
        seen = 0
        for index, count in enumerate(self._buckets):
            seen += count
            if count and seen >= wanted:
                return min(_upper(index) / 1e6, self.longest)
        return self.longest


def _index(microseconds: int) -> int:
    """Exact below two times `_STEPS`, then `_STEPS` buckets for each doubling."""
    shift = max(microseconds.bit_length() - _STEP_BITS - 1, 0)
    return shift * _STEPS + (microseconds >> shift)


def _upper(index: int) -> int:
    """The first microsecond above the bucket."""
    shift = max(index // _STEPS - 1, 0)
    return (index - shift * _STEPS + 1) << shift


@dataclass(slots=True)
class Counters:
    """What one handler has done since the host started.

    Attributes:
        received: deliveries that came, those that came again included.
        in_hand: deliveries that are not settled yet.
        waiting: those of them that wait for their next try.
        handled: messages that the handler finished well and that were accepted for it.
        sent: messages that it sent and the broker confirmed.
        failed: tries that failed.
        retried: failed tries after which there was another one.
        dead_lettered: messages that were dead-lettered.
        dropped: messages that were dropped after their last try.
        released: messages that went back to the broker: while draining or stopping, or because too many were waiting.
        last_error: the last failure in one line; None before the first.
        outages: what it can't do at the moment, such as to receive from a channel, and why.
        latencies: seconds of each try that went well, from the call to the last confirmed send.
    """

    received: int = 0
    in_hand: int = 0
    waiting: int = 0
    handled: int = 0
    sent: int = 0
    failed: int = 0
    retried: int = 0
    dead_lettered: int = 0
    dropped: int = 0
    released: int = 0
    last_error: str | None = None
    outages: dict[str, str] = field(default_factory=dict)
    latencies: Latencies = field(default_factory=Latencies)
