"""A broker that fails for a while: backoff, one line in the log when it begins and one when it is over, and no loss."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter, defaultdict

import pytest

from dragoman.errors import (
    AuthenticationFailed,
    ChannelNotFound,
    ConfigError,
    ConnectionLost,
    StorageFailed,
    TimedOut,
)
from dragoman.handlers.handler import Context
from dragoman.host.source import Source
from dragoman.message import Message
from tests.dictionary.broker import Broker, Operation
from tests.host.running import put, running, until


def bodies(number: int) -> list[bytes]:
    """Numbered ones."""
    return [f"{index:04}".encode() for index in range(number)]


async def nothing(message: Message, context: Context) -> None:
    """A handler that succeeds."""


@pytest.mark.parametrize("operation", ["receive", "settle"])
async def test_a_storage_that_fails_for_a_while_is_asked_again(
    operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    """On the same subscription, with the same outcomes."""
    broker = Broker()
    caplog.set_level("INFO", "dragoman.host")
    put(broker, *bodies(50))
    broker.fail(operation, *(StorageFailed("full") for _ in range(3)))  # type: ignore[arg-type]
    async with running(broker, nothing):
        await until(lambda: len(broker.accepted("in")) == 50)
        assert broker.calls["subscribe"] == 1
        await until(lambda: "again" in caplog.text)
    assert sorted(broker.accepted("in")) == bodies(50)
    lines = [record.getMessage() for record in caplog.records if record.name == "dragoman.host"]
    assert len(lines) == 2
    assert lines[0].endswith(": main: full")
    assert "again" in lines[1]


async def test_a_lost_connection_is_made_anew_and_nothing_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    """Again and again, under load; what comes twice is bounded by what was in hand."""
    broker, seen = Broker(), Counter[bytes]()
    put(broker, *bodies(400))

    async def work(message: Message, context: Context) -> None:
        await asyncio.sleep(0.001)
        seen[message.data] += 1

    async with running(broker, work, concurrency=8) as host:
        for wanted in (50, 150, 250):
            await until(lambda wanted=wanted: len(seen) >= wanted)
            broker.drop()
        await until(lambda: len(broker.accepted("in")) == 400)
        await until(lambda: not host.counters["work"].in_hand)
    assert sorted(broker.accepted("in")) == bodies(400)
    assert sorted(seen) == bodies(400)
    assert sum(seen.values()) - 400 <= 3 * broker.most_held
    assert len([record for record in caplog.records if "can't receive" in record.getMessage()]) == 3


class _Slow(Broker):
    """A broker whose calls of `settle` wait until there are several, of which one fails."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.generous = True
        self.error: Exception | None = error
        self.several = asyncio.Event()

    async def call(self, operation: Operation) -> None:
        await super().call(operation)
        if operation == "settle":
            own = self.calls["settle"]
            if own == 3:
                self.several.set()
            await self.several.wait()
            if own == 3 and self.error is not None:
                error, self.error = self.error, None
                raise error


@pytest.mark.parametrize("error", [ConnectionLost("gone"), RuntimeError("a bug")])
async def test_what_fails_beside_other_calls_ends_the_subscription(error: Exception) -> None:
    """So what it was about comes again, and nothing else than what was in hand or under way then."""
    broker, seen = _Slow(error), Counter[bytes]()
    put(broker, *bodies(1_000))

    async def work(message: Message, context: Context) -> None:
        seen[message.data] += 1

    async with running(broker, work, concurrency=1) as host:
        await until(lambda: not broker.left("in", "work"))
        await until(lambda: not host.counters["work"].in_hand)
        assert broker.calls["subscribe"] == 2
    assert sorted(broker.accepted("in")) == sorted(seen) == bodies(1_000)
    assert 0 < sum(seen.values()) - 1_000 <= broker.most_held


@pytest.mark.parametrize("dead_letter", ["dead", None])
async def test_what_fails_after_its_subscription_was_lost_is_not_remembered(dead_letter: str | None) -> None:
    """It comes again as another delivery; nobody would ever ask for the first one."""
    broker, go, tries = Broker(), asyncio.Event(), Counter[bytes]()
    put(broker, *bodies(20))

    async def work(message: Message, context: Context) -> None:
        tries[message.data] += 1
        if tries[message.data] == 1:
            await go.wait()
            raise RuntimeError("too late")

    settings = {"dead_letter": dead_letter} if dead_letter else {}
    async with running(broker, work, concurrency=40, retry={"attempts": 5, "backoff": "1ms"}, **settings) as host:
        await until(lambda: len(tries) == 20)
        broker.drop()
        await until(lambda: broker.calls["subscribe"] == 2)
        go.set()
        await until(lambda: len(broker.accepted("in")) == 20)
        counters = host.counters["work"]
        await until(lambda: counters.failed == 20 and not counters.waiting)
        sources = [one for one in gc.get_objects() if isinstance(one, Source) and one._counters is counters]
        await until(lambda: not any(one.failures for one in sources))
        assert len(sources) == 1
    assert sorted(broker.accepted("in")) == bodies(20)


