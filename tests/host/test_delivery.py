"""What becomes of a message: accepted, tried again, dead-lettered, dropped; and in which order."""

from __future__ import annotations

import asyncio
import re
from collections import Counter, defaultdict
from datetime import datetime

import pytest

from dragoman.adapter import Accept, Reject, Release
from dragoman.errors import HandlerFailed, PublishFailed, Rejected
from dragoman.handlers.handler import Context
from dragoman.message import Channel, FormatSpec, Message
from tests.dictionary.broker import Broker
from tests.host.running import plugins, put, running, until

QUICK = {"attempts": 3, "backoff": "1ms", "max_backoff": "5ms"}


async def fail(message: Message, context: Context) -> None:
    """A handler that never succeeds."""
    raise RuntimeError("no luck")


async def test_a_message_is_accepted_after_its_handler_returned() -> None:
    """Not before: while the handler is at work it is in hand and unsettled."""
    broker, go = Broker(), asyncio.Event()
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        await go.wait()

    async with running(broker, work) as host:
        await until(lambda: host.counters["work"].in_hand)
        await asyncio.sleep(0.01)
        assert broker.left("in", "work") == [b"1"]
        go.set()
        await until(lambda: broker.accepted("in") == [b"1"])
        counters = host.counters["work"]
        await until(lambda: not counters.in_hand)
        assert (counters.received, counters.handled, counters.failed) == (1, 1, 0)
        assert counters.latencies.count == 1


async def test_many_messages_are_each_handled_once_and_settled_in_batches() -> None:
    """Counted one by one."""
    broker, seen = Broker(), Counter[bytes]()
    bodies = [str(number).encode() for number in range(2_000)]
    put(broker, *bodies)

    async def work(message: Message, context: Context) -> None:
        seen[message.data] += 1

    async with running(broker, work) as host:
        await until(lambda: host.counters["work"].handled == 2_000 and not host.counters["work"].in_hand)
    assert seen == Counter(bodies)
    assert sorted(broker.accepted("in")) == sorted(bodies)
    assert len(broker.sizes["settle"]) < 400


async def test_a_failed_message_is_tried_again_until_it_works() -> None:
    """The attempt is counted, and what the handler is given stays the same."""
    broker, attempts = Broker(), []
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        attempts.append((message.data, context.attempt))
        if context.attempt < 3:
            raise ValueError("not yet")

    async with running(broker, work, retry=QUICK) as host:
        await until(lambda: broker.accepted("in"))
        counters = host.counters["work"]
        assert (counters.failed, counters.retried, counters.handled) == (2, 2, 1)
        assert counters.last_error == "ValueError: not yet"
    assert attempts == [(b"1", 1), (b"1", 2), (b"1", 3)]
    assert [type(outcome) for *_, outcome in broker.settled] == [Accept]


async def test_earlier_deliveries_count_as_attempts() -> None:
    """A message that was delivered twice before has one try left of three."""
    broker, attempts = Broker(), []
    put(broker, b"1")
    (slot,) = broker.group(next(iter(broker.channels)), "work", None).pending.values()
    slot.count = 2

    async def work(message: Message, context: Context) -> None:
        attempts.append(context.attempt)
        raise ValueError("never")

    async with running(broker, work, retry=QUICK, dead_letter="dead"):
        await until(lambda: broker.accepted("in"))
    assert attempts == [3]
    assert broker.messages("dead")[0].get("dragoman-attempts") == "3"


async def test_a_message_that_failed_for_good_is_dead_lettered_as_it_was() -> None:
    """Data, key, headers, content type and format unchanged, with its story besides."""
    broker = Broker()
    message = Message(
        b"\x00\xff", (("key", "k"), ("x", "1"), ("x", "2"), ("dragoman-reason", "old")), "a/b", FormatSpec.KAFKA
    )
    async with running(broker, fail, retry=QUICK, dead_letter="topic:dead") as host:
        broker.append(Channel("in"), message)
        await until(lambda: broker.accepted("in"))
        assert host.counters["work"].dead_lettered == 1
    (letter,) = broker.messages("topic:dead")
    assert (letter.data, letter.content_type, letter.format) == (b"\x00\xff", "a/b", FormatSpec.KAFKA)
    assert letter.metadata[:3] == (("key", "k"), ("x", "1"), ("x", "2"))
    added = dict(letter.metadata[3:])
    first, last = (datetime.fromisoformat(added.pop(f"dragoman-{name}-time")) for name in ("first", "last"))
    assert first < last
    assert first.tzinfo is not None
    assert len(added.pop("dragoman-dead-letter-id")) == 32
    assert re.fullmatch(r"fail \(test_delivery\.py:\d+\)", added.pop("dragoman-backtrace"))
    assert added == {
        "dragoman-handler": "work",
        "dragoman-client": "main",
        "dragoman-channel": "queue:in",
        "dragoman-reason": "RuntimeError: no luck",
        "dragoman-attempts": "3",
        "dragoman-format-spec": "kafka",
        "dragoman-untimed": "true",
    }


