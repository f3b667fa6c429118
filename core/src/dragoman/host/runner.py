"""Runs one handler: how many messages at once, and for how long each. What follows from a failure is in `policy.py`."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextvars import copy_context
from time import perf_counter
from typing import Final

from dragoman.adapter import ACCEPT, Delivery
from dragoman.config.model import HandlerConfig
from dragoman.errors import DeadlineExceeded, HandlerFailed
from dragoman.handlers.handler import Handler
from dragoman.host.context import HandlingContext, Outlet
from dragoman.host.policy import Policy
from dragoman.host.source import BATCH, Address, Source
from dragoman.host.wishes import Wishes
from dragoman.message import Message

_log: Final = logging.getLogger("dragoman.host")
#: Seconds of work that are in hand beyond what is being handled: a quick handler never waits for the broker, and a slow
#: one keeps no messages from the other members of its group.
_AHEAD: Final = 0.05
#: Seconds after which a handler that goes on in spite of its cancellation is cancelled again.
_AGAIN: Final = 1.0


class Runner:
    """One handler at work on its channels. It never blocks, except in what its tasks do.

    Attributes:
        name: the handler's name.
        handler: what is called.
        sources: its channels.
        counters: what it has done.
        places: how many messages it handles at once.
        policy: what follows from its failures.
    """

    def __init__(self, name: str, config: HandlerConfig, handler: Handler, outlet: Outlet, hears: Wishes) -> None:
        self.name = name
        self.handler = handler
        self.counters = outlet.counters
        self.places = config.concurrency
        self.policy = Policy(name, config, outlet, self)
        self._config = config
        self._outlet = outlet
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._ready: deque[tuple[Source, Delivery]] = deque()
        self._running: dict[asyncio.Task[None], float] = {}
        self._overdue: set[asyncio.Task[None]] = set()
        self._watch: asyncio.TimerHandle | None = None
        self._halted = False
        self.sources = [Source(address, self, self.counters, name) for address in _addresses(config, outlet, hears)]

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
        for source in self.sources:
            source.stop()

    def halt(self) -> None:
        """Stop, and give back what is not being handled already."""
        self._halted = True
        self.stop()
        while self._ready:
            source, delivery = self._ready.popleft()
            source.left()
            source.give_back(delivery)

    def abort(self) -> None:
        """Halt, and cancel what is under way: it goes back too."""
        self.halt()
        # Not now: a task that is cancelled before its first step never gets to give its message back.
        self._loop.call_soon(self._cancel)

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
        self._ready.extend([(source, delivery) for delivery in deliveries])
        self._fill()

    # Places and deadlines

    def _fill(self) -> None:
        """Begin tries while there are places."""
        ready, running = self._ready, self._running
        due = self._loop.time() + self._config.deadline
        while ready and len(running) < self.places:
            source, delivery = ready.popleft()
            if delivery not in source.unsettled:  # its subscription was lost: it comes again
                source.left()
                source.finish(delivery, ACCEPT)
                continue
            # Each try has its own copy of the context: what a handler sets in it is not seen by the next.
            task = asyncio.Task(
                self._try(source, delivery), loop=self._loop, name=self.name, context=self._context.copy()
            )
            running[task] = due
        if running and self._watch is None:
            self._watch = self._loop.call_at(next(iter(running.values())), self._expire)

    def _expire(self) -> None:
        """Cancel the tries that are over their deadline; they began in order, so the first ones are."""
        time = self._loop.time()
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
        self._watch = None if following is None else self._loop.call_at(following, self._expire)

    async def _try(self, source: Source, delivery: Delivery) -> None:
        failure = source.failures.get(delivery) if source.failures else None
        attempt = delivery.count + (failure.tries if failure else 0)
        context = HandlingContext(self._outlet, delivery.message, attempt)
        began = perf_counter()
        error = await self._call((delivery.message,), context)
        source.left()
        if self._ended(context):
            error = DeadlineExceeded(f"it took longer than its deadline of {self._config.deadline:g} s")
        if error is None:
            self.counters.latencies.add(perf_counter() - began)
            self.counters.handled += 1
            source.finish(delivery, ACCEPT)
        elif isinstance(error, asyncio.CancelledError | KeyboardInterrupt):
            source.give_back(delivery)
        else:
            self.policy.failed(source, delivery, attempt, error, away=context.away)
        if isinstance(error, KeyboardInterrupt):  # the user's, not the handler's: it ends the loop
            asyncio.current_task().add_done_callback(asyncio.Task.exception)  # type: ignore[union-attr]
            raise error
        self._fill()

    async def _call(self, messages: Sequence[Message], context: HandlingContext) -> BaseException | None:
        """What went wrong; a `CancelledError` only where the try was cancelled from outside."""
        try:
            await self.handler.handle(messages, context)
            if not context.confirmed:
                await context.confirm()
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            return error if task is not None and task.cancelling() else HandlerFailed("it cancelled itself")
        except BaseException as error:  # noqa: BLE001 - whatever a handler raises is a failure of that handler
            return error
        return None

    def _ended(self, context: HandlingContext) -> bool:
        """The try gives its place up; whether it was overdue."""
        context.end()
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for mypy: it is always called in the task of a try
        del self._running[task]
        overdue = task in self._overdue
        self._overdue.discard(task)
        return overdue


def _addresses(config: HandlerConfig, outlet: Outlet, hears: Wishes) -> Iterator[Address]:
    client = outlet.clients[config.client]
    for channel, extensions in hears.items():
        # Of a topic every process gets all, unless a group is asked for.
        group = config.group or (outlet.handler if channel.kind == "queue" else None)
        yield Address(client, channel, group, extensions)
