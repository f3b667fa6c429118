"""What a source is told: whom it works for, and where it subscribes.

A module of its own, since subscriptions of every kind need an address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from dragoman.adapter import Delivery, Outcome
from dragoman.client import Client
from dragoman.errors import BrokerError
from dragoman.message import Channel

if TYPE_CHECKING:
    from dragoman.host.source import Source


class Work(Protocol):
    """The handler that a source works for."""

    @property
    def places(self) -> int:
        """How many deliveries it handles at once."""
        ...

    @property
    def window(self) -> int:
        """How many deliveries it can do with now: those that it handles, and those that it soon will."""
        ...

    @property
    def outbox(self) -> bool:
        """Whether what it sends is held until it has succeeded."""
        ...

    def offer(self, source: Source, deliveries: Sequence[Delivery]) -> None:
        """Take deliveries that may be handled now."""
        ...

    async def refused(self, source: Source, delivery: Delivery, error: BrokerError) -> Outcome | None:
        """What becomes of a delivery whose sends the broker refuses for good; None: they are tried again."""
        ...


@dataclass(frozen=True, slots=True)
class Address:
    """Where a source subscribes.

    Attributes:
        client: with whom.
        channel: to what.
        group: in which group; None for a topic that everybody gets.
        extensions: the broker's own settings for the subscription.
    """

    client: Client
    channel: Channel
    group: str | None
    extensions: Mapping[str, str] = field(default_factory=dict)
