"""Runs one handler: how many messages at once, and for how long each. What follows from a failure is in `policy.py`."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine, Sequence
from contextvars import Context, copy_context
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Any, Final

from dragoman.adapter import ACCEPT, Delivery, Outcome
from dragoman.config.model import HandlerConfig
from dragoman.errors import BrokerError, DeadlineExceeded, HandlerFailed
from dragoman.handlers.handler import Handler
from dragoman.host.context import HandlingContext, Outlet
from dragoman.host.ephemeral import Ephemerals
from dragoman.host.hand import Hand
from dragoman.host.isolation import within
from dragoman.host.outage import one_line
from dragoman.host.outbox import OutboxContext
from dragoman.host.pace import Pace
from dragoman.host.policy import Policy
from dragoman.host.source import BATCH, Source
from dragoman.host.subscriptions import Subscriptions
from dragoman.host.wishes import Wishes
from dragoman.host.work import Address

_log: Final = logging.getLogger("dragoman.host")
#: Seconds of work that are in hand beyond what is being handled: a quick handler never waits for the broker, and a slow
#: one keeps no messages from the other members of its group.
_AHEAD: Final = 0.05
#: Seconds for which one task goes on with what is ready. Then the loop turns before anything else is handled.
_TURN: Final = 0.001
#: The rest of a handler's call: its context, the call, and what it waits for.
_Waiting = tuple[Context, Coroutine[Any, Any, None], Any]
#: Seconds after which a handler that goes on in spite of its cancellation is cancelled again.
_AGAIN: Final = 1.0


class Runner:
    """One handler at work on its channels. It never blocks, except in what its tasks do.

    Attributes:
        name: the handler's name.
        handler: what is called.
        subscriptions: what it hears.
        ephemerals: what it receives from by itself.
        counters: what it has done.
        places: how many messages it handles at once, in all its tries.
        policy: what follows from its failures.
        outbox: whether what it sends is held until it has succeeded.
    """

    def __init__(self, name: str, config: HandlerConfig, handler: Handler, outlet: Outlet, hears: Wishes) -> None:
        self.name = name
        self.handler = handler
        self.counters = outlet.counters
        self.places = config.concurrency * (config.batch.size if config.batch else 1)
        self.policy = Policy(name, config, outlet, self)
        self.outbox = config.sends == "outbox"
        self._config = config
        self._made = partial(OutboxContext, limit=config.limits.outbox) if self.outbox else HandlingContext
        self._tries = config.concurrency
        self._pace = Pace(config.concurrency)
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._ready: deque[tuple[Source, Delivery]] = deque()
        self._running: dict[asyncio.Task[None], float] = {}
        self._beginning: set[asyncio.Task[None]] = set()
        self._overdue: set[asyncio.Task[None]] = set()
        self._watch: asyncio.TimerHandle | None = None
        self._halted = False
        self._going_on = False
        self.subscriptions = Subscriptions(config, outlet, self._source, hears)
        self.ephemerals = Ephemerals(outlet, config.group or name, self.places)
        self._outlet = replace(outlet, subscriptions=self.subscriptions, ephemerals=self.ephemerals)

    @property
    def window(self) -> int:
        """How many deliveries it can do with now: those that it handles, and those that it soon will."""
        mean = self.counters.latencies.mean
        return self.places + min(BATCH, int(_AHEAD * self.places / mean)) if mean else self.places

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """The tries and dead letters under way."""
        return {task for task in (*self._running, *self.policy.letters) if not task.done()}

    def stop(self) -> None:
        """Receive no more; what waits for another try goes back at once; what is ready is still handled."""
        self.subscriptions.stop()
        self.ephemerals.stop()

    def halt(self) -> None:
        """Stop, and give back what is not being handled already."""
        self._halted = True
        self.stop()
        for source, delivery in self._unbegun():
            source.left()
            source.give_back(delivery)

    def _unbegun(self) -> list[tuple[Source, Delivery]]:
        """What is ready; from now on it is not any more."""
        ready = list(self._ready)
        self._ready.clear()
        return ready

    def abort(self) -> None:
        """Halt, and cancel what is under way: it goes back too."""
        self.halt()
        # Not now: a task that is cancelled before its first step never gets to give its message back.
        self._loop.call_soon(self._cancel)

    def _source(self, address: Address) -> Source:
        return Source(address, self, self.counters, self.name)

    def _cancel(self) -> None:
        for task in self.tasks:
            task.cancel()

    def offer(self, source: Source, deliveries: Sequence[Delivery]) -> None:
        """Take deliveries that may be handled now."""
        if self._halted:
            for delivery in deliveries:
                source.give_back(delivery)
            return
        source.active += len(deliveries)
        self._await_turn(source, deliveries)
        if not self._going_on:
            self._fill()

    async def refused(self, source: Source, delivery: Delivery, error: BrokerError) -> Outcome | None:
        """See `Policy.refused`."""
        return await self.policy.refused(source, delivery, error)

    def _await_turn(self, source: Source, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._ready.append((source, delivery))

    # Places and deadlines

    def _fill(self, beginners: int = 1) -> None:
        """Begin tries while there are places. One task is enough until it has to wait."""
        running = self._running
        while len(running) < self._tries and len(self._beginning) < beginners:
            if (following := self._next()) is None:
                break
            task = asyncio.Task(self._work(*following), loop=self._loop, name=self.name, context=self._context)
            running[task] = perf_counter() + self._config.deadline
            self._beginning.add(task)
        if running and self._watch is None:
            self._watch_until(next(iter(running.values())))

    def _expire(self) -> None:
        """Cancel the tries that are over their deadline; they began in order, so the first ones are."""
        time = perf_counter()
        following = None
        for task, due in self._running.items():
            if due > time:
                following = due
                break
            if task in self._overdue:
                _log.error("the handler goes on in spite of its cancellation", extra={"handler": self.name})
            self._overdue.add(task)
            task.cancel()
        if self._overdue:
            following = min(following or time + _AGAIN, time + _AGAIN)
        self._watch = None
        if following is not None:
            self._watch_until(following)

    def _watch_until(self, time: float) -> None:
        self._watch = self._loop.call_later(time - perf_counter(), self._expire)

    def _next(self) -> tuple[Source, Sequence[Delivery]] | None:
        """What is to be handled next, in one try."""
        while self._ready:
            source, delivery = self._ready.popleft()
            if delivery in source.unsettled:
                return source, (delivery,)
            source.left()  # its subscription was lost: it comes again
            source.finish(delivery, ACCEPT)
        return None

    async def _work(self, source: Source, deliveries: Sequence[Delivery]) -> None:
        """Make one try; while they are quick, also those that are ready then, in the same turn of the loop."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for mypy
        running, deadline = self._running, self._config.deadline
        began = perf_counter()
        until = began + _TURN
        try:
            while True:
                attempt = self._attempt(source, deliveries[0]) if source.failures else deliveries[0].count
                context = self._made(self._outlet, source, deliveries, attempt)
                found = self._begin(deliveries, context)
                error = await self._go_on(found) if isinstance(found, tuple) else found
                if error is None and not context.confirmed:
                    error = await self._confirm(context)
                if task in self._overdue:
                    error = self._exceeded(task)
                ended = perf_counter()
                if error is None:
                    self.counters.latencies.add(ended - began)
                if ended > until and task in self._beginning:
                    self._pace.took(ended - began)
                self._end(task, source, deliveries, context, error)
                if ended > until or task.cancelling() or (following := self._next()) is None:
                    break
                source, deliveries = following
                began = ended
                del running[task]  # those that began first stay the first
                running[task] = began + deadline
        finally:
            del running[task]
            self._beginning.discard(task)
            self._fill()

    def _attempt(self, source: Source, delivery: Delivery) -> int:
        """Which try of it is made, or was made just now."""
        failure = source.failures.get(delivery) if source.failures else None
        return delivery.count + (failure.tries if failure else 0)

    def _begin(self, deliveries: Sequence[Delivery], context: HandlingContext) -> BaseException | _Waiting | None:
        """Call the handler as far as it gets without waiting: what went wrong, or what is left of the call."""
        alone = len(deliveries) == 1
        messages = (deliveries[0].message,) if alone else [one.message for one in deliveries]
        # Each try has its own copy of the context: what a handler sets in it is not seen by the next.
        own = self._context.copy()
        try:
            call = self.handler.handle(messages, context)
            waits_for = own.run(call.send, None)
        except StopIteration:
            return None
        except BaseException as error:  # noqa: BLE001 - whatever a handler raises is a failure of that handler
            return _failure(error)
        return own, call, waits_for

    async def _go_on(self, waiting: _Waiting) -> BaseException | None:
        """Wait for the rest of a call; what went wrong."""
        self._waits()
        try:
            await within(*waiting)
        except BaseException as error:  # noqa: BLE001 - as above
            return _failure(error)
        return None

    async def _confirm(self, context: HandlingContext) -> BaseException | None:
        """Wait until all that a try sent is confirmed; what went wrong."""
        self._waits()
        try:
            await context.confirm()
        except BaseException as error:  # noqa: BLE001 - as above
            return _failure(error)
        return None

    def _exceeded(self, task: asyncio.Task[None]) -> DeadlineExceeded:
        self._overdue.discard(task)
        return DeadlineExceeded(f"it took longer than its deadline of {self._config.deadline:g} s")

    def _end(
        self,
        task: asyncio.Task[None],
        source: Source,
        deliveries: Sequence[Delivery],
        context: HandlingContext,
        error: BaseException | None,
    ) -> None:
        """What follows from a try."""
        context.end()
        source.left(len(deliveries))
        if error is None and context.hand is None:
            self._going_on = True  # what follows in its lane is for `_work`: it needs no task of its own
            self._accept(source, deliveries, context)
            self._going_on = False
            return
        if context.hand is not None:
            self._decide_received(source, context.hand, error)
        self._decide(source, deliveries, context.attempt, context, error)
        if isinstance(error, KeyboardInterrupt):  # the user's, not the handler's: it ends the loop
            task.add_done_callback(asyncio.Task.exception)
            raise error

    def _waits(self) -> None:
        """The try of the running task has to wait: meanwhile others begin in all places."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for mypy
        if task in self._beginning:
            self._beginning.discard(task)
            self._pace.took(perf_counter() - self._running[task] + self._config.deadline)
        self._fill(self._pace.at_once)

    def _accept(self, source: Source, deliveries: Sequence[Delivery], context: HandlingContext) -> None:
        """All that the try was about is done."""
        self.counters.handled += 1
        source.finish(deliveries[0], ACCEPT, context.sends)

    def _decide(
        self,
        source: Source,
        deliveries: Sequence[Delivery],
        attempt: int,
        context: HandlingContext,
        error: BaseException | None,
    ) -> None:
        """What becomes of what its try has not simply accepted."""
        (delivery,) = deliveries
        said = context.hand and context.hand.of(delivery).said
        if said == "complete":
            self.counters.handled += 1
            if error is not None:
                self.policy.failed_later(delivery, attempt, error)
            source.leave(delivery)
        elif isinstance(error, asyncio.CancelledError | KeyboardInterrupt):
            source.give_back(delivery)
        elif said == "abandon":
            self.policy.abandoned(source, delivery, attempt, None if error is None else one_line(error))
        elif error is None:
            self.counters.handled += 1
            source.finish(delivery, ACCEPT, context.sends)
        else:
            self.policy.failed(source, delivery, attempt, error, away=context.away)

    def _decide_received(self, source: Source, hand: Hand, error: BaseException | None) -> None:
        """What becomes of the messages that a try has received by itself."""
        for held in hand.held():
            place, delivery = held.place, held.delivery
            if place is source:
                continue
            if held.said == "complete":
                self.counters.handled += 1
            elif held.said == "abandon" and not isinstance(error, asyncio.CancelledError | KeyboardInterrupt):
                reason = None if error is None else one_line(error)
                self.policy.abandoned(place, delivery, delivery.count, reason)
            elif error is None:
                self.counters.handled += 1
                place.finish(delivery, ACCEPT)
            else:
                place.give_back(delivery)


def _failure(error: BaseException) -> BaseException:
    """What went wrong in a try; a `CancelledError` only where it was cancelled from outside."""
    task = asyncio.current_task() if isinstance(error, asyncio.CancelledError) else None
    return HandlerFailed("it cancelled itself") if task is not None and not task.cancelling() else error
