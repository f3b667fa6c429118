"""Sends dead letters back to where they came from, in order, each once.

Each copy goes out like this: the letter's id is written into the journal, the copy is sent and confirmed, that is
written down, and only then is the letter accepted. A replay that is interrupted at any point and then repeated finds
out what was sent: of those that the journal is in doubt about, it looks for the copies on the channel itself, where the
broker lets it (`Capability.REPLAY`). Where it does not, those few stay where they are until somebody decides.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final, Literal

from dragoman.adapter import Capability, Start
from dragoman.client import Client
from dragoman.dead_letters.journal import Journal
from dragoman.dead_letters.letter import REPLAY_OF, Letter, bare
from dragoman.dead_letters.selection import Selection
from dragoman.dead_letters.shelf import Found, Place, Shelf
from dragoman.errors import (
    BrokerError,
    Closed,
    ConnectionLost,
    PayloadTooLarge,
    PublishFailed,
    TimedOut,
    UnsupportedFormat,
)
from dragoman.message import Channel, FormatSpec, Message

#: How many are sent at once where the copies can be looked for. Elsewhere it is one: so many may be in doubt.
_BATCH: Final = 100
#: What a clock may be ahead of another one.
_CLOCKS: Final = timedelta(minutes=5)
#: By these a broker says that it took nothing, and never will.
_NEVER: Final = (PayloadTooLarge, UnsupportedFormat)

What = Literal["sent", "sent before", "doubtful", "refused", "came back", "of unknown origin"]


@dataclass(slots=True)
class Outcome:
    """What became of the dead letters that were meant.

    Attributes:
        counts: `sent`; `sent before`, by a replay that was interrupted; and of those that stay where they are:
            `doubtful`, `refused` by the broker for good, `came back` after they had been sent by this replay, and
            `of unknown origin`.
        places: how many were sent to each place.
        refusals: why some were refused: the last reason.
    """

    counts: Counter[What] = field(default_factory=Counter)
    places: Counter[Place] = field(default_factory=Counter)
    refusals: str | None = None


#: Gives the client of a name, connected.
Clients = Callable[[str], Awaitable[Client]]
#: Is told what became of a letter, and where it was sent.
Told = Callable[[Letter, What, Place | None], None]


class Replay:
    """One replay of the dead letters of one place."""

    def __init__(
        self,
        shelf: Shelf,
        journal: Journal,
        clients: Clients,
        *,
        to: Place | None = None,
        doubtful: bool = False,
        told: Told = lambda _letter, _what, _place: None,
    ) -> None:
        """A replay that has not begun.

        Args:
            shelf: the dead letters.
            journal: open.
            clients: how to get the clients that the letters came from.
            to: send all of them there, instead of to where they came from.
            doubtful: send also those of which it can't be found out whether they were sent.
            told: called for each letter that was meant.
        """
        self.outcome = Outcome()
        self._shelf = shelf
        self._journal = journal
        self._clients = clients
        self._to = to
        self._doubtful = doubtful
        self._told = told
        self._begun: set[str] = set()
        self._sent: set[str] = set()

    async def run(self, selection: Selection) -> Outcome:
        """Send those that are meant. When it is cancelled it first finishes what it is about to send.

        Raises:
            BrokerError: sending or settling failed; it can be repeated.
            ConfigError: a client that a letter came from is not in the configuration.
            DragomanError: the journal can't be written.
        """
        async for batch in self._shelf.batches():
            meant = [one for one in batch if one.letter in selection]
            for place, some in groupby(meant, lambda one: self._origin(one.letter)):
                if place is None:
                    self._count(some, "of unknown origin")
                else:
                    await self._all_to(place, list(some))
        return self.outcome

    def _origin(self, letter: Letter) -> Place | None:
        if self._to is not None:
            return self._to
        return Place(letter.client, letter.channel) if letter.client and letter.channel else None

    async def _all_to(self, place: Place, found: Sequence[Found]) -> None:
        client = await self._clients(place.client)
        searchable = Capability.REPLAY in client.type.capabilities
        there = await self._there(client, place, found) if searchable else {}
        fates: dict[What, list[Found]] = {}
        for one in found:
            fates.setdefault(self._fate(one.letter, there), []).append(one)
        due = fates.pop("sent", [])
        await self._again(fates.get("sent before", []))
        for what, some in fates.items():
            self._count(some, what)
        size = _BATCH if searchable else 1
        for start in range(0, len(due), size):
            await _finished(self._send(client, place, due[start : start + size]))

    async def _there(self, client: Client, place: Place, found: Sequence[Found]) -> Mapping[str, bool]:
        """The ids of those in doubt that were to be sent to that place, and whether their copies are there."""
        doubts = self._journal.doubtful
        letters = [one.letter for one in found if one.letter.id in doubts and doubts[one.letter.id].to == str(place)]
        if not letters:
            return {}
        sent = await copies(client, place.channel, letters, min(doubts[letter.id].since for letter in letters))
        return {letter.id: letter.id in sent for letter in letters}

    def _fate(self, letter: Letter, there: Mapping[str, bool]) -> What:
        if letter.message.get(REPLAY_OF) in self._sent:
            return "came back"
        if not letter.unique:  # another one may look the same: better twice than not at all
            return "sent"
        if letter.id in self._begun or letter.id in self._journal.done or there.get(letter.id):
            return "sent before"
        if letter.id in self._journal.doubtful and letter.id not in there and not self._doubtful:
            return "doubtful"
        self._begun.add(letter.id)
        return "sent"

    async def _again(self, found: Sequence[Found]) -> None:
        if found:
            self._journal.finished(one.letter.id for one in found)
            await self._shelf.accept(found)

    async def _send(self, client: Client, place: Place, found: Sequence[Found]) -> None:
        ids = [one.letter.id for one in found if one.letter.unique]
        self._journal.sending(ids, place)
        try:
            await client.publish(place.channel, *(self._copy(one.letter, client) for one in found))
        except BrokerError as error:
            if _none_sent(error, len(found)):
                self._journal.unsent(ids)
            if not isinstance(error, _NEVER):
                raise
            await self._apart(client, place, found, error)
        else:
            await self._done(place, found)

    async def _done(self, place: Place, found: Sequence[Found]) -> None:
        self._journal.finished(one.letter.id for one in found if one.letter.unique)
        self._sent.update(one.letter.id for one in found)
        await self._shelf.accept(found)
        self.outcome.places[place] += len(found)
        self._count(found, "sent", place)

    async def _apart(self, client: Client, place: Place, found: Sequence[Found], error: BrokerError) -> None:
        """One of them can't be sent: the others shall not stay for it."""
        if len(found) > 1:
            for one in found:
                await self._send(client, place, [one])
            return
        [one] = found
        plain = bare(one.letter.original())
        if isinstance(error, UnsupportedFormat) and not plain.metadata:  # a broker that carries none at all
            self._journal.sending([one.letter.id], place)
            await client.publish(place.channel, plain)
            await self._done(place, found)
            return
        self.outcome.refusals = str(error)
        self._count(found, "refused")

    def _copy(self, letter: Letter, client: Client) -> Message:
        own = self._shelf.client.type.format
        foreign = own is not client.type.format and own is not FormatSpec.RAW
        return letter.original(without=f"{own.value}." if foreign else None)

    def _count(self, found: Iterable[Found], what: What, place: Place | None = None) -> None:
        for one in found:
            self.outcome.counts[what] += 1
            self._told(one.letter, what, place)


