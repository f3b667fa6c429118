"""Connecting again: one attempt at a time, growing pauses, bounded waiting, and who is told what."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from dragoman import dialing
from dragoman.adapter import Adapter
from dragoman.client import Client
from dragoman.errors import AuthenticationFailed, BrokerError, Closed, ConnectionLost, PublishFailed, TimedOut
from dragoman.link import Link
from tests.dictionary.adapter import Settings, dictionary
from tests.dictionary.broker import Broker
from tests.host.running import until


class Way:
    """The way to a dictionary broker: open, or not.

    Attributes:
        attempts: when each of them began, by the loop's clock.
        most: the most attempts that were ever under way at once.
        refused: how many of them have failed.
        refuses: what an attempt fails with; None while the way is open.
    """

    def __init__(self, broker: Broker) -> None:
        self._type = dictionary(broker)
        self.attempts: list[float] = []
        self.most = 0
        self.refused = 0
        self.refuses: Exception | None = None
        self._now = 0

    async def connect(self) -> Adapter:
        """One attempt."""
        self.attempts.append(asyncio.get_running_loop().time())
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            await asyncio.sleep(0.005)
            if self.refuses is not None:
                self.refused += 1
                raise self.refuses
            return await self._type.connect(Settings())
        finally:
            self._now -= 1

    def client(self, wait: float) -> Client:
        """Not connected yet."""
        return Client(Link("orders", self._type, self.connect, wait=wait))

    @property
    def pauses(self) -> list[float]:
        """Seconds between the beginnings of attempts."""
        return [after - before for before, after in zip(self.attempts, self.attempts[1:], strict=False)]


@pytest.fixture
def broker() -> Broker:
    """An empty one."""
    return Broker()


@pytest.fixture
def way(broker: Broker) -> Way:
    """An open one."""
    return Way(broker)


@pytest.fixture
async def client(way: Way) -> AsyncIterator[Client]:
    """One that waits for 20 s, not connected yet."""
    client = way.client(20.0)
    yield client
    await client.close()


async def test_fifty_publishers_make_one_attempt_at_a_time(client: Client, way: Way, broker: Broker) -> None:
    """And all of them have sent when the broker is back: each once."""
    way.refuses = ConnectionLost("refused")
    sending = [asyncio.create_task(client.publish("out", str(number))) for number in range(50)]
    await until(lambda: way.refused == 3)
    assert not any(task.done() for task in sending)
    way.refuses = None
    await asyncio.gather(*sending)
    assert (way.most, len(way.attempts)) == (1, 4)
    assert sorted(broker.data("out")) == sorted(str(number).encode() for number in range(50))


async def test_the_pauses_grow(client: Client, way: Way) -> None:
    """From 0.1 s, less the share that is random; there is no hot loop."""
    way.refuses = ConnectionLost("refused")
    waiting = asyncio.create_task(client.ready())
    await until(lambda: len(way.attempts) == 5)
    waiting.cancel()
    for number, pause in enumerate(way.pauses):
        assert pause >= 0.05 * 2**number


async def test_publishing_without_a_connection_fails_after_its_wait(way: Way) -> None:
    """And says for what it waited, how long, and that nothing was sent."""
    way.refuses = ConnectionLost("refused", where="dictionary:")
    async with asyncio.timeout(5):
        client = way.client(0.3)
        for call in (client.publish("out", b"x"), client.request("out", b"x")):
            with pytest.raises(ConnectionLost) as failed:
                await call
            text = "orders: waited 0.3 s for the connection: dictionary:: refused (nothing was sent)"
            assert str(failed.value) == text
            assert failed.value.__cause__ is way.refuses
        with pytest.raises(ConnectionLost, match=r"refused$"):
            await client.subscribe("topic:in").__aenter__()
        await client.close()


async def test_an_attempt_that_hangs_is_not_waited_for_longer(way: Way, broker: Broker) -> None:
    """It goes on, for whoever comes next."""
    client = way.client(0.05)
    with broker.hold("connect"), pytest.raises(ConnectionLost, match="the first attempt is still under way"):
        await client.publish("out", b"1")
    await client.publish("out", b"2")
    await client.close()
    assert (len(way.attempts), broker.data("out")) == (1, [b"2"])


async def test_an_attempt_has_an_end(client: Client, way: Way, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where an adapter would wait for ever."""
    monkeypatch.setattr(dialing, "_ATTEMPT", 0.05)
    with broker.hold("connect"):
        waiting = asyncio.create_task(client.ready())
        await until(lambda: len(way.attempts) == 2)
    await waiting
    assert way.most == 1


async def test_what_found_no_connection_is_sent_over_the_next(client: Client, broker: Broker) -> None:
    """By the contract nothing was sent then."""
    async with client:
        broker.fail("publish", *(ConnectionLost("gone") for _ in range(2)))
        await client.publish("out", b"1", b"2")
    assert (broker.data("out"), broker.calls["publish"]) == ([b"1", b"2"], 3)


async def test_what_may_have_been_sent_is_not_sent_again(client: Client, broker: Broker) -> None:
    """The caller is told that it is not known."""
    async with client:
        broker.fail("publish", PublishFailed("cut", outcome_unknown=True))
        with pytest.raises(PublishFailed) as failed:
            await client.publish("out", b"1")
        assert failed.value.outcome_unknown
        broker.fail("request", ConnectionLost("cut"))
        with pytest.raises(ConnectionLost, match="orders: cut"):
            await client.request("out", b"1")
    assert (broker.calls["publish"], broker.calls["request"]) == (1, 1)


