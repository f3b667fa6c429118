"""Guests whose single steps take long go on aside: in a thread, where the event loop does not wait for them.

A step can't be interrupted in which a guest fills or copies all of its memory, or hands over a large body. Such a step
needs no interpreter lock but for the host functions that it calls. What is quick is done on the loop, because the way
to a thread and back costs more than most calls; so one long step of each component is seen there, and no other.

Converters of one component share their scratch. So while it is aside, all that uses them is done in the one thread.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from time import monotonic, thread_time
from typing import Any, Final, TypeVar

T = TypeVar("T")

#: Seconds from which on a step is long.
LONG: Final = 0.005
#: Seconds to be aside after what may have been a long step (or other processes had their turn meanwhile), and after one
#: that surely was.
_ON_TRIAL: Final = 1.0
_FOR_NOW: Final = 60.0


class Worker:
    """The thread that all components of an engine share; it is started when it is first needed."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._closed = False

    def submit(self, work: Callable[..., T], *args: Any) -> Future[T]:
        """Do it in the thread, after all that was submitted before; at once where it was closed."""
        if self._closed:
            done: Future[T] = Future()
            done.set_result(work(*args))
            return done
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="dragoman-guests")
        return self._thread.submit(work, *args)

    def close(self) -> None:
        """End the thread when it has done what was submitted. Never blocks. Idempotent."""
        self._closed = True
        if self._thread is not None:
            self._thread.shutdown(wait=False)


class Aside:
    """Whether one component is aside.

    Attributes:
        until: the time at which it comes back, if nothing of it is in the thread then; 0 where it is not aside.
    """

    __slots__ = ("_running", "_worker", "until")

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._running = 0
        self.until = 0.0

    @property
    def on(self) -> bool:
        """Whether its next step is to be taken aside."""
        if not self.until:
            return False
        if not self._running and monotonic() > self.until:
            self.until = 0.0
            return False
        return True

    def suspect(self) -> None:
        """A step on the loop seems to have been long: see whether the next ones are."""
        self.until = max(self.until, monotonic() + _ON_TRIAL)

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """Do it in the thread. When cancelled it ends only when `work` has, or will never begin."""
        self._running += 1
        try:
            doing = self._worker.submit(self._timed, work, args)
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

    def _timed(self, work: Callable[..., T], args: Sequence[Any]) -> T:
        began = thread_time()
        try:
            return work(*args)
        finally:
            if thread_time() - began > LONG:
                self.until = monotonic() + _FOR_NOW

    def later(self, work: Callable[..., None], *args: Any) -> None:
        """Do it in the thread; nobody waits for it."""
        self._worker.submit(work, *args)


def _told(doing: Future[Any]) -> asyncio.Event:
    """An event of this loop that is set when it is done."""
    over, loop = asyncio.Event(), asyncio.get_running_loop()

    def tell(_: Future[Any]) -> None:
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(over.set)

    doing.add_done_callback(tell)
    return over
