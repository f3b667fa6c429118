"""Dead letters for tests: messages that came from somewhere, and failed there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from dragoman.client import Client
from dragoman.config.model import ClientConfig
from dragoman.dead_letters.letter import REPLAY_OF, REPLAYS
from dragoman.host.dead_letters import Failure, dead_letter
from dragoman.message import Channel, Message
from dragoman.opening import open_client
from dragoman.plugins import load_plugins
from dragoman.subscription import Subscription


def failed(
    message: Message,
    *,
    handler: str = "billing",
    client: str = "origin",
    channel: str = "orders",
    reason: str = "no luck",
    last: datetime | None = None,
) -> Message:
    """The dead letter of that message."""
    failure = Failure.next(None, reason)
    failure.final(RuntimeError(reason), 3)
    failure.last = last or datetime.now(UTC)
    return dead_letter(message, failure, handler=handler, client=client, channel=Channel.parse(channel))


def known(client: Client) -> Callable[[str], Awaitable[Client]]:
    """The client, whatever its name is."""

    async def get(_: str) -> Client:
        return client

    return get


async def connected(stack: AsyncExitStack, name: str, **settings: object) -> Client:
    """A client, closed with the stack."""
    return await stack.enter_async_context(open_client(name, ClientConfig.model_validate(settings), load_plugins()))


async def received(subscription: Subscription, count: int) -> Sequence[Message]:
    """So many messages, accepted."""
    found: list[Message] = []
    while len(found) < count:
        batch = await subscription.receive(count - len(found))
        await subscription.accept(*batch)
        found += [one.message for one in batch]
    return found


def before(message: Message) -> Message:
    """What it was before it was sent back."""
    pairs = tuple(pair for pair in message.metadata if pair[0] not in {REPLAYS, REPLAY_OF, "kafka.offset"})
    return Message(message.data, tuple(sorted(pairs)), message.content_type, message.format, message.channel)