async def test_a_dead_letter_goes_through_any_client() -> None:
    """Named in the configuration."""
    broker = Broker()
    put(broker, b"1")
    async with running(broker, fail, retry=QUICK, dead_letter={"client": "other", "channel": "dead"}):
        await until(lambda: broker.accepted("in"))
    assert broker.data("dead") == [b"1"]
    assert broker.calls["connect"] == 2


async def test_a_reason_is_one_line_of_bounded_length() -> None:
    """Headers can hold it on every broker."""
    broker = Broker()
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        raise ValueError("two\nlines " + "x" * 10_000)

    async with running(broker, work, retry={"attempts": 1}, dead_letter="dead"):
        await until(lambda: broker.accepted("in"))
    reason = broker.messages("dead")[0].get("dragoman-reason")
    assert reason is not None
    assert len(reason) == 2_000
    assert reason.startswith("ValueError: two lines xxx")


async def test_a_rejected_message_is_dead_lettered_at_once() -> None:
    """The handler says that no further try helps."""
    broker = Broker()
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        raise Rejected("it is no order")

    async with running(broker, work, retry={"attempts": 100, "backoff": "30s"}, dead_letter="dead") as host:
        await until(lambda: broker.accepted("in"))
        assert host.counters["work"].retried == 0
    letter = broker.messages("dead")[0]
    assert (letter.get("dragoman-reason"), letter.get("dragoman-attempts")) == ("it is no order", "1")


async def test_the_original_is_accepted_only_when_its_dead_letter_is_confirmed() -> None:
    """While the target fails nothing is lost and the handler is not called again."""
    broker, calls = Broker(), []
    put(broker, b"1")
    broker.fail("publish", *(PublishFailed("full") for _ in range(3)))

    async def work(message: Message, context: Context) -> None:
        calls.append(message.data)
        raise RuntimeError("no luck")

    async with running(broker, work, retry={"attempts": 1}, dead_letter="dead") as host:
        await until(lambda: broker.calls["publish"] == 1)
        with broker.hold("publish"):
            await until(lambda: broker.calls["publish"] == 2)
            assert broker.settled == []
            assert host.counters["work"].in_hand == 1
        await until(lambda: broker.accepted("in"))
    assert (broker.data("dead"), calls) == ([b"1"], [b"1"])


async def test_others_go_on_while_the_dead_letter_target_fails() -> None:
    """Those of other lanes, in the only place that the handler has."""
    broker = Broker()
    put(broker, b"bad", key="a")
    put(broker, *(str(number).encode() for number in range(50)))

    async def work(message: Message, context: Context) -> None:
        if message.data == b"bad":
            raise RuntimeError("no luck")

    with broker.hold("publish"):
        async with running(broker, work, concurrency=1, retry={"attempts": 1}, dead_letter="dead") as host:
            await until(lambda: host.counters["work"].handled == 50)
            assert b"bad" not in broker.accepted("in")


async def test_without_a_target_it_is_retried_at_the_longest_backoff() -> None:
    """That is the default: nothing is lost by accident."""
    broker, attempts = Broker(), []
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        attempts.append(context.attempt)
        if context.attempt < 7:
            raise Rejected("never")

    async with running(broker, work, retry=QUICK):
        await until(lambda: broker.accepted("in"))
    assert attempts == [1, 2, 3, 4, 5, 6, 7]


async def test_without_a_target_it_may_be_dropped_and_is_counted() -> None:
    """The broker hears that it is refused, and why."""
    broker = Broker()
    put(broker, b"1", b"2")
    async with running(broker, fail, retry=QUICK, exhausted="drop") as host:
        await until(lambda: len(broker.settled) == 2)
        assert host.counters["work"].dropped == 2
    assert [outcome for *_, outcome in broker.settled] == [Reject("RuntimeError: no luck")] * 2


