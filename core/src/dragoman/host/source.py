"""One channel of one handler: what is in hand of it, what may be handled next, and what became of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Final

from dragoman.adapter import Capability, Delivery, Outcome, Release
from dragoman.dialing import UNREACHABLE
from dragoman.errors import BrokerError, ConnectionLost
from dragoman.host.counters import Counters
from dragoman.host.lag import watching
from dragoman.host.lanes import Lanes
from dragoman.host.outage import Outage, one_line
from dragoman.host.outbox import Outbox, Sends
from dragoman.host.settling import RELEASE, Settling, passes
from dragoman.host.work import Address, Work
from dragoman.subscription import Subscription

#: How many deliveries beyond a handler's concurrency are in hand at most, so that none of its places waits for the
#: broker; those that the broker is being told of do not count, where its adapter gives others meanwhile.
BATCH: Final = 128

#: The share of what may be in hand that is told the broker beside other calls, where these take long.
_SHARE: Final = 4

#: Seconds after which what a source waits for is looked at again, so that the counters say what it is by now.
_NEWS: Final = 5.0
_log: Final = logging.getLogger("dragoman.host")


class Source:
    """Receives, keeps the order of lanes, keeps what waits for another try, and settles in batches.

    Nothing is settled that its subscription does not hold any more: when a subscription is lost, all of it is forgotten
    and comes again. What was being handled then still ends first, so that its lane keeps its order.

    Attributes:
        address: where it subscribes.
        confirmed: done when the broker has confirmed the first subscription, or refused it.
        unsettled: what is in hand.
        active: how many of it the handler has: those that it handles, and those that are ready. The rest waits: for its
            lane, its next try, its dead letter, or to be settled.
        failures: what is known of those that have failed.
        stopping: whether the host is to end: it receives no more, and what fails goes back.
        retiring: whether its channel is not to be heard any more: it receives no more, and finishes what is in hand.
    """

    def __init__(self, address: Address, work: Work, counters: Counters, handler: str) -> None:
        self.address = address
        self.confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.active = 0
        self.stopping = False
        self.retiring = False
        self._work = work
        self._counters = counters
        self._bound = work.places + BATCH
        self._lanes = Lanes()
        self._waiting: dict[Delivery, tuple[asyncio.TimerHandle, Callable[[Source, Delivery], None]]] = {}
        self._hungry = False
        self._stopped = asyncio.Event()
        self._receiving: asyncio.Task[None] | None = None
        self._opening: asyncio.Timeout | None = None
        self._extra = extra = {"handler": handler, "channel": str(address.channel), "client": address.client.name}
        at = f"{str(address.channel)!r} of the client {address.client.name!r}"
        self._reception = Outage(f"receive from {at}", extra, counters)
        #: Whether what is sent with an acceptance is one with it.
        self.transactional = work.outbox and Capability.TRANSACTIONS in address.client.type.capabilities
        self._settling = (
            Outbox(at, extra, counters, partial(work.refused, self))
            if self.transactional
            else Settling(at, extra, counters, portion=max(1, self._bound // _SHARE))
        )
        self.unsettled = self._settling.unsettled
        self.failures = self._settling.failures
        self._changed = self._settling.changed
        self._room_made = self._settling.room_made
        can = address.client.type.capabilities
        self._broker_delays = Capability.DELAY in can and Capability.DELIVERY_COUNT in can

    # What the handler says

    def finish(self, delivery: Delivery, outcome: Outcome, sends: Sends = ()) -> None:
        """This became of the delivery, and these go out with it; the next of its lane may be handled. Never blocks."""
        if delivery in self.unsettled:
            self._settling.soon(delivery, outcome, sends)
        else:  # its subscription was lost: what was noted of it since is of no use
            self.failures.pop(delivery, None)
        if (following := self._lanes.leave(delivery)) is not None:
            self._work.offer(self, (following,))

    def settle(self, delivery: Delivery, outcome: Outcome, sends: Sends = ()) -> None:
        """This became of the delivery, and these go out with it; its lane goes on with `leave`. Never blocks."""
        if delivery in self.unsettled:
            self._settling.soon(delivery, outcome, sends)

    def accept_together(self, deliveries: Sequence[Delivery], sends: Sends) -> None:
        """All of these are accepted, and these go out with them; their lanes go on with `leave`. Never blocks."""
        held = [delivery for delivery in deliveries if delivery in self.unsettled]
        if len(held) == len(deliveries) or not sends:
            self._settling.accept_together(held, sends)
        # Else their subscription was lost: they come again.

    async def complete(self, delivery: Delivery, sends: Sends = ()) -> None:
        """Accept it now, with what goes out with it, and keep its lane until `leave`.

        Cancelling it leaves it to be accepted.

        Raises:
            ConnectionLost: its subscription was lost: it comes again, unless the broker heard of it before.
        """
        await self._settling.accepted(delivery, sends)

    def leave(self, delivery: Delivery) -> None:
        """It is not in the way any more: the next of its lane may be handled. Never blocks."""
        following = self._lanes.leave(delivery)
        if following is not None:
            self._work.offer(self, (following,))

    def behind(self, first: Delivery) -> int:
        """How many wait behind the first of a lane."""
        return self._lanes.behind(first)

    def along(self, first: Delivery, limit: int) -> Sequence[Delivery]:
        """Those that follow the first of a lane and are to be handled with it: those that have not failed yet."""
        taken = self._lanes.along(first, limit, self.is_new)
        self.active += len(taken)
        return taken

    def put_back(self, first: Delivery, following: Sequence[Delivery]) -> None:
        """The first is so of its lane, and these wait behind it again, before all others. Never blocks."""
        self._lanes.put_back(first, following)

    def is_new(self, delivery: Delivery) -> bool:
        """Whether nothing is known of a try of it that failed, here or elsewhere."""
        return delivery.count == 1 and delivery not in self.failures

    def give_back(self, delivery: Delivery, delay: float = 0.0) -> None:
        """It goes back to the broker, after it all of its lane that is in hand. Never blocks."""
        lane = [delivery, *self._lanes.clear(delivery)]
        for one in lane:
            if one in self.unsettled:
                self._settling.soon(one, Release(delay) if delay and one is delivery else RELEASE)
                self._counters.released += 1

    def wait(self, delivery: Delivery, seconds: float, then: Callable[[Source, Delivery], None]) -> None:
        """Call `then` with it after that time; until then it keeps its lane, but no place. Never blocks."""
        timer = asyncio.get_running_loop().call_later(seconds, self._due, delivery)
        self._waiting[delivery] = timer, then
        self._counters.waiting += 1

    def left(self, deliveries: int = 1) -> None:
        """So many are not active any more. Never blocks."""
        self.active -= deliveries
        if self._hungry:
            self._room_made.set()

    def stop(self) -> None:
        """Receive no more; what waits for another try goes back at once. `run` ends when the rest is settled."""
        self.stopping = True
        self._stop_receiving()
        for delivery in list(self._waiting):
            self._wake(delivery)
            self.give_back(delivery)

    def retire(self) -> None:
        """Receive no more, and finish what is in hand as ever, further tries included; then `run` ends. Never blocks.

        When the connection is lost meanwhile, the broker has the rest. For a queue that no other member of the group
        hears, it waits there until one does.
        """
        self.retiring = True
        self._stop_receiving()

    def _stop_receiving(self) -> None:
        self._stopped.set()
        if self._receiving is not None:
            self._receiving.cancel()
        if self._opening is not None and not self._opening.expired():
            self._opening.reschedule(asyncio.get_running_loop().time())
        self._changed.set()

    def _due(self, delivery: Delivery) -> None:
        then = self._wake(delivery)
        then(self, delivery)

    def _wake(self, delivery: Delivery) -> Callable[[Source, Delivery], None]:
        timer, then = self._waiting.pop(delivery)
        timer.cancel()
        self._counters.waiting -= 1
        return then

    # The way to the broker

    async def run(self) -> None:
        """Serve until it is stopped and everything in hand is settled. Cancelling it leaves that to the broker.

        Waits for a broker that can't be reached, also at the start. Ends early when the first subscription is refused;
        `confirmed` then has the error; it is cancelled where it was stopped before.
        """
        try:
            await self._run()
        finally:
            self.confirmed.cancel()

    async def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                await self._session()
            except Exception as error:  # noqa: BLE001 - a plugin's bug must not end the handler either
                if self._stopped.is_set():  # while that session ran
                    _log.debug("ended while stopping: %s", one_line(error), extra=self._extra)
                elif self.confirmed.done() or isinstance(error, UNREACHABLE):
                    await self._pause(self._reception.failed(error))
                else:
                    self.confirmed.set_exception(error)
                    return

    async def _session(self) -> None:
        try:
            async with AsyncExitStack() as stack:
                subscription = await self._subscribed(stack)
                self._reception.over()
                if not self.confirmed.done():
                    self.confirmed.set_result(None)
                await stack.enter_async_context(watching(self.address.client, subscription, self._counters))
                await self._serve(subscription)
        finally:
            self._forget()

    async def _subscribed(self, stack: AsyncExitStack) -> Subscription:
        """The subscription, however long its broker is away; `stop` ends that."""
        address = self.address
        opening = address.client.subscribe(
            address.channel,
            group=address.group,
            prefetch=self._bound,
            extensions=address.extensions,
            transactions=self.transactional,
        )
        try:
            async with asyncio.timeout(None) as self._opening:
                await self._connected()
                return await stack.enter_async_context(opening)
        finally:
            self._opening = None

    async def _connected(self) -> None:
        while True:
            try:
                return await self.address.client.ready(_NEWS)
            except ConnectionLost as error:
                self._reception.still(error)

    async def _serve(self, subscription: Subscription) -> None:
        receiving = self._receiving = asyncio.create_task(self._receive(subscription))
        receiving.add_done_callback(lambda _: self._changed.set())
        try:
            while self.unsettled or not self._stopped.is_set():
                await self._changed.wait()
                self._changed.clear()
                if receiving.done() and not receiving.cancelled():
                    receiving.result()
                self._settling.check()
                if self._settling.due:
                    self._room_made.set()
                    await self._settling.flush(subscription)
                    self._room_made.set()
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)
            self._receiving = None
            await self._settling.end()

    async def _receive(self, subscription: Subscription) -> None:
        while True:
            room = await self._room()
            try:
                batch = await subscription.receive(room)
            except BrokerError as error:
                if not passes(error):
                    raise
                await asyncio.sleep(self._reception.failed(error))
                continue
            self._reception.over()
            self._arrived(batch)

    def _arrived(self, batch: Sequence[Delivery]) -> None:
        self._settling.take(batch)
        self._work.offer(self, self._lanes.enter(batch))

    async def _room(self) -> int:
        """How many deliveries to ask for, when there is need of any."""
        while True:
            places, window = self._work.places, self._work.window
            left = self._bound - len(self.unsettled) + self._settling.under_way
            room = min(window - self.active, left)
            # A place is free; or half of what is ahead has gone, and not because hardly anything fits in hand.
            low = self.active <= (places + window) // 2 and left >= BATCH // 2
            if room > 0 and (low or self.active < places):
                return room
            self._room_made.clear()
            if left <= 0:
                self._relieve()
            self._hungry = True
            await self._room_made.wait()
            self._hungry = False

    def _relieve(self) -> None:
        """So much waits that nothing more can be received: a broker that can delay keeps half of it."""
        if not self._broker_delays:
            return
        now = asyncio.get_running_loop().time()
        longest_first = sorted(self._waiting, key=lambda delivery: self._waiting[delivery][0].when(), reverse=True)
        for delivery in longest_first:
            if len(self._waiting) + self._lanes.waiting <= self._bound // 2:
                return
            due = self._waiting[delivery][0].when()
            self._wake(delivery)
            self.give_back(delivery, max(due - now, 0.0))

    def _forget(self) -> None:
        """The subscription has ended, and the broker has what was in hand."""
        self._settling.forget(stopping=self._stopped.is_set())
        self._lanes.forget_waiting()
        for delivery in list(self._waiting):
            self._wake(delivery)
            self._lanes.leave(delivery)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()
