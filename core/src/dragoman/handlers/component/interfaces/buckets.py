"""Buckets of keys and values in one SQLite file, or in memory: what is behind `wasi:keyvalue`.

Everything that waits goes into one transaction, in a thread of its own: a write returns when it is on the disk. Several
processes share the file, and each change is made while no other can make one.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from dragoman.embedded.schema import storage_failed, write_ahead
from dragoman.errors import Closed, DragomanError, StorageFailed

T = TypeVar("T")
Place = Path | Literal[":memory:"]
#: A key, and what is there: its row, how often it was changed, and the value.
Entry = tuple[int, int, bytes]

#: Marks the file as ours: "DRGK".
APPLICATION_ID: Final = 0x4452474B
VERSION: Final = 1
#: Keys that one call of `listed` gives.
PAGE: Final = 1_000
#: How many calls share one transaction at most.
_GROUP: Final = 256
#: Seconds to wait for another process that writes.
_LOCK: Final = 5.0
_TABLES: Final = (
    # `bytes`: of the keys and values together.
    """CREATE TABLE bucket (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, entries INTEGER NOT NULL, bytes INTEGER NOT NULL)""",
    # A row's number is never used again, so with `version` it tells whether a value is still the one that was read.
    """CREATE TABLE entry (
        id INTEGER PRIMARY KEY AUTOINCREMENT, bucket INTEGER NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL,
        value BLOB NOT NULL, UNIQUE (bucket, key))""",
    "CREATE INDEX listed ON entry (bucket, id)",
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large a bucket may become.

    Attributes:
        entries: the keys.
        value: bytes of each value.
        size: bytes of all keys and values.
    """

    entries: int
    value: int
    size: int


@dataclass(slots=True, eq=False)
class _Job:
    work: Callable[[sqlite3.Connection], Any]
    changes: bool
    done: Future[Any] = field(default_factory=Future)


