"""Real files, real processes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from dragoman.adapter import ACCEPT, Delivery, SubscribeOptions, Subscription
from dragoman.embedded import EmbeddedAdapter, EmbeddedConfig, connect
from dragoman.message import Channel, Message

Open = Callable[..., Awaitable[EmbeddedAdapter]]
Spawn = Callable[..., Awaitable[asyncio.subprocess.Process]]

QUEUE = Channel("orders")
GROUP = SubscribeOptions(group="g")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is to be."""
    return tmp_path / "log.db"


@pytest.fixture
async def open_(path: Path) -> AsyncIterator[Open]:
    """Connections to the file, closed at the end."""
    async with AsyncExitStack() as stack:

        async def open_one(**settings: object) -> EmbeddedAdapter:
            adapter = await connect(EmbeddedConfig.model_validate({"path": str(path), **settings}))
            stack.push_async_callback(adapter.close)
            return adapter

        yield open_one


@pytest.fixture
async def spawn(path: Path) -> AsyncIterator[Spawn]:
    """Other processes that use the file: `child.py` and a role."""
    children: list[asyncio.subprocess.Process] = []

    async def start(role: str, *arguments: object) -> asyncio.subprocess.Process:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("child.py")),
            role,
            str(path),
            *map(str, arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        children.append(child)
        return child

    yield start
    for child in children:
        if child.returncode is None:
            child.kill()
        await child.wait()
        # What a killed one left unread in its pipe keeps the transport open, and a warning would come from nowhere.
        child._transport.close()  # type: ignore[attr-defined]


async def line(child: asyncio.subprocess.Process) -> str:
    """The next line that a child prints."""
    assert child.stdout
    return (await child.stdout.readline()).decode().strip()


def numbered(numbers: Sequence[int] | range, key: str | None = None) -> list[Message]:
    """A message for each number, which is its body."""
    return [Message.of(str(number), key=key) for number in numbers]


def bodies(deliveries: Sequence[Delivery]) -> list[str]:
    """What came, as text."""
    return [delivery.message.data.decode() for delivery in deliveries]


async def accept(subscription: Subscription, deliveries: Sequence[Delivery]) -> None:
    """Settle all of them as done."""
    await subscription.settle([(delivery, ACCEPT) for delivery in deliveries])


async def take_all(subscription: Subscription, count: int) -> list[str]:
    """Receive and accept until so many have come."""
    found: list[str] = []
    while len(found) < count:
        batch = await subscription.receive(100)
        found += bodies(batch)
        await accept(subscription, batch)
    return found


async def nothing_comes(subscription: Subscription) -> bool:
    """Whether a receive has to wait. It looked at the log: two turns of a durable transaction have passed."""
    waiting = asyncio.ensure_future(subscription.receive(1))
    await subscription.lag()  # type: ignore[attr-defined]
    await subscription.lag()  # type: ignore[attr-defined]
    waits = not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return waits
