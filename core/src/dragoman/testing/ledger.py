"""Counts messages by identity: what was sent, what came, what is missing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

from dragoman.adapter import Delivery
from dragoman.message import Message


class ConformanceError(AssertionError):
    """The adapter does not keep the contract; the message says what was expected and what came."""


def expect(true: object, otherwise: str) -> None:
    """Fail the case with that message unless it is true."""
    if not true:
        raise ConformanceError(otherwise)


def identity(message: Message) -> str:
    """What the kit knows a message by: its whole body."""
    return message.data.decode(errors="replace")


class Ledger:
    """What must arrive, and what has.

    Attributes:
        expected: the ids of all that must arrive.
        seen: how often each id came.
        order: the ids in the order of their first arrival.
        complete: set once all have arrived.
    """

    def __init__(self, expected: Iterable[str] = ()) -> None:
        self.expected = set(expected)
        self.seen: Counter[str] = Counter()
        self.order: list[str] = []
        self.complete = asyncio.Event()
        self._look()

    def more(self, expected: Iterable[str]) -> None:
        """These must arrive too."""
        self.expected.update(expected)
        self.complete.clear()
        self._look()

    def add(self, deliveries: Iterable[Delivery]) -> None:
        """They arrived."""
        for delivery in deliveries:
            name = identity(delivery.message)
            if not self.seen[name]:
                self.order.append(name)
            self.seen[name] += 1
        self._look()

    def _look(self) -> None:
        if not self.missing:
            self.complete.set()

    @property
    def missing(self) -> set[str]:
        """What has not arrived yet."""
        # Counting first: the difference of two large sets for every batch would cost more than the adapter.
        return set() if self._all_here() else self.expected - self.seen.keys()

    def _all_here(self) -> bool:
        return len(self.seen) >= len(self.expected) and self.expected <= self.seen.keys()

    def __str__(self) -> str:
        """What is missing, for a message."""
        return f"{len(self.missing)} of {len(self.expected)} missing{_named(self.missing)}"

    def check(self, *, duplicates: bool = True) -> None:
        """Everything came, nothing else did, and, if wanted, nothing twice."""
        expect(not self.missing, str(self))
        strange = self.seen.keys() - self.expected
        expect(not strange, f"{len(strange)} messages that were never sent here came{_named(strange)}")
        twice = {name for name, times in self.seen.items() if times > 1}
        expect(duplicates or not twice, f"{len(twice)} messages came twice, though nothing went wrong{_named(twice)}")


def _named(ids: Iterable[str]) -> str:
    some = sorted(ids)
    return ": ids " + ", ".join(some[:8]) + (" …" if len(some) > 8 else "") if some else ""