class Buckets:
    """One file; see the module. It is opened with the first call.

    Args:
        place: the file, in a folder that exists; or in memory, gone with this object.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dragoman-keyvalue")
        self._jobs: deque[_Job] = deque()
        self._db: sqlite3.Connection | None = None
        self._closed = False

    async def run(self, work: Callable[[sqlite3.Connection], T], *, changes: bool) -> T:
        """Do something in the file; what it changes is on the disk when this returns.

        One that is cancelled before it began is not done; later, it is done all the same.

        Args:
            work: plain SQL without BEGIN and COMMIT. It may raise an error of ours before it has changed anything.
            changes: whether it writes.

        Raises:
            StorageFailed: nothing of it was stored.
            Closed: `close` was called.
            DragomanError: whatever `work` raises.
        """
        if self._closed:
            raise Closed("the buckets were closed", where=str(self.place))
        job = _Job(work, changes)
        self._jobs.append(job)
        self._thread.submit(self._all)
        result: T = await asyncio.wrap_future(job.done)
        return result

    async def close(self) -> None:
        """Wait for what is under way, and close the file. Idempotent."""
        if not self._closed:
            self._closed = True
            self._thread.submit(self._shut)
            await asyncio.to_thread(self._thread.shutdown)

    # What follows runs in the thread.

    def _all(self) -> None:
        jobs: list[_Job] = []
        while self._jobs and len(jobs) < _GROUP:
            job = self._jobs.popleft()
            if job.done.set_running_or_notify_cancel():
                jobs.append(job)
        if jobs:
            self._together(jobs)

    def _together(self, jobs: Sequence[_Job]) -> None:
        outcomes: list[Any] = []
        writing = any(job.changes for job in jobs)
        db = None
        try:
            db = self._opened()
            if writing:
                db.execute("BEGIN IMMEDIATE")
            outcomes = [_outcome(job, db) for job in jobs]
            if writing:
                db.execute("COMMIT")
        except (sqlite3.Error, DragomanError) as error:
            if db is not None and db.in_transaction:
                db.execute("ROLLBACK")
            if len(jobs) > 1:  # one of them is to blame: the others shall not fail for it
                for job in jobs:
                    self._together([job])
                return
            outcomes = [error if isinstance(error, DragomanError) else storage_failed(str(self.place), error)]
        except BaseException as error:  # noqa: BLE001 - the guest waits for an answer, whatever it is
            outcomes = [error] * len(jobs)
        for job, outcome in zip(jobs, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                job.done.set_exception(outcome)
            else:
                job.done.set_result(outcome)

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            db = sqlite3.connect(self.place, timeout=_LOCK, isolation_level=None, check_same_thread=False)
            try:
                _prepare(db, str(self.place))
            except BaseException:
                db.close()
                raise
            self._db = db
        return self._db

    def _shut(self) -> None:
        if self._db is not None:
            self._db.close()


class Stores:
    """The files of one host: one connection each, however many handlers share it."""

    def __init__(self) -> None:
        self._open: dict[Place, Buckets] = {}

    async def open(self, place: Place) -> Buckets:
        """The buckets of a file. What is in memory is shared by the handlers of this host.

        A file that is there is looked at now; one that is not is made when something is first asked of it.

        Raises:
            StorageFailed: it can't be opened, or is the file of something else.
        """
        found = self._open.get(place)
        if found is None:
            found = self._open[place] = Buckets(place)
            if isinstance(place, Path) and place.exists():
                await found.run(lambda _: None, changes=False)
            elif isinstance(place, Path) and not place.parent.is_dir():
                raise StorageFailed("there is no such folder", where=str(place.parent), retryable=False)
        return found

    async def close(self) -> None:
        """Close them all. Idempotent."""
        while self._open:
            await self._open.popitem()[1].close()


def _outcome(job: _Job, db: sqlite3.Connection) -> Any:
    try:
        return job.work(db)
    except DragomanError as error:  # it has changed nothing
        return error


def _prepare(db: sqlite3.Connection, where: str) -> None:
    """Make the tables, if the file is new.

    Raises:
        StorageFailed: it is the file of something else, or of a newer version.
    """
    write_ahead(db, _LOCK)
    db.execute("BEGIN IMMEDIATE")
    found, version, tables = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version", "schema_version")
    )
    if found != APPLICATION_ID and (found or version or tables):
        raise StorageFailed(
            "the file is a SQLite database of something else", where=where, hint="name another `path`", retryable=False
        )
    if version > VERSION:
        raise StorageFailed(
            "the file was written by a newer Dragoman", where=where, hint="upgrade dragoman", retryable=False
        )
    if found != APPLICATION_ID:
        for table in _TABLES:
            db.execute(table)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {VERSION}")
    db.execute("COMMIT")


# The calls: each is some SQL within a transaction.


def get(db: sqlite3.Connection, bucket: str, key: str) -> Entry | None:
    """What is there."""
    found: Entry | None = db.execute(
        "SELECT entry.id, version, value FROM entry JOIN bucket ON bucket.id = bucket WHERE name = ? AND key = ?",
        (bucket, key),
    ).fetchone()
    return found


def put(db: sqlite3.Connection, bucket: str, key: str, value: bytes, bounds: Bounds) -> None:
    """Set a value.

    Raises:
        StorageFailed: the bucket would become larger than it may be; nothing was changed.
    """
    put_all(db, bucket, [(key, value)], bounds)


def put_all(db: sqlite3.Connection, bucket: str, pairs: Sequence[tuple[str, bytes]], bounds: Bounds) -> None:
    """Set values, all of them or none; as `put`."""
    latest = dict(pairs)
    for key, value in latest.items():
        if len(value) > bounds.value:
            raise _full(f"the value of {key!r} has {len(value)} bytes, more than {bounds.value}", "max_value")
    db.execute("INSERT OR IGNORE INTO bucket (name, entries, bytes) VALUES (?, 0, 0)", (bucket,))
    number, entries, size = db.execute("SELECT id, entries, bytes FROM bucket WHERE name = ?", (bucket,)).fetchone()
    for key, value in latest.items():
        before = get(db, bucket, key)
        entries += before is None
        size += len(value) - len(before[2]) if before else len(key.encode()) + len(value)
    if entries > bounds.entries:
        raise _full(f"the bucket {bucket!r} has as many keys as it may, {bounds.entries}", "max_entries")
    if size > bounds.size:
        raise _full(f"the bucket {bucket!r} would have {size} bytes, more than {bounds.size}", "max_size")
    db.executemany(
        "INSERT INTO entry (bucket, key, version, value) VALUES (?, ?, 0, ?)"
        " ON CONFLICT DO UPDATE SET version = version + 1, value = excluded.value",
        [(number, key, value) for key, value in latest.items()],
    )
    db.execute("UPDATE bucket SET entries = ?, bytes = ? WHERE id = ?", (entries, size, number))


def remove(db: sqlite3.Connection, bucket: str, keys: Sequence[str]) -> None:
    """Delete keys; those that are not there stay so."""
    for key in keys:
        if (found := get(db, bucket, key)) is not None:
            db.execute("DELETE FROM entry WHERE id = ?", (found[0],))
            db.execute(
                "UPDATE bucket SET entries = entries - 1, bytes = bytes - ? WHERE name = ?",
                (len(key.encode()) + len(found[2]), bucket),
            )


def listed(db: sqlite3.Connection, bucket: str, after: int) -> tuple[list[str], int | None]:
    """A page of keys, and what gives the next one; None where there is none."""
    rows = db.execute(
        "SELECT entry.id, key FROM entry JOIN bucket ON bucket.id = bucket"
        " WHERE name = ? AND entry.id > ? ORDER BY entry.id LIMIT ?",
        (bucket, after, PAGE + 1),
    ).fetchall()
    return [key for _, key in rows[:PAGE]], rows[PAGE - 1][0] if len(rows) > PAGE else None


def _full(what: str, setting: str) -> StorageFailed:
    return StorageFailed(f"{what} (`keyvalue.{setting}`)", retryable=False)
