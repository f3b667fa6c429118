"""Real brokers that go away while a host works and others publish: all of it comes back by itself, nothing is lost."""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import nats as nats_py
import pytest

import dragoman as library
from dragoman.client import Client
from dragoman.config.model import Config
from dragoman.errors import BrokerError, ConnectionLost
from dragoman.handlers.handler import Context
from dragoman.host.host import Host
from dragoman.message import Message
from dragoman.plugins import load_plugins
from tests.cli.conftest import dragoman, start
from tests.cli.process import Running
from tests.host.running import module_of, until
from tests.servers import Cluster, Kafka, Nats, RabbitMQ, Server

__all__ = ["dragoman", "folder", "start"]

_log = logging.getLogger("figures")
COUNT = 2_000
PUBLISHERS = 20
#: What a client needs besides its URL so that these tests need not wait for long.
QUICK: Mapping[str, Mapping[str, Any]] = {
    "kafka": {"create_topics": True, "session_timeout": "6s", "rebalance_timeout": "5s", "timeout": "10s"},
    "rabbitmq": {"heartbeat": 2},
    "mosquitto": {"keepalive": 2},
    "nats": {"ack_wait": "2s", "ping_interval": "1s", "publish_timeout": "3s"},
}
DURABLE = ["nats", "rabbitmq", "kafka"]


class Traffic:
    """Numbered messages from many publishers, through one handler.

    Attributes:
        confirmed: the numbers that the broker has confirmed.
        handled: how often each was handled.
        failures: what publishers were told, and how often.
        host: what handles them.
    """

    def __init__(self, settings: Mapping[str, Any], host: Host, channel: str, handled: Counter[int]) -> None:
        self.confirmed: set[int] = set()
        self.handled = handled
        self.failures: Counter[str] = Counter()
        self.host = host
        self._settings = settings
        self._channel = channel

    async def publish(self, count: int = COUNT) -> None:
        """Publish each number until it is confirmed."""
        async with library.connect(self._settings, client="shop") as client:
            numbers = iter(range(count))
            async with asyncio.TaskGroup() as group:
                for _ in range(PUBLISHERS):
                    group.create_task(self._publisher(client, numbers))

    async def _publisher(self, client: Client, numbers: Iterator[int]) -> None:
        for number in numbers:
            while number not in self.confirmed:
                try:
                    await client.publish(self._channel, str(number))
                except BrokerError as error:
                    if not error.retryable:
                        raise
                    self.failures[type(error).__name__] += 1
                    await asyncio.sleep(0.05)  # a client never repeats what may have been sent: this one does
                else:
                    self.confirmed.add(number)
            await asyncio.sleep(0.001)

    async def all_handled(self, count: int = COUNT) -> None:
        """Wait until every number was handled, and nothing is in hand."""
        await until(lambda: self.handled.keys() >= set(range(count)), 90)
        assert self.confirmed == set(range(count))
        await until(lambda: not self.host.counters["work"].in_hand, 30)


@asynccontextmanager
async def traffic(server: Server | Cluster[Any], name: str, **more: Any) -> AsyncIterator[Traffic]:
    """A host on a channel of its own of that server."""
    handled: Counter[int] = Counter()

    async def work(message: Message, context: Context) -> None:
        handled[int(message.data)] += 1

    channel = f"outage-{uuid4().hex[:8]}"
    settings = {"url": server.url, "wait": "60s", **QUICK[name], **more}
    with module_of(work=work) as module:
        handler = {"python": f"{module}:work", "client": "shop", "subscribe": [channel], "concurrency": 32}
        config = Config.model_validate({"clients": {"shop": settings}, "handlers": {"work": handler}})
        async with Host(config, plugins=load_plugins(), folder=Path("/nonexistent")) as host:
            yield Traffic(settings, host, channel, handled)


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Server:
    """The one of that name."""
    found: Server = request.getfixturevalue(request.param)
    return found


def _each(names: list[str]) -> Callable[[Any], Any]:
    return pytest.mark.parametrize(("server", "name"), [(name, name) for name in names], indirect=["server"], ids=names)


