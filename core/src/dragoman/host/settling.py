"""What is in hand of a subscription, and its way back to the broker: settled in batches, in calls that are repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from dragoman.adapter import ACCEPT, Delivery, Outcome, Release
from dragoman.errors import BrokerError, ConnectionLost
from dragoman.host.counters import Counters
from dragoman.host.dead_letters import Failure
from dragoman.host.outage import Outage
from dragoman.message import Channel, Message
from dragoman.subscription import Subscription

RELEASE: Final = Release()


class Settling:
    """The deliveries of one subscription after another, until each is settled, or lost with its subscription.

    Attributes:
        unsettled: what is in hand.
        failures: what is known of those that have failed.
        changed: set when there is something to settle.
        under_way: how much of what is in hand the broker is being told of: it is handled, and in nobody's way.
    """

    def __init__(self, at: str, extra: Mapping[str, object], counters: Counters) -> None:
        self.unsettled: set[Delivery] = set()
        self.failures: dict[Delivery, Failure] = {}
        self.changed = asyncio.Event()
        self.under_way = 0
        self._counters = counters
        self._outcomes: list[tuple[Delivery, Outcome]] = []
        self._told: dict[Delivery, asyncio.Future[None]] = {}
        self._outage = Outage(f"settle messages of {at}", extra, counters)

    @property
    def due(self) -> bool:
        """Whether there is something to settle."""
        return bool(self._outcomes)

    def take(self, batch: Sequence[Delivery]) -> None:
        """They were received. Never blocks."""
        self.unsettled.update(batch)
        self._counters.received += len(batch)
        self._counters.in_hand += len(batch)

    def soon(
        self,
        delivery: Delivery,
        outcome: Outcome,
        sends: Sequence[tuple[Channel, Sequence[Message]]] = (),  # noqa: ARG002 - for those that can, in `outbox.py`
    ) -> None:
        """This became of a delivery that is in hand, and this is to go out with it. Never blocks."""
        if not self._outcomes:
            self.changed.set()
        self._outcomes.append((delivery, outcome))
        if self.failures:
            self.failures.pop(delivery, None)

    def accept_together(
        self,
        deliveries: Sequence[Delivery],
        sends: Sequence[tuple[Channel, Sequence[Message]]] = (),  # noqa: ARG002 - as above
    ) -> None:
        """All of these in hand are accepted, and this is to go out with them. Never blocks."""
        for delivery in deliveries:
            self.soon(delivery, ACCEPT)

    async def accepted(self, delivery: Delivery, sends: Sequence[tuple[Channel, Sequence[Message]]] = ()) -> None:
        """Accept it now, and send these; returns when the broker has it. Cancelling it leaves it to be accepted.

        Raises:
            ConnectionLost: its subscription was lost: it comes again, unless the broker heard of it before.
        """
        if delivery not in self.unsettled:
            raise ConnectionLost("the subscription was lost: the message comes again")
        told = self._told[delivery] = asyncio.get_running_loop().create_future()
        self.soon(delivery, ACCEPT, sends)
        await told

    async def flush(self, subscription: Subscription) -> None:
        """Settle what has ended since the last time, all in one call."""
        batch, self._outcomes = self._outcomes, []
        self.under_way = len(batch)
        while True:
            try:
                await subscription.settle(batch)
            except BrokerError as error:
                if not passes(error):
                    raise
                await asyncio.sleep(self._outage.failed(error))
            else:
                break
        self._outage.over()
        self.under_way = 0
        self.unsettled.difference_update([delivery for delivery, _ in batch])
        self._counters.in_hand -= len(batch)
        if self._told:
            self._tell(batch)

    def _tell(self, batch: Sequence[tuple[Delivery, Outcome]]) -> None:
        for delivery, _ in batch:
            told = self._told.pop(delivery, None)
            if told is not None and not told.done():
                told.set_result(None)

    def forget(self, *, stopping: bool) -> None:
        """The subscription has ended, and the broker has what was in hand."""
        self._counters.in_hand -= len(self.unsettled)
        if stopping:
            self._counters.released += len(self.unsettled)
        self.unsettled.clear()
        self.under_way = 0
        self.failures.clear()
        self._outcomes.clear()
        for told in self._told.values():
            if not told.done():
                told.set_exception(ConnectionLost("the subscription was lost: the message may come again"))
        self._told.clear()


def passes(error: BrokerError) -> bool:
    """Whether the same call on the same subscription may work later."""
    return error.retryable and not isinstance(error, ConnectionLost)
