"""Runs a handler that is given several messages at once: makes the batches, and settles them message by message.

All messages of a batch are of one source. Of a lane it may have several, in their order; the lane goes on when the
batch has ended. What has failed before is handled alone, so that one message that always fails takes no others with it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dragoman.adapter import ACCEPT, Delivery, Reject
from dragoman.errors import HandlerFailed
from dragoman.host.context import HandlingContext
from dragoman.host.outage import one_line
from dragoman.host.runner import Runner
from dragoman.host.source import Source

_ABANDONED: Final = HandlerFailed("the handler abandoned it")
_STOPPED: Final = (asyncio.CancelledError, KeyboardInterrupt)


@dataclass(slots=True)
class _Pile:
    """What a source has for the next batches.

    Attributes:
        due: when the first of it has waited for long enough.
        ready: what may be handled: of each lane the first.
        full: whether there is enough for a whole batch.
    """

    due: float
    ready: deque[Delivery] = field(default_factory=deque)
    full: bool = False


class BatchRunner(Runner):
    """A runner whose tries are about batches."""

    def __init__(self, *arguments: Any) -> None:
        """As a `Runner`, of a handler that has `batch`."""
        self._piles: dict[Source, _Pile] = {}
        self._hurried = False
        self._timer: asyncio.TimerHandle | None = None
        super().__init__(*arguments)
        assert self._config.batch is not None  # noqa: S101 - for mypy
        self._size = self._config.batch.size
        self._wait = self._config.batch.wait

    def stop(self) -> None:
        """Receive no more; what is ready is handled without waiting for more."""
        self._hurried = True
        super().stop()
        self._fill()

    def _unbegun(self) -> list[tuple[Source, Delivery]]:
        piled = [(source, delivery) for source, pile in self._piles.items() for delivery in pile.ready]
        self._piles.clear()
        return [*super()._unbegun(), *piled]

    def _await_turn(self, source: Source, deliveries: Sequence[Delivery]) -> None:
        pile = self._piles.get(source)
        for delivery in deliveries:
            if not source.is_new(delivery):
                self._ready.append((source, delivery))
                continue
            if pile is None:
                pile = self._piles[source] = _Pile(self._loop.time() + self._wait)
            pile.ready.append(delivery)
        if pile is not None:
            pile.full = self._enough(source, pile)

    def _enough(self, source: Source, pile: _Pile) -> bool:
        count = len(pile.ready)
        return count >= self._size or count + sum(map(source.behind, pile.ready)) >= self._size

    def _next(self) -> tuple[Source, Sequence[Delivery]] | None:
        alone = super()._next()
        if alone is not None:
            return alone
        now = self._loop.time()
        for source, pile in list(self._piles.items()):
            if pile.full or pile.due <= now or self._hurried:
                batch = self._batch(source, pile)
                if batch:
                    return source, batch
        self._look_again()
        return None

    def _batch(self, source: Source, pile: _Pile) -> list[Delivery]:
        batch: list[Delivery] = []
        while pile.ready and len(batch) < self._size:
            first = pile.ready.popleft()
            if first not in source.unsettled:  # its subscription was lost: it comes again
                source.left()
                source.finish(first, ACCEPT)
                continue
            batch.append(first)
            batch.extend(source.along(first, self._size - len(batch)))
        self._piles.pop(source, None)
        if pile.ready:  # to the end: other sources have their turn first
            self._piles[source] = pile
            pile.full = self._enough(source, pile)
        return batch

    def _look_again(self) -> None:
        """When the first of a pile has waited for long enough."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._piles and not self._halted:
            self._timer = self._loop.call_at(min(pile.due for pile in self._piles.values()), self._fill)

    # The end of a batch

    def _accept(self, source: Source, deliveries: Sequence[Delivery], context: HandlingContext) -> None:
        self.counters.handled += len(deliveries)
        source.accept_together(deliveries, context.sends)
        firsts: dict[Hashable, Delivery] = {}
        for delivery in deliveries:
            if delivery.lane is not None:
                firsts.setdefault(delivery.lane, delivery)
        for first in firsts.values():
            source.leave(first)

    def _decide(
        self,
        source: Source,
        deliveries: Sequence[Delivery],
        attempt: int,
        context: HandlingContext,
        error: BaseException | None,
    ) -> None:
        lanes: dict[Hashable, list[Delivery]] = {}
        for delivery in deliveries:
            # What has no lane is in one of its own here.
            lanes.setdefault(delivery if delivery.lane is None else (delivery.lane,), []).append(delivery)
        left = 0
        for lane in lanes.values():
            rest = [delivery for delivery in lane if not self._is_done(source, delivery, context, error)]
            left += len(rest)
            if rest:
                self._decide_lane(source, rest, context, error, shared=len(deliveries) > 1)
            elif lane[0].lane is not None:
                source.leave(lane[0])
        if error is not None and not left:
            self.policy.failed_later(deliveries[0], attempt, error)

    def _is_done(
        self, source: Source, delivery: Delivery, context: HandlingContext, error: BaseException | None
    ) -> bool:
        """Whether nothing more is to become of it; then it is settled, or it was before."""
        said = context.hand and context.hand.of(delivery).said
        if said == "complete":
            self.counters.handled += 1
        elif said == "abandon" and not isinstance(error, _STOPPED) and self.policy.drops():
            source.settle(delivery, Reject("the handler abandoned it"))
        elif said is None and error is None:
            self.counters.handled += 1
            source.settle(delivery, ACCEPT, context.sends)
        else:
            return False
        return True

    def _decide_lane(
        self,
        source: Source,
        rest: Sequence[Delivery],
        context: HandlingContext,
        error: BaseException | None,
        *,
        shared: bool,
    ) -> None:
        """What becomes of what is left of a lane: the first of it decides when the others are tried, each alone."""
        first, *following = rest
        source.put_back(first, following)
        if isinstance(error, _STOPPED):
            source.give_back(first)
            return
        if not source.stopping:
            for delivery in following:
                self.policy.failed_behind(source, delivery, error or _ABANDONED, away=context.away)
        attempt = self._attempt(source, first)
        if context.hand is not None and context.hand.of(first).said == "abandon":
            self.policy.abandoned(source, first, attempt, None if error is None else one_line(error))
        elif error is not None:
            self.policy.failed(source, first, attempt, error, away=context.away, shared=shared)
