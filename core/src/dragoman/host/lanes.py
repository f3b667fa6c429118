"""In which order deliveries may be handled: of one lane one at a time, in the order received; of none, any time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence

from dragoman.adapter import Delivery


class Lanes:
    """The lanes of one channel that something is in hand of. `None` is no lane and is never kept here.

    Attributes:
        waiting: how many deliveries wait behind the first of their lane.
    """

    __slots__ = ("_behind", "waiting")

    def __init__(self) -> None:
        self.waiting = 0
        self._behind: dict[Hashable, deque[Delivery]] = {}

    def __len__(self) -> int:
        return len(self._behind)

    def enter(self, deliveries: Iterable[Delivery]) -> list[Delivery]:
        """Those that may be handled now: each is the first of its lane, or has none. The others wait for `leave`."""
        first: list[Delivery] = []
        lanes = self._behind
        for delivery in deliveries:
            lane = delivery.lane
            if lane is None:
                first.append(delivery)
            elif (behind := lanes.get(lane)) is None:
                lanes[lane] = deque()
                first.append(delivery)
            else:
                behind.append(delivery)
                self.waiting += 1
        return first

    def leave(self, first: Delivery) -> Delivery | None:
        """The first of a lane is done with; the next of it, which may be handled now."""
        lane = first.lane
        if lane is None:
            return None
        behind = self._behind[lane]
        if behind:
            self.waiting -= 1
            return behind.popleft()
        del self._behind[lane]
        return None

    def behind(self, first: Delivery) -> int:
        """How many wait behind the first of a lane."""
        return len(self._behind[first.lane]) if first.lane is not None else 0

    def along(self, first: Delivery, limit: int, fits: Callable[[Delivery], bool]) -> list[Delivery]:
        """Those that wait behind the first of a lane, up to a limit and to one that does not fit; they wait no more."""
        taken: list[Delivery] = []
        behind = self._behind[first.lane] if first.lane is not None else None
        while behind and len(taken) < limit and fits(behind[0]):
            taken.append(behind.popleft())
        self.waiting -= len(taken)
        return taken

    def put_back(self, first: Delivery, following: Sequence[Delivery]) -> None:
        """Let these wait again, behind the first of their lane and before all others, in their order."""
        if following:
            self._behind[first.lane].extendleft(reversed(following))
            self.waiting += len(following)

    def clear(self, first: Delivery) -> list[Delivery]:
        """End the lane of that delivery, its first; those that waited behind it, in order."""
        if first.lane is None:
            return []
        behind = self._behind.pop(first.lane)
        self.waiting -= len(behind)
        return list(behind)

    def forget_waiting(self) -> None:
        """Forget all that wait; the first of each lane is still in its way."""
        for behind in self._behind.values():
            behind.clear()
        self.waiting = 0
