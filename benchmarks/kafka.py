"""Kafka: ours beside aiokafka as documented and FastStream at each of its at-least-once settings.

`python -m benchmarks.kafka`

FastStream commits after each message (`each`), or where the function itself says so (`per 500`), or calls the function
once for a whole batch and commits after it (`batch`): fewer calls, and one failure fails all of them.
"""

from __future__ import annotations

from typing import Any, Literal

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from tests.servers import Kafka

import dragoman
from benchmarks.consuming import (
    BODY,
    FUNCTION,
    FUNCTION_MANY,
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
from benchmarks.side_by_side import COUNT, Measured, Run, consumed, figures, publish_rate, side_by_side
from dragoman.adapter import SubscribeOptions
from dragoman.message import Channel, Message
from dragoman_kafka.adapter import connect
from dragoman_kafka.settings import KafkaSettings

#: How many messages a call or a commit of the others has. We handle others while a commit is under way.
PER_COMMIT = 500
#: The same where a call may have more: the fewer commits there are, the less they matter.
PER_COMMIT_MANY = 2_000
#: A commit after each message makes a thousand of them last long enough.
COUNT_EACH = 1_000


def _section(url: str) -> dict[str, Any]:
    return {"url": url, "create_topics": True}


async def _filled(url: str, count: int = COUNT) -> Channel:
    """A topic of its own, of four partitions, with so many messages in it."""
    return await filled(_section(url), Channel(name()), count)


async def _publish(publish: Any) -> Measured:
    await publish()  # the first one learns where the topic is
    return await publish_rate(publish)


def publishers(url: str) -> dict[str, Run]:
    """Confirmed, 200 in flight."""
    servers = _servers(url)

    async def client(**options: Any) -> Measured:
        channel = await _filled(url, 1)
        async with AIOKafkaProducer(bootstrap_servers=servers, **options) as producer:
            return await _publish(lambda: producer.send_and_wait(channel.name, BODY))

    async def faststream() -> Measured:
        channel = await _filled(url, 1)
        async with KafkaBroker(servers, logger=None) as broker:
            await broker.start()
            return await _publish(lambda: broker.publish(BODY, channel.name))

    async def ours() -> Measured:
        channel, message = await _filled(url, 1), Message(BODY)
        async with dragoman.connect(_section(url)) as connection:
            return await _publish(lambda: connection.publish(channel, message))

    return {
        "aiokafka send": client,
        "aiokafka send, idempotent as ours": lambda: client(enable_idempotence=True),
        "FastStream": faststream,
        "dragoman": ours,
    }


async def _client_consumes(url: str, *, many: bool) -> Measured:
    channel, clock = await _filled(url), Clock()
    async with AIOKafkaConsumer(
        channel.name, bootstrap_servers=_servers(url), group_id=GROUP, enable_auto_commit=False,
        auto_offset_reset="earliest",
    ) as consumer:  # fmt: skip
        while not clock.done.is_set():
            if many:
                batches = await consumer.getmany(timeout_ms=1000, max_records=PER_COMMIT)
                for batch in batches.values():
                    clock.many(len(batch))
                    for record in batch:
                        await _handle(record.value)
            else:
                for _ in range(PER_COMMIT):
                    record = await consumer.getone()
                    clock.one()
                    await _handle(record.value)
            await consumer.commit()
        return clock.rate()


async def _faststream_consumes(
    url: str, how: Literal["each", "per 500", "batch"], at_once: int = PER_COMMIT
) -> Measured:
    clock = Clock(COUNT_EACH if how == "each" else COUNT)
    channel = await _filled(url, clock.count)

    async def each(_: bytes) -> None:
        clock.one()

    async def batch(bodies: list[bytes]) -> None:
        clock.many(len(bodies))
        for body in bodies:
            await _handle(body)

    async def some(message: KafkaMessage) -> None:
        clock.one()
        if clock.seen % PER_COMMIT == 0:
            await message.ack()

    ways: dict[str, tuple[Any, dict[str, Any]]] = {
        "each": (each, {"ack_policy": AckPolicy.NACK_ON_ERROR, "decoder": raw}),
        "per 500": (some, {"ack_policy": AckPolicy.MANUAL, "decoder": _itself}),
        "batch": (
            batch,
            {"ack_policy": AckPolicy.NACK_ON_ERROR, "decoder": raw, "batch": True, "max_records": at_once},
        ),
    }
    function, options = ways[how]
    broker = KafkaBroker(_servers(url), logger=None, apply_types=False)
    broker.subscriber(channel.name, group_id=GROUP, auto_offset_reset="earliest", **options)(function)
    async with broker:
        await broker.start()
        return await clock.finished()


async def _adapter_consumes(url: str) -> Measured:
    channel = await _filled(url)
    opened = await connect(KafkaSettings(url=url))
    try:
        async with opened.subscribe(channel, SubscribeOptions(group=GROUP, prefetch=2 * PER_COMMIT)) as subscription:
            return await through_adapter(subscription, limit=PER_COMMIT)
    finally:
        await opened.close()


async def _host_consumes(url: str, handler: Any, *, batch: int = 0) -> Measured:
    return await through_host({"url": url}, await _filled(url), handler, in_hand=2 * PER_COMMIT, batch=batch)


def consumers(url: str) -> dict[str, Run]:
    """Each message accepted after a function that does nothing."""
    return {
        "aiokafka getone": lambda: _client_consumes(url, many=False),
        "aiokafka getmany": lambda: _client_consumes(url, many=True),
        "FastStream each": lambda: _faststream_consumes(url, "each"),
        "FastStream per 500": lambda: _faststream_consumes(url, "per 500"),
        "FastStream batch": lambda: _faststream_consumes(url, "batch"),
        "FastStream batch of 2000": lambda: _faststream_consumes(url, "batch", PER_COMMIT_MANY),
        "dragoman adapter": lambda: _adapter_consumes(url),
        "dragoman": lambda: _host_consumes(url, FUNCTION),
        "dragoman batch": lambda: _host_consumes(url, FUNCTION_MANY, batch=PER_COMMIT),
        "dragoman batch of 2000": lambda: _host_consumes(url, FUNCTION_MANY, batch=PER_COMMIT_MANY),
        "dragoman component": lambda: _host_consumes(url, component()),
    }


def _servers(url: str) -> str:
    return url.removeprefix("kafka://")


async def _handle(_: bytes | None) -> None:
    """A handler that does nothing."""


async def _itself(message: Any) -> Any:
    """A decoder that gives the function FastStream's message, which it can acknowledge."""
    return message


def main() -> None:
    """Print the figures."""
    with Kafka() as server:
        published = side_by_side("publish", publishers(server.direct))
        rates = side_by_side("consume", consumers(server.direct))
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
    rows += consumed(rates, targets, component={"FastStream each": "> 1", "FastStream per 500": "> 1"})
    batches = {"aiokafka getmany": "", "FastStream batch": ">= 2.5"}
    rows += figures("consume", rates, "dragoman batch", batches)[-len(batches) :]
    rows += figures("consume", rates, "dragoman batch of 2000", {"FastStream batch of 2000": ""})[-1:]
    report("kafka", rows)


if __name__ == "__main__":
    main()
