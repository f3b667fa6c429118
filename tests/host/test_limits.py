"""Concurrency, what is in hand, deadlines; and that waiting costs others nothing."""

from __future__ import annotations

import asyncio
import contextvars
from collections import Counter
from time import perf_counter

import pytest

from dragoman.adapter import Capability
from dragoman.handlers.handler import Context
from dragoman.host.settling import BESIDE
from dragoman.host.source import BATCH
from dragoman.message import Message
from tests.dictionary.adapter import EVERYTHING
from tests.dictionary.broker import Broker
from tests.host.running import put, running, until


def bodies(number: int) -> list[bytes]:
    """Numbered ones."""
    return [f"{index:04}".encode() for index in range(number)]


@pytest.mark.parametrize("concurrency", [1, 3, 64])
async def test_concurrency_is_reached_and_never_exceeded(concurrency: int) -> None:
    """Over all channels of the handler; what is in hand of each has its own bound."""
    broker, reached, now, most = Broker(), asyncio.Event(), 0, 0
    put(broker, *bodies(500))
    put(broker, *bodies(500), channel="in2")

    async def work(message: Message, context: Context) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        if now == concurrency:
            reached.set()
        await reached.wait()  # so that how messages happen to come does not matter
        await asyncio.sleep(0)
        now -= 1

    async with running(broker, work, concurrency=concurrency, subscribe=["in", "in2"]) as host:
        await until(lambda: host.counters["work"].handled == 1_000)
    assert most == concurrency
    assert broker.most_held <= concurrency + BATCH


async def test_a_quick_handler_has_a_batch_ahead_and_a_slow_one_nothing() -> None:
    """A slow one leaves the messages to other members of its group."""
    broker, go = Broker(), asyncio.Event()
    put(broker, *bodies(1_000))

    async def quick(message: Message, context: Context) -> None: ...

    async def slow(message: Message, context: Context) -> None:
        await go.wait()

    handlers = {"quick": (quick, {"concurrency": 4}), "slow": (slow, {"concurrency": 4})}
    async with running(broker, handlers=handlers) as host:
        await until(lambda: host.counters["quick"].handled == 1_000)
        assert max(broker.sizes["receive"]) > BATCH // 2
        assert host.counters["slow"].in_hand == 4


async def test_in_hand_is_bounded_when_nothing_gets_settled() -> None:
    """Receiving stops, nothing is dropped, and it goes on."""
    broker = Broker()
    put(broker, *bodies(1_000))

    async def work(message: Message, context: Context) -> None: ...

    async with running(broker, work, concurrency=2) as host:
        counters = host.counters["work"]
        await until(lambda: counters.handled == 1_000 and not counters.in_hand)
        put(broker, *bodies(1_000))
        with broker.hold("settle"):
            await until(lambda: counters.in_hand == 2 + BATCH)
            await asyncio.sleep(0.05)
            assert counters.in_hand == broker.most_held == 2 + BATCH
        await until(lambda: counters.handled == 2_000 and not counters.in_hand)
    assert Counter(broker.accepted("in")) == Counter(bodies(1_000) * 2)


async def test_what_the_broker_is_being_told_of_is_in_nobodys_way() -> None:
    """While it does not answer it is told of more, and others are received and handled; within a bound."""
    broker = Broker()
    broker.generous = True

    async def work(message: Message, context: Context) -> None: ...

    async with running(broker, work, concurrency=2) as host:
        counters = host.counters["work"]
        with broker.hold("settle"):
            put(broker, *bodies(6_000))
            await until(lambda: counters.in_hand > BESIDE and counters.in_hand == broker.settling + 2 + BATCH)
            await asyncio.sleep(0.05)
            assert counters.in_hand == counters.handled == broker.settling + 2 + BATCH
            assert BESIDE - BATCH < broker.settling <= BESIDE
        await until(lambda: counters.handled == 6_000 and not counters.in_hand)
    assert Counter(broker.accepted("in")) == Counter(bodies(6_000))


