"""`frames.py` hooks in below aiomqtt and paho: these tests notice when a release moves what it holds on to."""

from __future__ import annotations

import asyncio
import inspect
from importlib.metadata import version

import aiomqtt
import paho.mqtt.client as paho
import pytest

from dragoman.adapter import SubscribeOptions
from dragoman.errors import (
    AuthenticationFailed,
    BrokerError,
    ChannelNotFound,
    ConnectionLost,
    PayloadTooLarge,
    PermissionDenied,
    PublishFailed,
    Unsupported,
)
from dragoman.message import Channel, Message
from dragoman_mqtt.adapter import connect
from dragoman_mqtt.frames import Frames
from dragoman_mqtt.settings import MqttSettings
from tests.plugins.mqtt.fake import Fake

QUEUE, TOPIC = Channel("orders"), Channel("orders", "topic")


def test_the_releases_are_ones_that_were_looked_at() -> None:
    """A new minor release is looked at before the ranges in pyproject.toml are widened."""
    assert version("aiomqtt").startswith("2.5.")
    assert version("paho-mqtt").startswith("2.2.")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("loop_read", ["self", "max_packets"]),
        ("loop_write", ["self"]),
        ("_packet_queue", ["self", "command", "packet", "mid", "qos", "info"]),
        ("_packet_handle", ["self"]),
        ("_check_keepalive", ["self"]),
        ("_send_pingreq", ["self"]),
        ("_handle_pingresp", ["self"]),
        ("_mid_generate", ["self"]),
        ("_sock_recv", ["self", "bufsize"]),
        ("_sock_send", ["self", "buf"]),
        ("_sock_close", ["self"]),
        ("_ssl_wrap_socket", ["self", "tcp_sock"]),
        ("_loop_rc_handle", ["self", "rc"]),
        ("_do_on_disconnect", ["self", "packet_from_broker", "v1_rc", "reason", "properties"]),
    ],
)
def test_what_is_replaced_or_called_still_takes_what_it_took(name: str, parameters: list[str]) -> None:
    """Paho's methods under its public API."""
    assert list(inspect.signature(getattr(paho.Client, name)).parameters) == parameters


async def test_the_attributes_that_are_used_are_still_there() -> None:
    """Of aiomqtt's client and of paho's."""
    client = aiomqtt.Client("localhost")
    for name in ("_client", "_on_connect", "_on_disconnect", "_connected", "_disconnected", "_misc_task"):
        assert hasattr(client, name), name
    for name in (
        "_sock",
        "_state",
        "_in_packet",
        "_registered_write",
        "_last_bytes_received",
        "_last_msg_out",
        "_ping_t",
    ):
        assert hasattr(client._client, name), name
    assert not {name for name in vars(Frames) if name.startswith("_") and not name.startswith("__")} - {
        *dir(paho.Client), "_take", "_packet",
    }  # fmt: skip


async def test_no_more_is_unconfirmed_than_the_broker_takes() -> None:
    """Its Receive Maximum, here 3; what is beyond waits, and a time-out says that the outcome is unknown."""
    async with Fake(connack=b"\x00\x03\x21\x00\x03", puback=None).running() as fake:
        adapter = await connect(MqttSettings(url=fake.url, publish_timeout=0.3))
        with pytest.raises(PublishFailed, match="confirmed 0 of 10") as failed:
            await adapter.publish(TOPIC, [Message(b"x")] * 10)
        assert (fake.published, failed.value.outcome_unknown) == (3, True)
        with pytest.raises(PublishFailed) as waited:
            await adapter.publish(TOPIC, [Message(b"x")])
        assert (fake.published, waited.value.outcome_unknown) == (3, False)
        await adapter.close()


async def test_a_packet_over_the_brokers_limit_is_too_large() -> None:
    """Its Maximum Packet Size, here 100 bytes; nothing of the batch is sent."""
    async with Fake(connack=b"\x00\x05\x27\x00\x00\x00\x64").running() as fake:
        adapter = await connect(MqttSettings(url=fake.url))
        with pytest.raises(PayloadTooLarge, match="at most 100 bytes"):
            await adapter.publish(TOPIC, [Message(b"small"), Message(b"x" * 100)])
        assert fake.published == 0
        await adapter.close()


async def test_what_the_broker_says_that_it_cannot_do_is_unsupported() -> None:
    """Maximum QoS 1, and no retained messages."""
    async with Fake(connack=b"\x00\x04\x24\x01\x25\x00").running() as fake:
        adapter = await connect(MqttSettings(url=fake.url))
        for name, value in (("mqtt.qos", "2"), ("mqtt.retain", "true")):
            with pytest.raises(Unsupported):
                await adapter.publish(TOPIC, [Message(b"x", ((name, value),))])
        await adapter.publish(TOPIC, [Message(b"x")])
        await adapter.close()


@pytest.mark.parametrize(
    ("reason", "error"),
    [(0x87, PermissionDenied), (0x90, ChannelNotFound), (0x97, PublishFailed), (0x80, PublishFailed)],
)
async def test_a_refused_message_is_the_right_error(reason: int, error: type[BrokerError]) -> None:
    """By the reason code in PUBACK."""
    async with Fake(puback=reason).running() as fake:
        adapter = await connect(MqttSettings(url=fake.url))
        with pytest.raises(error, match=f"0x{reason:02X}"):
            await adapter.publish(TOPIC, [Message(b"x")])
        await adapter.close()


@pytest.mark.parametrize(
    ("reason", "error"), [(0x87, PermissionDenied), (0x8F, ChannelNotFound), (0x9E, Unsupported), (0, Unsupported)]
)
async def test_a_refused_subscription_is_the_right_error(reason: int, error: type[BrokerError]) -> None:
    """By the reason code in SUBACK; QoS 0 instead of the 1 that was asked for would lose messages."""
    async with Fake(suback=reason).running() as fake:
        adapter = await connect(MqttSettings(url=fake.url))
        with pytest.raises(error):
            async with adapter.subscribe(TOPIC, SubscribeOptions()):
                pass
        await adapter.close()


async def test_a_session_taken_over_by_somebody_else_says_so() -> None:
    """A broker gives one to whoever comes last: with the same `client_id` on two machines, each ends the other."""
    async with Fake(goodbye=b"\xe0\x02\x8e\x00").running() as fake:
        adapter = await connect(MqttSettings(url=fake.url))
        with pytest.raises(ConnectionLost, match="client_id"):
            async with adapter.subscribe(TOPIC, SubscribeOptions()) as subscription:
                await subscription.receive(1)
        await adapter.close()


@pytest.mark.parametrize(
    ("reason", "error"), [(0x86, AuthenticationFailed), (0x87, AuthenticationFailed), (0x88, ConnectionLost)]
)
async def test_a_refused_connection_is_the_right_error(reason: int, error: type[BrokerError]) -> None:
    """By the reason code in CONNACK: only a broker that is not there is worth another try."""
    async with Fake(connack=bytes((reason, 0))).running() as fake:
        with pytest.raises(error):
            await connect(MqttSettings(url=fake.url))


async def test_a_broker_that_closes_without_an_answer_is_noticed_at_once() -> None:
    """And not only when the time for connecting is over."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    url = f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with asyncio.timeout(5):
        with pytest.raises(ConnectionLost):
            await connect(MqttSettings(url=url, connect_timeout=30))
    server.close()
