"""Who reads what: groups, their members, and the deliveries in their hands. Plain SQL, inside a transaction.

A group's `position` is the first offset that it has never looked at. Below it, everything is accepted but what is in
`pending`: in the hands of a member, released and waiting, or passed over because its key was in other hands.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from dragoman.adapter import Start
from dragoman.embedded import log
from dragoman.embedded.records import encode
from dragoman.embedded.schema import OFFSET_BITS, clock

#: How many messages a group passes over, at most, while their keys are in other hands. It then waits for those keys.
PASSED_OVER: Final = 1_024
#: One batch ends when its data has this many bytes.
BATCH_BYTES: Final = 16 * 2**20

#: offset, count, key, format, content type, metadata, data; 1 if the key is in other hands.
Row = tuple[int, int, bytes | None, int, bytes | None, bytes | None, bytes, int]

_CHANNEL: Final = """
    INSERT INTO channel (name, head, total, time, queued) VALUES (?, 0, 0, 0, ?)
    ON CONFLICT (name) DO UPDATE SET queued = max(queued, excluded.queued) RETURNING id"""
_STATE: Final = """
    SELECT g.position, c.head, EXISTS (SELECT 1 FROM pending WHERE grp = g.id AND member IS NULL) FROM member m
    JOIN grp g ON g.id = m.grp JOIN channel c ON c.id = g.channel WHERE m.id = ?"""
#: A lane is free for a member if no other one has any of it in hand and nothing before it waits for its time.
_DUE: Final = """
    SELECT offset FROM pending p WHERE grp = :group AND member IS NULL AND due <= :now AND (key IS NULL OR NOT EXISTS (
        SELECT 1 FROM pending q WHERE q.grp = :group AND q.key = p.key AND (q.member <> :member
        OR (q.member IS NULL AND q.due > :now AND q.offset < p.offset)))) ORDER BY offset LIMIT :limit"""
_TAKE: Final = """
    UPDATE pending SET member = ?, count = count + 1, due = 0
    WHERE grp = ? AND offset IN (SELECT value FROM json_each(?))"""
_TAKEN: Final = """
    SELECT p.offset, p.count + 1, p.key, m.format, m.content_type, m.metadata, m.data, 0
    FROM pending p JOIN message m ON m.id = ? + p.offset
    WHERE p.grp = ? AND p.offset IN (SELECT value FROM json_each(?)) ORDER BY p.offset"""
_NEXT: Final = """
    SELECT id - :first, 1, key, format, content_type, metadata, data, key IS NOT NULL AND EXISTS (
        SELECT 1 FROM pending q WHERE q.grp = :group AND q.key = m.key AND q.member IS NOT :member)
    FROM message m WHERE id >= :first + :position AND id < :first + :head ORDER BY id LIMIT :limit"""
_SKIP: Final = "INSERT INTO pending VALUES (?, ?, ?, NULL, 0, 0)"
_HOLD: Final = """
    INSERT INTO pending SELECT :group, id - :first, key, :member, 1, 0 FROM message
    WHERE id >= :first + :position AND id < :first + :end ON CONFLICT DO NOTHING"""
_ACCEPT: Final = "DELETE FROM pending WHERE grp = ? AND offset BETWEEN ? AND ? AND member = ?"
_RELEASE: Final = "UPDATE pending SET member = NULL, due = ? WHERE grp = ? AND offset = ? AND member = ?"
_GIVE_BACK: Final = "UPDATE pending SET member = NULL, due = 0 WHERE grp = ? AND member = ?"


@dataclass(frozen=True, slots=True)
class Membership:
    """One member of one group."""

    member: int
    group: int
    channel: int
    ephemeral: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """What a member was given.

    Attributes:
        rows: the messages, in order.
        due: when, by `clock`, the next delayed one may come, if none came now; None without any.
    """

    rows: Sequence[Row] = ()
    due: float | None = None


def join(
    db: sqlite3.Connection, channel: str, group: str | None, start: Start | None, bell: str, *, queue: bool
) -> Membership:
    """Become a member; the channel and the group are made if there are none. Without a group's name: one of its own."""
    number = db.execute(_CHANNEL, (encode(channel), queue)).fetchone()[0]
    member = db.execute("INSERT INTO member (bell) VALUES (?) RETURNING id", (bell,)).fetchone()[0]
    # A NUL first: no named group can be mistaken for it.
    name = encode(f"\0{member}" if group is None else group)
    found = db.execute("SELECT id FROM grp WHERE channel = ? AND name = ?", (number, name)).fetchone()
    if found is None:
        position = log.position(db, number, start, queue=queue)
        found = db.execute(
            "INSERT INTO grp (channel, name, position, ephemeral, seen) VALUES (?, ?, ?, ?, ?) RETURNING id",
            (number, name, position, group is None, time.time()),
        ).fetchone()
    db.execute("UPDATE member SET grp = ? WHERE id = ?", (found[0], member))
    return Membership(member, found[0], number, group is None)