async def test_a_connection_that_breaks_at_once_is_no_hot_loop(way: Way, broker: Broker) -> None:
    """It counts as a failed attempt; and the wait is over at its end."""
    client = way.client(0.5)
    broker.fail("publish", *(ConnectionLost("gone") for _ in range(1_000)))
    with pytest.raises(ConnectionLost, match=r"orders: (gone|waited)"):
        await client.publish("out", b"1")
    await client.close()
    assert 2 <= len(way.attempts) <= 5
    assert (broker.data("out"), broker.connections) == ([], set())


async def test_after_a_connection_that_lasted_the_first_attempt_is_made_at_once(
    client: Client, way: Way, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most losses are over as soon as they are seen."""
    monkeypatch.setattr(dialing, "_STEADY", 0.0)
    async with client:
        for number in range(10):
            broker.drop()
            await client.publish("out", str(number))
    assert len(broker.data("out")) == 10
    assert max(way.pauses) < 0.05


@pytest.mark.parametrize("error", [AuthenticationFailed("wrong password"), KeyError("a bug")])
async def test_what_does_not_pass_is_told_at_once_to_all(client: Client, way: Way, error: Exception) -> None:
    """And is tried again only when somebody asks again."""
    way.refuses = error
    found = await asyncio.gather(*(client.publish("out", b"x") for _ in range(5)), return_exceptions=True)
    assert {type(one) for one in found} == {type(error)}
    assert len(way.attempts) == 1
    if isinstance(error, BrokerError):
        assert {str(one) for one in found} == {"orders: wrong password"}
    way.refuses = None
    await client.publish("out", b"x")
    assert len(way.attempts) == 2


async def test_without_a_wait_a_call_fails_with_the_first_attempt(way: Way) -> None:
    """And at once while the pause before the next one lasts."""
    client = way.client(0.0)
    way.refuses = ConnectionLost("refused")
    for _ in range(20):
        with pytest.raises(ConnectionLost) as failed:
            await client.publish("out", b"x")
        assert str(failed.value) == "orders: refused (nothing was sent)"
    assert len(way.attempts) == 1
    await client.close()


async def test_nobody_waits_no_attempts(client: Client, way: Way) -> None:
    """Those who were cancelled leave nothing behind."""
    way.refuses = ConnectionLost("refused")
    waiting = [asyncio.create_task(client.publish("out", b"x")) for _ in range(3)]
    await until(lambda: way.refused == 2)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await until(lambda: not any("connecting" in task.get_name() for task in asyncio.all_tasks()))
    assert len(way.attempts) == 2


async def test_closing_ends_the_waiting(client: Client, way: Way) -> None:
    """Everybody is told, and no attempt follows."""
    way.refuses = TimedOut("no leader")
    waiting = [asyncio.create_task(client.publish("out", b"x")) for _ in range(3)]
    await until(lambda: len(way.attempts) == 2)
    await client.close()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert {str(one) for one in found} == {"orders: the client was closed"}
    assert {type(one) for one in found} == {Closed}
    assert not any("connecting" in task.get_name() for task in asyncio.all_tasks())


async def test_waiting_can_be_ended_for_all(client: Client, way: Way, broker: Broker) -> None:
    """As a drain does; with a broker that is back calls still work."""
    way.refuses = ConnectionLost("refused")
    waiting = asyncio.create_task(client.publish("out", b"x"))
    await until(lambda: len(way.attempts) == 2)
    client.stop_waiting()
    with pytest.raises(ConnectionLost, match=r"orders: not connected: refused \(nothing was sent\)"):
        await waiting
    with pytest.raises(ConnectionLost):
        await client.publish("out", b"x")
    way.refuses = None
    await until(lambda: not any("connecting" in task.get_name() for task in asyncio.all_tasks()))
    await asyncio.sleep(max(0.0, client._link._dialing._not_before - asyncio.get_running_loop().time()))
    await client.publish("out", b"y")
    assert broker.data("out") == [b"y"]


async def test_a_lost_connection_is_closed_before_the_next_is_made(
    client: Client, way: Way, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker may know us by a name that only one may have; but one that can't be closed keeps nobody for long."""
    monkeypatch.setattr(dialing, "_FAREWELL", 0.05)
    async with client:
        adapter = await client._link.live()
        closed = asyncio.Event()

        async def hang() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                assert len(way.attempts) == 1
                closed.set()

        monkeypatch.setattr(adapter, "close", hang)
        broker.drop()
        await client.publish("out", b"x")
        assert closed.is_set()


async def test_the_log_says_once_for_what_it_waits_and_when_it_is_back(
    client: Client, way: Way, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    """Another line only where the reason is of another kind; what each attempt found is for debugging."""
    caplog.set_level(logging.DEBUG, "dragoman.client")
    async with client:
        way.refuses = ConnectionLost("refused")
        broker.drop()
        sending = asyncio.create_task(client.publish("out", b"x"))
        await until(lambda: way.refused == 2)
        way.refuses = TimedOut("no leader")
        await until(lambda: way.refused == 3)
        way.refuses = None
        await sending
    said = [(record.levelname, record.getMessage().partition(" s")[0]) for record in caplog.records]
    lines = [text for level, text in said if level != "DEBUG"]
    assert lines[0] == "client 'orders' lost its connection: the connection was cut"
    assert lines[1].startswith("waiting for client 'orders': refused; next try in 0.")
    assert lines[2].startswith("waiting for client 'orders': no leader; next try in ")
    assert lines[3].startswith("client 'orders' is connected, after ")
    assert len(lines) == 4
    assert sum(level == "DEBUG" for level, _ in said) == 1
    assert {record.__dict__["client"] for record in caplog.records} == {"orders"}
