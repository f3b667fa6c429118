"""What a handler sends: through its grants, confirmed before its message is accepted, and counted."""

from __future__ import annotations

import asyncio
import logging

import pytest

from dragoman.errors import Closed, NotGranted, PublishFailed
from dragoman.handlers.handler import Context
from dragoman.message import Message
from tests.dictionary.broker import Broker
from tests.host.running import put, running, until

ONCE = {"attempts": 1}


async def test_sends_go_out_and_are_counted() -> None:
    """Messages, bytes and text; to the handler's client or another one."""
    broker = Broker()
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        await context.publish("out", Message(b"a"), b"b", "c")
        await context.publish("topic:out", "d", key="k", content_type="text/plain", client="other")

    grants = {"main": ["out"], "other": ["topic:o*"]}
    async with running(broker, work, publish=grants) as host:
        await until(lambda: broker.accepted("in"))
        assert host.counters["work"].sent == 4
    assert broker.data("out") == [b"a", b"b", b"c"]
    (last,) = broker.messages("topic:out")
    assert (last.data, last.key, last.content_type) == (b"d", "k", "text/plain")


async def test_what_is_not_granted_is_refused_and_fails_the_try() -> None:
    """The reason says what is granted; nothing was sent."""
    broker = Broker()
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        context.connect("main")
        with pytest.raises(NotGranted, match="no grant for the client 'other'"):
            context.connect("other")
        await context.publish("secret", b"x")

    async with running(broker, work, publish=["out"], retry=ONCE, dead_letter="dead"):
        await until(lambda: broker.accepted("in"))
    assert broker.data("secret") == []
    assert broker.messages("dead")[0].get("dragoman-reason") == (
        "handlers.work.publish: no grant to publish to 'secret' of the client 'main'; "
        "expected a channel that matches 'out'"
    )


async def test_requests_and_replies() -> None:
    """A reply needs no grant, a request does."""
    broker = Broker()
    put(broker, b"ask")

    async def ask(message: Message, context: Context) -> None:
        (reply,) = await context.request("questions", b"2+2", timeout=5)
        await context.publish("answers", reply.data)

    async def answer(message: Message, context: Context) -> None:
        await context.reply(message, b"4")

    handlers = {
        "ask": (ask, {"publish": ["questions", "answers"]}),
        "answer": (answer, {"publish": [], "subscribe": ["questions"]}),
    }
    async with running(broker, handlers=handlers) as host:
        await until(lambda: broker.data("answers"))
        assert broker.data("answers") == [b"4"]
        await until(lambda: host.counters["ask"].handled == host.counters["answer"].handled == 1)
        assert (host.counters["ask"].sent, host.counters["answer"].sent) == (2, 1)


async def test_only_the_message_that_is_handled_can_be_answered() -> None:
    """A made-up request is no way around the grants."""
    broker, replies = Broker(), []
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        await context.reply(Message(b"asked for nothing"), b"x")
        with pytest.raises(NotGranted, match="no grant to reply to a message that it is not handling"):
            context.reply(Message(b"made up", (("reply-to", "secret"),)), b"x")
        replies.append(message.data)

    async with running(broker, work, publish=[]) as host:
        await until(lambda: broker.accepted("in"))
        assert host.counters["work"].failed == 0
    assert replies == [b"1"]


async def test_a_failed_send_fails_the_try_unless_the_handler_caught_it() -> None:
    """The handler decides about what it awaited."""
    broker = Broker()
    put(broker, b"1")
    broker.fail("publish", PublishFailed("full"), PublishFailed("full"))
    caught = []

    async def work(message: Message, context: Context) -> None:
        try:
            await context.publish("out", b"x")
        except PublishFailed as error:
            if context.attempt == 1:
                raise
            caught.append(str(error))

    async with running(broker, work, retry={"attempts": 2, "backoff": "1ms"}) as host:
        await until(lambda: broker.accepted("in"))
        assert host.counters["work"].last_error == "PublishFailed: main: full"
        assert host.counters["work"].sent == 0
    assert caught == ["main: full"]


async def test_a_message_waits_for_sends_that_its_handler_did_not_await() -> None:
    """It is accepted when the last of them is confirmed."""
    broker, tasks = Broker(), []
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        tasks.extend(asyncio.create_task(context.publish("out", str(number))) for number in range(3))

    with broker.hold("publish"):
        async with running(broker, work) as host:
            await until(lambda: broker.calls["publish"] == 3)
            await asyncio.sleep(0.01)
            assert (broker.settled, host.counters["work"].in_hand) == ([], 1)
            broker._gates["publish"].set()
            await until(lambda: broker.accepted("in"))
    assert sorted(broker.data("out")) == [b"0", b"1", b"2"]


