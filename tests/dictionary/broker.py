"""What the dictionary broker keeps. It outlives the connections to it, as a real broker does."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from dragoman.adapter import Accept, Outcome, Release, Start, SubscribeOptions
from dragoman.errors import PayloadTooLarge
from dragoman.message import Channel, Message

Operation = Literal["connect", "publish", "subscribe", "receive", "settle", "transact", "request", "reply"]


@dataclass(slots=True, eq=False)
class Slot:
    """One message for one group.

    Attributes:
        offset: its position in the channel.
        message: it.
        count: how often it was delivered.
        holder: who has it in hand.
        due: when it may come, by the loop's clock.
    """

    offset: int
    message: Message
    lane: Hashable
    count: int = 0
    holder: object = None
    due: float = 0.0


class Group:
    """What is not settled yet of one channel, for one group."""

    def __init__(self) -> None:
        self.pending: dict[int, Slot] = {}
        self.changed: set[asyncio.Event] = set()

    def add(self, offset: int, message: Message) -> None:
        """Keep a message for the group."""
        self.pending[offset] = Slot(offset, message, message.key)
        self.wake()

    def wake(self) -> None:
        """Tell those who wait."""
        for event in self.changed:
            event.set()

    def take(self, holder: object, limit: int) -> list[Slot]:
        """What may be delivered now: nothing of a lane that another member holds, or whose first is delayed."""
        now = asyncio.get_running_loop().time()
        taken: list[Slot] = []
        blocked: set[Hashable] = set()
        for slot in self.pending.values():
            if len(taken) == limit:
                break
            if slot.holder is None and slot.due <= now and slot.lane not in blocked:
                slot.holder = holder
                slot.count += 1
                taken.append(slot)
            elif slot.lane is not None and slot.holder is not holder:
                blocked.add(slot.lane)
        return taken

    def next_due(self) -> float | None:
        """When the next delayed message may come."""
        return min((slot.due for slot in self.pending.values() if slot.holder is None and slot.due), default=None)

    def settle(self, slot: Slot, outcome: Outcome) -> None:
        """Forget it, or let it come again."""
        if isinstance(outcome, Release):
            slot.holder = None
            slot.due = asyncio.get_running_loop().time() + outcome.delay if outcome.delay else 0.0
        else:
            del self.pending[slot.offset]

    def leave(self, holder: object) -> None:
        """Everything of that member goes back."""
        for slot in self.pending.values():
            if slot.holder is holder:
                slot.holder = None
        self.wake()


class Broker:
    """Channels, groups, and faults to inject.

    Attributes:
        settled: what became of deliveries, in order: the channel's name, the group, the data, the outcome.
        calls: how often each operation was called.
        sizes: of each `receive`, `settle` and `transact`, how many deliveries it had.
        refused: bodies that it takes from nobody.
        most_held: the most unsettled deliveries that one subscription ever had.
        settling: how many of them it is being told of; they count no more for `prefetch` where it is `generous`.
        extensions: the names of those that it knows.
        subscribed: what was subscribed to, in order, and how.
    """

    def __init__(self, *, extensions: frozenset[str] = frozenset()) -> None:
        self.extensions = extensions
        self.subscribed: list[tuple[Channel, SubscribeOptions]] = []
        self.channels: defaultdict[Channel, list[tuple[datetime, Message]]] = defaultdict(list)
        self.groups: defaultdict[Channel, dict[object, Group]] = defaultdict(dict)
        self.settled: list[tuple[str, str | None, bytes, Outcome]] = []
        self.calls: Counter[str] = Counter()
        self.sizes: defaultdict[str, list[int]] = defaultdict(list)
        self.replies: dict[str, asyncio.Queue[Message]] = {}
        self.connections: set[Connection] = set()
        self.most_held = 0
        self.settling = 0
        self.generous = False
        self.refused: set[bytes] = set()
        self._faults: defaultdict[str, list[Exception]] = defaultdict(list)
        self._gates: dict[str, asyncio.Event] = {}

    # What adapters do

    def append(self, channel: Channel, message: Message) -> None:
        """Store a message, and give it to every group."""
        stored = replace(message, channel=channel)
        log = self.channels[channel]
        log.append((datetime.now(UTC), stored))
        for group in self.groups[channel].values():
            group.add(len(log) - 1, stored)

    def refuse(self, message: Message) -> None:
        """Raise if it is a message that the broker does not take."""
        if message.data in self.refused:
            raise PayloadTooLarge("the broker does not take this message")

    def group(self, channel: Channel, name: object, start: Start | None) -> Group:
        """The group of that name. A new one begins at `start`; without it, a queue at the beginning, a topic now."""
        groups = self.groups[channel]
        if name not in groups:
            groups[name] = group = Group()
            for offset, (time, message) in enumerate(self.channels[channel]):
                if _wanted(channel, start, offset, time):
                    group.add(offset, message)
        return groups[name]

    async def call(self, operation: Operation) -> None:
        """Count the call, wait at the gate, and raise what was asked for."""
        self.calls[operation] += 1
        if operation in self._gates:
            await self._gates[operation].wait()
        if self._faults[operation]:
            raise self._faults[operation].pop(0)

    # What tests do

    def data(self, channel: str) -> list[bytes]:
        """The bodies of everything that was ever published to the channel, in order."""
        return [message.data for _, message in self.channels[Channel.parse(channel)]]

    def messages(self, channel: str) -> list[Message]:
        """Everything that was ever published to the channel, in order."""
        return [message for _, message in self.channels[Channel.parse(channel)]]

    def left(self, channel: str, group: str) -> list[bytes]:
        """The bodies of what the group has not settled for good, in order."""
        groups = self.groups[Channel.parse(channel)]
        return [slot.message.data for slot in groups[group].pending.values()] if group in groups else self.data(channel)

    def accepted(self, channel: str) -> list[bytes]:
        """The bodies of what was accepted, in order."""
        return [data for name, _, data, outcome in self.settled if name == channel and isinstance(outcome, Accept)]

    def fail(self, operation: Operation, *errors: Exception) -> None:
        """Let the next calls of the operation raise these errors, one each."""
        self._faults[operation].extend(errors)

    @contextmanager
    def hold(self, operation: Operation) -> Iterator[None]:
        """Let every call of the operation wait while the block runs."""
        gate = self._gates[operation] = asyncio.Event()
        try:
            yield
        finally:
            del self._gates[operation]
            gate.set()

    def drop(self) -> None:
        """Cut every connection: what they had in hand comes again."""
        for connection in list(self.connections):
            connection.cut()


class Connection:
    """One connection, as the broker sees it: what ends when it is cut."""

    def __init__(self, broker: Broker) -> None:
        self.lost = asyncio.Event()
        self.memberships: set[tuple[Group, object]] = set()
        self._broker = broker
        broker.connections.add(self)

    def cut(self) -> None:
        """End it; everything that it had in hand goes back."""
        self._broker.connections.discard(self)
        self.lost.set()
        for group, member in self.memberships:
            group.leave(member)
        self.memberships.clear()


def _wanted(channel: Channel, start: Start | None, offset: int, time: datetime) -> bool:
    if start is None:
        return channel.kind == "queue"
    if start.offset is not None:
        return offset >= start.offset
    return start.time is None or time >= start.time