def rejoin(db: sqlite3.Connection, lost: Membership, bell: str) -> Membership | None:
    """A new membership for a member that was taken for dead; None if its group is gone, too."""
    if db.execute("SELECT 1 FROM grp WHERE id = ?", (lost.group,)).fetchone() is None:
        return None
    member = db.execute("INSERT INTO member (grp, bell) VALUES (?, ?) RETURNING id", (lost.group, bell)).fetchone()[0]
    return Membership(member, lost.group, lost.channel, lost.ephemeral)


def own_replies(db: sqlite3.Connection, name: str, bell: str) -> Membership:
    """Make a reply channel; it goes when its owner does."""
    member = db.execute("INSERT INTO member (bell) VALUES (?) RETURNING id", (bell,)).fetchone()[0]
    number = db.execute(
        "INSERT INTO channel (name, head, total, time, queued, owner) VALUES (?, 0, 0, 0, 0, ?) RETURNING id",
        (encode(name), member),
    ).fetchone()[0]
    return Membership(member, 0, number, ephemeral=True)


def leave(db: sqlite3.Connection, member: int) -> int | None:
    """End a membership: what it holds waits for others, at once. Returns the channel on which there is now work."""
    _forget_replies(db, member)
    row = db.execute("DELETE FROM member WHERE id = ? RETURNING grp", (member,)).fetchone()
    if row is None or row[0] is None:
        return None
    channel, ephemeral = db.execute(
        "UPDATE grp SET seen = ? WHERE id = ? RETURNING channel, ephemeral", (time.time(), row[0])
    ).fetchone()
    if ephemeral:
        forget(db, row[0])
        return None
    db.execute(_GIVE_BACK, (row[0], member))
    return int(channel)


def _forget_replies(db: sqlite3.Connection, member: int) -> None:
    for (channel,) in db.execute("SELECT id FROM channel WHERE owner = ?", (member,)).fetchall():
        log.drain(db, channel)
        db.execute("DELETE FROM channel WHERE id = ?", (channel,))


def forget(db: sqlite3.Connection, group: int) -> None:
    """Remove a group and its claim on messages."""
    db.execute("DELETE FROM pending WHERE grp = ?", (group,))
    db.execute("DELETE FROM grp WHERE id = ?", (group,))


def forget_unseen(db: sqlite3.Connection, age: float) -> None:
    """Remove the groups that have no member and had none for `age` seconds."""
    unseen = "SELECT id FROM grp WHERE seen < ? AND id NOT IN (SELECT grp FROM member WHERE grp IS NOT NULL)"
    for (group,) in db.execute(unseen, (time.time() - age,)).fetchall():
        forget(db, group)


def take(db: sqlite3.Connection, me: Membership, limit: int) -> Batch | None:
    """Put up to `limit` messages into a member's hands; None if it is no member any more."""
    state = db.execute(_STATE, (me.member,)).fetchone()
    if state is None:
        return None
    position, head, waiting = state
    now = clock()
    rows = _take_due(db, me, limit, now) if waiting else []
    if len(rows) < limit and position < head and _bytes(rows) < BATCH_BYTES:
        room = PASSED_OVER - (_passed_over(db, me.group) if waiting else 0)
        rows += _take_next(db, me, (position, head), limit=limit - len(rows), room=room)
    return Batch(rows, None if rows or not waiting else _next_due(db, me.group, now))


def _bytes(rows: Iterable[Row]) -> int:
    return sum(len(row[6]) for row in rows)


def _take_due(db: sqlite3.Connection, me: Membership, limit: int, now: float) -> list[Row]:
    values = {"group": me.group, "member": me.member, "now": now, "limit": limit}
    offsets = [row[0] for row in db.execute(_DUE, values).fetchall()]
    if not offsets:
        return []
    rows = _batch(db.execute(_TAKEN, (me.channel << OFFSET_BITS, me.group, json.dumps(offsets))))
    db.execute(_TAKE, (me.member, me.group, json.dumps([row[0] for row in rows])))
    return rows