async def test_without_a_target_it_may_stop_the_handler() -> None:
    """The message goes back; other handlers go on; when none is left the host can't go on."""
    broker = Broker()
    put(broker, b"bad", *(str(number).encode() for number in range(300)))

    async def picky(message: Message, context: Context) -> None:
        if message.data == b"bad":
            raise RuntimeError("no luck")
        await asyncio.sleep(0)

    async def calm(message: Message, context: Context) -> None:
        if message.data == b"late":
            raise RuntimeError("that too")

    settings = {"retry": {"attempts": 1}, "exhausted": "stop"}
    handlers = {"picky": (picky, settings), "calm": (calm, {**settings, "subscribe": ["in2"]})}
    async with running(broker, handlers=handlers) as host:
        waiting = asyncio.create_task(host.wait())
        await until(lambda: host.counters["picky"].received and not host.counters["picky"].in_hand)
        put(broker, b"1", channel="in2")
        await until(lambda: host.counters["calm"].handled == 1)
        assert not waiting.done()
        put(broker, b"late", channel="in2")
        with pytest.raises(
            HandlerFailed, match=r"handlers.picky: stopped: bad failed 1 times, .*RuntimeError: no luck"
        ):
            await waiting
    assert b"bad" in broker.left("in", "picky")
    assert broker.left("in2", "calm") == [b"late"]
    accepted = broker.accepted("in")
    assert sorted(accepted + broker.left("in", "picky")) == sorted([b"bad", *(str(n).encode() for n in range(300))])
    assert all(isinstance(outcome, Accept | Release) for *_, outcome in broker.settled)


async def test_a_lane_waits_behind_its_failing_first_and_other_lanes_do_not() -> None:
    """Order within each lane, whatever fails how often."""
    broker = Broker()
    order: defaultdict[str, list[bytes]] = defaultdict(list)
    failures = Counter[bytes]()
    for number in range(30):
        for key in ("a", "b", "c"):
            put(broker, f"{key}{number:02}".encode(), key=key)

    async def work(message: Message, context: Context) -> None:
        await asyncio.sleep(0)
        if message.key in ("a", "b") and failures[message.data] < 2:
            failures[message.data] += 1
            raise RuntimeError("not yet")
        order[message.key or ""].append(message.data)

    async with running(broker, work, retry=QUICK, concurrency=4) as host:
        await until(lambda: len(order["c"]) == 30)
        assert len(order["a"]) < 30
        await until(lambda: host.counters["work"].handled == 90 and not host.counters["work"].in_hand)
    for key in ("a", "b", "c"):
        assert order[key] == [f"{key}{number:02}".encode() for number in range(30)]


async def test_a_lane_goes_on_after_a_dead_letter_and_after_a_drop() -> None:
    """In order, and only when the dead letter is confirmed."""
    for settings in ({"dead_letter": "dead"}, {"exhausted": "drop"}):
        broker, done = Broker(), []
        put(broker, b"1", b"bad", b"3", key="k")

        async def work(message: Message, context: Context, done: list[bytes] = done) -> None:
            if message.data == b"bad":
                raise Rejected("bad")
            done.append(message.data)

        async with running(broker, work, **settings):
            if "dead_letter" in settings:
                with broker.hold("publish"):
                    await until(lambda broker=broker: broker.calls["publish"])
                    await asyncio.sleep(0.01)
                    assert done == [b"1"]
            await until(lambda broker=broker: len(broker.settled) == 3)
        assert done == [b"1", b"3"]
        assert [data for _, _, data, _ in broker.settled] == [b"1", b"bad", b"3"]


async def test_several_channels_share_the_handler() -> None:
    """A queue with the group's name, a topic without one."""
    broker, seen = Broker(), []

    async def work(message: Message, context: Context) -> None:
        seen.append((str(message.channel), message.data))

    async with running(broker, work, subscribe=["in", "topic:news"], group="shared"):
        assert {str(channel): set(groups) for channel, groups in broker.groups.items()} == {
            "in": {"shared"},
            "topic:news": {"shared"},
        }
        put(broker, b"1")
        put(broker, b"2", channel="topic:news")
        await until(lambda: len(seen) == 2)
    assert sorted(seen) == [("in", b"1"), ("topic:news", b"2")]


async def test_a_topic_has_no_group_unless_one_is_named() -> None:
    """So every process gets all of it."""
    broker = Broker()

    async def work(message: Message, context: Context) -> None: ...

    async with running(broker, work, subscribe=["in", "topic:news"]):
        groups = {str(channel): list(groups) for channel, groups in broker.groups.items()}
    assert groups["in"] == ["work"]
    assert "work" not in groups["topic:news"]


def test_the_plugins_of_these_tests_are_sound() -> None:
    """The dictionary is registered as a plugin would be."""
    assert plugins(Broker()).problems == ()
