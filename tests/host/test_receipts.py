"""A handler settles a message by itself: with a receipt, before its try has ended."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from dragoman.adapter import Accept, Reject, Release
from dragoman.errors import Closed, ConnectionLost, NotHeld, StorageFailed
from dragoman.handlers.handler import Context
from dragoman.message import Message
from tests.dictionary.broker import Broker
from tests.host.running import put, running, until

ONCE = {"attempts": 1}


async def test_a_completed_message_is_accepted_at_once() -> None:
    """When the call returns the broker has it, though the try goes on."""
    broker, go, completed = Broker(), asyncio.Event(), asyncio.Event()
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        await context.complete(context.receipt(message))
        assert broker.accepted("in") == [b"1"]
        completed.set()
        await go.wait()

    async with running(broker, work) as host:
        await completed.wait()
        assert host.counters["work"].in_hand == 0
        go.set()
        await until(lambda: host.counters["work"].handled == 1)
    assert [type(outcome) for *_, outcome in broker.settled] == [Accept]


@pytest.mark.parametrize("kind", ["error", "deadline", "drain"])
async def test_a_completed_message_stays_accepted_whatever_becomes_of_its_try(kind: str) -> None:
    """It is neither retried nor dead-lettered, and does not go back."""
    broker, calls = Broker(), []
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        calls.append(message.data)
        await context.complete(context.receipt(message))
        if kind == "error":
            raise RuntimeError("no luck")
        await asyncio.Event().wait()

    deadline = "20ms" if kind == "deadline" else "30s"
    async with running(
        broker, work, retry={"attempts": 3, "backoff": "1ms"}, dead_letter="dead", deadline=deadline
    ) as host:
        await until(lambda: broker.settled)
        if kind == "drain":
            await host.drain(0.01)
        else:
            await until(lambda: host.counters["work"].failed == 1)
            put(broker, b"2")
            await until(lambda: len(broker.accepted("in")) == 2)
        assert host.counters["work"].released == 0
    assert (calls[0], broker.accepted("in")[0], broker.data("dead")) == (b"1", b"1", [])
    assert len(calls) == len(set(calls))


async def test_the_next_of_a_lane_waits_for_the_end_of_the_try_and_not_for_the_completion() -> None:
    """One at a time is handled, in order, also by a handler that completes first."""
    broker, seen, busy = Broker(), [], 0
    put(broker, *(b"%d" % number for number in range(20)), key="k")

    async def work(message: Message, context: Context) -> None:
        nonlocal busy
        assert busy == 0
        busy += 1
        await context.complete(context.receipt(message))
        await asyncio.sleep(0.001)
        seen.append(message.data)
        busy -= 1
        if len(seen) % 3 == 0:
            raise RuntimeError("too late to matter")

    async with running(broker, work) as host:
        await until(lambda: len(seen) == 20)
        assert host.counters["work"].retried == 0
    assert seen == broker.accepted("in") == [b"%d" % number for number in range(20)]


async def test_an_abandoned_message_is_tried_again_and_then_dead_lettered() -> None:
    """It counts as a failed try, though the handler returned well."""
    broker, attempts = Broker(), []
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        attempts.append(context.attempt)
        await context.abandon(context.receipt(message))

    async with running(broker, work, retry={"attempts": 3, "backoff": "1ms"}, dead_letter="dead") as host:
        await until(lambda: broker.accepted("in"))
        counters = host.counters["work"]
        assert (counters.handled, counters.failed, counters.dead_lettered) == (0, 3, 1)
    (letter,) = broker.messages("dead")
    assert (attempts, letter.get("dragoman-reason")) == ([1, 2, 3], "the handler abandoned it")


@pytest.mark.parametrize("fails", [False, True])
async def test_abandoned_messages_are_dead_lettered_or_dropped_as_configured(fails: bool) -> None:
    """At once; the reason of a try that failed besides is told."""
    broker = Broker()
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        await context.abandon(context.receipt(message))
        if fails:
            raise RuntimeError("no luck")

    async with running(broker, work, abandoned="dead-letter", dead_letter="dead"):
        await until(lambda: broker.accepted("in"))
    reason = "the handler abandoned it" + (": RuntimeError: no luck" if fails else "")
    assert broker.messages("dead")[0].get("dragoman-reason") == reason
    assert broker.messages("dead")[0].get("dragoman-attempts") == "1"

    put(broker, b"2")
    async with running(broker, work, abandoned="drop", dead_letter="dead") as host:
        await until(lambda: host.counters["work"].dropped == 1)
    assert broker.settled[-1][2:] == (b"2", Reject(reason))
    assert len(broker.data("dead")) == 1


async def test_what_was_abandoned_goes_back_when_the_host_ends_first() -> None:
    """A drain neither retries nor dead-letters, and an end is no verdict of the handler's."""
    broker, go, abandoned = Broker(), asyncio.Event(), asyncio.Event()
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        await context.abandon(context.receipt(message))
        abandoned.set()
        await go.wait()

    async with running(broker, work, dead_letter="dead", retry=ONCE) as host:
        await abandoned.wait()
        draining = asyncio.create_task(host.drain(5.0))
        await asyncio.sleep(0)
        go.set()
        assert not await draining
    assert ([outcome for *_, outcome in broker.settled], broker.data("dead")) == ([Release()], [])


