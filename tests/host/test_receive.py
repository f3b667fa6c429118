"""A handler receives by itself in the middle of a try: for this try, from a subscription that is kept for a while."""

from __future__ import annotations

import asyncio
from collections import Counter
from time import perf_counter

import pytest

from dragoman.adapter import Accept, Capability, Reject, Release
from dragoman.errors import ChannelNotFound, Closed, ConnectionLost, NotGranted, Unsupported
from dragoman.handlers.handler import Context
from dragoman.host import ephemeral
from dragoman.message import Channel, Message
from tests.dictionary.adapter import EVERYTHING
from tests.dictionary.broker import Broker
from tests.host.running import put, running, until

ALL = {"listen": ["*", "topic:*"]}


def bodies(number: int) -> list[bytes]:
    """Numbered ones."""
    return [b"%04d" % index for index in range(number)]


async def test_what_is_received_is_accepted_with_its_try() -> None:
    """From a queue in the handler's group; at most as many as were asked for, in their order."""
    broker, seen = Broker(), []
    put(broker, *bodies(5), channel="a")
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        seen.append([one.data for one in await context.receive("a", timeout=5, limit=2)])
        seen.append([one.data for one in await context.receive("a", timeout=5)])
        assert broker.accepted("a") == []
        assert host.counters["work"].in_hand == 4

    async with running(broker, work, **ALL) as host:
        await until(lambda: len(broker.accepted("a")) == 3)
        await until(lambda: host.counters["work"].in_hand == 0)
        assert (host.counters["work"].handled, host.counters["work"].received) == (4, 4)
    assert seen == [bodies(5)[:2], bodies(5)[2:3]]
    assert broker.left("a", "work") == bodies(5)[3:]


async def test_what_a_failed_try_has_received_goes_back() -> None:
    """Except what it had completed by then; the next try gets it."""
    broker, seen = Broker(), []
    put(broker, *bodies(3), channel="a")
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        got = await context.receive("a", timeout=5, limit=3)
        seen.append([one.data for one in got])
        if context.attempt == 1:
            await context.complete(context.receipt(got[1]))
            raise RuntimeError("no luck")

    async with running(broker, work, retry={"backoff": "1ms"}, **ALL) as host:
        await until(lambda: broker.accepted("in"))
        await until(lambda: host.counters["work"].in_hand == 0)
    assert seen == [[b"0000", b"0001", b"0002"], [b"0000", b"0002"]]
    assert Counter(broker.accepted("a")) == Counter(bodies(3))


async def test_nothing_comes_in_time() -> None:
    """The answer is empty, the time that was given has passed, and the try goes on."""
    broker, took = Broker(), list[float]()
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        for timeout in (0, 0.2):
            began = perf_counter()
            assert await context.receive("a", timeout=timeout) == []
            took.append(perf_counter() - began)
        put(broker, b"there", channel="a")
        assert [one.data for one in await context.receive("a", timeout=0)] == [b"there"]

    async with running(broker, work, **ALL) as host:
        await until(lambda: broker.accepted("in"))
        assert host.counters["work"].failed == 0
    assert took[1] >= 0.2


async def test_without_a_timeout_it_waits_until_something_comes() -> None:
    """Or until the deadline of the try, which then fails."""
    broker = Broker()
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        (one,) = await context.receive("a", timeout=None)
        assert one.data == b"at last"

    async with running(broker, work, deadline="100ms", retry={"attempts": 2, "backoff": "1ms"}, **ALL) as host:
        await until(lambda: host.counters["work"].failed == 1)
        assert host.counters["work"].last_error == "it took longer than its deadline of 0.1 s"
        put(broker, b"at last", channel="a")
        await until(lambda: broker.accepted("in") and broker.accepted("a"))


