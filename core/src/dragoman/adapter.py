"""The whole contract of a plugin: what an adapter is, and what the host may rely on.

A plugin gives the host an `AdapterType`. The host validates the user's settings with `AdapterType.config`, calls
`AdapterType.connect` and holds one `Adapter`: one live connection. Everything comes in batches, because the
cost per message of asyncio is the enemy.

What holds for every adapter:

* It never retries, backs off, or logs and continues. It raises from `dragoman.errors`, the client library's error
  as the cause, and the core decides.
* Cancelling any call at any await loses no message and leaks nothing. A cancelled `publish` may have been sent.
* What it does not declare as a `Capability` raises `Unsupported`; a setting that it does not know is an error
  when it connects, never ignored.
* Every queue, table and wait in it is bounded.
* It runs on the loop that connected it, and is used from no other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol, runtime_checkable

from pydantic import BaseModel

from dragoman.message import Channel, FormatSpec, Message

#: The version of this contract. An adapter states the one it was written for; another one is refused.
CONTRACT: Final = 1


class Capability(StrEnum):
    """What an adapter can do. Declared once, in its `AdapterType`; what is not declared raises `Unsupported`."""

    QUEUE = "queue"
    """Channels of kind `queue`: the members of a group share the messages."""
    TOPIC = "topic"
    """Channels of kind `topic`: every subscription gets every message."""
    DURABLE = "durable"
    """What was confirmed survives a crash of the broker; a queue keeps for each group what comes while none of its
    members is there."""
    BACKLOG = "backlog"
    """A queue keeps what comes before anybody ever subscribed, and gives it to the first group."""
    ORDER = "order"
    """Deliveries have lanes, and a lane's messages come in the order in which they were published."""
    REDELIVERY = "redelivery"
    """A released delivery comes again without the subscription being opened anew."""
    DELAY = "delay"
    """`Release.delay` is kept by the broker. Without it the host waits itself."""
    DELIVERY_COUNT = "delivery-count"
    """`Delivery.count` counts earlier deliveries of the message, those of other members included."""
    DEAD_LETTER = "dead-letter"
    """`Reject` sends the message to a dead-letter place of the broker's own. Without it the host dead-letters."""
    REPLAY = "replay"
    """A subscription may start in the past: `SubscribeOptions.start`."""
    REQUEST_REPLY = "request-reply"
    """The adapter is a `RequestReply`."""
    LAG = "lag"
    """The subscription is a `Lag`: it knows how many messages still wait."""
    TRANSACTIONS = "transactions"
    """The subscription is a `Transactions`: it settles and publishes, all of it or nothing."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where a new group or subscription begins. At most one of the two is set; neither means the very beginning.

    Attributes:
        offset: the broker's own position of the first message to deliver.
        time: deliver what was published at or after this time (aware).
    """

    offset: int | None = None
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class SubscribeOptions:
    """How to subscribe.

    Attributes:
        group: the members of one group share a queue's messages; each group gets all of them. A `queue` without one
            is `Unsupported`; for a `topic` None, or a name that makes the subscription outlive the connection.
        prefetch: how many unsettled deliveries the adapter may hold for this subscription; more stay on the broker. It
            need not count those that it is settling.
        start: where a group that is new begins; None is the adapter's natural choice: a queue gives what waits, a
            topic what comes from now on. Needs `Capability.REPLAY`.
        extensions: the broker's own settings for this subscription, by the names that its documentation gives
            them. An unknown one is `Unsupported`.
        transactions: whether `Transactions.transact` will be called. Needs `Capability.TRANSACTIONS`.
    """

    group: str | None = None
    prefetch: int = 256
    start: Start | None = None
    extensions: Mapping[str, str] = field(default_factory=dict)
    transactions: bool = False


