"""Requests that wait for their replies, whatever the broker is."""

from __future__ import annotations

import asyncio

import pytest

from dragoman.errors import ChannelNotFound, Closed, ConnectionLost, TimedOut
from dragoman.message import Message
from dragoman.replies import Replies


async def _sent() -> None:
    """A request that is on its way."""


async def test_a_request_has_no_more_replies_than_it_expects() -> None:
    """Also where more come in one turn of the loop; those of others are theirs."""
    replies: Replies[str] = Replies()

    async def send() -> None:
        for number in range(3):
            replies.came("a", Message.of(str(number)))
            replies.came("nobody's", Message.of("x"))

    found = await replies.gather("a", send, where="rates", timeout=None, expected=2)
    assert [reply.data for reply in found] == [b"0", b"1"]
    (first,) = await replies.gather("a", send, where="rates", timeout=None, expected=None)
    assert first.data == b"0"
    assert not replies


async def test_with_a_timeout_all_that_come_within_it_are_gathered() -> None:
    """And one without any reply says where nobody answered."""
    replies: Replies[int] = Replies()

    async def send() -> None:
        for number in range(3):
            replies.came(7, Message.of(str(number)))

    assert len(await replies.gather(7, send, where="rates", timeout=0.05, expected=None)) == 3
    with pytest.raises(TimedOut, match=r"rates: no reply within 0.05 s"):
        await replies.gather(7, _sent, where="rates", timeout=0.05, expected=1)


async def test_a_lost_connection_ends_all_requests_and_keeps_what_came() -> None:
    """Whoever has a reply gets it; the others are told."""
    replies: Replies[str] = Replies()
    waiting = [asyncio.create_task(replies.gather(key, _sent, where="rates", timeout=None, expected=2)) for key in "ab"]
    await asyncio.sleep(0)
    assert "a" in replies
    assert len(replies) == 2
    replies.came("a", Message.of("one"))
    replies.lost(ConnectionLost("gone"))
    one, error = await asyncio.gather(*waiting, return_exceptions=True)
    assert not isinstance(one, BaseException)
    assert [reply.data for reply in one] == [b"one"]
    assert isinstance(error, ConnectionLost)


async def test_what_sending_raises_is_told_and_forgotten() -> None:
    """Also where the time-out is the sender's own; and a cancelled request is forgotten too."""
    replies: Replies[str] = Replies()
    for error in (ChannelNotFound("no such topic"), TimeoutError("not ours")):

        async def fail(error: Exception = error) -> None:
            raise error

        with pytest.raises(type(error)) as caught:
            await replies.gather("a", fail, where="rates", timeout=5, expected=1)
        assert caught.value is error
        assert "a" not in replies
    asking = asyncio.create_task(replies.gather("a", _sent, where="rates", timeout=None, expected=1))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    assert "a" not in replies


async def test_a_client_that_calls_a_cancelled_send_closed_has_timed_out() -> None:
    """What the time-out cut short is told as a time-out, whatever the client makes of it."""
    replies: Replies[str] = Replies()

    async def send() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise Closed("the channel was closed") from None

    with pytest.raises(TimedOut, match=r"no reply within 0.01 s"):
        await replies.gather("a", send, where="rates", timeout=0.01, expected=1)
