"""Outbox mode: what a handler sends is held until its try has succeeded, and goes out with the acceptance or before it.

Where the client that the message came from has transactions, what is sent through it and the acceptance are one. What
goes through other clients, or by an adapter without transactions, is published when the handler has returned, and must
be confirmed before the message is accepted: when that fails, the try has failed. So does what a batch of several sends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from dragoman.adapter import ACCEPT, Delivery, Outcome, Release
from dragoman.client import Client, as_messages
from dragoman.errors import BrokerError, Closed, ConnectionLost, HandlerFailed
from dragoman.host.context import HandlingContext, Outlet
from dragoman.host.counters import Counters
from dragoman.host.hand import Held, Place
from dragoman.host.settling import RELEASE, Settling, passes
from dragoman.message import Channel, Message, MessageLike, MetadataLike
from dragoman.subscription import Subscription

#: What holding a message costs besides its data and metadata, in bytes; roughly.
_EACH: Final = 200
#: A transaction is full with so many bytes. What one try sent is never divided.
_FULL: Final = 8 * 2**20

#: Messages for channels, in order.
Sends = Sequence[tuple[Channel, Sequence[Message]]]


def _size(message: Message) -> int:
    return _EACH + len(message.data) + sum(len(name) + len(value) for name, value in message.metadata)


class OutboxContext(HandlingContext):
    """The context of one try whose sends are held. A request is sent at once: its answer is needed now."""

    __slots__ = ("_before", "_left", "_limit")

    def __init__(
        self,
        outlet: Outlet,
        place: Place | None = None,
        given: Sequence[Delivery] = (),
        attempt: int = 1,
        *,
        limit: int,
    ) -> None:
        """As `HandlingContext`; at most `limit` bytes are held."""
        super().__init__(outlet, place, given, attempt)
        self._limit = self._left = limit
        self._before: list[tuple[int, Client, Callable[[], Awaitable[None]]]] = []

    def publish(
        self,
        channel: str,
        *messages: MessageLike,
        client: str | None = None,
        key: str | None = None,
        content_type: str | None = None,
        metadata: MetadataLike = (),
    ) -> Coroutine[Any, Any, None]:
        """Hold messages for a channel; to be awaited. They go out, in order, when the try has succeeded.

        Raises:
            NotGranted: the handler has no grant to publish there; raised by the call itself.
            Unsupported: the client has no channels of that kind; raised by the call itself.
            HandlerFailed: more is held than `limits.outbox` allows.
            Closed: this try has ended.
        """
        name = client or self._outlet.client
        where = self._outlet.grants.publish(name, channel)
        sender = self._outlet.clients[name]
        sender.require(where.kind)
        batch = as_messages(messages, key, content_type, metadata)
        return self._counted(0, sender, partial(self._hold, sender, where, batch))

    def reply(self, to: Message, *replies: MessageLike) -> Coroutine[Any, Any, None]:
        """Hold answers to the message that is being handled; to be awaited. They go out when the try has succeeded.

        Raises:
            NotGranted, Closed: as `HandlingContext.reply`.
            HandlerFailed: more is held than `limits.outbox` allows.
        """
        self._check_reply(to)
        sender = self._outlet.clients[self._outlet.client]
        return self._counted(0, sender, partial(self._hold_reply, sender, to, as_messages(replies)))

    async def _hold(self, sender: Client, channel: Channel, given: Sequence[Message]) -> None:
        self._take(given)
        messages = list(sender.created(channel, given))
        apart = self._place is None or not self._place.transactional
        if apart or sender.name != self._outlet.client:
            self._before.append((len(messages), sender, partial(sender.publish, channel, *messages)))
        elif not isinstance(self.sends, list):
            self.sends = [(channel, messages)]
        elif self.sends[-1][0] == channel:
            self.sends[-1][1].extend(messages)
        else:
            self.sends.append((channel, messages))

    async def _hold_reply(self, sender: Client, to: Message, given: Sequence[Message]) -> None:
        self._take(given)
        replies = sender.created(Channel(to.get("reply-to") or "?"), given)
        self._before.append((len(replies), sender, partial(sender.reply, to, *replies)))

    def _take(self, messages: Sequence[Message]) -> None:
        self._left -= sum(map(_size, messages))
        if self._left < 0:
            raise HandlerFailed(
                f"it sends more than {self._limit:,} bytes, which are held until it succeeds",
                where=f"handlers.{self.handler}",
                hint="raise `limits.outbox`",
            )

    @property
    def confirmed(self) -> bool:
        """Whether nothing is left for `confirm` to look at."""
        return not self._before and self._left >= 0 and self.hand is None and super().confirmed

    async def confirm(self) -> None:
        """Publish what is to be confirmed before the message is accepted.

        Raises:
            HandlerFailed: a send failed that the handler did not look at, or more was sent than can be held.
            BrokerError: a broker does not have it.
        """
        await super().confirm()
        if self._left < 0:
            self._take(())
        if self.hand is not None:
            self._look(list(self.hand.held()))
        await self._go_out()

    def _look(self, held: Sequence[Held]) -> None:
        """What the handler has said of its messages, or received by itself, may leave nothing to wait for."""
        own = [one for one in held if one.place is self._place]
        if own and all(one.said == "abandon" for one in own):  # it counts as a failure
            self._before.clear()
            self.sends = ()
        elif len(own) < len(held) or len(self._given) > 1 or any(one.said == "complete" for one in own):
            self._send_before()  # not all that it was given is accepted now, and together

    async def complete(self, receipt: str) -> None:
        """Accept a message now; what was sent until now goes out with it. Raises as `HandlingContext.complete`."""
        held = self._in_hand().named(receipt)
        if held.place is not self._place:
            self._send_before()
        await self._go_out()
        held.sends, self.sends = self.sends, ()
        await super().complete(receipt)

    def _send_before(self) -> None:
        """Nothing is left to be accepted together with these."""
        sender = self._outlet.clients[self._outlet.client]
        for channel, messages in self.sends:
            self._before.append((len(messages), sender, partial(sender.publish, channel, *messages)))
        self.sends = ()

    async def _go_out(self) -> None:
        before, self._before = self._before, []
        for count, sender, send in before:
            self._called += 1
            await self._sent(count, sender, send)


@dataclass(slots=True, eq=False)
class _Unit:
    """What is to be settled of one try, together, and what it sent."""

    outcomes: Sequence[tuple[Delivery, Outcome]]
    sends: Sends = ()

    @property
    def deliveries(self) -> set[Delivery]:
        """What it is about."""
        return {delivery for delivery, _ in self.outcomes}

    @property
    def accepted(self) -> int:
        """How many of it are accepted."""
        return sum(outcome is ACCEPT for _, outcome in self.outcomes)

    @property
    def size(self) -> int:
        """What it sent, in bytes; roughly."""
        return sum(_size(message) for _, messages in self.sends for message in messages)

    def instead(self, outcome: Outcome) -> _Unit:
        """This became of all of it, and nothing is sent."""
        return _Unit([(delivery, outcome) for delivery, _ in self.outcomes])


#: What becomes of a delivery whose sends a broker refuses for good; None tries them again.
Refused = Callable[[Delivery, BrokerError], Awaitable[Outcome | None]]


class Outbox(Settling):
    """Settles in transactions, in the order of the tries' ends; many tries share one."""

    def __init__(self, at: str, extra: Mapping[str, object], counters: Counters, refused: Refused) -> None:
        """As `Settling`; `refused` is asked about what can't be sent."""
        super().__init__(at, extra, counters)
        self._refused = refused
        self._units: list[_Unit] = []
        self._broken: set[Hashable] = set()

    @property
    def due(self) -> bool:
        """Whether there is something to settle."""
        return bool(self._units)

    def soon(self, delivery: Delivery, outcome: Outcome, sends: Sends = ()) -> None:
        """This became of a delivery that is in hand, and this is to go out with it. Never blocks."""
        self._add(_Unit([(delivery, outcome)], sends))

    def accept_together(self, deliveries: Sequence[Delivery], sends: Sends = ()) -> None:
        """All of these in hand are accepted, and this goes out, or nothing of it. Never blocks."""
        if not sends:
            for delivery in deliveries:
                self.soon(delivery, ACCEPT)
            return
        self._add(_Unit([(delivery, ACCEPT) for delivery in deliveries], sends))

    def _add(self, unit: _Unit) -> None:
        self._units.append(unit)
        self.changed.set()
        if self.failures:
            for delivery, _ in unit.outcomes:
                self.failures.pop(delivery, None)

    async def flush(self, subscription: Subscription) -> None:
        """Settle what has ended since the last time, and send what it sent."""
        units, self._units = self._units, []
        portions = _portions(units)
        while portions:
            portion = [self._unless_broken(unit) for unit in portions.pop()]
            try:
                gone = await _settle(subscription, portion)
            except (ConnectionLost, Closed):
                raise
            except BrokerError as error:
                if passes(error):
                    await asyncio.sleep(self._outage.failed(error))
                    portions.append(portion)
                elif len(portion) > 1:  # one of them is to blame
                    middle = len(portion) // 2
                    portions += [portion[middle:], portion[:middle]]
                else:
                    portions.append(await self._instead(portion[0], error))
                continue
            self._outage.over()
            if left := self._ended(portion, set(gone)):
                portions.append(left)

    async def _instead(self, unit: _Unit, error: BrokerError) -> list[_Unit]:
        """What is settled instead of what a broker refuses for good; and what is left of it, to be tried once more."""
        if not unit.sends:
            raise error
        outcomes: list[tuple[Delivery, Outcome]] = []
        for delivery, _ in unit.outcomes:
            outcome = await self._refused(delivery, error)
            if outcome is None:
                await asyncio.sleep(self._outage.failed(error))
                break
            outcomes.append((delivery, outcome))
            if isinstance(outcome, Release) and delivery.lane is not None:
                self._broken.add(delivery.lane)
        decided = len(outcomes)
        self._counters.handled -= _Unit(unit.outcomes[:decided]).accepted
        left = _Unit(unit.outcomes[decided:], unit.sends)
        return [each for each in (_Unit(outcomes), left) if each.outcomes]

    def _unless_broken(self, unit: _Unit) -> _Unit:
        """What comes after a message that goes back goes back too, if it is of its lane: it was handled too soon."""
        lanes = {delivery.lane for delivery, outcome in unit.outcomes if not isinstance(outcome, Release)}
        if self._broken.isdisjoint(lanes):
            return unit
        self._broken |= lanes - {None}
        self._counters.handled -= unit.accepted
        self._counters.released += len(unit.outcomes)
        return unit.instead(RELEASE)

    def _ended(self, portion: Sequence[_Unit], gone: set[Delivery]) -> list[_Unit]:
        """These were settled; or, where any have gone back, only those have ended: what is left of them.

        Raises:
            ConnectionLost: of what is one, some have gone back: only a new subscription gives the rest again, in order.
        """
        left = [unit for unit in portion if gone.isdisjoint(unit.deliveries)] if gone else []
        ended = [unit for unit in portion if unit not in left]
        if gone and not all(unit.deliveries <= gone for unit in ended):
            raise ConnectionLost("some messages of a batch have gone back, which was to be accepted as one")
        deliveries = {delivery for unit in ended for delivery, _ in unit.outcomes} & self.unsettled
        self.unsettled -= deliveries
        self._counters.in_hand -= len(deliveries)
        if not gone:
            self._counters.sent += sum(len(messages) for unit in ended for _, messages in unit.sends)
            if self._told:
                self._tell([pair for unit in ended for pair in unit.outcomes])
        else:
            self._counters.handled -= sum(unit.accepted for unit in ended)
            for told in [self._told.pop(each) for each in gone if each in self._told]:
                if not told.done():
                    told.set_exception(ConnectionLost("the message has gone back, and comes again"))
        return left

    def forget(self, *, stopping: bool) -> None:
        """The subscription has ended, and the broker has what was in hand."""
        self._units.clear()
        self._broken.clear()
        super().forget(stopping=stopping)


async def _settle(subscription: Subscription, portion: Sequence[_Unit]) -> Sequence[Delivery]:
    outcomes = [pair for unit in portion for pair in unit.outcomes]
    sends = _joined(portion)
    if sends:
        return await subscription.transact(outcomes, sends)
    await subscription.settle(outcomes)
    return ()


def _joined(portion: Sequence[_Unit]) -> list[tuple[Channel, list[Message]]]:
    """What is sent to each channel, in order."""
    by_channel: dict[Channel, list[Message]] = {}
    for unit in portion:
        for channel, messages in unit.sends:
            by_channel.setdefault(channel, []).extend(messages)
    return list(by_channel.items())


def _portions(units: Sequence[_Unit]) -> list[list[_Unit]]:
    """What goes into one transaction each, the first one last."""
    portions: list[list[_Unit]] = [[]]
    size = 0
    for unit in units:
        if size + (own := unit.size) > _FULL and portions[-1]:
            portions.append([])
            size = 0
        portions[-1].append(unit)
        size += own
    return portions[::-1]
