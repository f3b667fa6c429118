"""RabbitMQ: ours beside aio-pika as documented and FastStream at its fastest at-least-once settings.

Everybody uses a durable queue of the same kind, so that the broker does the same work for all. Publishing is measured
three times: with messages that are not persistent, as aio-pika's and FastStream's documentation shows it; with
persistent ones, as Dragoman sends them by default; and with persistent ones to a quorum queue, as Dragoman makes them
by default. A classic queue takes the broker twice as much computing for a persistent message as a quorum queue. The
floor (`amqp_floor`) is what the broker confirms to a client that computes nothing.

`python -m benchmarks.amqp`
"""

from __future__ import annotations

from typing import Any, Final, Literal

import aio_pika
from faststream import AckPolicy
from faststream.rabbit import Channel as RabbitChannel
from faststream.rabbit import QueueType, RabbitBroker, RabbitQueue
from tests.servers import RabbitMQ

import dragoman
from benchmarks.amqp_floor import floor
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
from benchmarks.report import Figure, report
from benchmarks.side_by_side import IN_FLIGHT, Measured, Run, consumed, figures, publish_rate, side_by_side
from dragoman.adapter import SubscribeOptions
from dragoman.formats import amqp
from dragoman.message import Channel, Message
from dragoman_amqp.adapter import connect
from dragoman_amqp.settings import AmqpSettings

Kind = Literal["classic", "quorum"]
#: What is published: its name, the queue, whether it is persistent.
_PUBLISHED: Final[tuple[tuple[str, Kind, bool], ...]] = (
    ("publish", "classic", False),
    ("publish persistent", "classic", True),
    ("publish persistent to a quorum queue", "quorum", True),
)
_TARGETS: Final = {"aio-pika": ">= 3", "FastStream": ">= 3", "floor": ""}
_ARGUMENTS: Final[dict[Kind, dict[str, Any]]] = {"classic": {}, "quorum": {"x-queue-type": "quorum"}}


def _section(url: str, kind: Kind = "classic") -> dict[str, Any]:
    """Queues as aio-pika and FastStream make them, so that nobody finds another one than they declare."""
    return {"url": url, "queue_type": kind, "groups": "shared"}


async def _filled(url: str) -> Channel:
    return await filled(_section(url), Channel(name()))


def publishers(server: RabbitMQ, kind: Kind, *, persistent: bool) -> dict[str, Run]:
    """Confirmed, 200 in flight."""
    url = server.direct
    mode = aio_pika.DeliveryMode.PERSISTENT if persistent else aio_pika.DeliveryMode.NOT_PERSISTENT
    message = Message(BODY, () if persistent else ((amqp.DURABLE, "false"),))

    async def client() -> Measured:
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            queue = (await channel.declare_queue(name(), durable=True, arguments=_ARGUMENTS[kind])).name

            async def publish() -> None:
                await channel.default_exchange.publish(aio_pika.Message(BODY, delivery_mode=mode), routing_key=queue)

            return await publish_rate(publish)

    async def faststream() -> Measured:
        broker = RabbitBroker(url, logger=None)
        async with broker:
            await broker.start()
            quorum = kind == "quorum"
            queue = RabbitQueue(name(), queue_type=QueueType.QUORUM) if quorum else RabbitQueue(name(), durable=True)
            await broker.declare_queue(queue)
            return await publish_rate(lambda: broker.publish(BODY, queue, persist=persistent))

    async def ours() -> Measured:
        async with dragoman.connect(_section(url, kind)) as connection:
            channel = Channel(name())
            await connection.publish(channel, message)
            return await publish_rate(lambda: connection.publish(channel, message))

    prepared = floor(server.port, _ARGUMENTS[kind], persistent=persistent)
    return {"aio-pika": client, "FastStream": faststream, "floor": prepared, "dragoman": ours}


def consumers(url: str) -> dict[str, Run]:
    """Each message accepted after a function that does nothing; 200 in hand."""

    async def callback() -> Measured:
        queue_name = (await _filled(url)).name
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            await channel.set_qos(prefetch_count=IN_FLIGHT)
            queue = await channel.declare_queue(queue_name, durable=True)
            clock = Clock()

            async def handle(message: aio_pika.abc.AbstractIncomingMessage) -> None:
                async with message.process():
                    clock.one()

            await queue.consume(handle)
            return await clock.finished()

    async def faststream() -> Measured:
        queue = RabbitQueue((await _filled(url)).name, durable=True)
        broker = RabbitBroker(
            url, logger=None, apply_types=False, default_channel=RabbitChannel(prefetch_count=IN_FLIGHT)
        )
        clock = Clock()

        async def handle(_: bytes) -> None:
            clock.one()

        broker.subscriber(queue, ack_policy=AckPolicy.NACK_ON_ERROR, decoder=raw)(handle)
        async with broker:
            await broker.start()
            return await clock.finished()

    async def adapter() -> Measured:
        channel = await _filled(url)
        opened = await connect(AmqpSettings.model_validate(_section(url)))
        try:
            async with opened.subscribe(channel, SubscribeOptions(group=GROUP, prefetch=IN_FLIGHT)) as subscription:
                return await through_adapter(subscription)
        finally:
            await opened.close()

    async def hosted(handler: Any) -> Measured:
        return await through_host(_section(url), await _filled(url), handler)

    return {
        "aio-pika callback": callback,
        "FastStream": faststream,
        "dragoman adapter": adapter,
        "dragoman": lambda: hosted(FUNCTION),
        "dragoman component": lambda: hosted(component()),
    }


def main() -> None:
    """Print the figures."""
    rows: list[Figure] = []
    with RabbitMQ() as server:
        for what, kind, persistent in _PUBLISHED:
            rates = side_by_side(what, publishers(server, kind, persistent=persistent))
            rows += figures(f"{what}, confirmed", rates, "dragoman", _TARGETS)
        rates = side_by_side("consume", consumers(server.direct))
    rows += consumed(rates, {"aio-pika callback": ">= 1", "FastStream": ">= 2.5"}, component={"FastStream": "> 1"})
    report("amqp", rows)


if __name__ == "__main__":
    main()
