"""MQTT 5, QoS 1: ours beside aiomqtt as documented and FastStream at its fastest at-least-once settings.

`python -m benchmarks.mqtt`
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit
from uuid import uuid4

import aiomqtt
from faststream import AckPolicy
from faststream.mqtt import MQTTBroker, QoS
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from tests.servers import Mosquitto

from benchmarks.report import report
from benchmarks.side_by_side import Run, figures, side_by_side
from dragoman.adapter import ACCEPT, SubscribeOptions
from dragoman.message import Channel, Message
from dragoman_mqtt.adapter import MqttAdapter, connect
from dragoman_mqtt.settings import MqttSettings

COUNT = 20_000
BODY = b"x" * 256
IN_FLIGHT = 200
_QUIET = logging.getLogger(f"{__name__}.aiomqtt")
_QUIET.setLevel(logging.ERROR)


async def _publish(publish: Callable[[], Awaitable[object]]) -> float:
    """Messages per second with 200 callers, each waiting for its confirmation before the next."""

    async def caller() -> None:
        for _ in range(COUNT // IN_FLIGHT):
            await publish()

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
    return COUNT / (time.perf_counter() - start)


@asynccontextmanager
async def _adapter(url: str) -> AsyncIterator[MqttAdapter]:
    adapter = await connect(MqttSettings(url=url, client_id=f"bench-{uuid4().hex}"))
    try:
        yield adapter
    finally:
        await adapter.close()


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


async def _feed(url: str, channel: Channel) -> None:
    """All the messages, for sessions that are subscribed and away."""
    async with _adapter(url) as adapter:
        for _ in range(COUNT // 100):
            await adapter.publish(channel, [Message(BODY)] * 100)


def publishers(url: str) -> dict[str, Run]:
    """Confirmed, 200 in flight."""

    async def client() -> float:
        async with _client(url) as mqtt:
            topic = f"bench/{uuid4().hex}"
            return await _publish(lambda: mqtt.publish(topic, BODY, qos=1))

    async def faststream() -> float:
        broker = _broker(url)
        async with broker:
            await broker.start()
            topic = f"bench/{uuid4().hex}"
            return await _publish(lambda: broker.publish(BODY, topic, qos=QoS.AT_LEAST_ONCE))

    async def ours() -> float:
        async with _adapter(url) as adapter:
            channel = Channel(f"bench/{uuid4().hex}", "topic")
            return await _publish(lambda: adapter.publish(channel, [Message(BODY)]))

    return {"aiomqtt publish": client, "FastStream": faststream, "dragoman": ours}


def consumers(url: str) -> dict[str, Run]:
    """A backlog at the broker, each message acknowledged after a function that does nothing."""
    return {
        "aiomqtt messages": lambda: _client_consumes(url),
        "FastStream": lambda: _faststream_consumes(url),
        "dragoman adapter": lambda: _ours_consumes(url),
    }


async def _client_consumes(url: str) -> float:
    name, topic = f"bench-{uuid4().hex}", f"bench/{uuid4().hex}"
    kept = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's
    kept.SessionExpiryInterval = 600
    options = {"identifier": name, "clean_start": False, "properties": kept}
    async with _client(url, **options) as mqtt:
        await mqtt.subscribe(topic, qos=1)
    await _feed(url, Channel(topic, "topic"))
    start, seen = time.perf_counter(), 0
    async with _client(url, **options) as mqtt:
        # aiomqtt acknowledges before the handler: only the layer below can wait for it.
        mqtt._client.manual_ack_set(True)
        async for message in mqtt.messages:
            await _handle(message.payload)
            mqtt._client.ack(message.mid, message.qos)
            seen += 1
            if seen == COUNT:
                break
        return COUNT / (time.perf_counter() - start)


async def _faststream_consumes(url: str) -> float:
    topic, go, done, seen = f"bench/{uuid4().hex}", asyncio.Event(), asyncio.Event(), 0

    async def handle(_: bytes) -> None:
        nonlocal seen
        if not seen:
            await go.wait()  # the rest piles up at the broker: a backlog in a kept session is more than it takes
        seen += 1
        if seen == COUNT:
            done.set()

    broker = _broker(url)
    broker.subscriber(topic, qos=QoS.AT_LEAST_ONCE, ack_policy=AckPolicy.NACK_ON_ERROR, decoder=_raw)(handle)
    async with broker:
        await broker.start()
        await _feed(url, Channel(topic, "topic"))
        start = time.perf_counter()
        go.set()
        await done.wait()
        return COUNT / (time.perf_counter() - start)


async def _ours_consumes(url: str) -> float:
    channel, options = Channel(f"bench/{uuid4().hex}"), SubscribeOptions(group="bench", prefetch=1_000)
    async with _adapter(url) as adapter:
        async with adapter.subscribe(channel, options):
            pass
        await _feed(url, channel)
        start, seen = time.perf_counter(), 0
        async with adapter.subscribe(channel, options) as subscription:
            while seen < COUNT:
                batch = await subscription.receive(256)
                for delivery in batch:
                    await _handle(delivery.message.data)
                await subscription.settle([(delivery, ACCEPT) for delivery in batch])
                seen += len(batch)
            return COUNT / (time.perf_counter() - start)


def _broker(url: str) -> MQTTBroker:
    return MQTTBroker(url, logger=None, apply_types=False)


async def _handle(data: object) -> None:
    """A handler that does nothing."""


async def _raw(message: object) -> bytes:
    body: bytes = message.body  # type: ignore[attr-defined] # FastStream's own message
    return body


def main() -> None:
    """Print the figures."""
    with Mosquitto(crash_safe=False) as server:
        url = server.direct
        published = side_by_side("publish", publishers(url))
        consumed = side_by_side("consume", consumers(url))
    rows = figures("publish, QoS 1", published, "dragoman", {"aiomqtt publish": ">= 1", "FastStream": "> 1"})
    targets = {"aiomqtt messages": ">= 1", "FastStream": ">= 2.5"}
    rows += figures("consume, accepted", consumed, "dragoman adapter", targets)
    report("mqtt", rows)


if __name__ == "__main__":
    main()
