"""Requests and their replies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import cast

from dragoman.adapter import ACCEPT, Capability, RequestReply, Subscription
from dragoman.errors import TimedOut
from dragoman.message import Channel, Message
from dragoman.testing.bench import Bench
from dragoman.testing.case import case
from dragoman.testing.ledger import ConformanceError, expect

_REQUESTS = Capability.REQUEST_REPLY
_Answer = Callable[[Message], Sequence[Message]]


@case(_REQUESTS)
async def a_request_gets_its_reply(bench: Bench) -> None:
    """Without a timeout and a number, `request` returns the first reply."""
    async with _answering(bench, lambda asked: [Message.of(b"re:" + asked.data)]) as channel:
        replies = await _ask(bench, channel, "1")
    expect(replies == [b"re:1"], f"the replies were {replies}; expected [b're:1']")


@case(_REQUESTS)
async def a_request_gets_several_replies(bench: Bench) -> None:
    """With a number, `request` returns as soon as so many replies are there."""
    async with _answering(bench, lambda _: [Message.of(f"{n}") for n in range(3)]) as channel:
        replies = await _ask(bench, channel, "1", timeout=bench.harness.patience, expected=3)
    expect(replies == [b"0", b"1", b"2"], f"the replies were {replies}; expected three, in order")


@case(_REQUESTS)
async def a_timeout_collects_what_came(bench: Bench) -> None:
    """With a timeout and no number, `request` returns all replies that came within it."""
    async with _answering(bench, lambda _: [Message.of(f"{n}") for n in range(3)]) as channel:
        replies = await _ask(bench, channel, "1", timeout=1.0)
    expect(sorted(replies) == [b"0", b"1", b"2"], f"the replies were {replies}; expected all three")


@case(_REQUESTS)
async def fewer_replies_than_expected_are_returned_at_the_timeout(bench: Bench) -> None:
    """With both, `request` returns at the timeout what has come by then."""
    async with _answering(bench, lambda _: [Message.of("only")]) as channel:
        replies = await _ask(bench, channel, "1", timeout=1.0, expected=3)
    expect(replies == [b"only"], f"the replies were {replies}; expected one")


@case(_REQUESTS)
async def no_reply_is_timed_out(bench: Bench) -> None:
    """A request that nobody answers raises `TimedOut` after its timeout."""
    async with _answering(bench, lambda _: []) as channel:
        try:
            replies = await _ask(bench, channel, "1", timeout=0.5, expected=1)
        except TimedOut:
            return
    raise ConformanceError(f"a request without any reply returned {replies}; expected TimedOut")


@case(_REQUESTS)
async def fifty_requests_at_once_get_their_own_replies(bench: Bench) -> None:
    """Replies find the request that they answer."""
    async with _answering(bench, lambda asked: [Message.of(b"re:" + asked.data)]) as channel:
        asking = (_ask(bench, channel, f"{n}", timeout=bench.harness.patience, expected=1) for n in range(50))
        replies = await asyncio.gather(*asking)
    wrong = {n: got for n, got in enumerate(replies) if got != [f"re:{n}".encode()]}
    expect(not wrong, f"{len(wrong)} of 50 requests got a wrong reply: {dict(list(wrong.items())[:3])}")


@case(_REQUESTS)
async def a_cancelled_request_leaves_nothing(bench: Bench) -> None:
    """A request cancelled while it waits disturbs no later one, also when its reply comes late."""
    arrived = asyncio.get_running_loop().create_future()

    def keep(asked: Message) -> list[Message]:
        arrived.set_result(asked)
        return []

    async with _answering(bench, keep) as channel:
        asking = asyncio.ensure_future(_ask(bench, channel, "late"))
        late = await bench.within(arrived, "the request")
        asking.cancel()
        await asyncio.wait([asking])
        await _replier(bench).reply(late, [Message.of("too late")])
    async with _answering(bench, lambda asked: [Message.of(b"re:" + asked.data)]) as channel:
        replies = await _ask(bench, channel, "2", timeout=bench.harness.patience, expected=1)
    expect(replies == [b"re:2"], f"the replies were {replies}; expected [b're:2']")


@case(_REQUESTS)
async def a_correlation_id_is_kept(bench: Bench) -> None:
    """A request's own `correlation-id` arrives with it and with its replies; otherwise one is added."""
    asked: list[Message] = []

    def note(one: Message) -> list[Message]:
        asked.append(one)
        return [Message.of("1")]

    async with _answering(bench, note) as channel:
        mine = Message.of("1", metadata={"correlation-id": "mine"})
        replies = await bench.within(_replier(bench).request(channel, mine, timeout=None, expected=1), "a reply")
        await _ask(bench, channel, "2")
    expect(asked[0].get("correlation-id") == "mine", f"the request came with {asked[0].get('correlation-id')!r}")
    expect(replies[0].get("correlation-id") == "mine", f"the reply came with {replies[0].get('correlation-id')!r}")
    expect(asked[1].get("correlation-id"), "a request without a correlation-id came without one")
    expect(asked[1].get("reply-to"), "a request came without a reply-to")


@case(_REQUESTS)
async def replying_to_what_asks_for_nothing_does_nothing(bench: Bench) -> None:
    """`reply` to a message without `reply-to` returns and sends nothing."""
    await bench.within(_replier(bench).reply(Message.of("no request"), [Message.of("1")]), "the end of reply()")


def _replier(bench: Bench) -> RequestReply:
    return cast("RequestReply", bench.adapter)


async def _ask(
    bench: Bench, channel: Channel, name: str, *, timeout: float | None = None, expected: int | None = None
) -> list[bytes]:
    asking = _replier(bench).request(channel, Message.of(name), timeout=timeout, expected=expected)
    return [reply.data for reply in await bench.within(asking, f"the replies to request {name}")]


@asynccontextmanager
async def _answering(bench: Bench, answer: _Answer) -> AsyncIterator[Channel]:
    """A channel whose requests are answered, on a connection of its own, as long as this is open."""
    channel, adapter = await bench.channel(), await bench.connect()
    async with bench.subscribed(channel, adapter=adapter) as subscription:
        answering = asyncio.ensure_future(_answer(cast("RequestReply", adapter), subscription, answer))
        try:
            yield channel
        finally:
            await bench.end([answering])


async def _answer(replier: RequestReply, subscription: Subscription, answer: _Answer) -> None:
    while True:
        for asked in await subscription.receive(100):
            if replies := answer(asked.message):
                await replier.reply(asked.message, replies)
            await subscription.settle([(asked, ACCEPT)])
