"""What is kept, and what is deleted when."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from dragoman.adapter import Start, SubscribeOptions
from dragoman.message import Channel, Message

from .conftest import GROUP, QUEUE, Open, accept, bodies, numbered, take_all

TOPIC = Channel("news", "topic")


def kept(path: Path) -> int:
    """How many messages are in the file."""
    db = sqlite3.connect(path)
    try:
        return int(db.execute("SELECT count(*) FROM message").fetchone()[0])
    finally:
        db.close()


async def test_what_a_group_has_not_accepted_is_never_deleted(open_: Open, path: Path) -> None:
    """Even if nothing is to be kept: not what is unread, and not what is in hand."""
    adapter = await open_(keep=0, keep_size=0)
    await adapter.publish(QUEUE, numbered(range(10)))
    await adapter._upkeep.trim()
    assert kept(path) == 10  # nobody has read this queue yet
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        batch = await subscription.receive(6)
        await accept(subscription, batch[:2])
        await accept(subscription, batch[4:])
        await adapter._upkeep.trim()
        assert kept(path) == 8  # from the first that is still in hand
        await accept(subscription, batch[2:4])
        await adapter._upkeep.trim()
        assert kept(path) == 4
        assert await take_all(subscription, 4) == ["6", "7", "8", "9"]
    await adapter._upkeep.trim()
    assert kept(path) == 0


async def test_a_topic_that_nobody_reads_is_deleted_by_age_and_size(open_: Open, path: Path) -> None:
    """The newest that fit stay, for replay."""
    adapter = await open_(keep="1h", keep_size=1000)
    await adapter.publish(TOPIC, [Message(bytes(100)) for _ in range(25)])
    await adapter._upkeep.trim()
    assert kept(path) == 10
    async with adapter.subscribe(TOPIC, SubscribeOptions(start=Start())) as subscription:
        assert (await subscription.receive(1))[0].token == 15


async def test_age_counts_from_when_it_was_published(open_: Open, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that was set back does not confuse the order."""
    adapter = await open_(keep="1h")
    for moment in (1000.0, 2000.0, 500.0, 3000.0):  # the third as if the clock had been set back
        monkeypatch.setattr("time.time", lambda moment=moment: moment)
        await adapter.publish(TOPIC, numbered([int(moment)]))
    monkeypatch.setattr("time.time", lambda: 2000.5 + 3600)
    await adapter._upkeep.trim()
    assert kept(path) == 1


async def test_discard_unread_deletes_what_was_asked_for_and_reading_goes_on(open_: Open, path: Path) -> None:
    """The reader goes on with what is left."""
    adapter = await open_(discard_unread=True, keep_size=50)
    async with adapter.subscribe(QUEUE, SubscribeOptions(group="g", prefetch=3)) as subscription:
        await adapter.publish(QUEUE, [Message.of(str(number).rjust(10)) for number in range(20)])
        held = await subscription.receive(3)
        await adapter._upkeep.trim()
        assert kept(path) == 5
        await accept(subscription, held)
        assert [body.strip() for body in await take_all(subscription, 5)] == ["15", "16", "17", "18", "19"]


async def test_offsets_are_never_used_twice(open_: Open) -> None:
    """Also after everything was deleted."""
    adapter = await open_(keep=0)
    async with adapter.subscribe(QUEUE, GROUP) as subscription:
        await adapter.publish(QUEUE, numbered(range(5)))
        await take_all(subscription, 5)
        await adapter._upkeep.trim()
        await adapter.publish(QUEUE, numbered([5]))
        [delivery] = await subscription.receive(1)
        assert (delivery.token, bodies([delivery])) == (5, ["5"])


async def test_a_group_that_was_long_unseen_is_forgotten_only_if_asked(
    open_: Open, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has a member is not."""
    adapter = await open_(keep=0, forget_groups="1d")
    await adapter.publish(TOPIC, numbered([0]))
    async with adapter.subscribe(TOPIC, GROUP), adapter.subscribe(TOPIC, SubscribeOptions(group="left")):
        await adapter.publish(TOPIC, numbered([1]))
    async with adapter.subscribe(TOPIC, GROUP) as subscription:
        await take_all(subscription, 1)
        await adapter._upkeep.trim()
        assert kept(path) == 1
        now = __import__("time").time()
        monkeypatch.setattr("time.time", lambda: now + 2 * 86400)
        await adapter._upkeep.round()
        assert kept(path) == 0
        await adapter.publish(TOPIC, numbered([2]))
        assert await take_all(subscription, 1) == ["2"]
