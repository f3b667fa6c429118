"""The one connection to the file: what is queued goes into one transaction, and the disk is waited for in a thread.

The statements run on the event loop, where each takes microseconds; a thread that computes beside the loop would make
each of them wait for the interpreter's lock. What can take long, waiting for another process's lock or for a disk that
is not quick, is a single call into SQLite, which holds no interpreter lock, and runs in the store's one thread.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from dragoman.embedded.schema import busy, open_file, storage_failed
from dragoman.embedded.settings import EmbeddedConfig
from dragoman.embedded.wake import Bell, Waiters
from dragoman.errors import Closed

T = TypeVar("T")

#: How many calls share one transaction at most.
GROUP: Final = 256
#: Where durable commits take fewer seconds than this, they are not worth the way to the thread and back.
QUICK: Final = 0.001
#: Seconds until what was not durable by itself is on the disk, too.
FLUSH: Final = 0.1


@dataclass(slots=True, eq=False)
class _Job:
    work: Callable[[sqlite3.Connection], Any]
    durable: bool
    then: Callable[[Any], None] | None
    done: asyncio.Future[Any]
    result: Any = None

    def succeed(self) -> None:
        if self.then:
            self.then(self.result)
        if not self.done.done():
            self.done.set_result(self.result)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class Store:
    """The connection, its queue and its thread. Made by `open`."""

    def __init__(self, db: sqlite3.Connection, config: EmbeddedConfig, thread: ThreadPoolExecutor) -> None:
        self.waiters = Waiters()
        self.bell = None if config.in_memory else Bell(config.path, self.waiters)
        self._db = db
        self._config = config
        self._thread = thread
        self._jobs: deque[_Job] = deque()
        self._current: list[_Job] = []
        self._some = asyncio.Event()
        self._closing = False
        self._abandoned = False
        self._changed: set[int] = set()
        self._durable: bool | None = None
        self._flushing: asyncio.TimerHandle | None = None
        self._changes = db.total_changes
        #: Seconds that a durable commit takes, the last ones counting most. Unknown at first, so taken for slow.
        self._pace = 0.0 if config.in_memory else 2 * QUICK
        self._free = True
        self._worker = asyncio.get_running_loop().create_task(self._work(), name=f"dragoman {config}")

    @classmethod
    async def open(cls, config: EmbeddedConfig) -> Store:
        """Open the file.

        Raises:
            StorageFailed: as `open_file`.
        """
        thread = ThreadPoolExecutor(1, thread_name_prefix="dragoman-embedded")
        opening = thread.submit(open_file, config)
        try:
            db = await asyncio.wrap_future(opening)
        except BaseException:
            thread.shutdown(wait=False, cancel_futures=True)
            opening.add_done_callback(_close_unused)
            raise
        return cls(db, config, thread)

    @property
    def name(self) -> str:
        """What the members of this connection are known by."""
        return self.bell.name if self.bell else ""

    def run(
        self, work: Callable[[sqlite3.Connection], T], *, durable: bool, then: Callable[[T], None] | None = None
    ) -> asyncio.Future[T]:
        """Do something in a transaction; the future is done when it is committed.

        Calls are done in the order in which they were made. One that is cancelled before it began is not done; later,
        it is done all the same.

        Args:
            work: what to do; plain SQL without BEGIN and COMMIT, and no waiting. It may be called a second time if the
                transaction failed.
            durable: whether it is to survive a power cut from the moment it is done. Else it survives the end of the
                process from that moment on, and a power cut from `FLUSH` seconds later.
            then: called with the result once it is committed, also when the caller was cancelled meanwhile.

        Raises:
            StorageFailed: nothing of it was stored.
            Closed: the store was closed.
        """
        if self._closing:
            raise self._was_closed()
        done = asyncio.get_running_loop().create_future()
        self._jobs.append(_Job(work, durable, then, done))
        self._some.set()
        return done

    def changed(self, *channels: int | None) -> None:
        """Say, from within a `work`, that there is something new on these channels: the waiting wake on commit."""
        self._changed.update(channel for channel in channels if channel is not None)

    def data_version(self) -> int | None:
        """A number that changes whenever another process commits; None in the middle of a transaction."""
        if not self._free:
            return None
        with suppress(sqlite3.Error):
            return int(self._db.execute("PRAGMA data_version").fetchone()[0])
        return None

    async def _work(self) -> None:
        try:
            while not self._closing or self._jobs:
                await self._some.wait()
                self._some.clear()
                while jobs := self._next_jobs():
                    await self._together(jobs)
        finally:
            # A loop that ends cancels this task, too: whoever still waits must not wait for ever.
            self._closing = True
            self._fail([*self._current, *self._jobs], self._was_closed())
            self._jobs.clear()

    def _next_jobs(self) -> list[_Job]:
        jobs = [self._jobs.popleft() for _ in range(min(GROUP, len(self._jobs)))]
        self._current = [job for job in jobs if not job.done.cancelled()]
        return self._current

    def _was_closed(self) -> Closed:
        return Closed("the connection was closed", where=self._config.path)

    async def _together(self, jobs: list[_Job]) -> None:
        durable = any(job.durable for job in jobs)
        try:
            await self._begin(durable=durable)
        except sqlite3.Error as error:
            self._fail(jobs, error)
            return
        try:
            for job in jobs:
                job.result = job.work(self._db)
            await self._commit(durable=durable)
        except Exception as error:  # noqa: BLE001 (goes to whoever asked)
            self._roll_back()
            await self._failed(jobs, error)
        else:
            self._committed(jobs, durable=durable)

    async def _failed(self, jobs: list[_Job], error: Exception) -> None:
        if len(jobs) == 1:
            self._fail(jobs, error)
            return
        # One of them is to blame: the others shall not fail for it.
        for job in jobs:
            await self._together([job])

    def _fail(self, jobs: Iterable[_Job], error: Exception) -> None:
        # The rest is what reading a row raises when its columns hold what we never wrote.
        if isinstance(error, sqlite3.Error | TypeError | ValueError | LookupError):
            failure = storage_failed(self._config.path, error)
            failure.__cause__ = error
            error = failure
        for job in jobs:
            job.fail(error)

    def _committed(self, jobs: Iterable[_Job], *, durable: bool) -> None:
        self._flush_later(durable=durable)
        channels, self._changed = self._changed, set()
        for job in jobs:
            job.succeed()
        self.wake(channels)

    def _flush_later(self, *, durable: bool) -> None:
        """A durable commit takes all earlier ones to the disk: where none comes by itself, make one."""
        if durable and self._flushing:
            self._flushing.cancel()
            self._flushing = None
        elif not durable and not self._flushing and self._db.total_changes != self._changes:
            self._flushing = asyncio.get_running_loop().call_later(FLUSH, self._flush)
        self._changes = self._db.total_changes

    def _flush(self) -> None:
        self._flushing = None
        with suppress(Closed):
            # What fails here failed nobody: the next commit takes it along.
            flushed = self.run(lambda db: db.execute("UPDATE boot SET id = id"), durable=True)
            flushed.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _roll_back(self) -> None:
        self._changed.clear()
        if self._db.in_transaction:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")

    def wake(self, channels: Iterable[int]) -> None:
        """Wake who waits for the channels, in every process."""
        self.waiters.wake(channels)
        if self.bell:
            self.bell.ring(channels)

    async def _begin(self, *, durable: bool) -> None:
        if durable != self._durable:
            self._set_durable(durable=durable)
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not busy(error):
                raise
            await self._in_thread(self._begin_patiently)

    def _set_durable(self, *, durable: bool) -> None:
        full = durable and self._config.durability == "full"
        self._db.execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
        # Moving the log into the file takes long: it is left to the commits that run in the thread.
        self._db.execute(f"PRAGMA wal_autocheckpoint = {1000 if durable else 0}")
        self._durable = durable

    def _begin_patiently(self) -> None:
        deadline = time.monotonic() + self._config.lock_timeout
        # SQLite sleeps longer and longer within one wait, up to 0.1 s: many short waits get the lock sooner.
        self._db.execute("PRAGMA busy_timeout = 20")
        try:
            while True:
                try:
                    self._db.execute("BEGIN IMMEDIATE")
                    return
                except sqlite3.OperationalError as error:
                    if not busy(error) or self._abandoned or time.monotonic() >= deadline:
                        raise
        finally:
            self._db.execute("PRAGMA busy_timeout = 0")

    async def _commit(self, *, durable: bool) -> None:
        if durable and self._pace > QUICK:
            await self._in_thread(self._commit_now)
        elif durable:
            self._commit_now()
        else:
            self._db.execute("COMMIT")

    def _commit_now(self) -> None:
        began = time.perf_counter()
        self._db.execute("COMMIT")
        self._pace += (time.perf_counter() - began - self._pace) / 10

    async def _in_thread(self, function: Callable[..., Any], *args: Any) -> None:
        self._free = False
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)
        finally:
            self._free = True

    async def close(self) -> None:
        """Do what is queued, then close the file. Idempotent; when cancelled it closes at once."""
        self._closing = True
        self._some.set()
        try:
            await asyncio.shield(self._worker)
        finally:
            self._close_now()

    def _close_now(self) -> None:
        self._abandoned = True
        self._worker.cancel()
        if self._flushing:
            self._flushing.cancel()
        self._thread.shutdown(wait=True)
        self._roll_back()
        with suppress(sqlite3.Error):
            self._db.close()
        if self.bell:
            self.bell.close()


def _close_unused(opening: Any) -> None:
    """Close a file that was opened after its caller had gone."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
