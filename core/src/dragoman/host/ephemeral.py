"""What a handler receives by itself in the middle of a try, from subscriptions that are opened for it."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from dragoman.adapter import Capability, Delivery, Outcome, Release
from dragoman.errors import Closed, ConnectionLost, NotGranted
from dragoman.host.context import Outlet
from dragoman.host.counters import Counters
from dragoman.host.outage import BACKOFF, one_line
from dragoman.host.settling import RELEASE, Settling
from dragoman.host.work import Address
from dragoman.message import Channel, Message
from dragoman.subscription import Subscription

#: How many of these subscriptions a handler has open at once.
_OPEN: Final = 32
#: How many deliveries beyond one for each place are in hand of one of them at most.
_AHEAD: Final = 128
#: A subscription that nobody uses is kept for this many times as long as it took to open, within these seconds: on one
#: broker that is a round trip, on another a group has to settle first. What it holds meanwhile others wait for.
_TIMES: Final = 10.0
_KEPT: Final = (1.0, 30.0)
#: Seconds that a receive takes at least: a broker that is asked without time to answer gives nothing.
_LEAST: Final = 0.05
_log: Final = logging.getLogger("dragoman.host")


class Ephemeral:
    """One subscription, for the tries of one handler: from the first `receive` until nobody has used it for a while.

    What is received belongs to a try, which settles it when it ends; the order of lanes is kept within a try.

    Attributes:
        address: where it subscribes.
        failures: what is known of deliveries that failed.
        stopping: whether the host is to end.
        retiring: always true: what is not settled after its last attempt goes back.
        over: whether it is of no more use.
    """

    retiring: Final = True

    def __init__(self, address: Address, counters: Counters, handler: str, prefetch: int) -> None:
        self.address = address
        self.stopping = False
        self.over = False
        self._prefetch = prefetch
        self._counters = counters
        self._extra = extra = {"handler": handler, "channel": str(address.channel), "client": address.client.name}
        at = f"{str(address.channel)!r} of the client {address.client.name!r}"
        self._settling = Settling(at, extra, counters)
        self.failures = self._settling.failures
        self._opened: asyncio.Future[Subscription] = asyncio.get_running_loop().create_future()
        self._one_at_a_time = asyncio.Lock()
        self._waiting: set[asyncio.Timeout] = set()
        self._users = 0
        can = address.client.type.capabilities
        self._broker_delays = Capability.DELAY in can and Capability.DELIVERY_COUNT in can

    @contextmanager
    def used(self) -> Iterator[None]:
        """It stays open while the block runs."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            self._settling.changed.set()

    async def ready(self) -> None:
        """Wait until the broker has confirmed it.

        Raises:
            Closed: the host is stopping.
            BrokerError: it was refused, or there was no connection in time.
        """
        await asyncio.wait([self._opened])
        self._subscription()

    @property
    def was_open(self) -> bool:
        """Whether the broker ever confirmed it."""
        return self._opened.done() and not self._opened.cancelled() and self._opened.exception() is None

    def _subscription(self) -> Subscription:
        if self._opened.cancelled():
            raise ConnectionLost("the subscription was lost", where=self.address.client.name)
        return self._opened.result()

    async def receive(self, seconds: float | None, limit: int) -> Sequence[Delivery]:
        """What comes, at most that many and within that time; nothing where nothing came. Cancelling it loses nothing.

        Raises:
            Closed: the host is stopping.
            ConnectionLost: the subscription was lost, and is to be opened anew.
        """
        subscription = self._subscription()
        self._refuse_if_stopping()
        try:
            async with asyncio.timeout(None if seconds is None else max(seconds, _LEAST)) as waiting:
                self._waiting.add(waiting)
                try:
                    async with self._one_at_a_time:
                        batch = await subscription.receive(limit)
                finally:
                    self._waiting.discard(waiting)
        except TimeoutError:
            self._refuse_if_stopping()
            return ()
        except Closed:
            raise ConnectionLost("the subscription was lost", where=self.address.client.name) from None
        self._settling.take(batch)
        return batch

    def _refuse_if_stopping(self) -> None:
        if self.stopping:
            raise Closed("the host is stopping: nothing more is received", where=f"handlers.{self._extra['handler']}")

    # What becomes of what was received

    #: What is sent with an acceptance goes out before it.
    transactional: Final = False

    async def complete(self, delivery: Delivery, sends: Sequence[tuple[Channel, Sequence[Message]]] = ()) -> None:
        """Accept it now; returns when the broker has it. Raises `ConnectionLost`."""
        await self._settling.accepted(delivery, sends)

    def finish(self, delivery: Delivery, outcome: Outcome) -> None:
        """This became of it. Never blocks."""
        if delivery in self._settling.unsettled:
            self._settling.soon(delivery, outcome)
        else:  # its subscription was lost
            self.failures.pop(delivery, None)

    def give_back(self, delivery: Delivery, delay: float = 0.0) -> None:
        """It goes back to the broker. Never blocks."""
        if delivery in self._settling.unsettled:
            self._settling.soon(delivery, Release(delay) if delay else RELEASE)
            self._counters.released += 1
        else:
            self.failures.pop(delivery, None)

    def wait(self, delivery: Delivery, seconds: float, then: Callable[[Any, Delivery], None]) -> None:  # noqa: ARG002 - as a source
        """It is to be tried again: the broker keeps it meanwhile, for that long where it can. Never blocks."""
        self.give_back(delivery, seconds if self._broker_delays else 0.0)

    # Its life

    async def run(self) -> None:
        """Open it, settle what ends, and close it when nobody uses it. Raises nothing."""
        address = self.address
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with address.client.subscribe(
                address.channel, group=address.group, prefetch=self._prefetch
            ) as subscription:
                kept = min(max(_KEPT[0], _TIMES * (loop.time() - began)), _KEPT[1])
                if not self._opened.done():
                    self._opened.set_result(subscription)
                    await self._serve(subscription, kept)
        except Exception as error:  # noqa: BLE001 - a plugin's bug must not end the host
            _log.debug("an ephemeral subscription ended: %s", one_line(error), extra=self._extra)
            self._refuse(error)
        finally:
            self.over = True
            self._opened.cancel()
            self._settling.forget(stopping=self.stopping)

    async def _serve(self, subscription: Subscription, kept: float) -> None:
        settling = self._settling
        while True:
            if settling.due:
                await settling.flush(subscription)
                continue
            idle = not self._users and not settling.unsettled
            if idle and self.stopping:
                break
            settling.changed.clear()
            try:
                async with asyncio.timeout(kept if idle else None):
                    await settling.changed.wait()
            except TimeoutError:
                break
        self.over = True  # nobody gets it from here on, while it closes

    def stop(self) -> None:
        """Receive no more; it closes when what is in hand is settled. Never blocks."""
        self.stopping = True
        self._refuse(Closed("the host is stopping: nothing more is received"))
        now = asyncio.get_running_loop().time()
        for waiting in self._waiting:
            if not waiting.expired():
                waiting.reschedule(now)
        self._settling.changed.set()

    def _refuse(self, error: Exception) -> None:
        """It does not open: who waits for it is told; that may be nobody any more."""
        if not self._opened.done():
            self._opened.set_exception(error)
            self._opened.exception()


