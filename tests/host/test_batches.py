"""Handlers that are given several messages at once; each of them is settled by itself."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from time import perf_counter
from typing import Any

import pytest

from dragoman.adapter import Release
from dragoman.errors import Rejected
from dragoman.handlers.handler import Context
from dragoman.host.source import BATCH
from dragoman.message import Message
from tests.dictionary.broker import Broker
from tests.host.running import put, running, until

QUICK = {"size": 10, "wait": "5ms"}


def bodies(number: int) -> list[bytes]:
    """Numbered ones."""
    return [b"%04d" % index for index in range(number)]


def data(messages: Sequence[Message]) -> list[bytes]:
    """Their bodies."""
    return [message.data for message in messages]


async def test_batches_are_full_where_there_is_enough_and_wait_for_no_more() -> None:
    """With all messages, in their order; each is accepted and counted."""
    broker, seen = Broker(), list[list[bytes]]()
    put(broker, *bodies(1_005))

    async def work(messages: Sequence[Message], context: Context) -> None:
        seen.append(data(messages))

    async with running(broker, work, batch={"size": 100, "wait": "10ms"}, concurrency=2) as host:
        await until(lambda: host.counters["work"].handled == 1_005 and not host.counters["work"].in_hand)
        assert host.counters["work"].latencies.count == len(seen)
    assert [body for batch in seen for body in batch] == bodies(1_005)
    assert Counter(broker.accepted("in")) == Counter(bodies(1_005))
    assert max(map(len, seen)) == 100
    assert len(seen) <= 15
    assert broker.most_held <= 200 + BATCH


async def test_the_first_of_a_batch_waits_for_others_for_so_long_and_no_longer() -> None:
    """What comes in that time is in it."""
    broker, seen = Broker(), list[tuple[float, list[bytes]]]()

    async def work(messages: Sequence[Message], context: Context) -> None:
        seen.append((perf_counter(), data(messages)))

    async with running(broker, work, batch={"size": 10, "wait": "300ms"}) as host:
        began = perf_counter()
        put(broker, b"1")
        await until(lambda: host.counters["work"].in_hand == 1)
        put(broker, b"2")
        await until(lambda: seen)
    assert [batch for _, batch in seen] == [[b"1", b"2"]]
    assert seen[0][0] - began >= 0.3


async def test_a_whole_batch_waits_for_nothing() -> None:
    """Nor does what is in hand when the host is drained."""
    broker, seen = Broker(), list[list[bytes]]()
    put(broker, *bodies(13))

    async def work(messages: Sequence[Message], context: Context) -> None:
        seen.append(data(messages))

    async with running(broker, work, batch={"size": 10, "wait": "1h"}) as host:
        await until(lambda: len(seen) == 1 and host.counters["work"].in_hand == 3)
        async with asyncio.timeout(5):
            assert await host.drain(30.0)
    assert seen == [bodies(13)[:10], bodies(13)[10:]]
    assert Counter(broker.accepted("in")) == Counter(bodies(13))


async def test_a_batch_is_of_one_channel() -> None:
    """Each channel has batches of its own, and none waits for another."""
    broker, seen = Broker(), list[set[str]]()
    for channel in ("a", "b", "c"):
        put(broker, *bodies(50), channel=channel)

    async def work(messages: Sequence[Message], context: Context) -> None:
        seen.append({str(message.channel) for message in messages})

    async with running(broker, work, subscribe=["a", "b", "c"], batch=QUICK, concurrency=1) as host:
        await until(lambda: host.counters["work"].handled == 150)
    assert all(len(channels) == 1 for channels in seen)
    assert Counter(map(str, seen)) == {"{'a'}": 5, "{'b'}": 5, "{'c'}": 5}


async def test_lanes_keep_their_order_within_batches_and_between_them() -> None:
    """A batch has several of a lane; two batches at once never have the same lane."""
    broker, seen, busy, most = Broker(), defaultdict[str, list[bytes]](list), set[str](), 0
    for body in bodies(200):
        for key in ("a", "b", "c"):
            put(broker, body, key=key)

    async def work(messages: Sequence[Message], context: Context) -> None:
        nonlocal most
        keys = {str(message.key) for message in messages}
        assert not keys & busy
        busy.update(keys)
        await asyncio.sleep(0.001)
        for message in messages:
            seen[str(message.key)].append(message.data)
        most = max(most, len(messages) // len(keys))
        busy.difference_update(keys)

    async with running(broker, work, batch={"size": 50, "wait": "5ms"}, concurrency=3) as host:
        await until(lambda: host.counters["work"].handled == 600)
        assert host.counters["work"].failed == 0
    assert dict(seen) == {key: bodies(200) for key in ("a", "b", "c")}
    assert most > 5


async def test_one_bad_message_takes_no_others_with_it() -> None:
    """After a failed batch each is tried alone: the good ones are accepted, the bad one is dead-lettered."""
    broker, sizes = Broker(), defaultdict[bytes, list[int]](list)
    put(broker, *bodies(9), b"bad")

    async def work(messages: Sequence[Message], context: Context) -> None:
        for message in messages:
            sizes[message.data].append(len(messages))
        if b"bad" in data(messages):
            raise RuntimeError("no luck")

    retry = {"attempts": 3, "backoff": "1ms"}
    async with running(broker, work, batch=QUICK, retry=retry, dead_letter="dead") as host:
        await until(lambda: len(broker.accepted("in")) == 10)
        counters = host.counters["work"]
        assert (counters.handled, counters.dead_lettered, counters.failed) == (9, 1, 12)
    assert {body: sizes[body] for body in bodies(9)} == {body: [10, 1] for body in bodies(9)}
    assert (sizes[b"bad"], broker.data("dead")) == ([10, 1, 1], [b"bad"])
    assert broker.messages("dead")[0].get("dragoman-attempts") == "3"


@pytest.mark.parametrize("error", [RuntimeError("no luck"), Rejected("never")])
async def test_a_failed_batch_is_nobodys_last_try(error: Exception) -> None:
    """Nor does a rejection mean all of them: nobody knows which one it was about."""
    broker, handled = Broker(), list[bytes]()
    put(broker, *bodies(5), b"bad")

    async def work(messages: Sequence[Message], context: Context) -> None:
        if b"bad" in data(messages):
            raise error
        handled.extend(data(messages))

    async with running(broker, work, batch=QUICK, retry={"attempts": 1, "backoff": "1ms"}, dead_letter="dead"):
        await until(lambda: len(broker.accepted("in")) == 6)
    assert (sorted(handled), broker.data("dead")) == (bodies(5), [b"bad"])
    assert broker.messages("dead")[0].get("dragoman-attempts") == "2"


async def test_a_failed_batch_of_one_lane_is_tried_one_by_one_in_its_order() -> None:
    """Those behind the bad one wait for it, and what came later for all of them."""
    broker, alone, later = Broker(), list[bytes](), list[bytes]()
    put(broker, *bodies(10), *bodies(30)[10:], key="k")

    async def work(messages: Sequence[Message], context: Context) -> None:
        if len(messages) > 1 and b"0003" in data(messages):
            raise RuntimeError("no luck")
        if len(messages) == 1:
            alone.extend(data(messages))
            if messages[0].data == b"0003" and context.attempt < 4:
                raise RuntimeError("no luck")
        else:
            later.extend(data(messages))

    async with running(broker, work, batch=QUICK, retry={"attempts": 5, "backoff": "1ms"}):
        await until(lambda: len(broker.accepted("in")) == 30)
    assert alone[:12] == [b"0000", b"0001", b"0002", b"0003", b"0003", b"0003", *bodies(10)[4:]]
    assert (alone + later)[12:] == bodies(30)[10:]
    assert broker.accepted("in") == bodies(30)


async def test_a_batch_is_settled_message_by_message() -> None:
    """What is completed is accepted at once, what is abandoned follows the configuration, the rest its try."""
    broker, again = Broker(), list[bytes]()
    put(broker, *bodies(10))

    async def work(messages: Sequence[Message], context: Context) -> None:
        if len(messages) == 1:
            again.extend(data(messages))
            return
        for message in messages[:3]:
            await context.complete(context.receipt(message))
        assert Counter(broker.accepted("in")) == Counter(bodies(10)[:3])
        for message in messages[3:5]:
            await context.abandon(context.receipt(message))
        raise RuntimeError("no luck")

    async with running(
        broker, work, batch=QUICK, retry={"backoff": "1ms"}, abandoned="dead-letter", dead_letter="dead"
    ):
        await until(lambda: len(broker.accepted("in")) == 10)
    assert (sorted(again), sorted(broker.data("dead"))) == (bodies(10)[5:], bodies(10)[3:5])


@pytest.mark.parametrize("abandoned", ["retry", "drop", "dead-letter"])
@pytest.mark.parametrize("key", [None, "k"])
async def test_what_a_batch_abandons_is_settled_apart_from_the_rest(abandoned: str, key: str | None) -> None:
    """The others of a batch that went well are accepted; nothing of a lane gets stuck."""
    broker, again = Broker(), list[bytes]()
    put(broker, *bodies(10), key=key)

    async def work(messages: Sequence[Message], context: Context) -> None:
        if len(messages) == 1:
            again.extend(data(messages))
            if abandoned == "retry":
                return
        for message in messages:
            if message.data in (b"0002", b"0005"):
                await context.abandon(context.receipt(message))

    settings: dict[str, Any] = {"abandoned": abandoned, "dead_letter": "dead", "retry": {"backoff": "1ms"}}
    async with running(broker, work, batch=QUICK, **settings) as host:
        await until(lambda: len(broker.settled) == 10)
        counters = host.counters["work"]
        await until(lambda: not counters.in_hand)
        put(broker, *(b"next %d" % number for number in range(10)), key=key)
        await until(lambda: len(broker.settled) == 20)
        gone = [b"0002", b"0005"]
        assert counters.dropped == (2 if abandoned == "drop" else 0)
    assert sorted(broker.data("dead")) == (gone if abandoned == "dead-letter" else [])
    if abandoned == "retry":
        assert (again if key else sorted(again)) == gone
    assert {body for *_, body, _ in broker.settled} >= set(bodies(10))


async def test_the_deadline_is_for_a_batch_and_a_drain_gives_it_back_in_order() -> None:
    """A batch that is late is tried one by one; one that is cancelled goes back as it came."""
    broker, sizes = Broker(), list[int]()
    put(broker, *bodies(10), key="k")

    async def work(messages: Sequence[Message], context: Context) -> None:
        sizes.append(len(messages))
        if len(messages) > 1:
            await asyncio.sleep(30)

    async with running(broker, work, batch=QUICK, deadline="30ms", retry={"backoff": "1ms"}):
        await until(lambda: len(broker.accepted("in")) == 10)
    assert sizes == [10, *[1] * 10]

    put(broker, *bodies(25)[10:], key="k")
    async with running(broker, work, batch=QUICK) as host:
        await until(lambda: len(sizes) == 12 and host.counters["work"].in_hand == 15)
        assert not await host.drain(0.01)
    assert [(body, outcome) for *_, body, outcome in broker.settled[10:]] == [(b, Release()) for b in bodies(25)[10:]]


async def test_what_was_delivered_before_is_handled_alone() -> None:
    """Perhaps it ended the process that had it, with all that were in hand."""
    broker, sizes = Broker(), Counter[int]()
    put(broker, *bodies(5))

    async def hold(messages: Sequence[Message], context: Context) -> None:
        await asyncio.Event().wait()

    async def work(messages: Sequence[Message], context: Context) -> None:
        sizes[len(messages)] += 1

    async with running(broker, hold, batch=QUICK) as host:
        await until(lambda: host.counters["work"].in_hand == 5)
    put(broker, *bodies(15)[5:])
    async with running(broker, work, batch=QUICK):
        await until(lambda: len(broker.accepted("in")) == 15)
    assert sizes[1] == 5
    assert sum(size * count for size, count in sizes.items()) == 15


async def test_a_connection_that_is_lost_in_the_middle_of_batches_loses_nothing() -> None:
    """Everything comes again, and in the order of its lanes."""
    broker, seen, drops = Broker(), defaultdict[str, list[int]](list), 0
    for body in bodies(300):
        put(broker, body, key="a")
        put(broker, body, key="b")

    async def work(messages: Sequence[Message], context: Context) -> None:
        nonlocal drops
        await asyncio.sleep(0.001)
        for message in messages:
            seen[str(message.key)].append(int(message.data))
        if len(seen["a"]) > 60 * (drops + 1) and drops < 4:
            drops += 1
            broker.drop()

    async with running(broker, work, batch=QUICK, concurrency=2) as host:
        await until(lambda: len(broker.accepted("in")) >= 600 and not host.counters["work"].in_hand)
    for numbers in seen.values():
        assert set(numbers) == set(range(300))
        assert all(later <= earlier + 1 for earlier, later in pairwise(numbers))
    assert Counter(broker.accepted("in")) == Counter(bodies(300) * 2)


async def test_context_variables_and_replies_work_for_batches() -> None:
    """A reply goes to whichever message of the batch asked for it."""
    broker = Broker()

    async def answer(messages: Sequence[Message], context: Context) -> None:
        for message in messages:
            await context.reply(message, message.data.upper())

    async def ask(message: Message, context: Context) -> None:
        (reply,) = await context.request("questions", message.data, timeout=5)
        await context.publish("answers", reply.data)

    put(broker, b"a", b"b", b"c")
    handlers = {
        "ask": (ask, {}),
        "answer": (answer, {"publish": [], "subscribe": ["questions"], "batch": {"size": 3, "wait": "50ms"}}),
    }
    async with running(broker, handlers=handlers):  # type: ignore[arg-type]
        await until(lambda: len(broker.data("answers")) == 3)
    assert sorted(broker.data("answers")) == [b"A", b"B", b"C"]
