"""Delete this: a dictionary that plays a broker and its client library, so that everything else can be tried.

A place is a queue or a topic. Each group of consumers has its own line of entries; a consumer takes from the line, and
gives each entry back or is done with it.
"""

from __future__ import annotations

import asyncio
from bisect import insort
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from itertools import count

from dragoman_template.records import Record

MAX_BODY = 2**20
MAX_WAITING = 100_000


class Unreachable(Exception):
    """There is no broker at that address."""


class LoginRefused(Exception):
    """The password is wrong."""


class TooLarge(Exception):
    """The record is larger than the broker takes."""


class Full(Exception):
    """The queue holds as much as it can."""


@dataclass(order=True, slots=True)
class Entry:
    """A record in a group's line."""

    number: int
    record: Record = field(compare=False)
    count: int = field(default=0, compare=False)

    @property
    def lane(self) -> Hashable:
        """What has to stay in order with it: the records of its key."""
        return self.record.key


class Group:
    """The line of one group, and who holds what of it."""

    def __init__(self) -> None:
        self._waiting: list[Entry] = []
        self._held: dict[int, tuple[Entry, object]] = {}
        self._owners: dict[Hashable, object] = {}
        self._held_of_lane: Counter[Hashable] = Counter()
        self._sleepers: set[asyncio.Future[None]] = set()

    @property
    def full(self) -> bool:
        """Whether nothing more fits."""
        return len(self._waiting) >= MAX_WAITING

    def put(self, entry: Entry) -> None:
        """An entry for one of the group's consumers."""
        insort(self._waiting, entry)
        self.wake()

    def take(self, consumer: object, limit: int) -> list[Entry]:
        """Up to `limit` entries, in order, none of a lane that another consumer holds."""
        taken: list[Entry] = []
        kept: list[Entry] = []
        for place, entry in enumerate(self._waiting):
            if len(taken) == limit:
                kept += self._waiting[place:]
                break
            (taken if self._may_have(consumer, entry) else kept).append(entry)
        self._waiting = kept
        return taken

    def _may_have(self, consumer: object, entry: Entry) -> bool:
        if entry.lane is not None and self._owners.setdefault(entry.lane, consumer) is not consumer:
            return False
        entry.count += 1
        self._held[entry.number] = entry, consumer
        self._held_of_lane[entry.lane] += 1
        return True

    def done(self, entry: Entry) -> bool:
        """Forget an entry; False if it was not held any more."""
        if self._held.pop(entry.number, None) is None:
            return False
        self._held_of_lane[entry.lane] -= 1
        if not self._held_of_lane[entry.lane]:
            del self._held_of_lane[entry.lane]
            self._owners.pop(entry.lane, None)
            self.wake()
        return True

    def back(self, entry: Entry) -> None:
        """Put an entry back at its old place in the line."""
        if self.done(entry):
            self.put(entry)

    def leave(self, consumer: object) -> None:
        """The consumer is gone: what it held goes back."""
        for entry in [entry for entry, holder in self._held.values() if holder is consumer]:
            self.back(entry)

    async def changed(self) -> None:
        """Wait until there may be something to take."""
        sleeper = asyncio.get_running_loop().create_future()
        self._sleepers.add(sleeper)
        try:
            await sleeper
        finally:
            self._sleepers.discard(sleeper)

    def wake(self) -> None:
        """Let everybody who waits look again."""
        for sleeper in self._sleepers:
            if not sleeper.done():
                sleeper.set_result(None)


class Place:
    """A queue or a topic: its groups, and what came to a queue before there was any."""

    def __init__(self, *, keeps: bool) -> None:
        self._keeps = keeps
        self._numbers = count()
        self._backlog: list[Record] = []
        self._groups: dict[object, Group] = {}

    def publish(self, records: Sequence[Record]) -> None:
        """Give every group the records, or keep them for the first one."""
        if len(self._backlog) + len(records) > MAX_WAITING or any(group.full for group in self._groups.values()):
            raise Full(f"{MAX_WAITING} records wait already")
        if not self._groups and self._keeps:
            self._backlog += records
        for group in self._groups.values():
            self._give(group, records)

    def join(self, name: object) -> Group:
        """The group of that name; the first one of all gets what waits."""
        if name not in self._groups:
            self._groups[name] = Group()
            backlog, self._backlog = self._backlog, []
            self._give(self._groups[name], backlog)
        return self._groups[name]

    def drop(self, name: object) -> None:
        """Forget a group and what waits for it."""
        self._groups.pop(name, None)

    def _give(self, group: Group, records: Sequence[Record]) -> None:
        for record in records:
            group.put(Entry(next(self._numbers), record))


class Broker:
    """Everything at one address."""

    def __init__(self, password: str) -> None:
        self._password = password
        self._places: dict[tuple[str, str], Place] = {}

    def login(self, password: str) -> None:
        """Check the password: the one that the first client gave."""
        if password != self._password:
            raise LoginRefused("the password is wrong")

    def place(self, kind: str, name: str) -> Place:
        """The queue or topic of that name, made when it is first used."""
        return self._places.setdefault((kind, name), Place(keeps=kind == "queue"))

    def publish(self, kind: str, name: str, records: Sequence[Record]) -> None:
        """Take all of the records or none."""
        if too_large := [len(record.body) for record in records if len(record.body) > MAX_BODY]:
            raise TooLarge(f"a body of {too_large[0]} bytes; at most {MAX_BODY}")
        self.place(kind, name).publish(records)


#: What would be servers elsewhere: they outlive their clients, as a server does.
_BROKERS: dict[str, Broker] = {}


def dial(url: str, password: str) -> Broker:
    """The broker at that address."""
    if url.startswith("template://nowhere"):
        raise Unreachable(f"nothing answers at {url}")
    broker = _BROKERS.setdefault(url, Broker(password))
    broker.login(password)
    return broker
