"""Nobody waits for a failing neighbour: other handlers, other lanes and the dead letters behind it go on.

How long they take beside it is measured in `benchmarks/neighbours.py`; here everything is counted.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable

import pytest

from dragoman.handlers.handler import Context
from dragoman.message import Message
from tests.dictionary.broker import Broker
from tests.host.running import put, running, until

Work = Callable[[Message, Context], Awaitable[None]]


def numbered(count: int, prefix: str = "") -> list[bytes]:
    """Bodies."""
    return [f"{prefix}{number:04}".encode() for number in range(count)]


async def fails(message: Message, context: Context) -> None:
    """On every message."""
    raise RuntimeError("no luck")


async def is_slow(message: Message, context: Context) -> None:
    """Takes longer than this test."""
    await asyncio.sleep(60)


async def is_stuck(message: Message, context: Context) -> None:
    """Until its deadline, again and again."""
    await asyncio.Event().wait()


@pytest.mark.parametrize("bad", [fails, is_slow, is_stuck])
async def test_another_handler_is_done_while_this_one_is_not(bad: Work) -> None:
    """All of the neighbour's messages are handled, in order, and none of the bad one's."""
    broker, seen = Broker(), []
    put(broker, *numbered(300), channel="bad")

    async def good(message: Message, context: Context) -> None:
        await context.publish("out", message)
        seen.append(message.data)

    settings = {"subscribe": ["bad"], "retry": {"attempts": 100, "backoff": "20s"}, "deadline": "30s"}
    async with running(broker, handlers={"bad": (bad, settings), "good": (good, {"subscribe": ["good"]})}) as host:
        await until(lambda: host.counters["bad"].in_hand >= 16)
        put(broker, *numbered(200), channel="good", key="k")
        await until(lambda: len(broker.accepted("good")) == 200)
        assert host.counters["bad"].handled == 0
        assert host.counters["bad"].in_hand >= 16
    assert seen == broker.data("out") == numbered(200)
    assert sorted(broker.left("bad", "bad")) == numbered(300)


@pytest.mark.parametrize("bad", [fails, is_slow, is_stuck])
async def test_other_lanes_of_the_same_handler_are_done_while_one_is_not(bad: Work) -> None:
    """Each in its order; the bad lane takes one place, or none while it waits for its next try."""
    broker, seen = Broker(), defaultdict[str | None, list[bytes]](list)
    put(broker, *numbered(50), key="bad")
    for lane in range(20):
        put(broker, *numbered(10, f"{lane:02}-"), key=str(lane))

    async def work(message: Message, context: Context) -> None:
        if message.key == "bad":
            await bad(message, context)
        seen[message.key].append(message.data)

    async with running(broker, work, concurrency=2, retry={"attempts": 100, "backoff": "20s"}) as host:
        await until(lambda: host.counters["work"].handled == 200)
    assert seen == {str(lane): numbered(10, f"{lane:02}-") for lane in range(20)}
    assert broker.left("in", "work") == numbered(50)


async def test_dead_letters_behind_a_stuck_message_are_sent() -> None:
    """A message that hangs holds its own place and lane, and no dead letter."""
    broker = Broker()
    put(broker, b"stuck", key="stuck")
    put(broker, *numbered(200))

    async def work(message: Message, context: Context) -> None:
        await (is_stuck if message.data == b"stuck" else fails)(message, context)

    async with running(broker, work, concurrency=2, retry={"attempts": 2, "backoff": "1ms"}, dead_letter="dead"):
        await until(lambda: len(broker.accepted("in")) == 200)
    assert Counter(broker.data("dead")) == Counter(numbered(200))
    assert broker.left("in", "work") == [b"stuck"]


async def test_a_drain_under_load_neither_hurries_retries_nor_dead_letters() -> None:
    """What is in hand is finished, what waits for its next try goes back untried; every message is one or the other."""
    broker, tries = Broker(), Counter[bytes]()
    put(broker, *numbered(200, "bad-"))
    put(broker, *numbered(5_000))

    async def work(message: Message, context: Context) -> None:
        tries[message.data] += 1
        await asyncio.sleep(0)
        if message.data.startswith(b"bad"):
            raise RuntimeError("no luck")

    async with running(broker, work, retry={"attempts": 2, "backoff": "20s", "jitter": 0}, dead_letter="dead") as host:
        await until(lambda: host.counters["work"].handled > 500)
        assert host.counters["work"].waiting
        assert not await host.drain(10.0)
    done, left = Counter(broker.accepted("in")), Counter(broker.left("in", "work"))
    assert done + left == Counter(numbered(200, "bad-") + numbered(5_000))
    assert broker.data("dead") == []
    assert max(tries.values()) == 1
    assert all(left[body] for body in numbered(200, "bad-"))
    assert {body for body in tries if not body.startswith(b"bad")} == set(done)