async def test_the_subscription_is_shared_and_kept_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next call is cheap, a topic misses nothing between two calls; unused, it is closed, and opened anew."""
    monkeypatch.setattr(ephemeral, "_KEPT", (0.1, 0.1))
    broker, seen = Broker(), list[bytes]()
    topic = Channel("news", "topic")

    async def work(message: Message, context: Context) -> None:
        if message.data == b"open":
            assert await context.receive("topic:news", timeout=0) == []
        else:
            seen.extend(one.data for one in await context.receive("topic:news", timeout=5, limit=9))

    async with running(broker, work, **ALL) as host:
        put(broker, b"open")
        await until(lambda: broker.accepted("in"))
        put(broker, b"between", channel="topic:news")
        put(broker, b"get", b"get")
        await until(lambda: seen == [b"between"])
        put(broker, b"later", channel="topic:news")
        await until(lambda: seen == [b"between", b"later"])
        assert [channel for channel, _ in broker.subscribed].count(topic) == 1
        await until(lambda: not broker.groups[topic])
        put(broker, b"missed", channel="topic:news")
        put(broker, b"open")
        await until(lambda: [channel for channel, _ in broker.subscribed].count(topic) == 2)
        await until(lambda: host.counters["work"].handled == 6)
    assert seen == [b"between", b"later"]


async def test_tries_that_receive_at_once_share_what_comes() -> None:
    """Each message goes to one of them, however many wait, and nothing is lost when some are cancelled."""
    broker, seen = Broker(), Counter[bytes]()
    put(broker, *(b"try %d" % number for number in range(40)))

    async def work(message: Message, context: Context) -> None:
        mine = list[bytes]()
        for _ in range(5):
            receiving = asyncio.create_task(context.receive("a", timeout=5))
            if int(message.data.split()[1]) % 4 == 0:
                await asyncio.sleep(0.001)
                receiving.cancel()
                await asyncio.wait([receiving])
            if not receiving.cancelled():
                mine.extend(one.data for one in await receiving)
        seen.update(mine)

    async with running(broker, work, concurrency=40, **ALL) as host:
        put(broker, *bodies(200), channel="a")
        await until(lambda: len(broker.accepted("a")) + len(broker.left("a", "work")) == 200 and seen.total() >= 150)
        await until(lambda: host.counters["work"].in_hand in (0, 40))
    assert max(seen.values()) == 1
    assert not set(seen) & set(broker.left("a", "work"))


async def test_it_shares_a_queue_that_the_handler_subscribes_to() -> None:
    """Both are members of one group: every message goes to one of them."""
    broker, handled, received = Broker(), list[bytes](), list[bytes]()

    async def work(message: Message, context: Context) -> None:
        handled.append(message.data)
        received.extend(one.data for one in await context.receive("in", timeout=0.1, limit=3))

    async with running(broker, work, concurrency=4) as host:
        put(broker, *bodies(100))
        await until(lambda: len(handled) + len(received) == 100 and host.counters["work"].in_hand == 0)
    assert sorted(handled + received) == sorted(broker.accepted("in")) == bodies(100)
    assert received


async def test_abandoned_messages_are_dropped_dead_lettered_or_tried_again() -> None:
    """As configured; the broker keeps what is to be tried again, and its count of deliveries ends that."""
    for abandoned in ("drop", "dead-letter", "retry"):
        broker, tries = Broker(), Counter[bytes]()
        put(broker, b"bad", channel="a")
        put(broker, *bodies(6))

        async def work(message: Message, context: Context, tries: Counter[bytes] = tries) -> None:
            for one in await context.receive("a", timeout=0.2):
                tries[one.data] += 1
                await context.abandon(context.receipt(one))

        retry = {"attempts": 3, "backoff": "5ms"}
        settings = {"abandoned": abandoned, "dead_letter": "dead", "concurrency": 1, "retry": retry}
        async with running(broker, work, **settings, **ALL):
            await until(lambda broker=broker: len(broker.accepted("in")) == 6)  # type: ignore[misc]
            await until(lambda broker=broker: not broker.left("a", "work"))  # type: ignore[misc]
        assert tries[b"bad"] == (3 if abandoned == "retry" else 1)
        assert broker.data("dead") == ([] if abandoned == "drop" else [b"bad"])
        outcomes = [type(outcome) for channel, *_, outcome in broker.settled if channel == "a"]
        assert outcomes == {"drop": [Reject], "dead-letter": [Accept], "retry": [Release, Release, Accept]}[abandoned]


@pytest.mark.parametrize("kind", ["drain", "close"])
async def test_the_end_of_the_host_ends_a_receive_that_waits(kind: str) -> None:
    """With an error that says so; what the try has received by then goes back."""
    broker, errors = Broker(), list[str]()
    put(broker, b"there", channel="a")
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        assert await context.receive("a", timeout=5)
        try:
            await context.receive("a", timeout=None)
        except Closed as error:
            errors.append(str(error))
            raise

    async with asyncio.timeout(5):
        async with running(broker, work, **ALL) as host:
            await until(lambda: host.counters["work"].in_hand == 2)
            if kind == "drain":
                assert not await host.drain(30.0)
    assert errors == (["handlers.work: the host is stopping: nothing more is received"] if kind == "drain" else errors)
    assert (broker.left("a", "work"), broker.left("in", "work")) == ([b"there"], [b"1"])
    assert not broker.connections


async def test_a_drain_waits_for_a_try_that_has_received() -> None:
    """And settles all that it had."""
    broker, go, got = Broker(), asyncio.Event(), asyncio.Event()
    put(broker, b"there", channel="a")
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        assert await context.receive("a", timeout=5)
        got.set()
        await go.wait()

    async with running(broker, work, **ALL) as host:
        await got.wait()
        draining = asyncio.create_task(host.drain(10.0))
        await asyncio.sleep(0.01)
        go.set()
        assert await draining
    assert (broker.accepted("a"), broker.accepted("in")) == ([b"there"], [b"1"])


async def test_a_connection_that_is_lost_is_waited_for() -> None:
    """What had been received comes again, and can't be completed any more; a receive that waits goes on."""
    broker, again = Broker(), list[bytes]()
    put(broker, b"1", channel="a")
    put(broker, b"work")

    async def work(message: Message, context: Context) -> None:
        if again:
            return
        (one,) = await context.receive("a", timeout=5)
        receipt = context.receipt(one)
        waiting = asyncio.create_task(context.receive("a", timeout=None))
        await asyncio.sleep(0.01)
        broker.drop()
        (other,) = await waiting
        again.append(other.data)
        with pytest.raises(ConnectionLost, match="the subscription was lost"):
            await context.complete(receipt)
        await context.complete(context.receipt(other))

    async with running(broker, work, **ALL):
        await until(lambda: broker.accepted("a"))
    assert again == [b"1"]


