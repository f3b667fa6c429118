"""However a host ends, what was not accepted is at the broker, in its order."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress

import pytest

from dragoman.adapter import Accept, Release
from dragoman.errors import PublishFailed, Rejected, StorageFailed
from dragoman.handlers.handler import Context
from dragoman.message import Message
from tests.dictionary.broker import Broker
from tests.host.running import put, running, until


def bodies(number: int) -> list[bytes]:
    """Numbered ones."""
    return [f"{index:04}".encode() for index in range(number)]


def outcomes(broker: Broker) -> list[type]:
    """What became of all that was settled."""
    return [type(outcome) for *_, outcome in broker.settled]


async def test_a_drain_finishes_what_is_in_hand_and_settles_it() -> None:
    """Nothing more is received, everything else stays at the broker."""
    broker, seen = Broker(), []
    put(broker, *bodies(1_000))

    async def work(message: Message, context: Context) -> None:
        await asyncio.sleep(0.001)
        seen.append(message.data)

    async with running(broker, work, concurrency=4) as host:
        await until(lambda: len(seen) > 20)
        assert await host.drain(5.0)
        assert host.counters["work"].in_hand == 0
        await host.wait()
    assert Counter(broker.accepted("in")) == Counter(seen)
    assert sorted(seen + broker.left("in", "work")) == bodies(1_000)
    assert set(outcomes(broker)) == {Accept}
    assert not broker.connections


async def test_a_drain_waits_for_all_that_the_broker_is_being_told_of() -> None:
    """Also where that is in several calls at once: it ends when the last of them has its answer."""
    broker = Broker()
    broker.generous = True

    async def work(message: Message, context: Context) -> None: ...

    async with running(broker, work, concurrency=4) as host:
        counters = host.counters["work"]
        with broker.hold("settle"):
            put(broker, *bodies(1_000))
            await until(lambda: counters.handled == 1_000 and broker.calls["settle"] > 3)
            draining = asyncio.create_task(host.drain(5.0))
            await asyncio.sleep(0.05)
            assert not draining.done()
            assert not broker.settled
        assert await draining
        assert counters.in_hand == 0
    assert Counter(broker.accepted("in")) == Counter(bodies(1_000))


async def test_a_lane_goes_back_in_one_call_also_beside_others() -> None:
    """Else what was fetched after it could come in between, and its order be lost."""
    broker = Broker()

    async def work(message: Message, context: Context) -> None:
        if message.key is not None:
            await asyncio.sleep(60)

    async with running(broker, work, concurrency=1) as host:
        counters = host.counters["work"]
        with broker.hold("settle"):
            put(broker, b"alone")
            await until(lambda: broker.settling == 1)
            put(broker, *bodies(100), key="k")
            await until(lambda: counters.in_hand == 101)
            draining = asyncio.create_task(host.drain(0.05))
            await until(lambda: counters.released == 100)
        assert not await draining
    assert broker.sizes["settle"] == [1, 100]
    assert broker.left("in", "work") == bodies(100)


async def test_a_drain_of_an_idle_host_is_quick() -> None:
    """A waiting `receive` ends at once."""
    broker = Broker()

    async def work(message: Message, context: Context) -> None: ...

    async with running(broker, work) as host:
        await until(lambda: broker.calls["receive"])
        async with asyncio.timeout(1):
            assert await host.drain(30.0)
            assert await host.drain(30.0)


async def test_after_the_grace_the_rest_is_cancelled_and_goes_back() -> None:
    """In the order of its lane, and the drain says so."""
    broker, cancelled = Broker(), []
    put(broker, *bodies(5), key="k")

    async def work(message: Message, context: Context) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(message.data)
            raise

    async with running(broker, work) as host:
        await until(lambda: host.counters["work"].in_hand == 5)
        assert not await host.drain(0.05)
    assert cancelled == [b"0000"]
    assert [(data, outcome) for *_, data, outcome in broker.settled] == [(body, Release()) for body in bodies(5)]
    assert broker.left("in", "work") == bodies(5)


async def test_what_waits_for_another_try_goes_back_at_once_and_without_delay() -> None:
    """The lane behind it too; the drain does not wait for the backoff."""
    broker = Broker()
    put(broker, *bodies(5), key="k")
    put(broker, b"alone")

    async def work(message: Message, context: Context) -> None:
        raise RuntimeError("no luck")

    async with running(broker, work, retry={"backoff": "20s"}, dead_letter="dead") as host:
        await until(lambda: host.counters["work"].waiting == 2 and host.counters["work"].in_hand == 6)
        async with asyncio.timeout(1):
            assert not await host.drain(30.0)
    assert {data: outcome for *_, data, outcome in broker.settled} == dict.fromkeys([*bodies(5), b"alone"], Release())
    assert [data for *_, data, _ in broker.settled if data != b"alone"] == bodies(5)
    assert broker.left("in", "work") == [*bodies(5), b"alone"]


@pytest.mark.parametrize("error", [RuntimeError("no luck"), Rejected("never")])
async def test_a_drain_never_dead_letters(error: Exception) -> None:
    """What fails while draining goes back, also after its last try; nothing is retried either."""
    broker, go, calls = Broker(), asyncio.Event(), []
    put(broker, b"1", b"2", key="k")

    async def work(message: Message, context: Context) -> None:
        calls.append(message.data)
        await go.wait()
        raise error

    async with running(broker, work, retry={"attempts": 1}, dead_letter="dead") as host:
        await until(lambda: calls and host.counters["work"].in_hand == 2)
        draining = asyncio.create_task(host.drain(5.0))
        await asyncio.sleep(0)
        go.set()
        assert not await draining
    assert (calls, broker.data("dead"), broker.left("in", "work")) == ([b"1"], [], [b"1", b"2"])


async def test_a_lane_is_finished_within_the_grace() -> None:
    """Also what waited behind its first when the drain began."""
    broker, seen = Broker(), []
    put(broker, *bodies(10), key="k")

    async def work(message: Message, context: Context) -> None:
        await asyncio.sleep(0.005)
        seen.append(message.data)

    async with running(broker, work) as host:
        await until(lambda: host.counters["work"].in_hand == 10)
        assert await host.drain(5.0)
    assert seen == broker.accepted("in") == bodies(10)


async def test_a_dead_letter_that_waits_for_its_target_goes_back_when_draining() -> None:
    """It is not lost, and the drain does not wait for the target."""
    broker = Broker()
    put(broker, b"1")
    broker.fail("publish", *(PublishFailed("full") for _ in range(100)))

    async def work(message: Message, context: Context) -> None:
        raise RuntimeError("no luck")

    async with running(broker, work, retry={"attempts": 1}, dead_letter="dead") as host:
        await until(lambda: broker.calls["publish"] >= 2)
        async with asyncio.timeout(1):
            assert not await host.drain(30.0)
    assert broker.left("in", "work") == [b"1"]


async def test_a_dead_letter_under_way_is_finished_within_the_grace() -> None:
    """It began before the drain; sending it twice is avoided."""
    broker = Broker()
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        raise RuntimeError("no luck")

    async with running(broker, work, retry={"attempts": 1}, dead_letter="dead") as host:
        with broker.hold("publish"):
            await until(lambda: broker.calls["publish"])
            draining = asyncio.create_task(host.drain(5.0))
            await asyncio.sleep(0.01)
            assert not draining.done()
        assert await draining
    assert (broker.data("dead"), broker.accepted("in")) == ([b"1"], [b"1"])


async def test_a_broker_that_does_not_answer_does_not_hang_the_drain() -> None:
    """What could not be settled goes back when the subscription closes."""
    broker = Broker()
    put(broker, *bodies(3))
    broker.fail("settle", *(StorageFailed("full") for _ in range(1_000)))

    async def work(message: Message, context: Context) -> None: ...

    async with running(broker, work) as host:
        await until(lambda: broker.calls["settle"] >= 1)
        async with asyncio.timeout(8):
            assert not await host.drain(0.1)
    assert sorted(broker.left("in", "work")) == bodies(3)
    assert not broker.connections


async def test_cancelling_a_drain_ends_it_at_once() -> None:
    """The broker has everything that was not accepted."""
    broker = Broker()
    put(broker, *bodies(3))

    async def work(message: Message, context: Context) -> None:
        await asyncio.Event().wait()

    async with running(broker, work) as host:
        await until(lambda: host.counters["work"].in_hand == 3)
        draining = asyncio.create_task(host.drain(30.0))
        await asyncio.sleep(0.01)
        draining.cancel()
        async with asyncio.timeout(1):
            await asyncio.gather(draining, return_exceptions=True)
    assert broker.left("in", "work") == bodies(3)
    assert not broker.connections


async def test_leaving_the_block_without_a_drain_gives_everything_back() -> None:
    """At once; what was done is settled."""
    broker, seen = Broker(), []
    put(broker, *bodies(200))

    async def work(message: Message, context: Context) -> None:
        await asyncio.sleep(0 if int(message.data) % 2 else 30)
        seen.append(message.data)

    async with asyncio.timeout(5):
        async with running(broker, work, concurrency=64):
            await until(lambda: len(seen) > 20)
    assert Counter(broker.accepted("in")) == Counter(seen)
    assert sorted(seen + broker.left("in", "work")) == bodies(200)


async def test_cancelling_whoever_runs_the_host_gives_everything_back() -> None:
    """At any moment."""
    for turns in range(0, 60, 3):
        broker, seen = Broker(), []
        put(broker, *bodies(50))

        async def work(message: Message, context: Context, seen: list[bytes] = seen) -> None:
            await asyncio.sleep(0)
            seen.append(message.data)

        async def run(broker: Broker = broker, work: object = work) -> None:
            async with running(broker, work, concurrency=3) as host:  # type: ignore[arg-type]
                await host.wait()

        task = asyncio.create_task(run())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not broker.connections
        assert sorted(broker.accepted("in") + broker.left("in", "work")) == bodies(50)
        assert set(broker.accepted("in")) <= set(seen)


async def test_handlers_that_ignore_their_cancellation_do_not_hang_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """Their messages go back when the subscription closes."""
    broker, go = Broker(), asyncio.Event()
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        while not go.is_set():
            with suppress(asyncio.CancelledError):
                await go.wait()

    async with running(broker, work) as host:
        await until(lambda: host.counters["work"].in_hand)
        async with asyncio.timeout(8):
            assert not await host.drain(0.01)
        assert "1 tries did not end when they were cancelled" in caplog.text
        go.set()
        await until(lambda: not host._runners[0].tasks)
    assert broker.left("in", "work") == [b"1"]
