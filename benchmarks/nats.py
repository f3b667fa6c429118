"""NATS JetStream: ours beside nats-py as documented and FastStream at its fastest at-least-once settings.

nats-py documents three ways to consume: `fetch` of a pull consumer, `next_msg` of a push consumer, and a callback.

`python -m benchmarks.nats`
"""

from __future__ import annotations

from typing import Any

import nats
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, PullSub
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig
from tests.servers import Nats

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
from benchmarks.side_by_side import Measured, Run, consumed, figures, publish_rate, side_by_side
from dragoman.adapter import SubscribeOptions
from dragoman.message import Channel, Message
from dragoman_nats.adapter import connect
from dragoman_nats.settings import NatsSettings

#: How many messages may be in hand.
PREFETCH = 1_000
FETCH = 256


def publishers(url: str) -> dict[str, Run]:
    """Confirmed, 200 in flight."""

    async def client() -> Measured:
        connection = await nats.connect(url)
        stream = connection.jetstream(publish_async_max_pending=1_000)
        subject = name()
        await stream.add_stream(name=subject.replace(".", "-"), subjects=[subject])
        rate = await publish_rate(lambda: stream.publish(subject, BODY))
        await connection.close()
        return rate

    async def faststream() -> Measured:
        broker = NatsBroker(url, logger=None)
        subject = name()
        stream = subject.replace(".", "-")
        async with broker:
            await broker.start()
            await broker.config.connection_state.stream.add_stream(name=stream, subjects=[subject])
            return await publish_rate(lambda: broker.publish(BODY, subject, stream=stream))

    async def ours() -> Measured:
        async with dragoman.connect({"url": url}) as connection:
            channel, message = Channel(name()), Message(BODY)
            await connection.publish(channel, message)
            return await publish_rate(lambda: connection.publish(channel, message))

    return {"nats-py js.publish": client, "FastStream": faststream, "dragoman": ours}


async def _filled(url: str) -> Channel:
    return await filled({"url": url}, Channel(name()))


async def _fetch(url: str) -> Measured:
    channel = await _filled(url)
    connection = await nats.connect(url)
    config = ConsumerConfig(max_ack_pending=65536)
    pull = await connection.jetstream().pull_subscribe(channel.name, GROUP, config=config)
    clock = Clock()
    while not clock.done.is_set():
        for message in await pull.fetch(FETCH):
            await _handle(message.data)
            await message.ack()
            clock.one()
    await connection.flush()
    rate = clock.rate()
    await connection.close()
    return rate


async def _next(url: str) -> Measured:
    channel = await _filled(url)
    connection = await nats.connect(url)
    config = ConsumerConfig(max_ack_pending=PREFETCH)
    push = await connection.jetstream().subscribe(channel.name, durable=GROUP, config=config)
    clock = Clock()
    while not clock.done.is_set():
        message = await push.next_msg()
        clock.one()
        await _handle(message.data)
        await message.ack()
    await connection.flush()
    rate = clock.rate()
    await connection.close()
    return rate


async def _callback(url: str) -> Measured:
    channel = await _filled(url)
    connection = await nats.connect(url)
    clock = Clock()

    async def handle(message: Msg) -> None:
        clock.one()
        await _handle(message.data)
        await message.ack()

    config = ConsumerConfig(max_ack_pending=PREFETCH)
    # nats-py acknowledges by itself before the callback, unless told not to.
    await connection.jetstream().subscribe(channel.name, durable=GROUP, cb=handle, manual_ack=True, config=config)
    await clock.done.wait()
    await connection.flush()
    rate = clock.rate()
    await connection.close()
    return rate


async def _faststream(url: str, *, pull: bool) -> Measured:
    channel = await _filled(url)
    broker = NatsBroker(url, logger=None, apply_types=False)
    clock = Clock()

    async def handle(_: bytes) -> None:
        clock.one()

    broker.subscriber(
        channel.name,
        durable=GROUP,
        stream=JStream(await _stream_of(url, channel), declare=False),
        config=ConsumerConfig(max_ack_pending=65536),
        ack_policy=AckPolicy.NACK_ON_ERROR,
        decoder=raw,
        pull_sub=PullSub(batch_size=FETCH) if pull else False,
    )(handle)
    async with broker:
        await broker.start()
        return await clock.finished()


async def _adapter(url: str) -> Measured:
    channel = await _filled(url)
    opened = await connect(NatsSettings(url=url))
    try:
        async with opened.subscribe(channel, SubscribeOptions(group=GROUP, prefetch=PREFETCH)) as subscription:
            return await through_adapter(subscription, limit=FETCH)
    finally:
        await opened.close()


async def _hosted(url: str, handler: Any) -> Measured:
    return await through_host({"url": url}, await _filled(url), handler, in_hand=PREFETCH)


def consumers(url: str) -> dict[str, Run]:
    """Each message accepted after a function that does nothing."""
    return {
        "nats-py fetch": lambda: _fetch(url),
        "nats-py next_msg": lambda: _next(url),
        "nats-py callback": lambda: _callback(url),
        "FastStream pull": lambda: _faststream(url, pull=True),
        "FastStream push": lambda: _faststream(url, pull=False),
        "dragoman adapter": lambda: _adapter(url),
        "dragoman": lambda: _hosted(url, FUNCTION),
        "dragoman component": lambda: _hosted(url, component()),
    }


async def _stream_of(url: str, channel: Channel) -> str:
    connection = await nats.connect(url)
    found = await connection.jetstream().find_stream_name_by_subject(channel.name)
    await connection.close()
    return str(found)


async def _handle(data: bytes) -> None:
    """A handler that does nothing."""


def main() -> None:
    """Print the figures."""
    with Nats() as server:
        url = server.direct
        published = side_by_side("publish", publishers(url))
        rates = side_by_side("consume", consumers(url))
    rows = figures("publish, confirmed", published, "dragoman", {"nats-py js.publish": ">= 1", "FastStream": "> 1"})
    targets = {
        "nats-py fetch": ">= 1",
        "nats-py next_msg": ">= 1",
        "nats-py callback": "",
        "FastStream pull": ">= 2.5",
        "FastStream push": ">= 2.5",
    }
    rows += consumed(rates, targets, component={"FastStream pull": "> 1", "FastStream push": "> 1"})
    report("nats", rows)


if __name__ == "__main__":
    main()