async def test_a_receipt_is_good_once() -> None:
    """A second use is an error and changes nothing."""
    broker, errors = Broker(), []
    put(broker, b"complete", b"abandon")

    async def work(message: Message, context: Context) -> None:
        receipt = context.receipt(message)
        assert receipt == context.receipt(message)
        await getattr(context, message.data.decode())(receipt)
        for use in (context.complete, context.abandon):
            with pytest.raises(NotHeld) as refused:
                await use(receipt)
            errors.append(str(refused.value))

    async with running(broker, work, abandoned="drop") as host:
        await until(lambda: len(broker.settled) == 2)
        await until(lambda: host.counters["work"].in_hand == 0)
    outcomes = {data: type(outcome) for *_, data, outcome in broker.settled}
    assert outcomes == {b"complete": Accept, b"abandon": Reject}
    assert set(errors) == {
        "handlers.work: the receipt was used before; expected each receipt once, within the try that it was made for"
    }


async def test_only_receipts_of_this_try_are_good() -> None:
    """Made up, of another try, of an earlier one, of another handler: an error each, and nothing is touched."""
    broker, receipts = Broker(), dict[bytes, str]()
    put(broker, b"one", b"two", channel="a")
    put(broker, b"three", channel="b")
    ready = asyncio.Event()

    async def work(message: Message, context: Context) -> None:
        receipts[message.data] = context.receipt(message)
        if len(receipts) < 3:
            await ready.wait()
        ready.set()
        others = [receipt for data, receipt in receipts.items() if data != message.data]
        assert len(others) == 2
        for receipt in (*others, "", "x" * 1_000_000, receipts[message.data][:-1], "0"):
            for use in (context.complete, context.abandon):
                with pytest.raises(NotHeld) as refused:
                    await use(receipt)
                assert len(str(refused.value)) < 200
        assert not broker.settled

    handlers = {"one": (work, {"subscribe": ["a"]}), "two": (work, {"subscribe": ["b"]})}
    async with running(broker, handlers=handlers) as host:
        await until(lambda: len(broker.settled) == 3)
        assert host.counters["one"].failed == host.counters["two"].failed == 0
    assert len(set(receipts.values())) == 3
    assert min(map(len, receipts.values())) >= 20


async def test_a_receipt_does_not_outlive_its_try() -> None:
    """Neither a context that was kept, nor the receipt of a try that failed."""
    broker, kept = Broker(), list[tuple[Context, str, Message]]()
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        for earlier, receipt, given in kept:
            with pytest.raises(NotHeld):
                await context.complete(receipt)
            for use in (earlier.complete, earlier.abandon):
                with pytest.raises(Closed):
                    await use(receipt)
            with pytest.raises(Closed):
                earlier.receipt(given)
        kept.append((context, context.receipt(message), message))
        if len(kept) < 2:
            raise RuntimeError("no luck")

    async with running(broker, work, retry={"backoff": "1ms"}) as host:
        await until(lambda: broker.accepted("in"))
        assert host.counters["work"].failed == 1


async def test_a_copy_of_a_message_has_no_receipt() -> None:
    """The object that was given is the proof."""
    broker = Broker()
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        for other in (replace(message), Message(b"made up")):
            with pytest.raises(NotHeld, match="this message was not given to this try"):
                context.receipt(other)

    async with running(broker, work) as host:
        await until(lambda: broker.accepted("in"))
        assert host.counters["work"].failed == 0


async def test_completing_waits_for_a_broker_that_is_full_for_a_while() -> None:
    """The host repeats it."""
    broker = Broker()
    put(broker, b"1")
    broker.fail("settle", StorageFailed("full"), StorageFailed("full"))

    async def work(message: Message, context: Context) -> None:
        await context.complete(context.receipt(message))
        assert broker.accepted("in")

    async with running(broker, work) as host:
        await until(lambda: broker.accepted("in"))
        await until(lambda: host.counters["work"].handled == 1)
        assert host.counters["work"].failed == 0


async def test_completing_what_its_broker_lost_is_an_error_and_it_comes_again() -> None:
    """Before the call, and while it waits."""
    broker, errors = Broker(), []
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        receipt = context.receipt(message)
        if len(errors) == 0:
            broker.drop()
            await until(lambda: host.counters["work"].in_hand == 0)
        if len(errors) < 2:
            with broker.hold("settle"):
                completing = asyncio.ensure_future(context.complete(receipt))
                if len(errors) == 1:
                    await until(lambda: broker.calls["settle"] == 1)
                    broker.drop()
            with pytest.raises(ConnectionLost, match="the subscription was lost"):
                await completing
            errors.append(message.data)
            return
        await context.complete(receipt)

    async with running(broker, work) as host:
        await until(lambda: broker.accepted("in"))
        assert host.counters["work"].failed == 0
    assert errors == [b"1", b"1"]