def _none_sent(error: BrokerError, messages: int) -> bool:
    """Whether that error means that the broker has none of so many messages."""
    if isinstance(error, (ConnectionLost, *_NEVER)):
        return True
    unknown = isinstance(error, TimedOut | Closed) or (isinstance(error, PublishFailed) and error.outcome_unknown)
    return messages == 1 and not unknown


async def copies(client: Client, channel: Channel, letters: Collection[Letter], since: datetime) -> set[str]:
    """The ids of those letters whose copies are on the channel already.

    Args:
        client: an adapter with `Capability.REPLAY`.
        channel: where they were to be sent.
        letters: the letters.
        since: when that began.
    """
    wanted = {letter.id for letter in letters}
    # By the broker's clock, or on Kafka by the time that the message had when it was first sent.
    times = [since, *(_sent_at(letter) for letter in letters)]
    start = Start(time=max(min(times) - _CLOCKS, datetime(1971, 1, 1, tzinfo=UTC)))
    found: set[str] = set()
    async with client.subscribe(Channel(channel.name, "topic"), start=start, prefetch=1_000) as subscription:
        shelf = Shelf(Place(client.name, channel), client, subscription, most=2**62)
        async for batch in shelf.batches():
            found |= wanted & {str(one.letter.message.get(REPLAY_OF)) for one in batch}
            await shelf.accept(batch)
            if found == wanted:
                break
    return found


def _sent_at(letter: Letter) -> datetime:
    try:
        found = datetime.fromisoformat(letter.message.get("time") or "")
    except ValueError:
        return datetime.now(UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


async def _finished(step: Awaitable[None]) -> None:
    """Wait for it to the end, also when cancelled meanwhile."""
    task = asyncio.ensure_future(step)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error from None
        raise
