"""The log of each channel: append, find a position, delete what is no longer kept. Plain SQL, inside a transaction."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Literal

from dragoman.adapter import Start
from dragoman.embedded.records import Packed, encode, size
from dragoman.embedded.schema import OFFSET_BITS, OFFSET_MASK

#: How many messages one transaction deletes at most, so that others wait for milliseconds only.
DELETE_AT_ONCE: Final = 2_000

_APPEND: Final = """
    INSERT INTO channel (name, head, total, time, queued) VALUES (:name, :count, :bytes, :time, :queued)
    ON CONFLICT (name) DO UPDATE SET head = head + :count, total = total + :bytes, time = max(time, :time),
    queued = max(queued, :queued) RETURNING id, head - :count, total - :bytes, time"""
_INSERT: Final = "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
#: The first offset that some group may still need; a queue that no group has read yet needs all.
_NEEDED: Final = """
    SELECT min(coalesce((SELECT min(offset) FROM pending WHERE grp = g.id), g.position)),
    min(g.ephemeral) FROM grp g WHERE g.channel = ?"""
_MOVE: Final = "UPDATE grp SET position = ?1 WHERE channel = ?2 AND position < ?1"
_DROP_PENDING: Final = "DELETE FROM pending WHERE grp IN (SELECT id FROM grp WHERE channel = ?) AND offset < ?"


@dataclass(frozen=True, slots=True)
class Extent:
    """What of a channel is kept: offsets from `base` up to, but without, `head`."""

    channel: int
    base: int
    head: int
    total: int
    queued: bool


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what every group has accepted is kept, in seconds and bytes."""

    age: float
    size: int
    discard_unread: bool


def append(db: sqlite3.Connection, name: str, messages: Sequence[Packed], *, queued: bool) -> int:
    """Put messages at the end of a channel, which is made if there is none; returns the channel's number."""
    befores = [0, *accumulate(map(size, messages))]
    values = {
        "name": encode(name),
        "count": len(messages),
        "bytes": befores[-1],
        "time": time.time(),
        "queued": queued,
    }
    channel, offset, total, stamp = db.execute(_APPEND, values).fetchone()
    first = (channel << OFFSET_BITS) + offset
    db.executemany(
        _INSERT,
        [
            (number, total + before, stamp, *packed)
            for number, (before, packed) in enumerate(zip(befores, messages, strict=False), first)
        ],
    )
    return int(channel)


def append_reply(db: sqlite3.Connection, name: str, messages: Sequence[Packed]) -> int | None:
    """Put messages on a reply channel; None where nobody waits there any more."""
    if db.execute("SELECT 1 FROM channel WHERE name = ? AND owner IS NOT NULL", (encode(name),)).fetchone() is None:
        return None
    return append(db, name, messages, queued=False)


def drain(db: sqlite3.Connection, channel: int) -> list[tuple[int, bytes | None, bytes | None, bytes]]:
    """Take every message off a reply channel: format, content type, metadata, data of each, in order."""
    bounds = (channel << OFFSET_BITS, channel + 1 << OFFSET_BITS)
    rows = db.execute(
        "SELECT format, content_type, metadata, data FROM message WHERE id >= ? AND id < ? ORDER BY id", bounds
    ).fetchall()
    if rows:
        db.execute("DELETE FROM message WHERE id >= ? AND id < ?", bounds)
        db.execute("UPDATE channel SET base = head WHERE id = ?", (channel,))
    return rows


def extent(db: sqlite3.Connection, channel: int) -> Extent:
    """What of the channel is kept."""
    row = db.execute("SELECT base, head, total, queued FROM channel WHERE id = ?", (channel,)).fetchone()
    return Extent(channel, row[0], row[1], row[2], bool(row[3]))


def position(db: sqlite3.Connection, channel: int, start: Start | None, *, queue: bool) -> int:
    """Where a new group begins."""
    kept = extent(db, channel)
    if start is None:
        return kept.base if queue else kept.head
    if start.offset is not None:
        return max(start.offset, kept.base)
    return kept.base if start.time is None else _first(db, kept, "time", start.time.timestamp())


def _first(db: sqlite3.Connection, kept: Extent, column: Literal["time", "before"], least: float) -> int:
    """The first offset whose `column`, which never shrinks, is at least that; `head` if there is none."""
    low, high = kept.base, kept.head
    query = f"SELECT {column} >= ? FROM message WHERE id = ?"  # noqa: S608 (one of two fixed names)
    while low < high:
        middle = (low + high) // 2
        if db.execute(query, (least, (kept.channel << OFFSET_BITS) + middle)).fetchone()[0]:
            high = middle
        else:
            low = middle + 1
    return low


def trim(db: sqlite3.Connection, channel: int, rules: Retention) -> bool:
    """Delete what need not be kept, in one bounded step; returns whether there is more to delete."""
    kept = extent(db, channel)
    if kept.base == kept.head:
        return False
    cut = max(
        _first(db, kept, "time", time.time() - rules.age),
        _first(db, kept, "before", kept.total - rules.size),
    )
    wanted = cut if rules.discard_unread else min(cut, _needed(db, kept))
    cut = min(wanted, kept.base + DELETE_AT_ONCE)
    if cut > kept.base:
        _delete(db, kept, cut, discard=rules.discard_unread)
    return wanted > cut


def _needed(db: sqlite3.Connection, kept: Extent) -> int:
    offset, only_ephemeral = db.execute(_NEEDED, (kept.channel,)).fetchone()
    if kept.queued and only_ephemeral != 0:
        return kept.base
    return kept.head if offset is None else int(offset)


def _delete(db: sqlite3.Connection, kept: Extent, cut: int, *, discard: bool) -> None:
    first = kept.channel << OFFSET_BITS
    db.execute("DELETE FROM message WHERE id >= ? AND id < ?", (first + kept.base, first + cut))
    db.execute("UPDATE channel SET base = ? WHERE id = ?", (cut, kept.channel))
    if discard:
        db.execute(_MOVE, (cut, kept.channel))
        db.execute(_DROP_PENDING, (kept.channel, cut))


def channels(db: sqlite3.Connection) -> list[int]:
    """Every channel but those of replies."""
    return [row[0] for row in db.execute("SELECT id FROM channel WHERE owner IS NULL").fetchall()]


def offset_of(message_id: int) -> int:
    """The offset in a message's id."""
    return message_id & OFFSET_MASK