async def test_a_message_that_waits_for_its_sends_holds_up_no_other() -> None:
    """Its handler has returned without ever waiting; the next message has a place of its own."""
    broker, tasks, seen = Broker(), [], []
    put(broker, b"sends", b"does not")

    async def work(message: Message, context: Context) -> None:
        seen.append(message.data)
        if message.data == b"sends":
            tasks.append(asyncio.create_task(context.publish("out", b"x")))

    with broker.hold("publish"):
        async with running(broker, work, concurrency=2) as host:
            await until(lambda: broker.accepted("in") == [b"does not"])
            assert seen == [b"sends", b"does not"]
            broker._gates["publish"].set()
            await until(lambda: host.counters["work"].handled == 2)


@pytest.mark.parametrize("early", [True, False])
async def test_a_send_that_failed_unseen_fails_the_try(early: bool) -> None:
    """Whether it failed before the handler returned or after."""
    broker, tasks = Broker(), []
    put(broker, b"1")
    broker.fail("publish", PublishFailed("full"))

    async def work(message: Message, context: Context) -> None:
        task = asyncio.create_task(context.publish("out", b"x"))
        tasks.append(task)
        if early:
            await asyncio.wait([task])

    async with running(broker, work, retry={"attempts": 2, "backoff": "1ms"}) as host:
        await until(lambda: broker.accepted("in"))
        assert host.counters["work"].last_error == "a send failed in a task that nobody awaited: main: full"
    assert broker.data("out") == [b"x"]
    assert [task.exception() is None for task in tasks] == [False, True]


async def test_a_failed_send_of_a_task_that_was_awaited_is_the_handlers_to_judge() -> None:
    """`gather` and `wait_for` make tasks; the handler saw what they raised."""
    broker = Broker()
    put(broker, b"1")
    broker.fail("publish", PublishFailed("full"), PublishFailed("full"))

    async def work(message: Message, context: Context) -> None:
        results = await asyncio.gather(context.publish("out", b"x"), return_exceptions=True)
        assert isinstance(results[0], PublishFailed)
        with pytest.raises(PublishFailed):
            await asyncio.wait_for(context.publish("out", b"y"), 5)
        await asyncio.gather(context.publish("out", b"z"), context.publish("out", b"zz"))

    async with running(broker, work, retry=ONCE) as host:
        await until(lambda: broker.accepted("in"))
        assert host.counters["work"].failed == 0
    assert broker.data("out") == [b"z", b"zz"]


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
async def test_a_send_without_await_is_a_failure_and_not_a_loss() -> None:
    """Nothing was sent, so nothing is accepted."""
    broker = Broker()
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        context.publish("out", b"x")  # type: ignore[unused-coroutine]

    async with running(broker, work, retry=ONCE, dead_letter="dead"):
        await until(lambda: broker.accepted("in"))
    reason = broker.messages("dead")[0].get("dragoman-reason")
    assert reason == "a send was called but not awaited, so nothing was sent; write `await context...`"


async def test_a_context_ends_with_its_try() -> None:
    """What is left of the handler can't send in the name of a message that is settled."""
    broker, kept = Broker(), []
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        kept.append(context)

    async with running(broker, work):
        await until(lambda: broker.accepted("in"))
        with pytest.raises(Closed, match=r"handlers\.work: the try that this context belongs to has ended"):
            await kept[0].publish("out", b"x")
    assert broker.data("out") == []


async def test_a_handler_logs_with_its_name_the_message_and_the_attempt(caplog: pytest.LogCaptureFixture) -> None:
    """So that a line can be followed."""
    broker = Broker()
    put(broker, b"m1")

    async def work(message: Message, context: Context) -> None:
        context.log.info("hello %s", context.client)

    with caplog.at_level(logging.INFO, "dragoman.handlers"):
        async with running(broker, work):
            await until(lambda: broker.accepted("in"))
    (record,) = [record for record in caplog.records if record.name == "dragoman.handlers"]
    assert record.getMessage() == "hello main"
    assert (record.handler, record.message_id, record.attempt) == ("work", "m1", 1)  # type: ignore[attr-defined]
