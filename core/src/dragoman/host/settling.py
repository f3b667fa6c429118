"""What is in hand of a subscription, and its way back to the broker: settled in batches, in calls that are repeated.

A broker that takes its time for a call (Kafka writes down a commit after 5 ms) is told of more beside it, so that a
quick handler does not wait for it. How much that may be is bounded: it comes again when the host dies before the broker
has it.
"""

from __future__ import annotations

import asyncio
import sys
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
#: How many deliveries the broker is told of at once at most, before it is told of any beside others.
BESIDE: Final = 4096
#: The most bytes of data that they may have then.
_BESIDE_DATA: Final = 16 * 2**20


class Settling:
    """The deliveries of one subscription after another, until each is settled, or lost with its subscription.

    Attributes:
        unsettled: what is in hand.
        failures: what is known of those that have failed.
        changed: set when there is something to settle.
        room_made: set when the broker is told of some, beside others, and when it has them.
        under_way: how much of what is in hand the broker is being told of: it is handled, and in nobody's way.
    """

    def __init__(self, at: str, extra: Mapping[str, object], counters: Counters, *, portion: int = sys.maxsize) -> None:
        """`portion` is how much must have ended to tell the broker of it beside others, of which it is being told."""
        self.unsettled: set[Delivery] = set()
        self.failures: dict[Delivery, Failure] = {}
        self.changed = asyncio.Event()
        self.room_made = asyncio.Event()
        self.under_way = 0
        self._counters = counters
        self._outcomes: list[tuple[Delivery, Outcome]] = []
        self._portion = self._enough = portion
        self._subscription: Subscription | None = None
        self._beside: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
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
        outcomes = self._outcomes
        if not outcomes:
            self.changed.set()
        outcomes.append((delivery, outcome))
        if self.failures:
            self.failures.pop(delivery, None)
        # What goes back is not divided: all of a lane goes in one call, before anything that comes after it.
        if self.under_way and outcome is ACCEPT and len(outcomes) >= self._enough:
            self._tell_beside()

    def accept_together(
        self,
        deliveries: Sequence[Delivery],
        sends: Sequence[tuple[Channel, Sequence[Message]]] = (),  # noqa: ARG002 - as above
    ) -> None:
        """All of these in hand are accepted, and this is to go out with them. Never blocks."""
        if not deliveries:
            return
        *others, last = deliveries
        self._outcomes.extend([(delivery, ACCEPT) for delivery in others])
        for delivery in others if self.failures else ():
            self.failures.pop(delivery, None)
        self.changed.set()
        self.soon(last, ACCEPT)

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

    def check(self) -> None:
        """Raise what a call beside another has failed with: the subscription is of no more use. Never blocks."""
        if self._failure is not None:
            raise self._failure

    async def flush(self, subscription: Subscription) -> None:
        """Settle what has ended since the last time, all in one call. Where it takes long, others are made beside it.

        Whoever calls it has to `check` afterwards, and to `end` before `forget`.
        """
        self._subscription = subscription
        await self._call(subscription, self._begun())

    def _begun(self) -> Sequence[tuple[Delivery, Outcome]]:
        """What the next call is about; it is under way from now on."""
        batch, self._outcomes = self._outcomes, []
        self._enough = self._portion
        self.under_way += len(batch)
        return batch

    async def _call(self, subscription: Subscription, batch: Sequence[tuple[Delivery, Outcome]]) -> None:
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
        self.under_way -= len(batch)
        self.unsettled.difference_update([delivery for delivery, _ in batch])
        self._counters.in_hand -= len(batch)
        if self._told:
            self._tell(batch)

    def _tell_beside(self) -> None:
        """Tell the broker of what has ended, beside what it is being told of, if that is not too much. Never blocks."""
        due = [delivery for delivery, _ in self._outcomes]
        self._enough = len(due) + self._portion  # when to look again
        if self._subscription is None or self.under_way + len(due) > BESIDE:
            return
        # Of those that it is told of this is a part only, but all of them are about as large.
        if sum(len(delivery.message.data) for delivery in due) * (self.under_way / len(due) + 1) > _BESIDE_DATA:
            return
        task = asyncio.create_task(self._call(self._subscription, self._begun()))
        self._beside.add(task)
        task.add_done_callback(self._told_beside)
        self.room_made.set()

    def _told_beside(self, task: asyncio.Task[None]) -> None:
        self._beside.discard(task)
        if task.cancelled():
            return
        self._failure = self._failure or task.exception()
        if self.under_way and len(self._outcomes) >= self._portion:
            self._tell_beside()
        self.changed.set()
        self.room_made.set()

    async def end(self) -> None:
        """Cancel the calls beside others: the broker has them, or has what they were about. Never raises."""
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)

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
        self._subscription = self._failure = None
        for told in self._told.values():
            if not told.done():
                told.set_exception(ConnectionLost("the subscription was lost: the message may come again"))
        self._told.clear()


def passes(error: BrokerError) -> bool:
    """Whether the same call on the same subscription may work later."""
    return error.retryable and not isinstance(error, ConnectionLost)