@dataclass(slots=True, eq=False)
class Delivery:
    """A message in our hands, to be settled exactly once. Compared and hashed by identity.

    Attributes:
        message: what was published, with `channel` set.
        lane: deliveries with the same lane must be handled in the order received; None has no order to keep.
        count: how often the message has been delivered, this time included; 1 where the broker can't tell.
        token: the adapter's own, for `settle`.
    """

    message: Message
    lane: Hashable = None
    count: int = 1
    token: Any = None


@dataclass(frozen=True, slots=True)
class Accept:
    """The message is done: the broker forgets it."""


@dataclass(frozen=True, slots=True)
class Release:
    """The message goes back and comes again: at its old place in its lane, if nothing after it was settled yet.

    Without `Capability.REDELIVERY` it comes when the subscription is opened anew.

    Attributes:
        delay: seconds before it may come again; not 0 only where `Capability.DELAY` is declared.
    """

    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Reject:
    """The message is refused for good. Where the broker has no place for such messages, it forgets it.

    Attributes:
        reason: why, for the broker's dead letters.
    """

    reason: str = ""


Outcome = Accept | Release | Reject
ACCEPT: Final = Accept()


class Subscription(Protocol):
    """Deliveries from one channel, pulled in batches.

    Open from the moment that the broker has confirmed it. While it is open the adapter keeps every unsettled
    delivery ours (it renews leases, reports progress); when it is closed, or the process dies, the broker gives the
    unsettled ones to somebody else.
    """

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """Wait for deliveries: at least one, at most `limit`.

        Returns what is there as soon as anything is; never waits to fill a batch. One call at a time. Cancelling it
        loses nothing: what had arrived comes with the next call, or goes back when the subscription is closed. While
        a lane has unsettled deliveries here, no other member of the group gets any of that lane.

        Raises:
            Closed: the subscription was closed, also while waiting.
            ConnectionLost: the broker is gone; the subscription is of no more use and is to be opened anew.
            BrokerError: the broker ended the subscription.
        """
        ...

    async def settle(self, outcomes: Sequence[tuple[Delivery, Outcome]]) -> None:
        """Tell the broker what became of deliveries of this subscription, in any order.

        Returns when the broker has it, or, where the protocol has no confirmation, when it was sent. Several calls may
        be under way at once. A delivery that is settled twice is an error of the caller. One that has gone back
        meanwhile (a lease that expired, a connection that was lost) is ignored: it comes again.

        Raises:
            Closed: the subscription was closed.
            ConnectionLost: not known to have arrived: the deliveries may come again.
            Unsupported: a delay, without `Capability.DELAY`; none was settled.
        """
        ...


class Adapter(Protocol):
    """One live connection to a broker."""

    async def publish(self, channel: Channel, messages: Sequence[Message]) -> None:
        """Send the messages in order, and return when the broker has them all.

        All or a prefix arrives when it raises. Several calls may be under way at once. Messages of one key keep
        the order in which their calls began.

        Raises:
            PayloadTooLarge: one of them is too large; none was sent.
            UnsupportedFormat: one of them can't be carried without loss; none was sent.
            ChannelNotFound, PermissionDenied: as the broker says.
            PublishFailed: the broker refused, or `outcome_unknown`.
            ConnectionLost: the broker is gone and none was sent.
            Unsupported: a kind of channel that is not declared.
            Closed: the adapter was closed.
        """
        ...

    def subscribe(self, channel: Channel, options: SubscribeOptions) -> AbstractAsyncContextManager[Subscription]:
        """A subscription that is open, and confirmed by the broker, inside `async with`.

        Leaving the block closes it: a waiting `receive` ends with `Closed`, unsettled deliveries go back.

        Raises:
            ChannelNotFound, PermissionDenied, ConnectionLost, Unsupported, Closed: on entering.
        """
        ...

    async def close(self) -> None:
        """Close every subscription and the connection. Idempotent; releases sockets and files even when cancelled."""
        ...


