"""Outbox mode: what a handler sends goes out when it has succeeded, and with the acceptance where that is possible."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import dragoman
from dragoman.adapter import Capability
from dragoman.errors import ConnectionLost, HandlerFailed, NotGranted, PublishFailed
from dragoman.handlers.handler import Context
from dragoman.message import Message
from tests.dictionary.adapter import EVERYTHING
from tests.dictionary.broker import Broker, Operation
from tests.host.running import put, running, until
from tests.killed import answers, host_process, write_host

OUTBOX: Mapping[str, Any] = {"sends": "outbox", "retry": {"backoff": "1ms", "max_backoff": "1ms"}}
PLAIN = EVERYTHING - {Capability.TRANSACTIONS}


@pytest.mark.parametrize("capabilities", [EVERYTHING, PLAIN], ids=["transactions", "none"])
async def test_nothing_goes_out_for_a_try_that_failed(capabilities: frozenset[Capability]) -> None:
    """Whatever it sent, to whichever client; the try that succeeds sends all of it, in order, once."""
    broker, tries = Broker(), 0

    async def work(message: Message, context: Context) -> None:
        nonlocal tries
        tries += 1
        await context.publish("out", f"first-{tries}", f"second-{tries}")
        await context.publish("log", f"log-{tries}", client="other")
        await context.publish("out", f"third-{tries}")
        assert broker.data("out") == broker.data("log") == [], "held until the handler has succeeded"
        if tries < 3:
            raise RuntimeError("not yet")

    put(broker, b"1")
    grants = {"main": ["*"], "other": ["log"]}
    async with running(broker, work, capabilities=capabilities, **{**OUTBOX, "publish": grants}) as host:
        await until(lambda: broker.accepted("in"))
        assert host.counters["work"].sent == 4
    assert broker.data("out") == [b"first-3", b"second-3", b"third-3"]
    assert broker.data("log") == [b"log-3"]


async def test_sends_and_acceptance_are_one_where_the_client_has_transactions() -> None:
    """The broker is told both in one call, and many messages share it."""
    broker = Broker()

    async def work(message: Message, context: Context) -> None:
        await context.publish("out", message.data)

    put(broker, *(b"%d" % number for number in range(200)))
    async with running(broker, work, **OUTBOX):
        await until(lambda: len(broker.accepted("in")) == 200)
    assert sorted(broker.data("out"), key=int) == [b"%d" % number for number in range(200)]
    assert broker.calls["publish"] == broker.calls["settle"] == 0
    assert sum(broker.sizes["transact"]) == 200
    assert broker.calls["transact"] < 100


async def test_the_sends_and_the_acceptance_of_a_whole_batch_are_one() -> None:
    """All its messages and all that it sent are in one transaction; where that is lost, all of it is done again."""
    broker, batches = Broker(), list[int]()

    async def work(messages: Sequence[Message], context: Context) -> None:
        batches.append(len(messages))
        for message in messages:
            await context.publish("out", message.data)

    put(broker, *(b"%02d" % number for number in range(40)))
    async with running(broker, work, batch={"size": 20, "wait": "60s"}, **OUTBOX) as host:
        await until(lambda: len(broker.accepted("in")) == 40)
        assert batches == [20, 20]
        assert all(size % 20 == 0 for size in broker.sizes["transact"])
        broker.fail("transact", ConnectionLost("gone"))
        put(broker, *(b"%02d" % number for number in range(40, 60)))
        await until(lambda: len(broker.accepted("in")) == 60)
        await until(lambda: not host.counters["work"].in_hand)
    assert sum(batches) == 80, "what was lost was handled again"
    assert broker.calls["publish"] == broker.calls["settle"] == 0
    assert sorted(broker.data("out")) == [b"%02d" % number for number in range(60)]


async def test_a_batch_of_which_some_are_abandoned_publishes_before_the_others_are_accepted() -> None:
    """These are not one with those: what it sent is confirmed, and then they are settled."""
    broker = Broker()

    async def work(messages: Sequence[Message], context: Context) -> None:
        for message in messages:
            if message.data == b"2":
                await context.abandon(context.receipt(message))
            else:
                await context.publish("out", message.data)

    put(broker, b"1", b"2", b"3")
    async with running(broker, work, batch={"size": 3, "wait": "60s"}, abandoned="drop", **OUTBOX) as host:
        await until(lambda: not broker.left("in", "work"))
        await until(lambda: not host.counters["work"].in_hand)
        assert host.counters["work"].dropped == 1
    assert broker.data("out") == [b"1", b"3"]
    assert broker.calls["transact"] == 0


async def test_a_batch_whose_sends_are_refused_is_dead_lettered_and_no_other_suffers() -> None:
    """All of it: nobody can tell which of its messages one of the sends belongs to."""
    broker = Broker()
    broker.refused = {b"out-13"}

    async def work(messages: Sequence[Message], context: Context) -> None:
        for message in messages:
            await context.publish("out", b"out-" + message.data)

    put(broker, *(b"%d" % number for number in range(40)))
    async with running(broker, work, batch={"size": 10}, dead_letter="dead", **OUTBOX) as host:
        await until(lambda: not broker.left("in", "work"))
        counters = host.counters["work"]
        await until(lambda: counters.dead_lettered == 10)
        assert (counters.handled, counters.failed) == (30, 10)
    letters = {letter.data for letter in broker.messages("dead")}
    assert b"13" in letters
    assert {*broker.data("out")} == {b"out-%d" % number for number in range(40)} - {b"out-" + one for one in letters}


class _SecondFails(Broker):
    """It does not take the second call of `publish`."""

    async def call(self, operation: Operation) -> None:
        """See `Broker`."""
        await super().call(operation)
        if operation == "publish" and self.calls["publish"] == 2:
            raise PublishFailed("full")


async def test_a_refused_batch_whose_dead_letters_fail_in_between_sends_none_of_them_twice() -> None:
    """Those that were sent are done; it goes on with the others."""
    broker = _SecondFails()
    broker.refused = {b"out-1"}

    async def work(messages: Sequence[Message], context: Context) -> None:
        await context.publish("out", *(b"out-" + message.data for message in messages))

    put(broker, *(b"%d" % number for number in range(5)))
    async with running(broker, work, batch={"size": 5, "wait": "60s"}, dead_letter="dead", **OUTBOX) as host:
        await until(lambda: not broker.left("in", "work"))
        counters = host.counters["work"]
        await until(lambda: not counters.in_hand)
        assert (counters.handled, counters.dead_lettered) == (0, 5)
    assert sorted(broker.data("dead")) == [b"%d" % number for number in range(5)]
    assert broker.data("out") == []


async def test_without_transactions_the_sends_are_confirmed_before_the_acceptance() -> None:
    """A broker that does not take them fails the try: all of it is done again, and nothing is accepted before."""
    broker, tries = Broker(), []

    async def work(message: Message, context: Context) -> None:
        tries.append(message.data)
        await context.publish("out", message.data)

    broker.fail("publish", PublishFailed("full"))
    put(broker, b"1")
    async with running(broker, work, capabilities=PLAIN, **OUTBOX) as host:
        await until(lambda: broker.accepted("in"))
        assert host.counters["work"].failed == 1
    assert (tries, broker.data("out")) == ([b"1", b"1"], [b"1"])


async def test_a_transaction_that_passes_is_repeated_and_one_that_is_lost_is_handled_again() -> None:
    """Without a second handling for the first; the second comes again with a new subscription. Each is there once."""
    broker, handled = Broker(), []

    async def work(message: Message, context: Context) -> None:
        handled.append(message.data)
        await context.publish("out", message.data)

    broker.fail("transact", PublishFailed("full"))
    put(broker, b"1")
    async with running(broker, work, **OUTBOX):
        await until(lambda: broker.data("out") == [b"1"])
        assert handled == [b"1"]
        broker.fail("transact", ConnectionLost("gone"))
        put(broker, b"2")
        await until(lambda: broker.data("out") == [b"1", b"2"])
        await until(lambda: not broker.left("in", "work"))
    assert handled == [b"1", b"2", b"2"]


async def test_a_message_whose_sends_are_refused_is_dead_lettered_and_no_other_suffers() -> None:
    """It is found among all that share the transaction; the order of its lane stays."""
    broker = Broker()
    broker.refused = {b"out-13", b"out-47"}

    async def work(message: Message, context: Context) -> None:
        await context.publish("out", b"out-" + message.data)

    put(broker, *(b"%d" % number for number in range(60)), key="k")
    async with running(broker, work, dead_letter="dead", **OUTBOX) as host:
        await until(lambda: not broker.left("in", "work"))
        counters = host.counters["work"]
        assert (counters.handled, counters.dead_lettered, counters.failed) == (58, 2, 2)
    wanted = [b"out-%d" % number for number in range(60) if number not in (13, 47)]
    assert broker.data("out") == wanted
    letters = broker.messages("dead")
    assert [letter.data for letter in letters] == [b"13", b"47"]
    assert "does not take this message" in (letters[0].get("dragoman-reason") or "")


async def test_a_message_whose_sends_are_refused_may_be_dropped_or_stop_the_handler() -> None:
    """As `exhausted` says; what was handled after it in its lane goes back with it."""
    for exhausted, left in (("drop", []), ("stop", [b"1", b"2"])):
        broker = Broker()
        broker.refused = {b"1"}

        async def work(message: Message, context: Context) -> None:
            await context.publish("out", message.data)

        with broker.hold("transact"):
            put(broker, b"0", b"1", b"2", key="k")
            async with running(broker, work, exhausted=exhausted, **OUTBOX) as host:
                await until(lambda host=host: host.counters["work"].handled == 3)
                broker._gates["transact"].set()
                await until(lambda left=left, broker=broker: broker.left("in", "work") == left)
                if exhausted == "stop":
                    with pytest.raises(HandlerFailed, match="does not take"):
                        await host.wait()
        assert broker.data("out") == ([b"0"] if left else [b"0", b"2"])


async def test_what_is_obviously_wrong_is_told_at_once() -> None:
    """A channel without a grant, and more than can be held; the handler that goes on all the same has failed."""
    broker, told = Broker(), []

    async def work(message: Message, context: Context) -> None:
        for send in (lambda: context.publish("secret", b"x"), lambda: context.publish("out", b"x" * 2_000)):
            try:
                await send()
            except (NotGranted, HandlerFailed) as error:
                told.append(error)

    put(broker, b"1")
    settings = {**OUTBOX, "publish": ["out"], "dead_letter": "dead", "limits": {"outbox": "1kB"}}
    async with running(broker, work, **{**settings, "retry": {"attempts": 1}}):
        await until(lambda: broker.data("dead"))
    assert [type(error) for error in told] == [NotGranted, HandlerFailed]
    assert "limits.outbox" in str(told[1])
    assert broker.data("out") == []


async def test_a_request_goes_out_at_once_and_a_reply_is_held() -> None:
    """The answer to a request is needed now; who asked hears nothing from a try that fails."""
    broker, tries, answers = Broker(), 0, []

    async def work(message: Message, context: Context) -> None:
        nonlocal tries
        tries += 1
        answers.append((await context.request("rates", b"?"))[0].data)
        await context.reply(message, f"answer {tries}")
        if tries == 1:
            raise RuntimeError("not yet")

    async def rates(message: Message, context: Context) -> None:
        await context.reply(message, b"1.1")

    handlers = {"work": (work, OUTBOX), "rates": (rates, {"subscribe": ["rates"]})}
    async with running(broker, handlers=handlers) as host:
        client = host._connections["main"]
        (answer,) = await asyncio.wait_for(client.request("in", b"how much?"), 10)
    assert answer.data == b"answer 2"
    assert answers == [b"1.1", b"1.1"]


async def test_what_was_sent_before_a_message_is_completed_goes_out_with_it() -> None:
    """Whatever becomes of the try; what was sent after it goes out only if the try succeeds."""
    broker = Broker()

    async def work(message: Message, context: Context) -> None:
        await context.publish("out", b"before " + message.data)
        await context.complete(context.receipt(message))
        assert broker.data("out")[-1] == b"before " + message.data
        await context.publish("out", b"after " + message.data)
        if message.data == b"bad":
            raise RuntimeError("too late")

    put(broker, b"good", b"bad", key="k")
    async with running(broker, work, **OUTBOX) as host:
        await until(lambda: host.counters["work"].failed == 1)
        await until(lambda: not broker.left("in", "work"))
    assert broker.data("out") == [b"before good", b"after good", b"before bad"]
    assert broker.accepted("in") == [b"good", b"bad"]


async def test_a_try_that_receives_by_itself_publishes_before_anything_is_accepted() -> None:
    """One transaction can't settle for two subscriptions: so nothing that was accepted has lost its sends."""
    broker = Broker()

    async def work(message: Message, context: Context) -> None:
        (other,) = await context.receive("more", timeout=10.0)
        await context.publish("out", message.data + other.data)

    put(broker, b"1")
    put(broker, b"2", channel="more")
    with broker.hold("publish"):
        async with running(broker, work, **OUTBOX, listen=["more"]):
            await until(lambda: broker.calls["publish"] == 1)
            assert broker.accepted("in") == broker.accepted("more") == []
            broker._gates["publish"].set()
            await until(lambda: broker.accepted("in") and broker.accepted("more"))
    assert broker.data("out") == [b"12"]


