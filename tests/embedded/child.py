"""Another process that uses the file: `child.py ROLE PATH …`. Prints what it does, one line each."""

from __future__ import annotations

import asyncio
import sys
import time

from dragoman.adapter import ACCEPT, SubscribeOptions
from dragoman.embedded import EmbeddedAdapter, EmbeddedConfig, connect
from dragoman.message import Channel, Message

QUEUE = Channel("orders")


def say(*words: object) -> None:
    """Print at once."""
    print(*words, flush=True)  # noqa: T201 (the test reads it)


async def asked() -> str:
    """The next line of standard input."""
    return (await asyncio.to_thread(sys.stdin.readline)).strip()


async def publish(adapter: EmbeddedAdapter) -> None:
    """Publish batches without end; say the last number of each once it is confirmed."""
    number = 0
    while True:
        await adapter.publish(QUEUE, [Message.of(str(number + index)) for index in range(10)])
        number += 10
        say(number)


async def publish_when_asked(adapter: EmbeddedAdapter) -> None:
    """Publish each line of standard input, with the time."""
    say("ready")
    while await asked():
        await adapter.publish(QUEUE, [Message.of(str(time.monotonic()))])


async def hold(adapter: EmbeddedAdapter, group: str, count: str) -> None:
    """Receive so many, settle none."""
    held = 0
    async with adapter.subscribe(QUEUE, SubscribeOptions(group=group)) as subscription:
        while held < int(count):
            held += len(await subscription.receive(int(count)))
        say("held", held)
        await asked()


async def consume(adapter: EmbeddedAdapter, group: str) -> None:
    """Say what comes, with its key and the time; then accept it."""
    async with adapter.subscribe(QUEUE, SubscribeOptions(group=group)) as subscription:
        say("ready")
        while True:
            batch = await subscription.receive(7)
            for delivery in batch:
                say(delivery.message.data.decode(), delivery.message.key, time.monotonic_ns())
            await subscription.settle([(delivery, ACCEPT) for delivery in batch])


async def answer(adapter: EmbeddedAdapter) -> None:
    """Answer every request with its own body in capitals."""
    async with adapter.subscribe(QUEUE, SubscribeOptions(group="answers")) as subscription:
        say("ready")
        while True:
            for delivery in await subscription.receive(10):
                await adapter.reply(delivery.message, [Message.of(delivery.message.data.upper())])
                await subscription.settle([(delivery, ACCEPT)])


async def main(role: str, path: str, *arguments: str) -> None:
    """Play the role."""
    adapter = await connect(EmbeddedConfig(path=path, poll=3600))
    roles = {run.__name__: run for run in (publish, publish_when_asked, hold, consume, answer)}
    try:
        await roles[role](adapter, *arguments)
    finally:
        await adapter.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
