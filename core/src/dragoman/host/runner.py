"""Runs one handler: how many messages at once, for how long each, and what follows from a failure."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextvars import copy_context
from time import perf_counter
from typing import Final

from dragoman.adapter import ACCEPT, Delivery, Reject
from dragoman.backoff import Backoff
from dragoman.config.model import HandlerConfig
from dragoman.errors import DeadlineExceeded, HandlerFailed, Rejected
from dragoman.handlers.handler import Handler
from dragoman.host.context import HandlingContext, Outlet
from dragoman.host.dead_letters import Failure, dead_letter
from dragoman.host.outage import BACKOFF, Outage, one_line
from dragoman.host.source import BATCH, Address, Source
from dragoman.message import Channel, Message

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
        gave_up: why it stopped by itself; None while it has not.
    """

    def __init__(self, name: str, config: HandlerConfig, handler: Handler, outlet: Outlet) -> None:
        self.name = name
        self.handler = handler
        self.counters = outlet.counters
        self.places = config.concurrency
        self.gave_up: HandlerFailed | None = None
        self._config = config
        self._outlet = outlet
        self._backoff = Backoff(config.retry.backoff, config.retry.max_backoff, config.retry.jitter)
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._ready: deque[tuple[Source, Delivery]] = deque()
        self._running: dict[asyncio.Task[None], float] = {}
        self._overdue: set[asyncio.Task[None]] = set()
        self._watch: asyncio.TimerHandle | None = None
        self._letters: set[asyncio.Task[None]] = set()
        self._lettering = Outage("dead-letter", {"handler": name}, self.counters)
        self._halted = False
        self.sources = [Source(address, self, self.counters, name) for address in _addresses(config, name, outlet)]

    @property
    def window(self) -> int:
        """How many deliveries it can do with now: those that it handles, and those that it soon will."""
        mean = self.counters.latencies.mean
        return self.places + min(BATCH, int(_AHEAD * self.places / mean)) if mean else self.places

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """The tries and dead letters under way."""
        return {task for task in (*self._running, *self._letters) if not task.done()}

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
        error = await self._call(delivery.message, context)
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
            self._failed(source, delivery, attempt, error, away=context.away)
        if isinstance(error, KeyboardInterrupt):  # the user's, not the handler's: it ends the loop
            asyncio.current_task().add_done_callback(asyncio.Task.exception)  # type: ignore[union-attr]
            raise error
        self._fill()

    async def _call(self, message: Message, context: HandlingContext) -> BaseException | None:
        """What went wrong; a `CancelledError` only where the try was cancelled from outside."""
        try:
            await self.handler.handle(message, context)
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

    # What follows from a failure

    def _failed(self, source: Source, delivery: Delivery, attempt: int, error: BaseException, *, away: bool) -> None:
        reason = one_line(error)
        self.counters.failed += 1
        self.counters.last_error = reason
        if source.stopping:  # a drain neither retries nor dead-letters
            self._say(logging.WARNING, delivery, attempt, "failed while draining, and goes back: %s", reason)
            source.give_back(delivery)
            return
        away = away and not isinstance(error, Rejected)
        source.failures[delivery] = failure = Failure.next(source.failures.get(delivery), reason, away=away)
        if away:  # the client says that its broker is away; no message is given up for that
            self._retry(source, delivery, attempt, self._backoff.after(failure.away), logging.DEBUG)
        elif attempt < self._config.retry.attempts and not isinstance(error, Rejected):
            self._retry(source, delivery, attempt, self._backoff.after(attempt))
        elif self._config.dead_letter is not None:
            self._say(logging.ERROR, delivery, attempt, "failed, and is dead-lettered: %s", reason)
            failure.attempts = attempt
            self._dead_letter_soon(source, delivery)
        else:
            self._exhausted(source, delivery, attempt, reason)

    def _retry(
        self, source: Source, delivery: Delivery, attempt: int, delay: float, level: int = logging.WARNING
    ) -> None:
        self.counters.retried += 1
        reason = source.failures[delivery].reason
        self._say(level, delivery, attempt, "failed, next try in %.3g s: %s", delay, reason)
        source.wait(delivery, delay, self._try_again)

    def _try_again(self, source: Source, delivery: Delivery) -> None:
        self.offer(source, (delivery,))

    def _exhausted(self, source: Source, delivery: Delivery, attempt: int, reason: str) -> None:
        match self._config.exhausted:
            case "retry":
                self._retry(source, delivery, attempt, self._backoff.at_most())
            case "drop":
                self._say(logging.ERROR, delivery, attempt, "failed, and is dropped: %s", reason)
                self.counters.dropped += 1
                source.finish(delivery, Reject(reason))
            case "stop":
                self._say(logging.ERROR, delivery, attempt, "failed, and stops the handler: %s", reason)
                self._give_up(delivery, attempt, reason)
                source.give_back(delivery)

    def _give_up(self, delivery: Delivery, attempt: int, reason: str) -> None:
        which = delivery.message.id or "a message"
        self.gave_up = HandlerFailed(
            f"stopped: {which} failed {attempt} times, at last with: {reason}",
            where=f"handlers.{self.name}",
            hint="set `dead_letter`, or another `exhausted`",
        )
        self.halt()

    def _dead_letter_soon(self, source: Source, delivery: Delivery) -> None:
        task = asyncio.Task(self._dead_letter(source, delivery), loop=self._loop, context=self._context.copy())
        self._letters.add(task)
        task.add_done_callback(self._letters.discard)

    async def _dead_letter(self, source: Source, delivery: Delivery) -> None:
        """Accept the message when its dead letter is confirmed; until then go on trying, without a place."""
        failure = source.failures.get(delivery)
        target = self._config.dead_letters
        if failure is None or target is None:  # its subscription was lost: it comes again
            source.finish(delivery, ACCEPT)
            return
        client, channel = target
        letter = dead_letter(
            delivery.message,
            failure,
            handler=self.name,
            client=source.address.client.name,
            channel=source.address.channel,
        )
        try:
            await self._outlet.clients[client].publish(channel, letter)
        except asyncio.CancelledError:
            source.give_back(delivery)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the message must not be lost
            self._undelivered(source, delivery, failure, error)
        else:
            self._lettering.over()
            self.counters.dead_lettered += 1
            source.finish(delivery, ACCEPT)

    def _undelivered(self, source: Source, delivery: Delivery, failure: Failure, error: Exception) -> None:
        self._lettering.failed(error)
        failure.unsent += 1
        if source.stopping:
            source.give_back(delivery)
        else:
            source.wait(delivery, BACKOFF.after(failure.unsent), self._dead_letter_soon)

    def _say(self, level: int, delivery: Delivery, attempt: int, text: str, *values: object) -> None:
        extra = {"handler": self.name, "message_id": delivery.message.id, "attempt": attempt, "lane": delivery.lane}
        _log.log(level, text, *values, extra=extra)


def _addresses(config: HandlerConfig, name: str, outlet: Outlet) -> Iterator[Address]:
    client = outlet.clients[config.client]
    for channel in map(Channel.parse, config.subscribe):
        # Of a topic every process gets all, unless a group is asked for.
        group = config.group or (name if channel.kind == "queue" else None)
        yield Address(client, channel, group)
