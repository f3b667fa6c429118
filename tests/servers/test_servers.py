"""The servers' helper itself: what tests rely on when they kill, cut and restart a broker."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiokafka
import aiormq
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.servers import PASSWORD, USER, Kafka, Mosquitto, Nats, RabbitMQ, Server, ServerError
from tests.servers.external import External
from tests.servers.install import NotInstalled, program
from tests.servers.ports import answers, free_port
from tests.servers.proxy import Proxy


def _greeting(port: int, hello: bytes, size: int) -> bytes:
    """What a broker answers first to a client that says `hello`."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(hello)
        answer = b""
        while len(answer) < size and (more := connection.recv(4096)):
            answer += more
    return answer


def _mqtt_connect(user: str = "", password: str = "") -> bytes:
    def text(value: str) -> bytes:
        return len(value).to_bytes(2, "big") + value.encode()

    flags = 0x02 | (0xC0 if user else 0)
    body = text("MQTT") + bytes([4, flags, 0, 60]) + text("probe") + (text(user) + text(password) if user else b"")
    return bytes([0x10, len(body)]) + body


def _wait(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come within 30 s"


_CONNACK = b"\x20\x02\x00\x00"
_AMQP_HELLO = b"AMQP\x00\x00\x09\x01"
_KAFKA_API_VERSIONS = b"\x00\x00\x00\x0b\x00\x12\x00\x00\x00\x00\x00\x2a\x00\x01x"


def _nats_is_there(port: int) -> bool:
    return _greeting(port, b"", 5).startswith(b"INFO ")


def _amqp_is_there(port: int) -> bool:
    """Connection.Start is the broker's first frame: class 10, method 10."""
    return _greeting(port, _AMQP_HELLO, 11)[7:11] == b"\x00\x0a\x00\x0a"


def _mqtt_is_there(port: int) -> bool:
    return _greeting(port, _mqtt_connect(), 4) == _CONNACK


def _kafka_is_there(port: int) -> bool:
    """The answer begins with its size and our correlation id."""
    return _greeting(port, _KAFKA_API_VERSIONS, 8)[4:8] == b"\x00\x00\x00\x2a"


_PROBES: dict[str, Callable[[int], bool]] = {
    "kafka": _kafka_is_there,
    "rabbitmq": _amqp_is_there,
    "mosquitto": _mqtt_is_there,
    "nats": _nats_is_there,
}


@pytest.fixture(params=sorted(_PROBES))
def broker(request: pytest.FixtureRequest) -> tuple[Server, Callable[[int], bool]]:
    """Each server with a probe of its protocol."""
    return request.getfixturevalue(request.param), _PROBES[request.param]


@pytest.mark.parametrize("name", ["nats"])
@pytest.mark.parametrize("turn", ["first", "second"])
def test_a_server_that_is_asked_for_by_its_name_is_whole_in_each_test(
    request: pytest.FixtureRequest, name: str, turn: str
) -> None:
    """Whatever the test before did to it, as this one does."""
    server = request.getfixturevalue(name)
    assert _PROBES[name](server.proxy_port)
    server.cut()


def test_a_server_speaks_its_protocol_directly_and_through_its_proxy(
    broker: tuple[Server, Callable[[int], bool]],
) -> None:
    """Both addresses lead to the same broker."""
    server, there = broker
    assert there(server.port)
    assert there(server.proxy_port)
    assert server.url == f"{server.scheme}://127.0.0.1:{server.proxy_port}"


def test_a_killed_server_is_gone_and_comes_back_on_the_same_ports(
    broker: tuple[Server, Callable[[int], bool]],
) -> None:
    """Kill -9 leaves nothing that listens; a start afterwards needs no new address."""
    server, there = broker
    ports = server.port, server.proxy_port
    server.kill()
    assert not server.running
    assert not answers(server.port)
    server.restart()
    assert (server.port, server.proxy_port) == ports
    assert there(server.port)
    assert there(server.proxy_port)


def test_a_cut_network_resets_connections_and_refuses_new_ones(
    broker: tuple[Server, Callable[[int], bool]],
) -> None:
    """The server itself goes on, and everything works again when the network is restored."""
    server, there = broker
    with socket.create_connection(("127.0.0.1", server.proxy_port), timeout=5) as connection:
        server.cut()
        with pytest.raises(ConnectionError):
            _read_to_end(connection)
    with pytest.raises(ConnectionError):
        _reach(server.proxy_port)
    assert there(server.port)
    server.restore()
    assert there(server.proxy_port)


def _read_to_end(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass
    raise ConnectionResetError("closed without a word")


def _reach(port: int) -> None:
    """Refused, reset or closed without a word: each means that nobody is there."""
    if not _greeting(port, b"", 1):
        raise ConnectionResetError("closed without a word")


def test_a_server_that_ends_at_start_says_why(tmp_path: Path) -> None:
    """The error has the end of the log; nothing is left behind."""

    class Misconfigured(Mosquitto):
        def configure(self) -> None:
            (self.folder / "mosquitto.conf").write_text("no_such_setting 1\n")

    server = Misconfigured()
    with pytest.raises(ServerError, match="no_such_setting"), server:
        pass
    assert not server.folder.exists()


def test_a_stalled_network_keeps_the_connection_and_delivers_later(nats: Server) -> None:
    """What was sent while it was stalled arrives when it is restored."""
    with socket.create_connection(("127.0.0.1", nats.proxy_port), timeout=5) as connection:
        assert connection.recv(4096).startswith(b"INFO")
        nats.stall()
        connection.sendall(b"PING\r\n")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(4096)
        nats.restore()
        connection.settimeout(5)
        assert b"PONG" in connection.recv(4096)


async def test_kafka_keeps_what_it_confirmed_through_kill_and_restart(kafka: Server) -> None:
    """Also through the proxy, whose address the broker gives to its clients."""
    address = f"127.0.0.1:{kafka.proxy_port}"
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=address, acks="all") as producer:
        await producer.send_and_wait("kept", b"kafka")
        assert all(node.port == kafka.proxy_port for node in producer.client.cluster.brokers())
    await asyncio.to_thread(kafka.restart)
    consumer = aiokafka.AIOKafkaConsumer("kept", bootstrap_servers=address, auto_offset_reset="earliest")
    async with consumer:
        assert (await asyncio.wait_for(consumer.getone(), 20)).value == b"kafka"


@pytest.mark.parametrize("kind", ["classic", "quorum"])
async def test_rabbitmq_keeps_what_it_confirmed_through_kill_and_restart(rabbitmq: RabbitMQ, kind: str) -> None:
    """A durable queue, a persistent message, confirmed; the files have the queue up to a second later."""
    name = f"kept-{uuid4().hex}"
    async with _amqp(rabbitmq, "guest", "guest") as connection:
        channel = await connection.channel()
        await channel.queue_declare(name, durable=True, arguments={"x-queue-type": kind})
        properties = aiormq.spec.Basic.Properties(delivery_mode=2)
        await channel.basic_publish(b"rabbit", routing_key=name, properties=properties)
    await asyncio.to_thread(_wait, lambda: rabbitmq.has_written(name), "the queue in a file of the server's")
    await asyncio.to_thread(rabbitmq.restart)
    async with _amqp(rabbitmq, "guest", "guest") as connection:
        channel = await connection.channel()
        assert (await channel.basic_get(name)).body == b"rabbit"


def test_mosquitto_keeps_a_retained_message_through_kill_and_restart(mosquitto: Mosquitto) -> None:
    """Its persistence is set so that a confirmed message is in its file a moment later."""
    topic = b"\x00\x04kept"
    with socket.create_connection(("127.0.0.1", mosquitto.port), timeout=5) as connection:
        connection.sendall(_mqtt_connect())
        assert connection.recv(4) == _CONNACK
        body = topic + b"\x00\x01" + b"mqtt"
        connection.sendall(bytes([0x33, len(body)]) + body)  # PUBLISH, QoS 1, retained
        assert connection.recv(4) == b"\x40\x02\x00\x01"  # PUBACK
    _wait(lambda: mosquitto.database.exists() and b"kept" in mosquitto.database.read_bytes(), "the message in the file")
    mosquitto.restart()
    with socket.create_connection(("127.0.0.1", mosquitto.port), timeout=5) as connection:
        connection.sendall(_mqtt_connect())
        assert connection.recv(4) == _CONNACK
        body = b"\x00\x02" + topic + b"\x00"
        connection.sendall(bytes([0x82, len(body)]) + body)  # SUBSCRIBE
        answer = b""
        while b"mqtt" not in answer:
            more = connection.recv(4096)
            assert more, answer
            answer += more


class _RawNats:
    """Requests in NATS's text protocol."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._socket.recv(65536)
        self._socket.sendall(b'CONNECT {"verbose":false}\r\nSUB inbox 1\r\n')

    def ask(self, subject: str, body: bytes) -> dict[str, Any]:
        """The answer; empty where there was none within a second, as while a stream has no leader."""
        self._socket.settimeout(1)
        self._socket.sendall(b"PUB %b inbox %d\r\n%b\r\n" % (subject.encode(), len(body), body))
        received = b""
        try:
            while not (found := re.search(rb"MSG inbox 1 +(\d+)\r\n", received)) or (
                len(received) < found.end() + int(found[1])
            ):
                received += self._socket.recv(65536)
        except TimeoutError:
            return {}
        return json.loads(received[found.end() : found.end() + int(found[1])])

    def close(self) -> None:
        self._socket.close()


def test_jetstream_keeps_what_it_confirmed_through_kill_and_restart(nats: Server) -> None:
    """A stream in a file."""
    with closing(_RawNats(nats.port)) as client:
        stream = {"name": "kept", "subjects": ["kept"], "storage": "file"}
        client.ask("$JS.API.STREAM.CREATE.kept", json.dumps(stream).encode())
        assert client.ask("kept", b"nats")["seq"] == 1
    nats.restart()
    with closing(_RawNats(nats.port)) as client:
        found = client.ask("$JS.API.STREAM.INFO.kept", b"")
    assert found["state"]["messages"] == 1


def test_a_jetstream_cluster_goes_on_without_its_leader() -> None:
    """Two of three are a quorum: a replicated stream takes messages when another has become leader."""
    with Nats.cluster() as cluster:
        leader = next(server for server in cluster.servers if server.leads())
        others = [server for server in cluster.servers if server is not leader]
        stream = {"name": "kept", "subjects": ["kept"], "storage": "file", "num_replicas": 3}
        with closing(_RawNats(leader.port)) as client:
            assert "error" not in client.ask("$JS.API.STREAM.CREATE.kept", json.dumps(stream).encode())
            assert client.ask("kept", b"before")["seq"] == 1
        leader.kill()
        _wait(lambda: any(server.leads() for server in others), "a new leader")
        with closing(_RawNats(others[0].port)) as client:
            _wait(lambda: "seq" in client.ask("kept", b"after"), "a message that a quorum has")


async def test_a_kafka_cluster_goes_on_without_a_partitions_leader() -> None:
    """What was confirmed by three brokers is read from the two that are left."""
    with Kafka.cluster() as cluster:
        addresses = cluster.url.removeprefix("kafka://")
        assert addresses.count(",") == 2
        leader = await _leader_of_a_new_topic(addresses)
        async with aiokafka.AIOKafkaProducer(bootstrap_servers=addresses, acks="all") as producer:
            await producer.send_and_wait("kept", b"before")
            await asyncio.to_thread(cluster.servers[leader - 1].kill)
            await asyncio.wait_for(producer.send_and_wait("kept", b"after"), 60)
        consumer = aiokafka.AIOKafkaConsumer("kept", bootstrap_servers=addresses, auto_offset_reset="earliest")
        async with consumer:
            assert [(await asyncio.wait_for(consumer.getone(), 30)).value for _ in range(2)] == [b"before", b"after"]


async def _leader_of_a_new_topic(addresses: str) -> int:
    """The node that leads the only partition, once the cluster has chosen one."""
    admin = AIOKafkaAdminClient(bootstrap_servers=addresses)
    await admin.start()
    try:
        await admin.create_topics([NewTopic("kept", num_partitions=1, replication_factor=3)])
        async with asyncio.timeout(30):
            while True:
                [topic] = await admin.describe_topics(["kept"])
                if topic["partitions"] and topic["partitions"][0]["leader"] > 0:
                    return int(topic["partitions"][0]["leader"])
                await asyncio.sleep(0.05)
    finally:
        await admin.close()


def _amqp(server: Server, user: str, password: str) -> aiormq.Connection:
    return aiormq.Connection(f"amqp://{user}:{password}@127.0.0.1:{server.proxy_port}/")


async def test_a_secure_rabbitmq_wants_its_password_and_forbids_channels(secure_rabbitmq: Server) -> None:
    """The forbidden queue is refused, another one is not."""
    with pytest.raises(aiormq.exceptions.ProbableAuthenticationError):
        await _amqp(secure_rabbitmq, USER, "wrong").connect()
    async with _amqp(secure_rabbitmq, USER, PASSWORD) as connection:
        channel = await connection.channel()
        await channel.queue_declare("allowed")
        with pytest.raises(aiormq.exceptions.ChannelAccessRefused):
            await channel.queue_declare("forbidden.orders")


async def test_a_secure_kafka_wants_its_password_and_forbids_topics(secure_kafka: Server) -> None:
    """The forbidden topic is refused, another one is not."""

    def producer(password: str) -> aiokafka.AIOKafkaProducer:
        return aiokafka.AIOKafkaProducer(
            bootstrap_servers=f"127.0.0.1:{secure_kafka.proxy_port}",
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism="PLAIN",
            sasl_plain_username=USER,
            sasl_plain_password=password,
        )

    wrong = producer("wrong")
    with pytest.raises(aiokafka.errors.KafkaError):
        await wrong.start()
    await wrong.stop()
    async with producer(PASSWORD) as right:
        await right.send_and_wait("allowed", b"1")
        with pytest.raises(aiokafka.errors.TopicAuthorizationFailedError):
            await right.send_and_wait("forbidden.orders", b"1")


def test_a_secure_mosquitto_wants_its_password(secure_mosquitto: Server) -> None:
    """Return code 5 is "not authorized"."""
    assert _greeting(secure_mosquitto.proxy_port, _mqtt_connect(), 4) == b"\x20\x02\x00\x05"
    assert _greeting(secure_mosquitto.proxy_port, _mqtt_connect(USER, "wrong"), 4) == b"\x20\x02\x00\x05"
    assert _greeting(secure_mosquitto.proxy_port, _mqtt_connect(USER, PASSWORD), 4) == _CONNACK


def test_a_secure_nats_wants_its_password_and_forbids_subjects(secure_nats: Server) -> None:
    """The forbidden subject is refused, another one is not."""

    def say(password: str, subject: str) -> bytes:
        login = json.dumps({"user": USER, "pass": password, "verbose": False})
        with socket.create_connection(("127.0.0.1", secure_nats.proxy_port), timeout=5) as connection:
            connection.recv(4096)
            connection.sendall(f"CONNECT {login}\r\nPUB {subject} 1\r\nx\r\nPING\r\n".encode())
            answer = b""
            while b"PONG" not in answer and (more := connection.recv(4096)):
                answer += more
        return answer

    assert b"Authorization Violation" in say("wrong", "allowed")
    assert b"Permissions Violation" in say(PASSWORD, "forbidden.orders")
    assert say(PASSWORD, "allowed").strip() == b"PONG"


@pytest.fixture(params=[RabbitMQ, Mosquitto, Nats, Kafka])
def encrypted(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Each server, with TLS."""
    with request.param(tls=True) as server:
        yield server


def test_a_server_with_tls_shows_a_certificate_of_our_authority(encrypted: Server) -> None:
    """A client that trusts the authority reaches it under 127.0.0.1, through the proxy too."""
    assert encrypted.certificates is not None
    context = ssl.create_default_context(cafile=str(encrypted.certificates.authority))
    for port in (encrypted.port, encrypted.proxy_port):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            if isinstance(encrypted, Nats):
                assert connection.recv(4096).startswith(b"INFO")  # in NATS the server speaks before TLS begins
            with context.wrap_socket(connection, server_hostname="127.0.0.1") as secured:
                assert secured.getpeercert()


def test_servers_and_folders_do_not_outlive_a_killed_session() -> None:
    """Kill -9 of the process that started them ends them all the same, RabbitMQ's epmd too."""
    script = (
        "import sys, time\n"
        "from tests.servers import RabbitMQ, Nats\n"
        "with RabbitMQ() as rabbit, Nats() as nats:\n"
        "    print(rabbit.port, rabbit._epmd_port, rabbit.proxy_port, nats.port, rabbit.folder, flush=True)\n"
        "    time.sleep(1000)\n"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", script], cwd=root, stdout=subprocess.PIPE, text=True) as session:
        assert session.stdout is not None
        *ports, folder = session.stdout.readline().split()
        assert all(answers(int(port)) for port in ports)
        os.kill(session.pid, signal.SIGKILL)
    _wait(lambda: not any(answers(int(port)) for port in ports) and not Path(folder).exists(), f"the end of {ports}")


def test_a_missing_program_is_named_with_its_package_and_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where apt can't help, the message says what to install or to set."""
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(NotInstalled, match=r"'no-such-package'.*DRAGOMAN_TEST_NATS"):
        program("no-such-broker", package="no-such-package", instead="DRAGOMAN_TEST_NATS")


def test_a_server_from_the_environment_is_used_but_not_controlled(
    monkeypatch: pytest.MonkeyPatch, nats: Server
) -> None:
    """Its network can be cut, through a proxy of ours; it can't be stopped."""
    monkeypatch.setenv("DRAGOMAN_TEST_NATS", f"127.0.0.1:{nats.port}")
    found = External.named("nats", "nats")
    assert found is not None
    with found as server:
        port = int(server.url.rpartition(":")[2])
        assert _nats_is_there(port)
        server.cut()
        with pytest.raises(ConnectionError):
            _reach(port)
        server.restore()
        assert _nats_is_there(port)
        with pytest.raises(ServerError, match="not ours"):
            server.kill()


def test_a_proxy_on_a_taken_port_says_so() -> None:
    """It does not hang."""
    first, second = Proxy(port := free_port(), "127.0.0.1:1"), Proxy(port, "127.0.0.1:1")
    first.start()
    with pytest.raises(RuntimeError, match="taken"):
        second.start()
    first.close()
    second.close()