def _take_next(
    db: sqlite3.Connection, me: Membership, untouched: tuple[int, int], *, limit: int, room: int
) -> list[Row]:
    position, head = untouched
    values = {"group": me.group, "member": me.member, "first": me.channel << OFFSET_BITS, "head": head}
    rows: list[Row] = []
    while not rows and position < head and room > 0:
        values |= {"position": position, "limit": min(limit, room)}
        found = _batch(db.execute(_NEXT, values))
        blocked = [(me.group, row[0], row[2]) for row in found if row[7]]
        rows = [row for row in found if not row[7]] if blocked else found
        room -= len(blocked)
        # Nothing found: what was there was discarded unread.
        position = found[-1][0] + 1 if found else head
        _hold(db, values, blocked, position)
    return rows


def _hold(
    db: sqlite3.Connection, values: dict[str, int], blocked: Sequence[tuple[int, int, bytes | None]], end: int
) -> None:
    if blocked:
        db.executemany(_SKIP, blocked)
    db.execute(_HOLD, values | {"end": end})
    db.execute("UPDATE grp SET position = ? WHERE id = ?", (end, values["group"]))


def _passed_over(db: sqlite3.Connection, group: int) -> int:
    query = "SELECT count(*) FROM pending WHERE grp = ? AND member IS NULL AND count = 0"
    return int(db.execute(query, (group,)).fetchone()[0])


def _batch(cursor: sqlite3.Cursor) -> list[Row]:
    """The rows, up to the one with which the batch is full."""
    rows: list[Row] = []
    room = BATCH_BYTES
    for row in cursor:
        rows.append(row)
        room -= len(row[6])
        if room <= 0:
            break
    cursor.close()
    return rows


def _next_due(db: sqlite3.Connection, group: int, now: float) -> float | None:
    query = "SELECT min(due) FROM pending WHERE grp = ? AND member IS NULL AND due > ?"
    due = db.execute(query, (group, now)).fetchone()[0]
    return None if due is None else float(due)


def settle(db: sqlite3.Connection, me: Membership, done: Sequence[int], released: Sequence[tuple[int, float]]) -> bool:
    """Take deliveries out of a member's hands, but what it has no more; returns whether others may now have work."""
    if done:
        db.executemany(_ACCEPT, [(me.group, first, last, me.member) for first, last in runs(done)])
    if released:
        now = clock()
        db.executemany(_RELEASE, [(delay and now + delay, me.group, offset, me.member) for offset, delay in released])
    waiting = "SELECT 1 FROM pending WHERE grp = ? AND member IS NULL LIMIT 1"
    return db.execute(waiting, (me.group,)).fetchone() is not None


def held(db: sqlite3.Connection, me: Membership, offsets: Sequence[int]) -> set[int]:
    """Those of the offsets that a member has in hand."""
    query = "SELECT offset FROM pending WHERE grp = ? AND offset BETWEEN ? AND ? AND member = ?"
    return {row[0] for first, last in runs(offsets) for row in db.execute(query, (me.group, first, last, me.member))}


def runs(offsets: Iterable[int]) -> list[tuple[int, int]]:
    """The offsets as first and last of each unbroken run."""
    found: list[tuple[int, int]] = []
    first = last = -2
    for offset in sorted(offsets):
        if offset != last + 1:
            if last >= 0:
                found.append((first, last))
            first = offset
        last = offset
    if last >= 0:
        found.append((first, last))
    return found


def lag(db: sqlite3.Connection, me: Membership) -> int:
    """How many messages the group has not settled, those in this member's hands not counted."""
    query = """
        SELECT max(c.head - max(g.position, c.base), 0)
        + (SELECT count(*) FROM pending WHERE grp = g.id AND member IS NOT ?)
        FROM grp g JOIN channel c ON c.id = g.channel WHERE g.id = ?"""
    row = db.execute(query, (me.member, me.group)).fetchone()
    return 0 if row is None else int(row[0])


def beat(db: sqlite3.Connection, bell: str) -> None:
    """Show that the members of one connection are well."""
    db.execute("UPDATE member SET beat = beat + 1 WHERE bell = ?", (bell,))
    db.execute("UPDATE grp SET seen = ? WHERE id IN (SELECT grp FROM member WHERE bell = ?)", (time.time(), bell))


@dataclass(frozen=True, slots=True)
class Sign:
    """What others see of a member."""

    member: int
    bell: str
    beat: int
    ephemeral: bool


def signs(db: sqlite3.Connection, group: int | None = None) -> list[Sign]:
    """The signs of life of every member, or of those of one group."""
    query = """
        SELECT m.id, m.bell, m.beat, coalesce(g.ephemeral, 1) FROM member m LEFT JOIN grp g ON g.id = m.grp
        WHERE ?1 IS NULL OR m.grp = ?1"""
    return [Sign(row[0], row[1], row[2], bool(row[3])) for row in db.execute(query, (group,)).fetchall()]
