"""Kafka: ours beside aiokafka as documented and FastStream at each of its at-least-once settings.

`python -m benchmarks.kafka`

FastStream commits after each message (`each`), or where the function itself says so (`per 500`), or calls the function
once for a whole batch and commits after it (`batch`): fewer calls, and one failure fails all of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from tests.servers import Kafka

from benchmarks.report import report
from benchmarks.side_by_side import Run, figures, publish_rate, side_by_side
from dragoman.adapter import ACCEPT, SubscribeOptions
from dragoman.message import Channel, Message
from dragoman_kafka.adapter import KafkaAdapter, connect
from dragoman_kafka.settings import KafkaSettings

COUNT = 20_000
BODY = b"x" * 256
IN_FLIGHT = 200
PER_COMMIT = 500
#: A commit after each message makes a thousand of them last long enough.
COUNT_EACH = 1_000


async def _publish(publish: Callable[[], Awaitable[object]]) -> float:
    await publish()  # the first one learns where the topic is
    return await publish_rate(publish, count=COUNT, in_flight=IN_FLIGHT)


@asynccontextmanager
async def _adapter(url: str) -> AsyncIterator[KafkaAdapter]:
    adapter = await connect(KafkaSettings(url=url, create_topics=True))
    try:
        yield adapter
    finally:
        await adapter.close()


async def _filled(url: str, count: int = COUNT) -> Channel:
    """A topic of its own, of four partitions, with so many messages in it."""
    channel = Channel(f"bench-{uuid4().hex}")
    async with _adapter(url) as adapter:
        for number in range(0, count, 100):
            await adapter.publish(channel, [Message(BODY)] * min(100, count - number))
    return channel


def publishers(url: str) -> dict[str, Run]:
    """Confirmed, 200 in flight."""
    servers = _servers(url)

    async def client(**options: Any) -> float:
        channel = await _filled(url, 1)
        async with AIOKafkaProducer(bootstrap_servers=servers, **options) as producer:
            return await _publish(lambda: producer.send_and_wait(channel.name, BODY))

    async def faststream() -> float:
        channel = await _filled(url, 1)
        async with KafkaBroker(servers, logger=None) as broker:
            await broker.start()
            return await _publish(lambda: broker.publish(BODY, channel.name))

    async def ours() -> float:
        channel = await _filled(url, 1)
        async with _adapter(url) as adapter:
            return await _publish(lambda: adapter.publish(channel, [Message(BODY)]))

    return {
        "aiokafka send": client,
        "aiokafka send, idempotent as ours": lambda: client(enable_idempotence=True),
        "FastStream": faststream,
        "dragoman": ours,
    }


async def _consume_with_client(url: str, *, many: bool) -> float:
    channel = await _filled(url)
    async with AIOKafkaConsumer(
        channel.name, bootstrap_servers=_servers(url), group_id="bench", enable_auto_commit=False,
        auto_offset_reset="earliest",
    ) as consumer:  # fmt: skip
        start, seen = time.perf_counter(), 0
        while seen < COUNT:
            if many:
                batches = await consumer.getmany(timeout_ms=1000, max_records=PER_COMMIT)
                records = [record for batch in batches.values() for record in batch]
            else:
                records = [await consumer.getone() for _ in range(PER_COMMIT)]
            for record in records:
                await _handle(record.value)
            await consumer.commit()
            seen += len(records)
        return COUNT / (time.perf_counter() - start)


class _Counted:
    """FastStream's functions, and when they have had everything."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.seen = 0
        self.done = asyncio.Event()

    def add(self, more: int) -> None:
        self.seen += more
        if self.seen >= self.count:
            self.done.set()

    async def each(self, _: bytes) -> None:
        self.add(1)

    async def batch(self, bodies: list[bytes]) -> None:
        for body in bodies:
            await _handle(body)
        self.add(len(bodies))

    async def some(self, message: KafkaMessage) -> None:
        self.add(1)
        if self.seen % PER_COMMIT == 0:
            await message.ack()


async def _consume_with_faststream(url: str, how: Literal["each", "per 500", "batch"]) -> float:
    count = COUNT_EACH if how == "each" else COUNT
    channel, counted = await _filled(url, count), _Counted(count)
    broker = KafkaBroker(_servers(url), logger=None, apply_types=False)
    options: dict[str, Any] = {
        "each": {"ack_policy": AckPolicy.NACK_ON_ERROR, "decoder": _body},
        "per 500": {"ack_policy": AckPolicy.MANUAL, "decoder": _itself},
        "batch": {
            "ack_policy": AckPolicy.NACK_ON_ERROR,
            "decoder": _body,
            "batch": True,
            "max_records": PER_COMMIT,
        },
    }[how]
    function = {"each": counted.each, "per 500": counted.some, "batch": counted.batch}[how]
    broker.subscriber(channel.name, group_id="bench", auto_offset_reset="earliest", **options)(function)
    async with broker:
        start = time.perf_counter()
        await broker.start()
        await counted.done.wait()
        return count / (time.perf_counter() - start)


async def _consume_with_ours(url: str) -> float:
    channel = await _filled(url)
    options = SubscribeOptions(group="bench", prefetch=2 * PER_COMMIT)
    async with _adapter(url) as adapter, adapter.subscribe(channel, options) as subscription:
        start, seen = time.perf_counter(), 0
        while seen < COUNT:
            batch = await subscription.receive(PER_COMMIT)
            for delivery in batch:
                await _handle(delivery.message.data)
            await subscription.settle([(delivery, ACCEPT) for delivery in batch])
            seen += len(batch)
        return COUNT / (time.perf_counter() - start)


def consumers(url: str) -> dict[str, Run]:
    """Each message accepted after a function that does nothing."""
    return {
        "aiokafka getone": lambda: _consume_with_client(url, many=False),
        "aiokafka getmany": lambda: _consume_with_client(url, many=True),
        "FastStream each": lambda: _consume_with_faststream(url, "each"),
        "FastStream per 500": lambda: _consume_with_faststream(url, "per 500"),
        "FastStream batch": lambda: _consume_with_faststream(url, "batch"),
        "dragoman adapter": lambda: _consume_with_ours(url),
    }


def _servers(url: str) -> str:
    return url.removeprefix("kafka://")


async def _handle(_: bytes | None) -> None:
    """A handler that does nothing."""


async def _body(message: Any) -> Any:
    """A decoder that decodes nothing."""
    return message.body


async def _itself(message: Any) -> Any:
    """A decoder that gives the function FastStream's message, which it can acknowledge."""
    return message


def main() -> None:
    """Print the figures."""
    with Kafka() as server:
        published = side_by_side("publish", publishers(server.direct))
        consumed = side_by_side("consume", consumers(server.direct))
    rows = figures(
        "publish, confirmed",
        published,
        "dragoman",
        {"aiokafka send": ">= 1", "aiokafka send, idempotent as ours": ">= 1", "FastStream": "> 1"},
    )
    targets = {
        "aiokafka getone": ">= 1",
        "aiokafka getmany": "",
        "FastStream each": ">= 2.5",
        "FastStream per 500": ">= 2.5",
        "FastStream batch": "",
    }
    rows += figures("consume, accepted", consumed, "dragoman adapter", targets)
    report("kafka", rows)


if __name__ == "__main__":
    main()