async def test_order_holds_across_lost_connections() -> None:
    """Each lane is seen in order, going back only to what was unsettled; two of a lane never run at once."""
    broker, running_now = Broker(), Counter[str]()
    seen: defaultdict[str, list[int]] = defaultdict(list)
    for number in range(100):
        for key in "ab":
            put(broker, f"{key}{number:03}".encode(), key=key)

    async def work(message: Message, context: Context) -> None:
        key = message.key or ""
        running_now[key] += 1
        assert running_now[key] == 1
        await asyncio.sleep(0.001)
        running_now[key] -= 1
        seen[key].append(int(message.data[1:]))

    async with running(broker, work, concurrency=4) as host:
        for wanted in (30, 90):
            await until(lambda wanted=wanted: len(seen["a"]) >= wanted)
            broker.drop()
        await until(lambda: len(broker.accepted("in")) == 200)
        assert host.counters["work"].failed == 0
    for key in "ab":
        first_seen = list(dict.fromkeys(seen[key]))
        assert first_seen == list(range(100))
        # After a loss it goes back, and is in order again from there.
        assert sum(after != before + 1 for before, after in zip(seen[key], seen[key][1:], strict=False)) <= 2


async def test_what_waits_for_a_try_is_forgotten_with_its_connection_and_comes_again() -> None:
    """Once, not twice."""
    broker, attempts = Broker(), []
    put(broker, b"1", b"2", key="k")

    async def work(message: Message, context: Context) -> None:
        attempts.append((message.data, context.attempt))
        if len(attempts) == 1:
            raise RuntimeError("no luck")

    async with running(broker, work, retry={"backoff": "20s"}) as host:
        await until(lambda: host.counters["work"].waiting)
        broker.drop()
        await until(lambda: len(broker.accepted("in")) == 2)
        assert host.counters["work"].waiting == host.counters["work"].in_hand == 0
    assert attempts == [(b"1", 1), (b"1", 2), (b"2", 2)]


async def test_a_broker_that_is_away_is_tried_with_growing_pauses(caplog: pytest.LogCaptureFixture) -> None:
    """No hot loop, one line; and it goes on when the broker is back."""
    broker = Broker()
    async with running(broker, nothing) as host:
        broker.fail("connect", *(ConnectionLost("refused") for _ in range(1_000)))
        broker.drop()
        await until(lambda: broker.calls["connect"] >= 3)
        began = broker.calls["connect"]
        await asyncio.sleep(0.3)
        assert broker.calls["connect"] - began <= 5
        broker._faults.clear()
        put(broker, b"1")
        await until(lambda: host.counters["work"].handled == 1)
    assert len([record for record in caplog.records if "can't receive" in record.getMessage()]) == 1


async def test_a_drain_does_not_wait_for_a_broker_that_is_away() -> None:
    """There is nothing in hand."""
    broker = Broker()
    async with running(broker, nothing) as host:
        broker.fail("connect", *(ConnectionLost("refused") for _ in range(1_000)))
        broker.drop()
        await until(lambda: broker.calls["connect"] >= 6)
        async with asyncio.timeout(1):
            assert await host.drain(30.0)


async def test_a_connection_that_is_lost_while_draining_gives_back_what_was_in_hand() -> None:
    """The drain does not say that all was settled."""
    broker, go = Broker(), asyncio.Event()
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        await go.wait()

    async with running(broker, work) as host:
        await until(lambda: host.counters["work"].in_hand)
        draining = asyncio.create_task(host.drain(30.0))
        await asyncio.sleep(0.01)
        broker.drop()
        go.set()
        assert not await draining
    assert broker.left("in", "work") == [b"1"]


async def test_a_bug_in_a_plugin_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The subscription is opened anew; the log has the traceback."""
    broker = Broker()
    async with running(broker, nothing) as host:
        await until(lambda: broker.calls["receive"])
        broker.fail("receive", KeyError("a bug"))
        put(broker, b"1")
        await until(lambda: host.counters["work"].handled == 1)
        assert broker.calls["subscribe"] == 2
    (record,) = [record for record in caplog.records if "KeyError" in record.getMessage()]
    assert record.exc_info


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ("connect", AuthenticationFailed("wrong password")),
        ("connect", StorageFailed("the file is corrupt")),
        ("subscribe", ChannelNotFound("there is no such channel")),
    ],
)
async def test_what_is_refused_at_the_start_ends_the_start(operation: str, error: Exception) -> None:
    """With the broker's reason; nothing stays open."""
    broker = Broker()
    broker.fail(operation, error)  # type: ignore[arg-type]
    with pytest.raises(type(error), match="main: "):
        async with running(broker, nothing):
            pytest.fail("it started")
    assert not broker.connections


