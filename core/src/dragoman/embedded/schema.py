"""The file: its tables, its version, and what SQLite's errors mean to a user."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from dragoman.embedded.settings import EmbeddedConfig
from dragoman.errors import StorageFailed

#: Marks the file as ours: "DRGM".
APPLICATION_ID: Final = 0x4452474D
#: The version of the tables below.
VERSION: Final = 1

#: A message's id is its channel's number and its offset in the channel: one tree holds every channel, each in order.
OFFSET_BITS: Final = 40
OFFSET_MASK: Final = (1 << OFFSET_BITS) - 1

TABLES: Final = (
    # One row: the boot whose clock the `due` times were taken from.
    "CREATE TABLE boot (id TEXT NOT NULL)",
    # Offsets from `base` up to `head` are kept, without gaps. `total` counts all bytes ever, `time` never goes back.
    # `queued`: used as a queue, so that what nobody has read is kept. `owner`: the member whose replies come here.
    """CREATE TABLE channel (
        id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, base INTEGER NOT NULL DEFAULT 0, head INTEGER NOT NULL,
        total INTEGER NOT NULL, time REAL NOT NULL, queued INTEGER NOT NULL, owner INTEGER)""",
    # `before`: the channel's bytes before this message. With `time` it makes retention and replay a binary search.
    """CREATE TABLE message (
        id INTEGER PRIMARY KEY, before INTEGER NOT NULL, time REAL NOT NULL, key BLOB, format INTEGER NOT NULL,
        content_type BLOB, metadata BLOB, data BLOB NOT NULL)""",
    # A group has looked at everything below `position`; what of that it has not accepted is in `pending`.
    """CREATE TABLE grp (
        id INTEGER PRIMARY KEY, channel INTEGER NOT NULL, name BLOB NOT NULL, position INTEGER NOT NULL,
        ephemeral INTEGER NOT NULL, seen REAL NOT NULL, UNIQUE (channel, name))""",
    # `bell`: the pipe that wakes the member's process, and proves that it lives. `beat` grows while it is well.
    """CREATE TABLE member (
        id INTEGER PRIMARY KEY AUTOINCREMENT, grp INTEGER, bell TEXT NOT NULL, beat INTEGER NOT NULL DEFAULT 0)""",
    # In the hands of `member`, or waiting for anybody (NULL). `count` deliveries so far.
    """CREATE TABLE pending (
        grp INTEGER NOT NULL, offset INTEGER NOT NULL, key BLOB, member INTEGER, count INTEGER NOT NULL,
        due REAL NOT NULL, PRIMARY KEY (grp, offset)) WITHOUT ROWID""",
    "CREATE INDEX lane ON pending (grp, key, offset) WHERE key IS NOT NULL",
    "CREATE INDEX waiting ON pending (grp, due) WHERE member IS NULL",
)


def clock() -> float:
    """Seconds that setting the clock can't change, the same in every process of this machine until it reboots."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def boot() -> str:
    """What tells one run of the machine from another."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{(time.time() - clock()) / 60:.0f}"


def open_file(config: EmbeddedConfig) -> sqlite3.Connection:
    """Open the file, or make it. Blocks for up to `lock_timeout`, so call it from a thread.

    Raises:
        StorageFailed: it can't be opened, is not ours, corrupt, locked, or of a newer version.
    """
    try:
        db = sqlite3.connect(config.path, timeout=config.lock_timeout, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise storage_failed(config.path, error) from error
    try:
        _prepare(db, config)
    except BaseException as error:
        db.close()
        if isinstance(error, sqlite3.Error):
            raise storage_failed(config.path, error) from error
        raise
    return db


def busy(error: sqlite3.OperationalError) -> bool:
    """Whether others have the file, and waiting may help."""
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def write_ahead(db: sqlite3.Connection, timeout: float) -> None:
    """Have what is written go into a log first. Blocks for up to `timeout` seconds.

    Of several that open a new file at once one can switch, and here SQLite waits for nobody.

    Raises:
        sqlite3.OperationalError: it can't, or others have had the file for all that time.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if not busy(error) or time.monotonic() >= deadline:
                raise
        time.sleep(0.005)


def _prepare(db: sqlite3.Connection, config: EmbeddedConfig) -> None:
    db.execute("BEGIN")  # another process may be making it: what is read has to be of one moment
    _check_ours(db, config.path)
    db.execute("COMMIT")
    write_ahead(db, config.lock_timeout)
    db.execute("PRAGMA secure_delete = OFF")
    # A log that once grew in a long transaction gives its room back.
    db.execute("PRAGMA journal_size_limit = 67108864")
    db.execute("BEGIN IMMEDIATE")
    if _check_ours(db, config.path):
        for table in TABLES:
            db.execute(table)
        db.execute("INSERT INTO boot VALUES (?)", (boot(),))
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {VERSION}")
    elif db.execute("UPDATE boot SET id = ?1 WHERE id <> ?1", (boot(),)).rowcount:
        # Another boot's clock says nothing now: what was to wait comes at once.
        db.execute("UPDATE pending SET due = 0 WHERE member IS NULL")
    db.execute("COMMIT")
    db.execute("PRAGMA busy_timeout = 0")


def _check_ours(db: sqlite3.Connection, path: str) -> bool:
    """Whether the file is still empty.

    Raises:
        StorageFailed: it holds something else.
    """
    found, version, tables = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version", "schema_version")
    )
    if found == APPLICATION_ID and version > VERSION:
        raise StorageFailed(
            f"the file was written by a newer Dragoman (version {version} of its tables, this one knows {VERSION})",
            where=path,
            hint="upgrade dragoman",
            retryable=False,
        )
    if found != APPLICATION_ID and (found or version or tables):
        raise StorageFailed(
            "the file is a SQLite database of something else",
            where=path,
            hint="name another file in `path`",
            retryable=False,
        )
    return bool(found != APPLICATION_ID)


_MEANINGS: Final = {
    sqlite3.SQLITE_FULL: ("the disk is full, nothing of this was stored", "make room; no restart is needed"),
    sqlite3.SQLITE_BUSY: ("another process holds the file's write lock", "see who has it open, or raise lock_timeout"),
    sqlite3.SQLITE_LOCKED: ("the file is locked by another connection", "see who has it open"),
    sqlite3.SQLITE_CORRUPT: ("the file is corrupt", "restore it, or move it away and start anew"),
    sqlite3.SQLITE_NOTADB: ("the file is no SQLite database, or corrupt", "name another file in `path`"),
    sqlite3.SQLITE_READONLY: ("the file can't be written", "check the permissions of the file and its folder"),
    sqlite3.SQLITE_CANTOPEN: ("the file can't be opened", "check that its folder exists and may be written"),
    sqlite3.SQLITE_PERM: ("the file can't be opened", "check the permissions of the file and its folder"),
    sqlite3.SQLITE_IOERR: ("reading or writing the file failed, nothing of this was stored", "check the disk"),
}

#: What no later try cures.
_LASTING: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def storage_failed(path: str, error: Exception) -> StorageFailed:
    """What an error means, in a user's words; nothing of the failed transaction was stored."""
    code: int = getattr(error, "sqlite_errorcode", 0 if isinstance(error, sqlite3.Error) else sqlite3.SQLITE_CORRUPT)
    what, hint = _MEANINGS.get(code & 0xFF, ("SQLite failed", None))
    text = f"{what} ({str(error) or 'no details'})"
    return StorageFailed(text, where=path, hint=hint, retryable=code & 0xFF not in _LASTING)


def real_path(path: str) -> str:
    """The one name of the file, however it is reached: the wake-up folder lies beside that."""
    return os.path.realpath(path)