@runtime_checkable
class RequestReply(Protocol):
    """What an adapter with `Capability.REQUEST_REPLY` can do besides."""

    async def request(
        self, channel: Channel, message: Message, *, timeout: float | None, expected: int | None
    ) -> Sequence[Message]:
        """Send a request and wait for its replies.

        Args:
            channel: where those who answer are subscribed.
            message: the request; the adapter adds `reply-to` and, if it has none, `correlation-id`.
            timeout: seconds; None waits until cancelled.
            expected: how many replies to wait for. None waits for one without a timeout, and with one for all that come
                within it. With both, it returns at the number or at the timeout, whichever is first.

        Returns:
            At least one reply.

        Raises:
            TimedOut: no reply came in time.
            The errors of `publish`.
        """
        ...

    async def reply(self, to: Message, replies: Sequence[Message]) -> None:
        """Answer a request, also several times. Does nothing where `to` asked for no reply.

        Raises:
            The errors of `publish`.
        """
        ...


@runtime_checkable
class Lag(Protocol):
    """What a subscription of an adapter with `Capability.LAG` can do besides."""

    async def lag(self) -> int:
        """How many messages of the channel wait for this group, those in hand not counted.

        What other members have in hand counts, where the broker knows of it.
        """
        ...


@runtime_checkable
class Transactions(Protocol):
    """What a subscription of an adapter with `Capability.TRANSACTIONS` can do besides, if it was opened for that."""

    async def transact(
        self, outcomes: Sequence[tuple[Delivery, Outcome]], sends: Sequence[tuple[Channel, Sequence[Message]]]
    ) -> Sequence[Delivery]:
        """Settle deliveries of this subscription and publish messages to channels of its connection: all or nothing.

        Whatever happens, the end of the process included: either the broker has every message, and the deliveries are
        settled, or none of them is ever delivered to anybody, and the deliveries are not settled. Messages to one
        channel keep their order. One call at a time, and none together with `settle`. What is accepted or rejected of
        a lane is all that was received of it up to there and is not settled yet. Cancelling it may leave it done:
        the deliveries are not to be settled again, and come again if it was not.

        Returns:
            The deliveries among the outcomes that have gone back meanwhile: they come again, here or elsewhere. If
            there is any, nothing was done, and the others are still ours to settle.

        Raises:
            ConnectionLost: not known to be done; the subscription is of no more use and is to be opened anew. What was
                not done comes again.
            PayloadTooLarge, UnsupportedFormat, ChannelNotFound, PermissionDenied, PublishFailed, StorageFailed: nothing
                was done, and the deliveries are still ours to settle.
            Unsupported: a kind of channel, or a delay, that is not declared; or the subscription was opened without
                `SubscribeOptions.transactions`; nothing was done.
            Closed: the subscription was closed.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterType:
    """What a plugin registers for each broker that it speaks to.

    Attributes:
        name: what users write as `adapter = "..."`; unique among the installed plugins.
        format: what the metadata of the messages it delivers means.
        config: the settings, a frozen pydantic model that forbids unknown keys, each with a description; one of them
            is `url`. Secrets are `pydantic.SecretStr`.
        capabilities: everything the adapter can do.
        connect: opens the connection; takes an instance of `config`. Raises ConnectionLost, AuthenticationFailed.
        contract: the version of the contract that it was written for: the number `CONTRACT` had then.
        schemes: the URL schemes that mean this adapter.
        system: what OpenTelemetry calls the broker (`messaging.system`), where that is not `name`.
        widening: the extensions that let a subscription hear more than its channel, such as patterns of other channels:
            a handler that subscribes by itself may not set them, for its grant is the channel's.
    """

    name: str
    format: FormatSpec
    config: type[BaseModel]
    capabilities: frozenset[Capability]
    connect: Callable[[Any], Awaitable[Adapter]]
    contract: int
    schemes: tuple[str, ...] = ()
    system: str | None = None
    widening: frozenset[str] = frozenset()
