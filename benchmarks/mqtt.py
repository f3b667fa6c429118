"""MQTT 5, QoS 1: ours beside aiomqtt as documented and FastStream at its fastest at-least-once settings.

`python -m benchmarks.mqtt`
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from urllib.parse import urlsplit

import aiomqtt
from faststream import AckPolicy
from faststream.mqtt import MQTTBroker, QoS
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from tests.servers import Mosquitto

import dragoman
from benchmarks.consuming import (
    BODY,
    FUNCTION,
    GROUP,
    Clock,
    component,
    filled,
    name,
    raw,
    through_adapter,
    through_host,
)
from benchmarks.report import report
from benchmarks.side_by_side import COUNT, IN_FLIGHT, Measured, Run, consumed, figures, publish_rate, side_by_side
from dragoman.adapter import SubscribeOptions
from dragoman.message import Channel, Message
from dragoman_mqtt.adapter import connect
from dragoman_mqtt.settings import MqttSettings

#: How many messages may be in hand.
PREFETCH = 1_000
_QUIET = logging.getLogger(f"{__name__}.aiomqtt")
_QUIET.setLevel(logging.ERROR)


def _topic() -> str:
    return name().replace(".", "/")


def _client(url: str, **options: object) -> aiomqtt.Client:
    parts = urlsplit(url)
    return aiomqtt.Client(
        parts.hostname or "",
        parts.port or 1883,
        protocol=aiomqtt.ProtocolVersion.V5,
        max_inflight_messages=IN_FLIGHT,
        logger=_QUIET,  # it warns of each publish beyond ten at once
        **options,  # type: ignore[arg-type] # a few of its fifty
    )


def publishers(url: str) -> dict[str, Run]:
    """Confirmed, 200 in flight."""

    async def client() -> Measured:
        async with _client(url) as mqtt:
            topic = _topic()
            return await publish_rate(lambda: mqtt.publish(topic, BODY, qos=1))

    async def faststream() -> Measured:
        broker = _broker(url)
        async with broker:
            await broker.start()
            topic = _topic()
            return await publish_rate(lambda: broker.publish(BODY, topic, qos=QoS.AT_LEAST_ONCE))

    async def ours() -> Measured:
        async with dragoman.connect({"url": url}) as connection:
            channel, message = Channel(_topic(), "topic"), Message(BODY)
            return await publish_rate(lambda: connection.publish(channel, message))

    return {"aiomqtt publish": client, "FastStream": faststream, "dragoman": ours}


def consumers(url: str) -> dict[str, Run]:
    """A backlog at the broker, each message acknowledged after a function that does nothing."""
    return {
        "aiomqtt messages": lambda: _client_consumes(url),
        "FastStream": lambda: _faststream_consumes(url),
        "dragoman adapter": lambda: _adapter_consumes(url),
        "dragoman": lambda: _host_consumes(url, FUNCTION),
        "dragoman component": lambda: _host_consumes(url, component()),
    }


async def _client_consumes(url: str) -> Measured:
    topic = _topic()
    kept = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's
    kept.SessionExpiryInterval = 600
    options = {"identifier": name(), "clean_start": False, "properties": kept}
    async with _client(url, **options) as mqtt:
        await mqtt.subscribe(topic, qos=1)
    await filled({"url": url}, Channel(topic, "topic"))
    clock = Clock()
    async with _client(url, **options) as mqtt:
        # aiomqtt acknowledges before the handler: only the layer below can wait for it.
        mqtt._client.manual_ack_set(True)
        async for message in mqtt.messages:
            clock.one()
            await _handle(message.payload)
            mqtt._client.ack(message.mid, message.qos)
            if clock.seen == COUNT:
                break
        return clock.rate()


async def _faststream_consumes(url: str) -> Measured:
    topic, go, clock = _topic(), asyncio.Event(), Clock()

    async def handle(_: bytes) -> None:
        if not go.is_set():
            await go.wait()  # the rest piles up at the broker: a backlog in a kept session is more than it takes
        clock.one()

    broker = _broker(url)
    broker.subscriber(topic, qos=QoS.AT_LEAST_ONCE, ack_policy=AckPolicy.NACK_ON_ERROR, decoder=raw)(handle)
    async with broker:
        await broker.start()
        await filled({"url": url}, Channel(topic, "topic"))
        go.set()
        return await clock.finished()


def _section(url: str) -> dict[str, Any]:
    """A client whose session is its own."""
    return {"url": url, "client_id": name()}


async def _waiting(section: dict[str, Any]) -> Channel:
    """A queue that has been subscribed to, and has all the messages: what nobody asked for, MQTT does not keep."""
    channel = Channel(_topic())
    async with dragoman.connect(section) as connection, connection.subscribe(channel, group=GROUP, prefetch=PREFETCH):
        pass
    return await filled({"url": section["url"]}, channel)


async def _adapter_consumes(url: str) -> Measured:
    section = _section(url)
    channel = await _waiting(section)
    opened = await connect(MqttSettings.model_validate(section))
    try:
        async with opened.subscribe(channel, SubscribeOptions(group=GROUP, prefetch=PREFETCH)) as subscription:
            return await through_adapter(subscription)
    finally:
        await opened.close()


async def _host_consumes(url: str, handler: Any) -> Measured:
    section = _section(url)
    return await through_host(section, await _waiting(section), handler, in_hand=PREFETCH)


def _broker(url: str) -> MQTTBroker:
    return MQTTBroker(url, logger=None, apply_types=False)


async def _handle(data: object) -> None:
    """A handler that does nothing."""


def main() -> None:
    """Print the figures."""
    with Mosquitto(crash_safe=False) as server:
        url = server.direct
        published = side_by_side("publish", publishers(url))
        rates = side_by_side("consume", consumers(url))
    rows = figures("publish, QoS 1", published, "dragoman", {"aiomqtt publish": ">= 1", "FastStream": "> 1"})
    rows += consumed(rates, {"aiomqtt messages": ">= 1", "FastStream": ">= 2.5"}, component={"FastStream": "> 1"})
    report("mqtt", rows)


if __name__ == "__main__":
    main()