class Ephemerals:
    """The ephemeral subscriptions of one handler."""

    def __init__(self, outlet: Outlet, group: str, places: int) -> None:
        """Those of a handler that has so many places; in that group where it is about a queue."""
        self._outlet = outlet
        self._group = group
        self._prefetch = places + _AHEAD
        self._open: dict[tuple[str, Channel], Ephemeral] = {}
        self._stopped = False
        self._serve: Callable[[Ephemeral], asyncio.Task[None]] | None = None

    def serve(self, serve: Callable[[Ephemeral], asyncio.Task[None]]) -> None:
        """Let what is opened run as tasks that `serve` makes."""
        self._serve = serve

    def stop(self) -> None:
        """Receive no more: whoever waits is told. Never blocks."""
        self._stopped = True
        for one in self._open.values():
            one.stop()

    async def receive(
        self, client: str, channel: Channel, seconds: float | None, limit: int
    ) -> tuple[Ephemeral, Sequence[Delivery]]:
        """What comes, and where it came from; a subscription that is lost meanwhile is opened anew.

        Raises:
            NotGranted: too many are open.
            Closed: the host is stopping.
            BrokerError: the subscription was refused, or there was no connection in time.
        """
        loop = asyncio.get_running_loop()
        due: float | None = None
        for lost in itertools.count(1):
            one = self._ephemeral(client, channel)
            try:
                with one.used():
                    await one.ready()
                    due = loop.time() + seconds if due is None and seconds is not None else due
                    return one, await one.receive(None if due is None else due - loop.time(), limit)
            except ConnectionLost:
                if not one.was_open:
                    raise
                one.over = True
                await asyncio.sleep(BACKOFF.after(lost))
        raise AssertionError("it counts for ever")

    def _ephemeral(self, client: str, channel: Channel) -> Ephemeral:
        where = f"handlers.{self._outlet.handler}"
        if self._stopped or self._serve is None:
            raise Closed("the host is stopping: nothing more is received", where=where)
        one = self._open.get((client, channel))
        if one is not None and not one.over:
            return one
        if len(self._open) >= _OPEN:
            what = f"no grant to receive from more than {_OPEN} channels at once"
            raise NotGranted(what, where=where, hint="those that nobody uses are closed within half a minute")
        group = self._group if channel.kind == "queue" else None
        address = Address(self._outlet.clients[client], channel, group)
        one = self._open[client, channel] = Ephemeral(
            address, self._outlet.counters, self._outlet.handler, self._prefetch
        )
        self._serve(one).add_done_callback(lambda _: self._ended(client, channel, one))
        return one

    def _ended(self, client: str, channel: Channel, one: Ephemeral) -> None:
        if self._open.get((client, channel)) is one:
            del self._open[client, channel]
