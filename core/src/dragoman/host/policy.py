"""What follows from a failure: another try, a dead letter, or what the configuration says instead."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextvars import copy_context
from typing import Final, Protocol

from dragoman.adapter import ACCEPT, Delivery, Outcome, Reject
from dragoman.backoff import Backoff
from dragoman.config.model import HandlerConfig
from dragoman.errors import BrokerError, HandlerFailed, Rejected
from dragoman.host.context import Outlet
from dragoman.host.dead_letters import Failure, dead_letter
from dragoman.host.hand import Place
from dragoman.host.outage import BACKOFF, Outage, one_line
from dragoman.host.settling import RELEASE
from dragoman.host.source import Source

_log: Final = logging.getLogger("dragoman.host")


class Tries(Protocol):
    """Who makes the tries."""

    def offer(self, source: Source, deliveries: Sequence[Delivery]) -> None:
        """Take deliveries that may be handled now."""
        ...

    def halt(self) -> None:
        """Begin no more tries, and receive no more."""
        ...


class Policy:
    """What becomes of the messages that one handler failed to handle. It never blocks, except in what its tasks do.

    Attributes:
        gave_up: why the handler stopped by itself; None while it has not.
        letters: the dead letters under way.
    """

    def __init__(self, name: str, config: HandlerConfig, outlet: Outlet, tries: Tries) -> None:
        self.gave_up: HandlerFailed | None = None
        self.letters: set[asyncio.Task[None]] = set()
        self._name = name
        self._config = config
        self._outlet = outlet
        self._counters = outlet.counters
        self._tries = tries
        self._backoff = Backoff(config.retry.backoff, config.retry.max_backoff, config.retry.jitter)
        self._context = copy_context()
        self._lettering = Outage("dead-letter", {"handler": name}, self._counters)

    def failed(
        self,
        place: Place,
        delivery: Delivery,
        attempt: int,
        error: BaseException,
        *,
        away: bool,
        shared: bool = False,
    ) -> None:
        """A try failed; with `away` it was while a client had no connection. Never blocks.

        With `shared` it was about other messages too: it may be the fault of one of them, so each gets another try.
        """
        reason = one_line(error)
        self._counters.failed += 1
        self._counters.last_error = reason
        if place.stopping:  # a drain neither retries nor dead-letters
            self._say(logging.WARNING, delivery, attempt, "failed while draining, and goes back: %s", reason)
            place.give_back(delivery)
            return
        away = away and not isinstance(error, Rejected)
        place.failures[delivery] = failure = Failure.next(place.failures.get(delivery), reason, away=away)
        if away:  # the client says that its broker is away; no message is given up for that
            self._retry(place, delivery, attempt, self._backoff.after(failure.away), logging.DEBUG)
        elif shared or (attempt < self._config.retry.attempts and not isinstance(error, Rejected)):
            self._retry(place, delivery, attempt, self._backoff.after(attempt))
        elif self._config.dead_letter is not None:
            self._say(logging.ERROR, delivery, attempt, "failed, and is dead-lettered: %s", reason)
            failure.final(error, attempt)
            self._dead_letter_soon(place, delivery)
        else:
            self._exhausted(place, delivery, attempt, reason)

    def failed_behind(self, source: Source, delivery: Delivery, error: BaseException, *, away: bool) -> None:
        """A try failed that was about the message too, which waits for another one of its lane. Never blocks."""
        if delivery not in source.unsettled:  # its subscription was lost: it comes again
            return
        self._counters.failed += 1
        self._counters.retried += 1
        source.failures[delivery] = Failure.next(source.failures.get(delivery), one_line(error), away=away)

    def drops(self) -> bool:
        """Whether a message that the handler abandons is dropped; counts it."""
        if self._config.abandoned != "drop":
            return False
        self._counters.dropped += 1
        return True

    def failed_later(self, delivery: Delivery, attempt: int, error: BaseException) -> None:
        """A try failed after it had completed its message, which therefore gets no other one."""
        if isinstance(error, asyncio.CancelledError | KeyboardInterrupt):
            return
        reason = one_line(error)
        self._counters.failed += 1
        self._counters.last_error = reason
        self._say(logging.WARNING, delivery, attempt, "failed after it had completed the message: %s", reason)

    def abandoned(self, place: Place, delivery: Delivery, attempt: int, reason: str | None) -> None:
        """The handler abandoned the message in that try, which failed for that reason, or did not. Never blocks."""
        why = "the handler abandoned it" + (f": {reason}" if reason else "")
        match self._config.abandoned:
            case "retry":
                self.failed(place, delivery, attempt, HandlerFailed(why), away=False)
            case "dead-letter":
                self.failed(place, delivery, attempt, Rejected(why), away=False)
            case "drop":
                self._say(logging.INFO, delivery, attempt, "abandoned, and is dropped: %s", why)
                self._counters.dropped += 1
                place.finish(delivery, Reject(why))

    async def refused(self, source: Source, delivery: Delivery, error: BrokerError) -> Outcome | None:
        """The handler succeeded, but the broker refuses for good what it sent: as after the last try, and at once.

        Returns:
            What to settle it with. None: the same once more, after a while.
        """
        attempt, reason = delivery.count, one_line(error)
        self._counters.failed += 1
        self._counters.last_error = reason
        if source.stopping:
            self._counters.released += 1
            return RELEASE
        if self._config.dead_letter is not None:
            self._say(logging.ERROR, delivery, attempt, "what it sent is refused; it is dead-lettered: %s", reason)
            failure = Failure.next(None, reason)
            failure.attempts = attempt
            return ACCEPT if await self._lettered(source, delivery, failure) else None
        if self._config.exhausted == "drop":
            self._say(logging.ERROR, delivery, attempt, "what it sent is refused; it is dropped: %s", reason)
            self._counters.dropped += 1
            return Reject(reason)
        if self._config.exhausted == "stop":
            self._say(logging.ERROR, delivery, attempt, "what it sent is refused; the handler stops: %s", reason)
            self._give_up(delivery, attempt, reason)
            self._counters.released += 1
            return RELEASE
        return None

    async def _lettered(self, source: Source, delivery: Delivery, failure: Failure) -> bool:
        try:
            await self._publish_letter(source, delivery, failure)
        except Exception as error:  # noqa: BLE001 - whatever it is, the message must not be lost
            self._lettering.failed(error)
            return False
        return True

    def _retry(
        self, place: Place, delivery: Delivery, attempt: int, delay: float, level: int = logging.WARNING
    ) -> None:
        self._counters.retried += 1
        reason = place.failures[delivery].reason
        self._say(level, delivery, attempt, "failed, next try in %.3g s: %s", delay, reason)
        place.wait(delivery, delay, self._try_again)

    def _try_again(self, source: Source, delivery: Delivery) -> None:
        self._tries.offer(source, (delivery,))

    def _exhausted(self, place: Place, delivery: Delivery, attempt: int, reason: str) -> None:
        match self._config.exhausted:
            case "retry" if place.retiring:  # it would never end
                self._say(logging.WARNING, delivery, attempt, "failed, and goes back: %s", reason)
                place.give_back(delivery)
            case "retry":
                self._retry(place, delivery, attempt, self._backoff.at_most())
            case "drop":
                self._say(logging.ERROR, delivery, attempt, "failed, and is dropped: %s", reason)
                self._counters.dropped += 1
                place.finish(delivery, Reject(reason))
            case "stop":
                self._say(logging.ERROR, delivery, attempt, "failed, and stops the handler: %s", reason)
                self._give_up(delivery, attempt, reason)
                place.give_back(delivery)

    def _give_up(self, delivery: Delivery, attempt: int, reason: str) -> None:
        which = delivery.message.id or "a message"
        self.gave_up = HandlerFailed(
            f"stopped: {which} failed {attempt} times, at last with: {reason}",
            where=f"handlers.{self._name}",
            hint="set `dead_letter`, or another `exhausted`",
        )
        self._tries.halt()

    def _dead_letter_soon(self, place: Place, delivery: Delivery) -> None:
        task = asyncio.Task(self._dead_letter(place, delivery), context=self._context.copy())
        self.letters.add(task)
        task.add_done_callback(self.letters.discard)

    async def _dead_letter(self, place: Place, delivery: Delivery) -> None:
        """Accept the message when its dead letter is confirmed; until then go on trying, without a place."""
        failure = place.failures.get(delivery)
        if failure is None:  # its subscription was lost: it comes again
            place.finish(delivery, ACCEPT)
            return
        try:
            await self._publish_letter(place, delivery, failure)
        except asyncio.CancelledError:
            place.give_back(delivery)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the message must not be lost
            self._undelivered(place, delivery, failure, error)
        else:
            place.finish(delivery, ACCEPT)

    async def _publish_letter(self, place: Place, delivery: Delivery, failure: Failure) -> None:
        target = self._config.dead_letters
        assert target is not None  # noqa: S101 - for mypy: nothing is dead-lettered without one
        client, channel = target
        letter = dead_letter(
            delivery.message,
            failure,
            handler=self._name,
            client=place.address.client.name,
            # Where it arrived: what was subscribed to may be a pattern.
            channel=delivery.message.channel or place.address.channel,
        )
        await self._outlet.clients[client].publish(channel, letter)
        self._lettering.over()
        self._counters.dead_lettered += 1

    def _undelivered(self, place: Place, delivery: Delivery, failure: Failure, error: Exception) -> None:
        self._lettering.failed(error)
        failure.unsent += 1
        if place.stopping:
            place.give_back(delivery)
        else:
            place.wait(delivery, BACKOFF.after(failure.unsent), self._dead_letter_soon)

    def _say(self, level: int, delivery: Delivery, attempt: int, text: str, *values: object) -> None:
        extra = {"handler": self._name, "message_id": delivery.message.id, "attempt": attempt, "lane": delivery.lane}
        _log.log(level, text, *values, extra=extra)
