"""Requests, their replies, and that nothing of them stays behind."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dragoman.adapter import Adapter, SubscribeOptions
from dragoman.embedded import EmbeddedAdapter
from dragoman.errors import ChannelNotFound, Closed, TimedOut
from dragoman.message import Channel, Message

from .conftest import QUEUE, Open, accept, numbered


@asynccontextmanager
async def answering(adapter: EmbeddedAdapter, *replies: str) -> AsyncIterator[list[Message]]:
    """Somebody who answers each request with all of these."""
    asked: list[Message] = []

    async def answer() -> None:
        async with adapter.subscribe(QUEUE, SubscribeOptions(group="answers")) as subscription:
            while True:
                batch = await subscription.receive(10)
                for delivery in batch:
                    asked.append(delivery.message)
                    await adapter.reply(delivery.message, [Message.of(text) for text in replies])
                await accept(subscription, batch)

    task = asyncio.create_task(answer())
    yield asked
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def texts(messages: Sequence[Message]) -> list[str]:
    """The bodies, as text."""
    return [message.data.decode() for message in messages]


async def test_one_reply_is_enough_without_a_timeout(open_: Open) -> None:
    """It returns with the first; the reply carries the request's correlation id."""
    adapter = await open_()
    async with answering(adapter, "a", "b") as asked:
        [reply] = await adapter.request(QUEUE, Message.of("x"), timeout=None, expected=None)
    assert reply.data == b"a"
    assert reply.get("correlation-id") == asked[0].get("correlation-id")


async def test_the_number_or_the_timeout_ends_it_whichever_is_first(open_: Open) -> None:
    """With a timeout alone, everything that comes within it is returned."""
    adapter: Adapter = await open_()
    async with answering(adapter, "a", "b", "c"):  # type: ignore[arg-type]
        request = adapter.request  # type: ignore[attr-defined]
        assert texts(await request(QUEUE, Message.of("x"), timeout=30, expected=2)) == ["a", "b"]
        assert texts(await request(QUEUE, Message.of("x"), timeout=0.3, expected=5)) == ["a", "b", "c"]
        assert texts(await request(QUEUE, Message.of("x"), timeout=0.3, expected=None)) == ["a", "b", "c"]


async def test_no_reply_in_time(open_: Open) -> None:
    """`TimedOut`; a request for no reply at all is refused."""
    adapter = await open_()
    with pytest.raises(TimedOut, match=r"no reply within 0\.05 s"):
        await adapter.request(QUEUE, Message.of("x"), timeout=0.05, expected=None)
    with pytest.raises(ValueError, match="at least one"):
        await adapter.request(QUEUE, Message.of("x"), timeout=1, expected=0)


async def test_the_correlation_id_of_the_asker_is_kept(open_: Open) -> None:
    """The adapter adds one only where there is none."""
    adapter = await open_()
    async with answering(adapter, "a") as asked:
        message = Message.of("x", metadata={"correlation-id": "mine", "other": "o"})
        [reply] = await adapter.request(QUEUE, message, timeout=None, expected=None)
    assert (asked[0].get("correlation-id"), asked[0].get("other")) == ("mine", "o")
    assert reply.get("correlation-id") == "mine"


async def test_a_reply_that_nobody_asked_for_or_waits_for_is_dropped(open_: Open) -> None:
    """A handler must not fail because its asker is gone; a plain publish there says so."""
    asker, answerer = await open_(), await open_()
    async with answering(asker, "a") as asked:
        await asker.request(QUEUE, Message.of("x"), timeout=None, expected=None)
    await answerer.reply(Message.of("no reply-to"), numbered([1]))
    await answerer.reply(asked[0], numbered([1]))
    await asker.close()
    await answerer.reply(asked[0], numbered([1]))
    with pytest.raises(ChannelNotFound):
        await answerer.publish(Channel(asked[0].get("reply-to") or ""), numbered([1]))


async def test_a_reply_to_a_channel_of_the_asker_s_own_choice(open_: Open) -> None:
    """`reply-to` may name any channel; a message id serves as the correlation id."""
    adapter = await open_()
    await adapter.reply(Message.of("x", metadata={"reply-to": "answers", "message-id": "7"}), numbered([1]))
    async with adapter.subscribe(Channel("answers"), SubscribeOptions(group="g")) as subscription:
        [delivery] = await subscription.receive(1)
    assert delivery.message.get("correlation-id") == "7"


async def test_nothing_of_requests_stays_in_the_file(open_: Open, path: Path) -> None:
    """No channel, no message, no member."""
    adapter = await open_()
    async with answering(adapter, "a", "b"):
        for _ in range(10):
            await adapter.request(QUEUE, Message.of("x"), timeout=None, expected=None)
    await adapter.close()
    db = sqlite3.connect(path)
    assert db.execute("SELECT name FROM channel").fetchall() == [(b"orders",)]
    assert db.execute("SELECT count(*) FROM message").fetchone() == (10,)
    assert db.execute("SELECT count(*) FROM member").fetchone() == (0,)
    db.close()


async def test_closing_ends_a_request_that_waits(open_: Open) -> None:
    """With `Closed`, not with its timeout."""
    adapter = await open_()
    waiting = asyncio.create_task(adapter.request(QUEUE, Message.of("x"), timeout=None, expected=None))
    async with adapter.subscribe(QUEUE, SubscribeOptions(group="g")) as subscription:
        await subscription.receive(1)
    await adapter.close()
    with pytest.raises(Closed):
        await asyncio.wait_for(waiting, 30)