async def test_a_drain_sends_what_was_handled() -> None:
    """What succeeded is accepted and sent before the host ends, what failed goes back."""
    broker, go = Broker(), asyncio.Event()

    async def work(message: Message, context: Context) -> None:
        await context.publish("out", message.data)
        await go.wait()
        if message.data == b"bad":
            raise RuntimeError("bad")

    put(broker, b"good", b"bad")
    async with running(broker, work, **OUTBOX) as host:
        await until(lambda: host.counters["work"].in_hand == 2)
        draining = asyncio.create_task(host.drain(5.0))
        go.set()
        assert not await draining
    assert (broker.data("out"), broker.left("in", "work")) == ([b"good"], [b"bad"])


@pytest.mark.timeout(300)  # hosts that start on a busy machine take their time
async def test_a_host_that_is_killed_has_sent_each_answer_once(tmp_path: Path) -> None:
    """On the embedded broker: kill -9 in the middle, twice over; 600 answers for 600 messages."""
    url, names = f"embedded:{tmp_path}/log.db", [str(number) for number in range(600)]
    write_host(tmp_path, {"url": url}, "in", "out", seconds=0.05)
    async with dragoman.connect(url) as client:
        await client.publish("in", *names[:400])
        async with host_process(tmp_path):
            await answers(client, "out", 50)
        async with host_process(tmp_path):
            await client.publish("in", *names[400:])
            await answers(client, "out", 420)
        async with host_process(tmp_path):
            assert await answers(client, "out", 600, all_of_it=True) == Counter(names)