async def test_a_broker_that_is_away_at_the_start_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    """While connecting and while subscribing; one line says for what, and one that it is there."""
    broker = Broker()
    caplog.set_level("INFO", "dragoman.client")
    broker.fail("connect", *(ConnectionLost("refused") for _ in range(3)))
    broker.fail("subscribe", ConnectionLost("cut"), TimedOut("no leader"))
    async with running(broker, nothing) as host:
        put(broker, b"1")
        await until(lambda: host.counters["work"].handled == 1)
        assert not host.counters["work"].outages
    said = [record.getMessage() for record in caplog.records if "client 'main'" in record.getMessage()]
    assert [line for line in said if "waiting" in line] == [said[0]]
    assert "waiting for client 'main': refused; next try in 0." in said[0]
    assert "client 'main' is connected, after " in said[1]


async def test_a_mistake_in_a_handler_is_told_also_while_a_broker_is_away() -> None:
    """At once: nobody waits a night for that."""
    broker = Broker()
    broker.fail("connect", *(ConnectionLost("refused") for _ in range(1_000)))
    with pytest.raises(ConfigError, match=r"handlers\.work\.python"):
        async with running(broker, nothing, python="no_such_module:handle"):
            pytest.fail("it started")
    assert broker.calls["connect"] == 0


async def test_an_outage_costs_no_message_its_tries() -> None:
    """However often its handler fails for want of a connection, and whatever it makes of the error."""
    broker = Broker()
    attempts: list[int] = []

    async def work(message: Message, context: Context) -> None:
        attempts.append(context.attempt)
        try:
            await context.publish("out", message, client="other")
        except Exception:
            raise RuntimeError("something of my own") from None

    options = {"publish": {"other": ["*"]}, "dead_letter": "dead", "retry": {"attempts": 2, "backoff": "1ms"}}
    async with running(broker, work, wait=0, **options) as host:
        other = host._connections["other"]
        broker.fail("connect", *(ConnectionLost("refused") for _ in range(3)))
        adapter = await other._link.live()
        other._link.failed(ConnectionLost("cut"), adapter, ConnectionLost("cut"))
        put(broker, b"1")
        await until(lambda: broker.data("out"))
        await until(lambda: not host.counters["work"].in_hand)
        assert host.counters["work"].failed >= 3
    assert set(attempts) == {1}
    assert broker.data("dead") == []


async def test_a_drain_waits_for_no_connection() -> None:
    """A handler that waits for one to send with is told at once, and its message goes back."""
    broker = Broker()
    waiting = asyncio.Event()

    async def work(message: Message, context: Context) -> None:
        waiting.set()
        await context.publish("out", message, client="other")

    async with running(broker, work, publish={"other": ["*"]}) as host:
        other = host._connections["other"]
        broker.fail("connect", *(ConnectionLost("refused") for _ in range(1_000)))
        other._link.failed(ConnectionLost("cut"), await other._link.live(), ConnectionLost("cut"))
        put(broker, b"1")
        await waiting.wait()
        await asyncio.sleep(0)
        async with asyncio.timeout(1):
            assert not await host.drain(30.0)
    assert (broker.left("in", "work"), broker.data("out")) == ([b"1"], [])


async def test_a_drain_ends_a_subscription_that_is_being_opened_again() -> None:
    """A broker that does not answer keeps nobody."""
    broker = Broker()
    async with running(broker, nothing) as host:
        await until(lambda: broker.calls["receive"])
        with broker.hold("subscribe"):
            broker.drop()
            await until(lambda: broker.calls["subscribe"] == 2)
            async with asyncio.timeout(1):
                assert await host.drain(30.0)


async def test_the_counters_say_what_a_handler_waits_for() -> None:
    """As long as it does."""
    broker = Broker()
    async with running(broker, nothing) as host:
        counters = host.counters["work"]
        await until(lambda: broker.calls["receive"])
        with broker.hold("connect"):
            broker.drop()
            await until(lambda: counters.outages)
            assert counters.outages == {
                "receive from 'in' of the client 'main'": "main: the connection was cut",
            }
        await until(lambda: not counters.outages)
        assert counters.last_error == "main: the connection was cut"


async def test_ready_means_that_every_subscription_is_confirmed() -> None:
    """Not before."""
    broker = Broker()
    handlers = {name: (nothing, {"subscribe": ["in", f"in-{name}"]}) for name in ("one", "two")}
    with broker.hold("subscribe"):
        starting = asyncio.create_task(running(broker, handlers=handlers).__aenter__())
        await until(lambda: broker.calls["subscribe"] == 4)
        await asyncio.sleep(0.01)
        assert not starting.done()
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
    async with running(broker, handlers=handlers):
        assert sum(len(groups) for groups in broker.groups.values()) == 4
