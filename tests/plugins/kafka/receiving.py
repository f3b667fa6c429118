"""What several test modules do with a subscription."""

import asyncio
from collections.abc import Callable, Sequence

from dragoman.adapter import ACCEPT, Delivery, Subscription
from dragoman.message import Message
from dragoman_kafka.subscription import KafkaSubscription


def messages(count: int, *, key: str | None = None, first: int = 0) -> list[Message]:
    """Messages with bodies that tell them apart."""
    return [Message.of(str(number), key=key) for number in range(first, first + count)]


def bodies(deliveries: Sequence[Delivery]) -> list[str]:
    """What was published, as text."""
    return [delivery.message.data.decode() for delivery in deliveries]


async def take(subscription: Subscription, count: int, seconds: float = 20.0) -> list[Delivery]:
    """Exactly so many deliveries, unsettled."""
    taken: list[Delivery] = []
    async with asyncio.timeout(seconds):
        while len(taken) < count:
            taken += await subscription.receive(count - len(taken))
    return taken


async def accept(subscription: Subscription, *deliveries: Delivery) -> None:
    """Settle these as done."""
    await subscription.settle([(delivery, ACCEPT) for delivery in deliveries])


async def drain(subscription: KafkaSubscription) -> list[Delivery]:
    """Take and accept everything that waits for the group, of which this is the only member."""
    taken: list[Delivery] = []
    while True:
        taken += await drain_until_quiet(subscription, 0.1)
        if not await subscription.lag():
            return taken


async def drain_until_quiet(subscription: Subscription, seconds: float = 1.5) -> list[Delivery]:
    """Take and accept everything, until nothing has come for a while."""
    taken: list[Delivery] = []
    while True:
        try:
            async with asyncio.timeout(seconds):
                some = await subscription.receive(500)
        except TimeoutError:
            return taken
        taken += some
        await accept(subscription, *some)


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for what nobody tells us."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)
