"""What became of the orders: read from the broker, told in tables, and counted one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from host import Counters
from rich.console import Console
from rich.table import Table

from dragoman import Channel, Client, Message, Start

ROUTES: Final = ("orders.eu", "orders.us", "orders.world", "orders.review")
DEAD: Final = "dead.orders"
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


async def read(client: Client) -> Results:
    """Read every channel from its start, and take nothing away."""
    results = Results()
    for channel in ROUTES:
        found = await _all(client, channel)
        results.routed[channel] = [message.get("correlation-id") or "" for message in found]
        results.order_ids.update(message.id or "" for message in found)
    results.dead = {letter.id or "": letter for letter in await _all(client, DEAD)}
    return results


async def _all(client: Client, channel: str) -> list[Message]:
    found: list[Message] = []
    async with client.subscribe(Channel(channel, "topic"), start=Start()) as subscription:
        while await subscription.lag():
            deliveries = await subscription.receive(500)
            found += [delivery.message for delivery in deliveries]
            await subscription.accept(*deliveries)
    return found


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
