"""What a handler has done so far, in numbers that cost next to nothing to keep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Self

#: Each doubling of time is divided into this many buckets: a percentile is at most an eighth too high.
_STEPS: Final = 8
_STEP_BITS: Final = 3
#: About 12 days; what takes longer counts as that.
_LONGEST: Final = 2**40 - 1
_RECENT: Final = 0.1


class Latencies:
    """How long something took: a histogram of fixed size over microseconds."""

    __slots__ = ("_buckets", "count", "longest", "mean", "total")

    def __init__(self) -> None:
        self._buckets = [0] * (_index(_LONGEST) + 1)
        self.count = 0
        self.longest = 0.0
        #: Seconds of all of them together.
        self.total = 0.0
        #: Seconds, the recent ones weighing most.
        self.mean = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        microseconds = int(seconds * 1e6)
        index = _SHORT[microseconds] if microseconds < _SHORTEST else _index(min(microseconds, _LONGEST))
        self._buckets[index] += 1
        self.mean += (seconds - self.mean) * (_RECENT if self.count else 1.0)
        self.count += 1
        self.total += seconds
        if seconds > self.longest:  # noqa: PLR1730 - `max` costs more than the rest
            self.longest = seconds

    def include(self, other: Latencies) -> None:
        """Count all that the other one has counted."""
        if not other.count:
            return
        self._buckets = [mine + theirs for mine, theirs in zip(self._buckets, other._buckets, strict=True)]
        self.mean = (self.mean * self.count + other.mean * other.count) / (self.count + other.count)
        self.count += other.count
        self.total += other.total
        self.longest = max(self.longest, other.longest)

    def as_json(self) -> dict[str, Any]:
        """What `from_json` makes the same of."""
        buckets = {str(index): count for index, count in enumerate(self._buckets) if count}
        return {"buckets": buckets, "longest": self.longest, "mean": self.mean, "total": self.total}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """See `as_json`."""
        made = cls()
        for index, count in found["buckets"].items():
            made._buckets[int(index)] = count
        made.count = sum(made._buckets)
        made.longest, made.mean, made.total = found["longest"], found["mean"], found["total"]
        return made

    def below(self, microseconds: int) -> int:
        """How many of them took less than that; exact where it is a power of two, else the next lower bucket's."""
        return sum(self._buckets[: _index(microseconds)])

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
    shift = microseconds.bit_length() - _STEP_BITS - 1
    return shift * _STEPS + (microseconds >> shift) if shift > 0 else microseconds


def _upper(index: int) -> int:
    """The first microsecond above the bucket."""
    shift = max(index // _STEPS - 1, 0)
    return (index - shift * _STEPS + 1) << shift


#: The buckets of what is counted most often, looked up faster than computed.
_SHORTEST: Final = 1024
_SHORT: Final = [_index(microseconds) for microseconds in range(_SHORTEST)]


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
        released: messages that went back to the broker: while draining or stopping, because too many were waiting, or
            because a try failed that had received them by itself.
        last_error: the last failure in one line; None before the first.
        lag: messages that wait on the broker, by channel, as it last said; nothing where it does not know.
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
    lag: dict[str, int] = field(default_factory=dict)
    outages: dict[str, str] = field(default_factory=dict)
    latencies: Latencies = field(default_factory=Latencies)

    @classmethod
    def sum(cls, counters: Iterable[Counters]) -> Self:
        """What several hosts have done together: counts are added, the latest of their errors and outages are kept."""
        total = cls()
        for one in counters:
            for each in fields(cls):
                mine, theirs = getattr(total, each.name), getattr(one, each.name)
                if isinstance(mine, Latencies):
                    mine.include(theirs)
                elif isinstance(mine, dict):
                    mine.update(theirs)
                elif isinstance(mine, int):
                    setattr(total, each.name, mine + theirs)
                elif theirs is not None:
                    setattr(total, each.name, theirs)
        return total

    def ended(self) -> Counters:
        """What is left of them when their host has died: what it had done, and nothing in hand."""
        left = Counters.sum([self])
        left.in_hand = left.waiting = 0
        left.outages.clear()
        left.lag.clear()
        return left

    def as_json(self) -> dict[str, Any]:
        """What `from_json` makes the same of."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value.as_json() if isinstance(value, Latencies) else value for name, value in found.items()}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """See `as_json`."""
        return cls(**{**found, "latencies": Latencies.from_json(found["latencies"])})