async def test_what_is_refused_is_an_error_of_the_call() -> None:
    """By the grants, by the broker, by what it can do; the handler may go on."""
    broker, refused = Broker(), list[str]()
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        for call in (
            context.receive("secret", timeout=0),
            context.receive("a", client="third", timeout=0),
            context.receive("x", client="other", timeout=0),
        ):
            with pytest.raises(NotGranted) as error:
                await call
            refused.append(str(error.value))
        broker.fail("subscribe", ChannelNotFound("no such queue"))
        with pytest.raises(ChannelNotFound):
            await context.receive("a", timeout=None)
        with pytest.raises(Unsupported, match="topic"):
            await context.receive("topic:a", timeout=0)
        put(broker, b"there", channel="orders.1")
        assert len(await context.receive("orders.1", client="other", timeout=5)) == 1

    listen = {"main": ["a", "topic:a"], "other": ["orders.*"]}
    async with running(broker, work, listen=listen, capabilities=EVERYTHING - {Capability.TOPIC}) as host:
        await until(lambda: broker.accepted("in"))
        await until(lambda: broker.accepted("orders.1"))
        assert host.counters["work"].failed == 0
    assert refused[0].startswith("handlers.work.listen: no grant to hear 'secret' of the client 'main'; expected")
    assert refused[1].startswith("handlers.work: no grant for the client 'third'; expected one of main, other")
    assert refused[2].startswith("handlers.work.listen: no grant to hear 'x' of the client 'other'; expected")


async def test_how_many_are_open_at_once_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """More are refused until some of them are closed; and so is what they hold."""
    monkeypatch.setattr(ephemeral, "_KEPT", (0.05, 0.05))
    monkeypatch.setattr(ephemeral, "_OPEN", 3)
    broker, kept = Broker(), list[int]()
    put(broker, *bodies(1_000), channel="a")
    put(broker, b"1")

    async def fourth(context: Context) -> bool:
        try:
            return await context.receive("d", timeout=0) == []
        except NotGranted:
            return False

    async def work(message: Message, context: Context) -> None:
        held = 0
        while got := await context.receive("a", timeout=0.2, limit=50):
            held += len(got)
        kept.append(held)
        others = [asyncio.create_task(context.receive(name, timeout=60)) for name in ("b", "c")]
        await asyncio.sleep(0)  # both have begun, and stay open as long as they wait
        with pytest.raises(NotGranted, match="no grant to receive from more than 3 channels at once"):
            await context.receive("d", timeout=0)
        for other in others:
            other.cancel()
        await asyncio.wait(others)
        async with asyncio.timeout(10):
            while not await fourth(context):  # noqa: ASYNC110 - nothing says when one has been closed
                await asyncio.sleep(0.01)

    async with running(broker, work, concurrency=2, **ALL) as host:
        await until(lambda: broker.accepted("in"), seconds=30)
        assert host.counters["work"].failed == 0
    assert kept == [broker.most_held]
    assert 50 <= kept[0] <= 2 + ephemeral._AHEAD


async def test_a_context_that_has_ended_receives_nothing() -> None:
    """Also where a task was left behind that still received: it goes back."""
    broker, tasks = Broker(), list[asyncio.Task[object]]()
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        tasks.append(asyncio.ensure_future(context.receive("a", timeout=5)))
        await until(lambda: broker.calls["subscribe"] == 2)

    async with running(broker, work, **ALL):
        await until(lambda: broker.accepted("in"))
        put(broker, b"there", channel="a")
        with pytest.raises(Closed):
            await tasks[0]
        await until(lambda: any(channel == "a" for channel, *_ in broker.settled))
    assert [outcome for channel, *_, outcome in broker.settled if channel == "a"] == [Release()]
