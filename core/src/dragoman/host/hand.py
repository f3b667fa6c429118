"""What one try has in its hands, and what its handler says of it by itself, before the try ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from dragoman.adapter import Delivery, Outcome
from dragoman.errors import NotHeld
from dragoman.message import Channel, Message

if TYPE_CHECKING:
    from dragoman.host.dead_letters import Failure
    from dragoman.host.work import Address

#: Random bytes in a receipt: nobody guesses one in the time that a try has.
_BYTES: Final = 16


class Place(Protocol):
    """Where deliveries came from, and are settled: a source, or an ephemeral subscription. Only `complete` blocks."""

    @property
    def address(self) -> Address:
        """Where it subscribes."""
        ...

    @property
    def failures(self) -> dict[Delivery, Failure]:
        """What is known of deliveries that failed."""
        ...

    @property
    def stopping(self) -> bool:
        """Whether the host is to end."""
        ...

    @property
    def retiring(self) -> bool:
        """Whether it receives no more."""
        ...

    def finish(self, delivery: Delivery, outcome: Outcome) -> None:
        """This became of it."""
        ...

    def give_back(self, delivery: Delivery, delay: float = 0.0) -> None:
        """It goes back to the broker."""
        ...

    def wait(self, delivery: Delivery, seconds: float, then: Callable[[Any, Delivery], None]) -> None:
        """It is to be tried again after that time."""
        ...

    @property
    def transactional(self) -> bool:
        """Whether what is sent with an acceptance is one with it."""
        ...

    async def complete(self, delivery: Delivery, sends: Sequence[tuple[Channel, Sequence[Message]]]) -> None:
        """Accept it now, and send these; returns when the broker has it. Raises `ConnectionLost`."""
        ...


@dataclass(slots=True, eq=False)
class Held:
    """A delivery in the hands of a try.

    Attributes:
        place: where it came from.
        delivery: it.
        receipt: what names it; empty until somebody asked.
        said: what the handler said of it by itself; None leaves it to the end of the try.
        sends: what is to go out with it when it is completed.
    """

    place: Place
    delivery: Delivery
    receipt: str = ""
    said: Literal["complete", "abandon"] | None = None
    sends: Sequence[tuple[Channel, Sequence[Message]]] = ()


class Hand:
    """The deliveries of one try. Made when the try asks for the first receipt, or receives: most never do.

    Receipts are random, valid for this try only, and of use once.
    """

    __slots__ = ("_by_message", "_by_receipt", "_where")

    def __init__(self, where: str, place: Place | None, deliveries: Iterable[Delivery]) -> None:
        """What a try of the handler at `where` begins with, all of it from one place."""
        self._where = where
        self._by_message: dict[int, Held] = {}
        self._by_receipt: dict[str, Held] = {}
        if place is not None:
            self.add(place, deliveries)

    def add(self, place: Place, deliveries: Iterable[Delivery]) -> None:
        """The try has these too."""
        for delivery in deliveries:
            self._by_message[id(delivery.message)] = Held(place, delivery)

    def held(self) -> Iterable[Held]:
        """All that was ever in these hands, in order."""
        return self._by_message.values()

    def of(self, delivery: Delivery) -> Held:
        """What is known of a delivery of this try."""
        return self._by_message[id(delivery.message)]

    def receipt(self, message: Message) -> str:
        """What names a message of this try; the same each time.

        Raises:
            NotHeld: it is none that this try was given: a copy is none either.
        """
        held = self._by_message.get(id(message))
        if held is None:
            raise NotHeld("this message was not given to this try", where=self._where, expected="the object itself")
        if not held.receipt:
            held.receipt = token_urlsafe(_BYTES)
            self._by_receipt[held.receipt] = held
        return held.receipt

    async def complete(self, receipt: str) -> None:
        """Accept what the receipt names; returns when the broker has it.

        Raises:
            NotHeld: the receipt is unknown, or used.
            ConnectionLost: its subscription was lost, and it comes again.
        """
        held = self.named(receipt)
        held.said = "complete"
        await held.place.complete(held.delivery, held.sends)

    def abandon(self, receipt: str) -> None:
        """Give up what the receipt names, when the try has ended. Raises `NotHeld` as `complete`."""
        self.named(receipt).said = "abandon"

    def named(self, receipt: str) -> Held:
        """What the receipt names. Raises `NotHeld` as `complete`."""
        held = self._by_receipt.get(receipt)
        if held is None or held.said is not None:
            raise NotHeld(
                "the receipt was used before" if held else "the receipt names nothing that this try was given",
                where=self._where,
                expected="each receipt once, within the try that it was made for",
            )
        return held
