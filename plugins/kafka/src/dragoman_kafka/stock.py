"""What was fetched or released and waits here for the host."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from dragoman.adapter import Delivery
from dragoman.message import Channel
from dragoman_kafka.offsets import Progress
from dragoman_kafka.records import Record, to_messages


class Stock:
    """The next deliveries of one subscription: first what was released, then what was fetched.

    Args:
        channel: where the messages arrive.
        by_key: whether a lane is a key of a partition, and not all of it.
    """

    def __init__(self, channel: Channel, *, by_key: bool) -> None:
        self._channel = channel
        self._by_key = by_key
        self._fetched: deque[tuple[Progress, list[Record]]] = deque()
        self._released: deque[Delivery] = deque()

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self._fetched or self._released)

    @property
    def has_fetched(self) -> bool:
        """Whether there is anything that was not handed out before."""
        return bool(self._fetched)

    def add(self, progress: Progress, records: list[Record]) -> None:
        """These were fetched, in this order."""
        progress.take([record.offset for record in records])
        self._fetched.append((progress, records))

    def take(self, limit: int) -> list[Delivery]:
        """The next ones, which are in hand now; at most so many."""
        taken: list[Delivery] = []
        while self._released and len(taken) < limit:
            delivery = self._released.popleft()
            delivery.token[0].in_hand += 1
            taken.append(delivery)
        while self._fetched and (room := limit - len(taken)) > 0:
            progress, records = self._fetched.popleft()
            if len(records) > room:
                self._fetched.appendleft((progress, records[room:]))
                records = records[:room]
            progress.in_hand += len(records)
            taken += self._deliveries(progress, records)
        return taken

    def _deliveries(self, progress: Progress, records: Sequence[Record]) -> Iterator[Delivery]:
        number = progress.number
        messages = zip(records, to_messages(records, self._channel, number), strict=True)
        if not self._by_key:
            return (Delivery(message, number, 1, (progress, record.offset)) for record, message in messages)
        return (
            Delivery(message, None if record.key is None else (number, record.key), 1, (progress, record.offset))
            for record, message in messages
        )

    def put_back(self, deliveries: list[Delivery]) -> None:
        """These were released: they come again, the earliest of a lane first."""
        again = [Delivery(old.message, old.lane, 1, old.token) for old in deliveries if not old.token[0].lost]
        self._released = deque(sorted((*self._released, *again), key=lambda delivery: delivery.token[1]))

    def forget_lost(self) -> None:
        """Partitions are somebody else's now: what waits here of them is, too."""
        self._fetched = deque(each for each in self._fetched if not each[0].lost)
        self._released = deque(each for each in self._released if not each.token[0].lost)