async def test_large_messages_are_told_the_broker_beside_others_up_to_a_size() -> None:
    """What it is being told of has at most 16 MiB of data, apart from the first call: it is all in memory."""
    broker = Broker()
    broker.generous = True
    large = [b"%03d" % number + bytes(256 * 2**10) for number in range(200)]

    async def work(message: Message, context: Context) -> None: ...

    async with running(broker, work, concurrency=2) as host:
        counters = host.counters["work"]
        with broker.hold("settle"):
            put(broker, large[0])
            await until(lambda: broker.settling == 1)
            put(broker, *large[1:])
            await until(lambda: counters.in_hand == broker.settling + 2 + BATCH)
            await asyncio.sleep(0.05)
            assert 1 < broker.settling <= 64 + 1
        await until(lambda: counters.handled == 200 and not counters.in_hand)
    assert sorted(data[:3] for data in broker.accepted("in")) == [data[:3] for data in large]


async def test_a_broker_that_answers_at_once_is_told_of_all_in_one_call() -> None:
    """Calls beside each other are for those that take their time: at this one there are never two."""
    broker = Broker()
    most = 0

    async def work(message: Message, context: Context) -> None:
        nonlocal most
        most = max(most, broker.calls["settle"] - len(broker.sizes["settle"]))

    put(broker, *bodies(2_000))
    async with running(broker, work, concurrency=2) as host:
        await until(lambda: host.counters["work"].handled == 2_000 and not host.counters["work"].in_hand)
    assert most <= 1
    assert Counter(broker.accepted("in")) == Counter(bodies(2_000))


async def test_retries_wait_without_a_place() -> None:
    """With a single place, a hundred that fail hold up nobody."""
    broker, seen = Broker(), []
    put(broker, *(b"bad" + body for body in bodies(100)))
    put(broker, *bodies(100))

    async def work(message: Message, context: Context) -> None:
        if message.data.startswith(b"bad"):
            raise RuntimeError("no luck")
        seen.append(message.data)

    async with running(broker, work, concurrency=1, retry={"backoff": "20s"}) as host:
        await until(lambda: len(seen) == 100)
        assert host.counters["work"].failed == 100
    assert seen == bodies(100)
    assert len(broker.left("in", "work")) == 100


async def test_more_than_can_wait_here_wait_at_a_broker_that_can_delay() -> None:
    """So a thousand poisoned messages do not stop the good one behind them; all of them come again."""
    broker, seen = Broker(), Counter[bytes]()
    put(broker, *(b"bad" + body for body in bodies(1_000)), b"good")

    async def work(message: Message, context: Context) -> None:
        seen[message.data] += 1
        if message.data.startswith(b"bad"):
            raise RuntimeError("no luck")

    async with running(broker, work, concurrency=4, retry={"backoff": "20s", "jitter": 0}) as host:
        await until(lambda: seen[b"good"])
        assert host.counters["work"].waiting <= 4 + BATCH
        delays = [outcome.delay for *_, data, outcome in broker.settled if data.startswith(b"bad")]
        assert all(15 < delay <= 20 for delay in delays)
    assert sorted(seen) == sorted([*(b"bad" + body for body in bodies(1_000)), b"good"])
    assert set(seen.values()) == {1}
    assert len(broker.left("in", "work")) == 1_000


async def test_where_the_broker_cannot_delay_receiving_stops_and_nothing_is_lost() -> None:
    """It goes on as soon as something is done with."""
    broker, bad = Broker(), True
    put(broker, *bodies(500))

    async def work(message: Message, context: Context) -> None:
        if bad:
            raise RuntimeError("no luck")

    async with running(
        broker, work, capabilities=EVERYTHING - {Capability.DELAY}, retry={"backoff": "300ms", "max_backoff": "300ms"}
    ) as host:
        await until(lambda: host.counters["work"].waiting == 16 + BATCH)
        assert host.counters["work"].received == 16 + BATCH
        bad = False
        await until(lambda: len(broker.accepted("in")) == 500)
    assert Counter(broker.accepted("in")) == Counter(bodies(500))