@pytest.mark.timeout(180)
@_each([*DURABLE, "mosquitto"])
async def test_a_network_that_is_cut_for_seconds_loses_nothing(
    server: Server, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Publishers wait, subscriptions are opened again, and what was in hand comes again."""
    caplog.set_level("INFO", "dragoman")
    async with traffic(server, name) as all_:
        publishing = asyncio.create_task(all_.publish())
        await until(lambda: len(all_.confirmed) > COUNT // 3, 60)
        server.cut()
        await asyncio.sleep(4)  # the outage itself
        server.restore()
        restored = time.monotonic()
        await publishing
        await all_.all_handled()
        _report(name, "cut for 4 s", all_, restored)
        assert not all_.host.counters["work"].outages


@pytest.mark.timeout(240)
@_each(DURABLE)
async def test_a_broker_that_is_killed_and_started_again_loses_nothing(server: Server, name: str) -> None:
    """With kill -9, in the middle, twice."""
    async with traffic(server, name) as all_:
        if isinstance(server, RabbitMQ):
            await until(lambda: all(map(server.has_written, (all_._channel, f"{all_._channel}@owner"))), 30)
        publishing = asyncio.create_task(all_.publish())
        for share in (3, 2):
            await until(lambda share=share: len(all_.confirmed) > COUNT // share, 90)
            await asyncio.to_thread(server.restart)
        restored = time.monotonic()
        await publishing
        await all_.all_handled()
        _report(name, "killed twice", all_, restored)


@pytest.mark.timeout(180)
@_each([*DURABLE, "mosquitto"])
async def test_a_network_that_stalls_is_noticed(server: Server, name: str) -> None:
    """Nothing is reset, nothing comes: signs of life are missing. Afterwards everything goes on."""
    async with traffic(server, name) as all_:
        publishing = asyncio.create_task(all_.publish())
        await until(lambda: len(all_.confirmed) > COUNT // 3, 60)
        await asyncio.to_thread(server.stall)
        began = time.monotonic()
        await until(lambda: all_.host.counters["work"].outages, 60)
        noticed = time.monotonic() - began
        await asyncio.to_thread(server.restore)
        restored = time.monotonic()
        await publishing
        await all_.all_handled()
        _report(name, f"stalled, noticed after {noticed:.1f} s", all_, restored)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("what", ["consumer", "stream"])
async def test_a_subscription_that_dies_is_opened_again(
    nats: Nats, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody deletes it on the server; the log says so, once, and that it works again."""
    caplog.set_level("INFO", "dragoman.host")
    async with traffic(nats, "nats") as all_:
        await all_.publish(10)
        await until(lambda: len(all_.handled) == 10)
        connection = await nats_py.connect(nats.direct)
        try:
            manager = connection.jsm()
            stream = await manager.find_stream_name_by_subject(all_._channel)
            (consumer,) = await manager.consumers_info(stream)
            if what == "consumer":
                await manager.delete_consumer(stream, consumer.name)
            else:
                await manager.delete_stream(stream)
        finally:
            await connection.close()
        await until(lambda: all_.host.counters["work"].last_error, 30)
        await until(lambda: not all_.host.counters["work"].outages, 30)
        all_.handled.clear()
        all_.confirmed.clear()
        await all_.publish(10)
        await until(lambda: len(all_.handled) == 10, 30)
    said = [record.getMessage() for record in caplog.records if record.name == "dragoman.host"]
    assert "gone" in said[0], said
    assert "again" in said[-1], said
    assert len(said) == 2, said


async def test_publishing_while_the_broker_is_away_waits_and_then_says_why_not(nats: Nats) -> None:
    """Within its bound it succeeds when the broker is back."""
    async with library.connect({"url": nats.url, "wait": "1.5s"}, client="shop") as client:
        await client.publish("waits", b"1")
        nats.cut()
        began = time.monotonic()
        with pytest.raises(BrokerError):
            await client.publish("waits", b"2")
        with pytest.raises(ConnectionLost, match=r"shop: waited 1.5 s for the connection: .* \(nothing was sent\)"):
            await client.publish("waits", b"3")
        assert 1.4 < time.monotonic() - began < 5
        sending = asyncio.create_task(client.publish("waits", b"4"))
        await asyncio.sleep(0.3)
        assert not sending.done()
        nats.restore()
        await sending


@pytest.mark.timeout(180)
async def test_a_cluster_of_nats_servers_loses_its_leader_and_no_message() -> None:
    """JetStream with three copies: the other two elect another leader, and the clients find them."""
    with Nats.cluster(3) as cluster:
        async with traffic(cluster, "nats", replicas=3) as all_:
            publishing = asyncio.create_task(all_.publish())
            await until(lambda: len(all_.confirmed) > COUNT // 3, 60)
            leader = await _leader_of_stream(cluster, all_._channel)
            await asyncio.to_thread(leader.kill)
            restored = time.monotonic()
            await publishing
            await all_.all_handled()
            _report("nats", "leader of three killed", all_, restored)


@pytest.mark.timeout(240)
async def test_a_cluster_of_kafka_brokers_loses_one_and_no_message() -> None:
    """The leader of some partitions, with three copies each."""
    with Kafka.cluster(3) as cluster:
        async with traffic(cluster, "kafka", topic_partitions=6, topic_replication=3) as all_:
            publishing = asyncio.create_task(all_.publish())
            await until(lambda: len(all_.confirmed) > COUNT // 3, 90)
            await asyncio.to_thread(cluster.servers[1].kill)
            restored = time.monotonic()
            await publishing
            await all_.all_handled()
            _report("kafka", "one of three killed", all_, restored)


HANDLER = """
async def work(message, context):
    context.log.info("handled %s", message.data.decode())
"""


@pytest.fixture
def folder(tmp_path: Path, nats: Nats) -> Path:
    """With a handler on NATS."""
    tmp_path.joinpath("app.py").write_text(HANDLER)
    tmp_path.joinpath("dragoman.toml").write_text(
        f"[clients.shop]\nurl = '{nats.url}'\n"
        f"[handlers.work]\npython = 'app:work'\nclient = 'shop'\nsubscribe = ['run-{uuid4().hex[:8]}']\n"
    )
    return tmp_path


@pytest.mark.timeout(120)
def test_a_host_starts_before_its_broker_and_survives_it(start: Callable[..., Running], nats: Nats) -> None:
    """It says for what it waits, is ready when that is there, shows an outage, and a signal in one ends it at once."""
    nats.kill()
    running = start("run", "--interval", "100ms")
    said = running.until("waiting for client 'shop'")
    assert '"event": "ready"' not in said
    nats.start()
    running.event("ready")
    nats.cut()
    running.until("can't receive from")
    while not _outages(running):
        running._more()
    nats.restore()
    running.until("again, after")
    nats.kill()
    while not _outages(running):
        running._more()
    began = time.monotonic()
    running.signal(signal.SIGTERM)
    assert running.end() == 0
    assert time.monotonic() - began < 5
    lines = [event["message"] for event in running.events() if event["event"] == "log"]
    assert len([line for line in lines if line.startswith("waiting for client")]) <= 3, lines


def test_a_signal_ends_a_start_that_waits(start: Callable[..., Running], nats: Nats) -> None:
    """There is nothing in hand."""
    nats.kill()
    running = start("run")
    running.until("waiting for client 'shop'")
    running.signal(signal.SIGTERM)
    assert running.end() == 0
    assert running.event("stopped")["message"] == "SIGTERM before the host was ready"


@pytest.mark.parametrize(
    "command",
    [
        ("send", "shop", "in", "x"),
        ("tail", "shop", "in"),
        ("request", "shop", "in", "x", "--timeout", "60s"),
        ("check", "--connect", "--timeout", "60s"),
    ],
    ids=lambda command: command[0],
)
def test_a_command_does_not_wait_for_a_broker_that_is_away(
    dragoman: Callable[..., subprocess.CompletedProcess[str]], nats: Nats, command: tuple[str, ...]
) -> None:
    """It says so in a line, and ends with 1: somebody sits in front of it."""
    nats.cut()
    began = time.monotonic()
    done = dragoman(*command)
    assert (done.returncode, time.monotonic() - began < 10) == (1, True)
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("stopped: 0 messages")]
    assert "shop: nats://127.0.0.1:" in line


def _outages(running: Running) -> Mapping[str, str]:
    last = [event for event in running.events() if event["event"] == "counters"][-1:]
    return last[0]["handlers"]["work"]["outages"] if last else {}


async def _leader_of_stream(cluster: Cluster[Nats], channel: str) -> Nats:
    connection = await nats_py.connect(cluster.servers[0].direct)
    try:
        manager = connection.jsm()
        stream = await manager.stream_info(await manager.find_stream_name_by_subject(channel))
        assert stream.cluster is not None
        return next(server for server in cluster.servers if server._name == stream.cluster.leader)
    finally:
        await connection.close()


def _report(name: str, what: str, all_: Traffic, since: float) -> None:
    twice = sum(all_.handled.values()) - len(all_.handled)
    seconds = time.monotonic() - since
    failures = dict(all_.failures)
    _log.warning("%s %s: %d twice, %.1f s until all was done, %s", name, what, twice, seconds, failures)
