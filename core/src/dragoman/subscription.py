"""The subscription that users hold, and that the host works with. `Client.subscribe` makes it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, Self

from dragoman.adapter import ACCEPT, Adapter, Capability, Delivery, Lag, Outcome, Reject, Release, Transactions
from dragoman.adapter import Subscription as AdapterSubscription
from dragoman.errors import BrokerError, Closed, ConnectionLost, Unsupported
from dragoman.link import Link
from dragoman.message import Channel, Message

#: How many deliveries an iteration asks for at once.
_BATCH: Final = 100


class Subscription:
    """Deliveries from one channel, one by one or in batches. Made by `Client.subscribe`.

    It is itself a `dragoman.adapter.Subscription`. Every delivery is to be settled once, in any order: with `accept`,
    `release` or `reject`, or many at once with `settle`.

    Attributes:
        channel: what it is subscribed to.
    """

    def __init__(
        self, link: Link, adapter: Adapter, inner: AdapterSubscription, channel: Channel, *, transactions: bool = False
    ) -> None:
        self.channel = channel
        self._transactions = transactions
        self._link = link
        self._adapter = adapter
        self._inner = inner
        self._ahead: deque[Delivery] = deque()
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delivery:
        if not self._ahead:
            self._ahead.extend(await self.receive(_BATCH))
        return self._ahead.popleft()

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """Wait for deliveries: at least one, at most `limit`. One call at a time; cancelling it loses nothing.

        Raises:
            Closed: the subscription or its client was closed.
            ConnectionLost: the broker is gone; subscribe anew.
            BrokerError: the broker ended the subscription.
        """
        self._refuse_if_ended()
        if self._ahead:
            return [self._ahead.popleft() for _ in range(min(limit, len(self._ahead)))]
        try:
            return await self._inner.receive(limit)
        except BrokerError as error:
            raise self._failed(error) from error.__cause__

    async def settle(self, outcomes: Sequence[tuple[Delivery, Outcome]]) -> None:
        """Tell the broker what became of deliveries; returns when it has it.

        Raises:
            Closed: the subscription or its client was closed.
            ConnectionLost: not known to have arrived: the deliveries may come again.
            Unsupported: a delayed release, where the adapter has no `Capability.DELAY`.
        """
        self._refuse_if_ended()
        try:
            await self._inner.settle(outcomes)
        except BrokerError as error:
            raise self._failed(error) from error.__cause__

    async def transact(
        self, outcomes: Sequence[tuple[Delivery, Outcome]], sends: Sequence[tuple[Channel, Sequence[Message]]]
    ) -> Sequence[Delivery]:
        """Settle deliveries and publish messages, all or nothing, as `dragoman.adapter.Transactions.transact` says.

        Returns:
            The deliveries that have gone back meanwhile; if there is any, nothing was done.

        Raises:
            Unsupported: the adapter has no transactions, or `subscribe` was not told that they are wanted.
            ConnectionLost: not known to be done; subscribe anew: what was not done comes again.
            BrokerError: as the adapter's `transact`: nothing was done.
        """
        self._refuse_if_ended()
        self._link.require(Capability.TRANSACTIONS)
        if not self._transactions:
            raise Unsupported(
                f"the subscription to {str(self.channel)!r} has no transactions",
                where=self._link.name,
                expected="`subscribe(..., transactions=True)`",
            )
        if not isinstance(self._inner, Transactions):
            name = self._link.type.name
            raise TypeError(f"the adapter {name!r} declares `transactions`, but its subscriptions have no `transact`")
        try:
            return await self._inner.transact(outcomes, sends)
        except BrokerError as error:
            raise self._failed(error) from error.__cause__

    async def accept(self, *deliveries: Delivery) -> None:
        """They are done: the broker forgets them. Raises as `settle`."""
        await self.settle([(delivery, ACCEPT) for delivery in deliveries])

    async def release(self, *deliveries: Delivery, delay: float = 0.0) -> None:
        """They go back and come again, after `delay` seconds at the earliest. Raises as `settle`."""
        outcome = Release(delay)
        await self.settle([(delivery, outcome) for delivery in deliveries])

    async def reject(self, *deliveries: Delivery, reason: str = "") -> None:
        """They are refused for good; `reason` is for the broker's dead letters. Raises as `settle`."""
        outcome = Reject(reason)
        await self.settle([(delivery, outcome) for delivery in deliveries])

    async def lag(self) -> int:
        """How many messages of the channel wait for this group, those in hand not counted.

        Raises:
            Unsupported: the adapter does not know.
            BrokerError: as the adapter's `lag`.
        """
        self._refuse_if_ended()
        self._link.require(Capability.LAG)
        if not isinstance(self._inner, Lag):
            raise TypeError(f"the adapter {self._link.type.name!r} declares `lag`, but its subscriptions have none")
        try:
            return await self._inner.lag()
        except BrokerError as error:
            raise self._failed(error) from error.__cause__

    def end(self) -> None:
        """Refuse every further call; leaving the `async with` block does it."""
        self._ended = True

    def _refuse_if_ended(self) -> None:
        if self._ended:
            raise Closed(f"the subscription to {str(self.channel)!r} is closed", where=self._link.name)

    def _failed(self, error: BrokerError) -> BrokerError:
        if self._ended:
            return self._link.named(error)
        return self._link.failed(error, self._adapter, ConnectionLost("the connection was lost"))