async def test_a_lane_that_is_stuck_fills_no_more_than_what_may_be_in_hand() -> None:
    """The others go on: the broker keeps the stuck lane when too much of it is here."""
    broker, seen = Broker(), []
    put(broker, *bodies(500), key="stuck")
    put(broker, b"other", key="other")

    async def work(message: Message, context: Context) -> None:
        if message.key == "stuck":
            raise RuntimeError("no luck")
        seen.append(message.data)

    async with running(broker, work, concurrency=2, retry={"backoff": "20s"}):
        await until(lambda: seen == [b"other"])
        assert broker.most_held <= 2 + BATCH
    assert broker.left("in", "work") == bodies(500)


async def test_the_deadline_ends_a_try() -> None:
    """It is cancelled, and counts as a failure."""
    broker, cancelled = Broker(), []
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(context.attempt)
            raise

    async with running(broker, work, deadline="20ms", retry={"attempts": 2, "backoff": "1ms"}, dead_letter="dead"):
        await until(lambda: broker.accepted("in"))
    assert cancelled == [1, 2]
    reason = broker.messages("dead")[0].get("dragoman-reason")
    assert reason == "it took longer than its deadline of 0.02 s"


async def test_the_deadline_counts_from_the_start_of_each_try() -> None:
    """However many run, and however long they waited."""
    broker = Broker()
    put(broker, *bodies(40))

    async def work(message: Message, context: Context) -> None:
        await asyncio.sleep(0.04 if int(message.data) % 2 else 30)

    async with running(broker, work, deadline="200ms", concurrency=4, retry={"attempts": 1}, exhausted="drop") as host:
        counters = host.counters["work"]
        await until(lambda: counters.handled + counters.dropped == 40)
        assert (counters.handled, counters.dropped) == (20, 20)


async def test_the_deadline_covers_sends_that_were_not_awaited() -> None:
    """A broker that hangs does not hang the handler."""
    broker, tasks = Broker(), []
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        tasks.append(asyncio.create_task(context.publish("out", b"x")))

    with broker.hold("publish"):
        async with running(broker, work, deadline="20ms", retry={"attempts": 1}, exhausted="drop") as host:
            await until(lambda: host.counters["work"].dropped)
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_stuck_handler_does_not_hold_up_another() -> None:
    """Nor another lane of the same one, as long as there are places."""
    broker, seen, go = Broker(), [], asyncio.Event()
    put(broker, b"stuck", key="a")
    put(broker, *bodies(100), key="b")

    async def one(message: Message, context: Context) -> None:
        if message.data == b"stuck":
            await go.wait()

    async def two(message: Message, context: Context) -> None:
        seen.append(message.data)

    async with running(broker, handlers={"one": (one, {"concurrency": 2}), "two": (two, {})}) as host:
        await until(lambda: len(seen) == 101 and host.counters["one"].handled == 100)
        go.set()
        await until(lambda: host.counters["one"].handled == 101)


async def test_the_loop_turns_between_messages_that_take_long_to_compute() -> None:
    """Quick ones share a turn; a handler that never waits and is not quick holds up the loop for one message only."""
    broker, handled, at_once = Broker(), 0, list[int]()
    put(broker, *bodies(100))

    async def work(message: Message, context: Context) -> None:
        nonlocal handled
        began = perf_counter()
        while perf_counter() < began + 0.002:
            pass
        handled += 1

    async with running(broker, work, concurrency=16) as host:
        before = 0
        while host.counters["work"].handled < 100:
            at_once.append(handled - before)
            before = handled
            await asyncio.sleep(0)
    assert max(at_once) == 1


async def test_what_a_handler_sets_in_its_context_is_not_seen_by_the_next() -> None:
    """Context variables belong to one try."""
    broker, seen = Broker(), []
    put(broker, *bodies(50))
    variable = contextvars.ContextVar[str]("variable", default="unset")

    async def work(message: Message, context: Context) -> None:
        seen.append(variable.get())
        variable.set("set")

    async with running(broker, work, concurrency=2):
        await until(lambda: len(seen) == 50)
    assert set(seen) == {"unset"}
