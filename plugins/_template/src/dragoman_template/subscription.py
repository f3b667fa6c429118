"""The subscription: what `dragoman.adapter.Subscription` asks for."""

from __future__ import annotations

from collections.abc import Sequence

from dragoman.adapter import Delivery, Outcome, Release, SubscribeOptions
from dragoman.errors import Closed, Unsupported
from dragoman.message import Channel
from dragoman_template.broker import Entry, Place
from dragoman_template.records import to_message


class Reader:
    """Deliveries from one channel.

    A client library that pushes is turned into this by a queue of your own that its callback fills. Don't wait on
    its asynchronous iterator: most of them lose a message when they are cancelled.
    """

    def __init__(self, place: Place, channel: Channel, options: SubscribeOptions) -> None:
        self._place = place
        self._channel = channel
        self._prefetch = options.prefetch
        # A topic's subscriber without a name is a group of its own, which ends with it.
        self._name: object = options.group or self
        self._group = place.join(self._name)
        self._held: dict[int, Entry] = {}
        self._closed = False

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """Replace: wait for something, then take what is there. No `await` may come between taking and returning."""
        while True:
            self._check_open()
            room = min(limit, self._prefetch - len(self._held))
            if room > 0 and (entries := self._group.take(self, room)):
                self._held.update((entry.number, entry) for entry in entries)
                return [self._delivery(entry) for entry in entries]
            await self._group.changed()

    async def settle(self, outcomes: Sequence[tuple[Delivery, Outcome]]) -> None:
        """Replace: acknowledge, or give back; all of them in one go where the broker can."""
        self._check_open()
        if any(isinstance(outcome, Release) and outcome.delay for _, outcome in outcomes):
            raise Unsupported("this broker can't delay", where=str(self._channel))
        for delivery, outcome in outcomes:
            self._settle(delivery.token, outcome)

    def _settle(self, entry: Entry, outcome: Outcome) -> None:
        self._held.pop(entry.number, None)
        if isinstance(outcome, Release):
            self._group.back(entry)
        else:
            # There is no place for rejected messages here: they are forgotten too, and the host dead-letters.
            self._group.done(entry)
        # A receive that waits for room under its prefetch has to look again.
        self._group.wake()

    def close(self) -> None:
        """End a waiting `receive`, and give everything unsettled back. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._group.leave(self)
        self._group.wake()
        if self._name is self:
            self._place.drop(self)

    def _delivery(self, entry: Entry) -> Delivery:
        return Delivery(to_message(entry.record, self._channel), entry.lane, entry.count, entry)

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the subscription was closed", where=str(self._channel))
