"""A dead-letter channel that is looked through: what is not settled goes back, so that looking takes nothing away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from dragoman.adapter import Capability, Delivery, Start
from dragoman.client import Client
from dragoman.config.model import Config
from dragoman.dead_letters.letter import Letter
from dragoman.errors import Unsupported
from dragoman.message import Channel
from dragoman.subscription import Subscription

#: The group that looks at dead letters and sends them back: it has not accepted what still is one.
GROUP: Final = "dead-letters"
#: Bytes of bodies that are held at once.
_MOST_BYTES: Final = 512 * 2**20
_BATCH: Final = 100
#: Seconds without a delivery after which it is asked, or assumed, that there are no more.
_QUIET: Final = 0.3
_QUIET_UNASKED: Final = 2.0
#: Seconds to wait for what is there, by the broker's word, but does not come: others have it in hand. A broker with
#: lanes gives what a killed process had before it gives us anything; another one may first have to notice.
_PATIENCE: Final = 15.0
_PATIENCE_WITHOUT_LANES: Final = 60.0
#: Seconds until it is told what is waited for.
_SILENT: Final = 1.5
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class Place(NamedTuple):
    """Where dead letters are: a client's name and a channel."""

    client: str
    channel: Channel

    def __str__(self) -> str:
        return f"{self.channel} of {self.client}"


def places(config: Config) -> list[Place]:
    """Every place to which a handler of the configuration sends dead letters."""
    found = [handler.dead_letters for handler in config.handlers.values()]
    return list(dict.fromkeys(Place(*each) for each in found if each is not None))


@dataclass(frozen=True, slots=True)
class Found:
    """A dead letter in our hands."""

    letter: Letter
    delivery: Delivery


class Shelf:
    """The dead letters of one place, as long as `opened` lasts.

    Attributes:
        place: where they are.
        client: the client that they are read with.
        left: how many there are besides those that came; None where that is not known.
    """

    def __init__(
        self,
        place: Place,
        client: Client,
        subscription: Subscription,
        most: int,
        waiting: Callable[[int], None] = lambda _left: None,
    ) -> None:
        self.place = place
        self.client = client
        self.left: int | None = 0
        self._subscription = subscription
        self._most = most
        self._waiting = waiting
        self._held = 0
        self._bytes = 0

    async def batches(self) -> AsyncIterator[Sequence[Found]]:
        """The dead letters in the order in which they came, until there are no more or as many as may be are held.

        What was looked at before comes again in any order from a broker without `Capability.ORDER`. There all that may
        be held are waited for, and put into the order in which they failed.
        """
        if self._ordered:
            async for batch in self._arriving():
                yield batch
            return
        while found := [one async for batch in self._arriving() for one in batch]:
            found.sort(key=lambda one: one.letter.last or _LONG_AGO)
            for start in range(0, len(found), _BATCH):
                yield found[start : start + _BATCH]
            if self.left == 0:
                return

    @property
    def _ordered(self) -> bool:
        return Capability.ORDER in self.client.type.capabilities

    async def _arriving(self) -> AsyncIterator[Sequence[Found]]:
        asked = Capability.LAG in self.client.type.capabilities
        patience = _PATIENCE if self._ordered else _PATIENCE_WITHOUT_LANES
        loop = asyncio.get_running_loop()
        since, sure, told = loop.time(), False, False
        while True:
            room = min(_BATCH, self._most - self._held)
            if room <= 0 or self._bytes >= _MOST_BYTES:
                self.left = await self._subscription.lag() if asked else None
                return
            batch = await self._receive(room, _QUIET if asked else _QUIET_UNASKED)
            if batch:
                since, sure = loop.time(), False
                self._held += len(batch)
                self._bytes += sum(len(one.message.data) for one in batch)
                yield [Found(Letter.of(one.message), one) for one in batch]
            elif not asked:
                self.left = None if self._held else 0
                return
            else:
                self.left = await self._subscription.lag()
                # Of those that were on their way when it was asked, it may know nothing: so it is asked twice.
                waited = loop.time() - since
                if (not self.left and sure) or waited > patience:
                    return
                sure = not self.left
                if self.left and waited > _SILENT and not told:
                    self._waiting(self.left)
                    told = True

    async def _receive(self, limit: int, seconds: float) -> Sequence[Delivery]:
        try:
            async with asyncio.timeout(seconds):
                return await self._subscription.receive(limit)
        except TimeoutError:
            return ()

    async def accept(self, found: Iterable[Found]) -> None:
        """They are dead letters no more. Raises as `Subscription.settle`."""
        done = list(found)
        await self._subscription.accept(*(one.delivery for one in done))
        self._held -= len(done)
        self._bytes -= sum(len(one.delivery.message.data) for one in done)


@asynccontextmanager
async def opened(
    place: Place,
    client: Client,
    *,
    group: str = GROUP,
    most: int = 10_000,
    waiting: Callable[[int], None] = lambda _left: None,
) -> AsyncIterator[Shelf]:
    """The dead letters of a place, open inside `async with`; what was not accepted goes back when it is left.

    Args:
        place: where.
        client: connected, and of that name.
        group: whose progress it is, of what is a dead letter no more.
        most: how many are held at once.
        waiting: called once when so many are waited for that others have in hand.

    Raises:
        Unsupported: the broker keeps none there.
        BrokerError: as `Client.subscribe`.
    """
    can, channel = client.type.capabilities, place.channel
    if not can & {Capability.DURABLE, Capability.BACKLOG}:
        raise Unsupported(
            f"the adapter {client.type.name!r} keeps no messages, so it has no dead letters", where=client.name
        )
    start = None
    if channel.kind == "topic":
        if Capability.REPLAY not in can:
            what = f"the topic {channel.name!r} keeps nothing for who looks later"
            raise Unsupported(what, where=client.name, hint="send dead letters to a queue")
        start = Start()
    # More than is held at once: some adapters keep places free for what has not come yet.
    async with client.subscribe(channel, group=group, start=start, prefetch=most + most // 4 + 64) as subscription:
        yield Shelf(place, client, subscription, most, waiting)
