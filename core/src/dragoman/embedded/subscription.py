"""One subscription: a member of a group, and the deliveries in its hands."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from dragoman.adapter import Delivery, Outcome, Release
from dragoman.embedded import groups
from dragoman.embedded.groups import Batch, Membership, Row
from dragoman.embedded.publishing import Publishing
from dragoman.embedded.records import decode, unpack
from dragoman.embedded.schema import clock
from dragoman.embedded.store import Store
from dragoman.errors import BrokerError, Closed, ConnectionLost
from dragoman.message import Channel, Message


@dataclass(frozen=True, slots=True)
class _Taken:
    me: Membership | None
    deliveries: Sequence[Delivery]
    due: float | None


class EmbeddedSubscription:
    """A `Subscription` that is also a `Lag` and a `Transactions`. A delivery's `token` is its message's offset."""

    def __init__(
        self, store: Store, publishing: Publishing, channel: Channel, membership: Membership, prefetch: int
    ) -> None:
        self._store = store
        self._publishing = publishing
        self._channel = channel
        self._me = membership
        self._prefetch = prefetch
        self._ready: deque[Delivery] = deque()
        self._held: dict[int, Delivery] = {}
        self._due: float | None = None
        self._lost = False
        self._closed = False
        self._event = asyncio.Event()
        store.waiters.add(membership.channel, self._event.set)

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """See `Subscription.receive`. Besides, a batch ends when its data has 16 MiB."""
        while not self._ready:
            self._check_open()
            self._event.clear()
            room = min(limit, self._prefetch - len(self._held))
            if room > 0:
                await self._take(room)
            if not self._ready:
                await self._wait()
        self._check_open()
        return [self._ready.popleft() for _ in range(min(limit, len(self._ready)))]

    async def _take(self, limit: int) -> None:
        await self._store.run(lambda db: self._take_now(db, limit), durable=False, then=self._took)

    def _take_now(self, db: sqlite3.Connection, limit: int) -> _Taken:
        me: Membership | None = self._me
        batch = groups.take(db, self._me, limit)
        if batch is None:
            # Taken for dead, while the process was stopped or its loop stood still: come back as somebody new.
            me = groups.rejoin(db, self._me, self._store.name)
            batch = (me and groups.take(db, me, limit)) or Batch()
        return _Taken(me, [self._delivery(row) for row in batch.rows], batch.due)

    def _delivery(self, row: Row) -> Delivery:
        offset, count, key, number, content_type, metadata, data, _ = row
        message = unpack(number, content_type, metadata, data, self._channel)
        return Delivery(message, None if key is None else decode(key), count, offset)

    def _took(self, taken: _Taken) -> None:
        if taken.me is not self._me:
            self._held.clear()
            self._ready.clear()
        if taken.me is None:
            self._lost = True
            self._event.set()
            return
        self._me = taken.me
        self._due = taken.due
        self._held.update((delivery.token, delivery) for delivery in taken.deliveries)
        self._ready.extend(taken.deliveries)

    async def _wait(self) -> None:
        """Until there may be work: a wake-up, or the time of the next delayed message."""
        timer = None
        if self._due is not None:
            timer = asyncio.get_running_loop().call_later(max(self._due - clock(), 0), self._event.set)
        try:
            await self._event.wait()
        finally:
            if timer:
                timer.cancel()

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the subscription was closed", where=str(self._channel))
        if self._lost:
            raise ConnectionLost(
                "the subscription's group is gone: it was forgotten while this process stood still",
                where=str(self._channel),
                hint="subscribe again",
            )

    async def settle(self, outcomes: Sequence[tuple[Delivery, Outcome]]) -> None:
        """See `Subscription.settle`. A rejected message is forgotten: there is no place for dead letters here.

        It is on the disk within `store.FLUSH` seconds: a power cut in between brings the messages once more.
        """
        self._check_open()
        ours = [(delivery, outcome) for delivery, outcome in outcomes if self._held.get(delivery.token) is delivery]
        done, released = _sorted(ours)
        if ours:
            me = self._me
            await self._store.run(
                lambda db: self._settle_now(db, me, done, released),
                durable=False,
                then=lambda _: self._settled([delivery for delivery, _ in ours]),
            )

    def _settle_now(
        self, db: sqlite3.Connection, me: Membership, done: Sequence[int], released: Sequence[tuple[int, float]]
    ) -> None:
        if groups.settle(db, me, done, released):
            self._store.changed(me.channel)

    async def transact(
        self, outcomes: Sequence[tuple[Delivery, Outcome]], sends: Sequence[tuple[Channel, Sequence[Message]]]
    ) -> Sequence[Delivery]:
        """See `Transactions.transact`. On the disk when it returns. A reply for which nobody waits any more is dropped.

        Raises:
            PayloadTooLarge: a message is larger than `max_message`; nothing was done.
            StorageFailed: nothing was done.
        """
        self._check_open()
        gone = [delivery for delivery, _ in outcomes if self._held.get(delivery.token) is not delivery]
        if gone:
            return gone
        done, released = _sorted(outcomes)
        loads = [(channel, self._publishing.pack(messages)) for channel, messages in sends]
        me = self._me

        def transact_now(db: sqlite3.Connection) -> list[Delivery]:
            held = groups.held(db, me, [delivery.token for delivery, _ in outcomes])
            # Who was taken for dead holds nothing any more: `receive` finds that out, and comes back as somebody new.
            gone = [delivery for delivery, _ in outcomes if delivery.token not in held]
            if not gone:
                for channel, packed in loads:
                    self._publishing.append(db, channel, packed)
                self._settle_now(db, me, done, released)
            return gone

        def then(gone: list[Delivery]) -> None:
            if not gone:
                self._settled([delivery for delivery, _ in outcomes])

        return await self._store.run(transact_now, durable=True, then=then)

    def _settled(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            if self._held.get(delivery.token) is delivery:
                del self._held[delivery.token]
        self._event.set()

    async def lag(self) -> int:
        """See `Lag.lag`."""
        self._check_open()
        return await self._store.run(lambda db: groups.lag(db, self._me), durable=False)

    def _leave_now(self, db: sqlite3.Connection) -> None:
        self._store.changed(groups.leave(db, self._me.member))

    def close(self) -> asyncio.Future[None] | None:
        """Leave the group; what is unsettled goes back. Idempotent; returns what to wait for.

        It happens also if nobody waits for it.
        """
        if self._closed:
            return None
        self._closed = True
        self._event.set()
        self._store.waiters.remove(self._me.channel, self._event.set)
        with suppress(Closed):
            return self._store.run(self._leave_now, durable=False)
        return None


def _sorted(outcomes: Sequence[tuple[Delivery, Outcome]]) -> tuple[list[int], list[tuple[int, float]]]:
    """The offsets of what is done, and offset and delay of what goes back."""
    done = [delivery.token for delivery, outcome in outcomes if not isinstance(outcome, Release)]
    released = [(delivery.token, outcome.delay) for delivery, outcome in outcomes if isinstance(outcome, Release)]
    return done, released


async def left(leaving: asyncio.Future[None] | None) -> None:
    """Wait until a subscription has left its group.

    If that can't be written down now, it is enough that the connection ends: others see that its members are gone.
    """
    if leaving is not None:
        with suppress(BrokerError):
            await asyncio.shield(leaving)
