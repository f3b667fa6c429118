"""NATS JetStream: ours beside nats-py as documented and FastStream at its fastest at-least-once settings.

`python -m benchmarks.nats`
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import nats
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, PullSub
from nats.js.api import ConsumerConfig
from tests.servers import Nats

from benchmarks.report import report
from benchmarks.side_by_side import Run, figures, side_by_side
from dragoman.adapter import ACCEPT, SubscribeOptions
from dragoman.message import Channel, Message
from dragoman_nats.adapter import NatsAdapter, connect
from dragoman_nats.settings import NatsSettings

COUNT = 20_000
BODY = b"x" * 256
IN_FLIGHT = 200


async def _publish(publish: Callable[[], Awaitable[object]]) -> float:
    """Messages per second with 200 callers, each waiting for its confirmation before the next."""

    async def caller() -> None:
        for _ in range(COUNT // IN_FLIGHT):
            await publish()

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
    return COUNT / (time.perf_counter() - start)


@asynccontextmanager
async def _adapter(url: str) -> AsyncIterator[NatsAdapter]:
    adapter = await connect(NatsSettings(url=url))
    try:
        yield adapter
    finally:
        await adapter.close()


async def _filled(url: str) -> Channel:
    """A channel of its own with all the messages in it."""
    channel = Channel(f"bench.{uuid4().hex}")
    async with _adapter(url) as adapter:
        for _ in range(COUNT // 100):
            await adapter.publish(channel, [Message(BODY)] * 100)
    return channel


def publishers(url: str) -> dict[str, Run]:
    """Confirmed, 200 in flight."""

    async def client() -> float:
        connection = await nats.connect(url)
        stream = connection.jetstream(publish_async_max_pending=1_000)
        subject = f"bench.{uuid4().hex}"
        await stream.add_stream(name=subject.replace(".", "-"), subjects=[subject])
        rate = await _publish(lambda: stream.publish(subject, BODY))
        await connection.close()
        return rate

    async def faststream() -> float:
        broker = NatsBroker(url, logger=None)
        subject = f"bench.{uuid4().hex}"
        name = subject.replace(".", "-")
        async with broker:
            await broker.start()
            await broker.config.connection_state.stream.add_stream(name=name, subjects=[subject])
            return await _publish(lambda: broker.publish(BODY, subject, stream=name))

    async def ours() -> float:
        async with _adapter(url) as adapter:
            channel = Channel(f"bench.{uuid4().hex}")
            await adapter.publish(channel, [Message(BODY)])
            return await _publish(lambda: adapter.publish(channel, [Message(BODY)]))

    return {"nats-py js.publish": client, "FastStream": faststream, "dragoman": ours}


def consumers(url: str) -> dict[str, Run]:
    """Each message accepted after a function that does nothing."""

    async def client() -> float:
        channel = await _filled(url)
        connection = await nats.connect(url)
        pull = await connection.jetstream().pull_subscribe(
            channel.name, "bench", config=ConsumerConfig(max_ack_pending=65536)
        )
        start, seen = time.perf_counter(), 0
        while seen < COUNT:
            for message in await pull.fetch(256):
                await _handle(message.data)
                await message.ack()
                seen += 1
        await connection.flush()
        rate = COUNT / (time.perf_counter() - start)
        await connection.close()
        return rate

    async def faststream(pull: bool) -> float:
        channel = await _filled(url)
        broker = NatsBroker(url, logger=None, apply_types=False)
        done, seen = asyncio.Event(), 0

        async def handle(_: bytes) -> None:
            nonlocal seen
            seen += 1
            if seen == COUNT:
                done.set()

        stream = JStream(await _stream_of(url, channel), declare=False)
        config = ConsumerConfig(max_ack_pending=65536)
        broker.subscriber(
            channel.name,
            durable="bench",
            stream=stream,
            config=config,
            ack_policy=AckPolicy.NACK_ON_ERROR,
            decoder=_raw,
            pull_sub=PullSub(batch_size=256) if pull else False,
        )(handle)
        async with broker:
            start = time.perf_counter()
            await broker.start()
            await done.wait()
            return COUNT / (time.perf_counter() - start)

    async def ours() -> float:
        channel = await _filled(url)
        async with (
            _adapter(url) as adapter,
            adapter.subscribe(channel, SubscribeOptions(group="bench", prefetch=1_000)) as subscription,
        ):
            start, seen = time.perf_counter(), 0
            while seen < COUNT:
                batch = await subscription.receive(256)
                for delivery in batch:
                    await _handle(delivery.message.data)
                await subscription.settle([(delivery, ACCEPT) for delivery in batch])
                seen += len(batch)
            return COUNT / (time.perf_counter() - start)

    return {
        "nats-py fetch": client,
        "FastStream pull": lambda: faststream(pull=True),
        "FastStream push": lambda: faststream(pull=False),
        "dragoman adapter": ours,
    }


async def _stream_of(url: str, channel: Channel) -> str:
    connection = await nats.connect(url)
    name = await connection.jetstream().find_stream_name_by_subject(channel.name)
    await connection.close()
    return str(name)


async def _handle(data: bytes) -> None:
    """A handler that does nothing."""


async def _raw(message: object) -> bytes:
    body: bytes = message.body  # type: ignore[attr-defined] # FastStream's own message
    return body


def main() -> None:
    """Print the figures."""
    with Nats() as server:
        url = server.direct
        published = side_by_side("publish", publishers(url))
        consumed = side_by_side("consume", consumers(url))
    rows = figures("publish, confirmed", published, "dragoman", {"nats-py js.publish": ">= 1", "FastStream": "> 1"})
    targets = {"nats-py fetch": ">= 1", "FastStream pull": ">= 2.5", "FastStream push": ">= 2.5"}
    rows += figures("consume, accepted", consumed, "dragoman adapter", targets)
    report("nats", rows)


if __name__ == "__main__":
    main()
