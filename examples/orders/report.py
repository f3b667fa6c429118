"""What became of the orders: read from the broker, told in tables, and counted one by one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from host import Counters
from rich.console import Console
from rich.table import Table

from dragoman import Client, Message, Subscription
from dragoman.adapter import Capability

ROUTES: Final = ("orders.eu", "orders.us", "orders.world", "orders.review")
DEAD: Final = "dead.orders"
#: Seconds without any message after which no more is expected.
PATIENCE: Final = 10.0
#: What the host says before a component's own words.
_GUEST: Final = "the guest returned other: "


def identity(number: int) -> str:
    """The message-id of the order in that line of the file, the first being 1."""
    return f"line-{number:05}"


@dataclass
class Results:
    """What is in the channels.

    Attributes:
        routed: for each channel, the identities of the lines that its messages were made of.
        dead: the dead letters by the identity of their line.
        order_ids: how often each order was routed.
    """

    routed: dict[str, list[str]] = field(default_factory=dict)
    dead: dict[str, Message] = field(default_factory=dict)
    order_ids: Counter[str] = field(default_factory=Counter)

    def add(self, channel: str, message: Message) -> None:
        """A message that was found in a channel."""
        if channel == DEAD:
            self.dead[message.id or ""] = message
        else:
            self.routed[channel].append(message.get("correlation-id") or "")
            self.order_ids[message.id or ""] += 1

    def lost(self, lines: Sequence[bytes]) -> set[str]:
        """The lines that are neither routed nor dead-lettered."""
        found = {one for some in self.routed.values() for one in some} | self.dead.keys()
        return {identity(number) for number in range(1, len(lines) + 1)} - found

    def both(self) -> set[str]:
        """The lines that were routed and dead-lettered."""
        return {one for some in self.routed.values() for one in some} & self.dead.keys()

    def changed(self, lines: Sequence[bytes]) -> set[str]:
        """The dead letters whose body is not the line as it was, byte for byte."""
        return {one for one, letter in self.dead.items() if letter.data != lines[int(one.partition("-")[2]) - 1]}

    def accounts_for(self, lines: Sequence[bytes]) -> bool:
        """Whether every line is in exactly one of the two places, the dead ones unchanged."""
        return not (self.lost(lines) or self.both() or self.changed(lines))


class Reader:
    """Reads where the orders go, as a group of its own: whoever else reads there misses nothing."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._results = Results(routed={channel: [] for channel in ROUTES})
        self._subscriptions: list[Subscription] = []
        self._news = asyncio.Condition()

    async def read(self, channel: str) -> None:
        """Subscribe, and read until cancelled: what is sent from then on is kept for us, whatever the broker."""
        async with self._client.subscribe(channel, group="report") as subscription:
            self._subscriptions.append(subscription)
            while True:
                async with self._news:
                    self._news.notify_all()
                deliveries = await subscription.receive(500)
                for delivery in deliveries:
                    self._results.add(channel, delivery.message)
                await subscription.accept(*deliveries)

    async def ready(self) -> None:
        """Wait until the broker has confirmed every subscription."""
        async with self._news:
            await self._news.wait_for(lambda: len(self._subscriptions) > len(ROUTES))

    async def all(self, lines: Sequence[bytes]) -> Results:
        """What came, once every line is accounted for and nothing more waits; or nothing has come for a while."""
        with suppress(TimeoutError):
            async with self._news:
                while not (self._results.accounts_for(lines) and await self._nothing_waits()):
                    async with asyncio.timeout(PATIENCE):
                        await self._news.wait()
        return self._results

    async def _nothing_waits(self) -> bool:
        if Capability.LAG not in self._client.type.capabilities:
            return True  # MQTT brokers don't say
        return not any([await subscription.lag() for subscription in self._subscriptions])


@asynccontextmanager
async def reading(client: Client) -> AsyncIterator[Reader]:
    """A reader that is subscribed."""
    reader = Reader(client)
    async with asyncio.TaskGroup() as tasks:
        reading_all = [tasks.create_task(reader.read(channel)) for channel in (*ROUTES, DEAD)]
        await reader.ready()
        yield reader
        for task in reading_all:
            task.cancel()


def show(console: Console, counters: Counters, results: Results, lines: Sequence[bytes]) -> None:
    """Print it."""
    for table in (_handlers(counters), _routes(results), _reasons(results)):
        console.print(table, "")
    _verdict(console, results, lines)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in _NUMBERS else "left", style="", header_style="dim")
    return table


_NUMBERS: Final = ("handled", "sent", "retried", "dead letters", "p50 ms", "messages", "letters", "tries")


def _handlers(counters: Counters) -> Table:
    table = _table("Handlers", "handler", "handled", "sent", "retried", "dead letters", "p50 ms")
    for name, one in counters.items():
        figures = (one["handled"], one["sent"], one["retried"], one["dead_lettered"])
        table.add_row(name, *(f"{figure:,}" for figure in figures), f"{one['p50'] or 0:.1f}")
    return table


def _routes(results: Results) -> Table:
    table = _table("Where the orders went", "channel", "messages")
    for channel, found in results.routed.items():
        table.add_row(channel, f"{len(found):,}")
    table.add_row(DEAD, f"{len(results.dead):,}")
    return table


def reasons(results: Results) -> dict[str, list[Message]]:
    """The dead letters by the kind of their reason, the most frequent first."""
    kinds: dict[str, list[Message]] = {}
    for letter in results.dead.values():
        kinds.setdefault(_reason(letter).partition(":")[0], []).append(letter)
    return dict(sorted(kinds.items(), key=lambda item: -len(item[1])))


def _reason(letter: Message) -> str:
    return (letter.get("dragoman-reason") or "").removeprefix(_GUEST)


def _reasons(results: Results) -> Table:
    table = _table("Why some are dead letters", "letters", "tries", "reason", "for example")
    for kind, letters in reasons(results).items():
        tries = letters[0].get("dragoman-attempts") or ""
        example = _reason(letters[0]).partition(":")[2].strip()
        table.add_row(f"{len(letters):,}", tries, kind, f"{example[:46]} [dim]{letters[0].id}[/]")
    return table


def _verdict(console: Console, results: Results, lines: Sequence[bytes]) -> None:
    routed = sum(map(len, results.routed.values()))
    again = sum(count - 1 for count in results.order_ids.values())
    if results.accounts_for(lines):
        verdict = f"[bold green]Every one of the {len(lines):,} lines is accounted for[/]: {routed:,} were routed, "
        verdict += f"{len(results.dead):,} are dead letters, none was lost."
    else:
        verdict = f"[bold red]Not every line is accounted for[/]: lost {len(results.lost(lines)):,}, "
        verdict += f"routed and dead {len(results.both()):,}, changed {len(results.changed(lines)):,}."
    more = f"{again:,} orders came a second time, as they were in the file: their message-id tells a receiver."
    console.print(f"{verdict}\n{more}", highlight=False, soft_wrap=True)
