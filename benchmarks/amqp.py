"""RabbitMQ: ours beside aio-pika as documented and FastStream at its fastest at-least-once settings.

Everybody uses a durable classic queue, so that the broker does the same work for all. Publishing is measured twice:
with messages that are not persistent, as aio-pika's and FastStream's documentation shows it, where the client is the
limit; and with persistent ones, as Dragoman sends them by default, where the broker's disk is. The component reads its
message and returns ok, in a fresh instance for each.

`python -m benchmarks.amqp`
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from uuid import uuid4

import aio_pika
from faststream import AckPolicy
from faststream.rabbit import Channel as RabbitChannel
from faststream.rabbit import RabbitBroker, RabbitQueue
from tests.guests.build import guest
from tests.servers import RabbitMQ

from benchmarks.report import report
from benchmarks.side_by_side import Run, figures, side_by_side
from dragoman.adapter import ACCEPT, SubscribeOptions
from dragoman.config.model import Config
from dragoman.formats import amqp
from dragoman.handlers.handler import Context
from dragoman.host.host import Host
from dragoman.message import Channel, Message
from dragoman.plugins import load_plugins
from dragoman_amqp.adapter import AmqpAdapter, connect
from dragoman_amqp.settings import AmqpSettings

COUNT = 20_000
BODY = b"K" + b"x" * 255  # what makes the component return ok
IN_FLIGHT = 200
#: Queues as aio-pika and FastStream make them, so that nobody finds another one than they declare.
SETTINGS = {"queue_type": "classic", "groups": "shared"}


async def _publish(publish: Callable[[], Awaitable[object]]) -> float:
    """Messages per second with 200 callers, each waiting for its confirmation before the next."""

    async def caller() -> None:
        for _ in range(COUNT // IN_FLIGHT):
            await publish()

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
    return COUNT / (time.perf_counter() - start)


@asynccontextmanager
async def _adapter(url: str) -> AsyncIterator[AmqpAdapter]:
    adapter = await connect(AmqpSettings.model_validate({"url": url, **SETTINGS}))
    try:
        yield adapter
    finally:
        await adapter.close()


def _name() -> str:
    return f"bench.{uuid4().hex}"


async def _filled(url: str) -> Channel:
    """A queue of its own with all the messages in it."""
    channel = Channel(_name())
    async with _adapter(url) as adapter:
        for _ in range(COUNT // 100):
            await adapter.publish(channel, [Message(BODY)] * 100)
    return channel


def publishers(url: str, *, persistent: bool) -> dict[str, Run]:
    """Confirmed, 200 in flight."""
    mode = aio_pika.DeliveryMode.PERSISTENT if persistent else aio_pika.DeliveryMode.NOT_PERSISTENT
    ours_too = Message(BODY, () if persistent else ((amqp.DURABLE, "false"),))

    async def client() -> float:
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            queue = (await channel.declare_queue(_name(), durable=True)).name

            async def publish() -> None:
                await channel.default_exchange.publish(aio_pika.Message(BODY, delivery_mode=mode), routing_key=queue)

            return await _publish(publish)

    async def faststream() -> float:
        broker = RabbitBroker(url, logger=None)
        async with broker:
            await broker.start()
            queue = RabbitQueue(_name(), durable=True)
            await broker.declare_queue(queue)
            return await _publish(lambda: broker.publish(BODY, queue, persist=persistent))

    async def ours() -> float:
        async with _adapter(url) as adapter:
            channel = Channel(_name())
            await adapter.publish(channel, [ours_too])
            return await _publish(lambda: adapter.publish(channel, [ours_too]))

    return {"aio-pika": client, "FastStream": faststream, "dragoman": ours}


def consumers(url: str) -> dict[str, Run]:
    """Each message accepted after a function that does nothing; 200 in hand."""

    async def callback() -> float:
        queue_name = (await _filled(url)).name
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            await channel.set_qos(prefetch_count=IN_FLIGHT)
            queue = await channel.declare_queue(queue_name, durable=True)
            count = _Count()

            async def handle(message: aio_pika.abc.AbstractIncomingMessage) -> None:
                async with message.process():
                    count.one()

            start = time.perf_counter()
            await queue.consume(handle)
            await count.done.wait()
            return COUNT / (time.perf_counter() - start)

    async def faststream() -> float:
        queue = RabbitQueue((await _filled(url)).name, durable=True)
        broker = RabbitBroker(
            url, logger=None, apply_types=False, default_channel=RabbitChannel(prefetch_count=IN_FLIGHT)
        )
        count = _Count()

        async def handle(_: bytes) -> None:
            count.one()

        broker.subscriber(queue, ack_policy=AckPolicy.NACK_ON_ERROR, decoder=_raw)(handle)
        async with broker:
            start = time.perf_counter()
            await broker.start()
            await count.done.wait()
            return COUNT / (time.perf_counter() - start)

    async def adapter() -> float:
        channel = await _filled(url)
        async with (
            _adapter(url) as adapter,
            adapter.subscribe(channel, SubscribeOptions(group="bench", prefetch=IN_FLIGHT)) as subscription,
        ):
            start, seen = time.perf_counter(), 0
            while seen < COUNT:
                batch = await subscription.receive(IN_FLIGHT)
                for delivery in batch:
                    await _handle(delivery.message.data)
                await subscription.settle([(delivery, ACCEPT) for delivery in batch])
                seen += len(batch)
            return COUNT / (time.perf_counter() - start)

    return {
        "aio-pika callback": callback,
        "FastStream": faststream,
        "dragoman adapter": adapter,
        "dragoman": lambda: _hosted(url, {"python": f"{_MODULE}:nothing"}),
        "dragoman component": lambda: _hosted(url, {"component": str(guest("misbehaves"))}),
    }


async def _hosted(url: str, handler: dict[str, str]) -> float:
    """The whole host, from its start until everything is settled."""
    channel = await _filled(url)
    work = {**handler, "client": "main", "subscribe": [channel.name], "concurrency": 72}  # and 128 that wait: 200
    clients = {"main": {"adapter": "amqp", "url": url, **SETTINGS}}
    config = Config.model_validate({"clients": clients, "handlers": {"work": work}})
    host = Host(config, plugins=load_plugins(), folder=Path())
    start = time.perf_counter()
    async with host:
        counters = host.counters["work"]
        while counters.handled < COUNT or counters.in_hand:  # noqa: ASYNC110 - counters have no event
            await asyncio.sleep(0.0005)
        return COUNT / (time.perf_counter() - start)


_MODULE = "benchmark_handlers"


def _register() -> None:
    """Make the handler importable, as a configuration names it."""
    module = ModuleType(_MODULE)
    module.nothing = nothing  # type: ignore[attr-defined]
    sys.modules[_MODULE] = module


async def nothing(message: Message, context: Context) -> None:
    """A handler that does nothing."""


async def _handle(data: bytes) -> None:
    """The same, without the host."""


class _Count:
    """Says when all the messages were handled."""

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self._left = COUNT

    def one(self) -> None:
        self._left -= 1
        if not self._left:
            self.done.set()


async def _raw(message: object) -> bytes:
    body: bytes = message.body  # type: ignore[attr-defined] # FastStream's own message
    return body


def main() -> None:
    """Print the figures."""
    _register()
    with RabbitMQ() as server:
        url = server.direct
        published = side_by_side("publish", publishers(url, persistent=False))
        kept = side_by_side("publish persistent", publishers(url, persistent=True))
        consumed = side_by_side("consume", consumers(url))
    rows = figures("publish, confirmed", published, "dragoman", {"aio-pika": ">= 3", "FastStream": ">= 3"})
    rows += figures("publish persistent, confirmed", kept, "dragoman", {"aio-pika": "> 1", "FastStream": "> 1"})
    consumed_by = {name: rate for name, rate in consumed.items() if not name.startswith("dragoman ")}
    rows += figures("consume", consumed_by, "dragoman", {"aio-pika callback": ">= 1", "FastStream": ">= 2.5"})
    others = {name: rate for name, rate in consumed.items() if name in ("FastStream", "dragoman component")}
    rows += figures("consume", others, "dragoman component", {"FastStream": "> 1"})[1:]
    others = {name: rate for name, rate in consumed.items() if name in ("FastStream", "dragoman adapter")}
    rows += figures("consume", others, "dragoman adapter", {"FastStream": ">= 2.5"})[1:]
    report("amqp", rows)


if __name__ == "__main__":
    main()
