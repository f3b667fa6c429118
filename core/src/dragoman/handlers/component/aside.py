"""Guests whose single steps take long go on aside: in a thread, where the event loop does not wait for them.

A step can't be interrupted in which a guest fills or copies all of its memory, or hands over a large body. Such a step
needs no interpreter lock but for the host functions that it calls. What is quick is done on the loop, because the way
to a thread and back costs more than most calls. So each component begins aside, and goes there again after a step that
seems to have been long; it comes back when a few have shown that they are short.

Converters of one component share their scratch. So while it is aside, all that uses them is done in its one thread.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from time import monotonic, thread_time
from typing import Any, Final, TypeVar

T = TypeVar("T")

#: Seconds from which on a step is long.
LONG: Final = 0.002
#: Steps for which a component is aside at first, and after one on the loop that seems to have been long: there it is
#: measured together with what the host did for its message, in the thread by itself.
_ON_TRIAL: Final = 60
#: Seconds after which a loop that is busy lets the thread have the interpreter lock; Python's own 5 ms, several times
#: for each message, would make a well-behaved component on trial wait for all that its neighbours compute.
_SWITCH: Final = 0.0001
#: Seconds for which it is aside after a step that surely was long.
_FOR_NOW: Final = 10.0
#: Two long steps are sure if fewer steps than these are between them.
_AGAIN: Final = 50


class Aside:
    """Whether one component is aside, and its thread.

    Attributes:
        maybe: False where it is certainly not, which is all that a quick call looks at.
    """

    __slots__ = ("_closed", "_idle", "_last", "_left", "_running", "_steps", "_thread", "_until", "maybe")

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._closed = False
        self._running = 0
        self._idle = asyncio.Event()
        self._left = _ON_TRIAL
        self._until = 0.0
        self._steps = 0
        self._last = -_AGAIN  # the step that was long
        self.maybe = True

    async def on(self) -> bool:
        """Whether its next step is to be taken aside. To be asked on the loop, where `maybe` says so.

        Where it comes back, nobody joins those that are in the thread: it waits until they are done.
        """
        while self.maybe and self._left <= 0 and monotonic() > self._until:
            if self._running:
                await self._idle.wait()
            else:
                self.maybe = False
                self._rest()
        return self.maybe

    def suspect(self) -> None:
        """A step on the loop seems to have been long: see whether the next ones are."""
        self._left = _ON_TRIAL
        self.maybe = True

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """Do it in the thread. When cancelled it ends only when `work` has, or will never begin."""
        self._running += 1
        self._left -= 1
        self._steps += 1
        self._idle.clear()
        try:
            doing = self._submit(self._timed, work, args)
            over = _told(doing)
            try:
                await over.wait()
            except asyncio.CancelledError:
                while not doing.cancel() and not doing.done():
                    with suppress(asyncio.CancelledError):
                        await over.wait()
                raise
            except BaseException:  # the loop is at its end
                if not doing.cancel():
                    concurrent.futures.wait([doing])
                raise
            result: T = doing.result()
            return result
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

    def _timed(self, work: Callable[..., T], args: Sequence[Any]) -> T:
        began = thread_time()
        try:
            return work(*args)
        finally:
            if thread_time() - began > LONG:
                self._was_long()

    def _was_long(self) -> None:
        """One alone says little: Python's garbage collector takes its time in whatever thread it is started."""
        if self._steps - self._last < _AGAIN:
            self._until = monotonic() + _FOR_NOW
        self._last = self._steps
        self._left = max(self._left, _ON_TRIAL)

    def later(self, work: Callable[..., None], *args: Any) -> None:
        """Do it in the thread; nobody waits for it."""
        self._submit(work, *args)

    def _submit(self, work: Callable[..., T], *args: Any) -> Future[T]:
        if self._closed:
            done: Future[T] = Future()
            done.set_result(work(*args))
            return done
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="dragoman-guest")
            sys.setswitchinterval(min(sys.getswitchinterval(), _SWITCH))
        return self._thread.submit(work, *args)

    def _rest(self) -> None:
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None

    def close(self) -> None:
        """End the thread when it has done what it was given; more is done at once. Never blocks. Idempotent."""
        self._closed = True
        self._rest()


def _told(doing: Future[Any]) -> asyncio.Event:
    """An event of this loop that is set when it is done."""
    over, loop = asyncio.Event(), asyncio.get_running_loop()

    def tell(_: Future[Any]) -> None:
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(over.set)

    doing.add_done_callback(tell)
    return over
