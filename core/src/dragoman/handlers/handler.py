"""What the host calls, and what it hands to the called: the seam between `host/` and each way to write a handler."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dragoman.message import Message, MessageLike, MetadataLike


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a handler wants to hear.

    Attributes:
        channels: as `dragoman.message.Channel.parse` reads them; a channel that is there twice is heard once.
        extensions: the broker's own settings for these subscriptions, by the names that its documentation gives them.
            Where the configuration has the same one for a channel, the configuration's value holds.
    """

    channels: tuple[str, ...]
    extensions: Mapping[str, str] = field(default_factory=dict)


class Context(Protocol):
    """What a handler may do besides reading its message; made anew for each handling.

    Everything goes through the handler's grants, and what it sends is confirmed by the broker before the call returns.
    """

    @property
    def handler(self) -> str:
        """The handler's name in the configuration."""
        ...

    @property
    def client(self) -> str:
        """The name of the client that the message came from, and the default of the calls below."""
        ...

    @property
    def attempt(self) -> int:
        """1 for the first try of this message."""
        ...

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger that adds the handler's name, the message's id and the attempt to each line."""
        ...

    def connect(self, client: str) -> None:
        """Check that the handler may use that client.

        Raises:
            NotGranted: it may not; the message names the clients that it may use.
        """
        ...

    async def publish(
        self,
        channel: str,
        *messages: MessageLike,
        client: str | None = None,
        key: str | None = None,
        content_type: str | None = None,
        metadata: MetadataLike = (),
    ) -> None:
        """Send messages to a channel, in order; returns when the broker has them all.

        `key`, `content_type` and `metadata` are for bytes and text; a `Message` has its own.

        Raises:
            NotGranted: the handler has no grant to publish there.
            BrokerError: as the adapter's `publish`.
            Closed: the try of which this is the context has ended.
        """
        ...

    async def request(
        self,
        channel: str,
        message: MessageLike,
        *,
        client: str | None = None,
        timeout: float | None = None,
        expected: int | None = None,
    ) -> Sequence[Message]:
        """Send a request and wait for its replies, as `dragoman.adapter.RequestReply.request` says.

        Raises:
            NotGranted: the handler has no grant to publish there.
            TimedOut: no reply came within `timeout` seconds.
            BrokerError: as the adapter's `request`.
        """
        ...

    async def reply(self, to: Message, *replies: MessageLike) -> None:
        """Answer the message that is being handled; does nothing where it asked for no reply.

        It needs no grant: the request is one.

        Raises:
            NotGranted: `to` asks for its reply at another place than that message.
            BrokerError: as the adapter's `reply`.
        """
        ...

    def receipt(self, message: Message) -> str:
        """What names a message that was given to this try, for `complete` and `abandon`; the same each time.

        It is opaque and can't be guessed, and is good for this try only, once.

        Raises:
            NotHeld: it is none of the messages of this try.
            Closed: the try has ended.
        """
        ...

    async def complete(self, receipt: str) -> None:
        """Accept a message now, whatever becomes of the try; returns when its broker has it.

        The next message of its lane still waits for the end of the try. Cancelling it leaves the message to be
        accepted.

        Raises:
            NotHeld: no message of this try has that receipt, or it was used before; nothing was done.
            ConnectionLost: the subscription was lost meanwhile: the message comes again.
            Closed: the try has ended.
        """
        ...

    async def abandon(self, receipt: str) -> None:
        """Give a message up: when the try has ended, that becomes of it which the configuration's `abandoned` says.

        That is another try, as after a failure; a dead letter at once; or nothing. A host that stops before the end
        of the try gives it back instead.

        Raises:
            NotHeld: no message of this try has that receipt, or it was used before; nothing was done.
            Closed: the try has ended.
        """
        ...

    async def subscribe(self, channel: str, *, extensions: Mapping[str, str] | None = None) -> str:
        """Hear one more channel of the handler's client, from when this returns: the broker has confirmed it.

        It is heard for as long as this process runs, not only during this try. A channel that is heard already is
        not subscribed to again; with other extensions it is opened anew. Cancelling it changes nothing.

        Args:
            channel: as `dragoman.message.Channel.parse` reads it.
            extensions: the broker's own settings, as in `Wanted`.

        Returns:
            A token for `unsubscribe`: opaque, not to be guessed, good for this handler only.

        Raises:
            NotGranted: no grant in `listen`, or too many channels.
            BrokerError: what the broker says against it; nothing has changed.
            Closed: the host is stopping, or the try has ended.
        """
        ...

    async def unsubscribe(self, token: str) -> None:
        """Give a token up. With its last one a channel is not heard any more.

        What is in hand of it is finished and settled as ever. What only its configuration wants, or `wanted`, or
        `set_subscriptions`, has no token.

        Raises:
            NotHeld: there is no such token of this handler, or not any more; nothing was done.
            Closed: the try has ended.
        """
        ...

    async def set_subscriptions(self, wanted: Wanted) -> None:
        """Hear these channels and no others, from when this returns: the broker has confirmed what is new.

        All of it or, with an error or when it is cancelled, nothing. What is in hand of a channel that is gone is
        finished and settled as ever; its tokens are void. A channel whose extensions have changed is opened anew.

        Raises:
            NotGranted: no grant for one of them in `listen`.
            BrokerError: what the broker says against one of them.
            Closed: the host is stopping, or the try has ended.
        """
        ...

    async def receive(
        self, channel: str, *, client: str | None = None, timeout: float | None, limit: int = 1
    ) -> Sequence[Message]:
        """Receive from a channel in the middle of a try, without subscribing the handler to it.

        A queue is shared with the handler's group. Of a topic it is what comes from the first call on; the
        subscription is kept for a while after the last (one to thirty seconds, the longer the longer it took to
        open), so that what comes between two calls is not missed, and the next call is quick.

        What it gives belongs to this try: it is accepted when the try succeeds and goes back when it fails, unless
        the handler completes or abandons it before. Within a try messages keep their order; tries that receive at
        the same time share them out. Cancelling it loses nothing.

        Args:
            channel: as `dragoman.message.Channel.parse` reads it.
            client: the name of the client; the handler's own without it.
            timeout: seconds from when the broker has confirmed the subscription; 0 asks once. None waits until
                something comes, the deadline of the try, or the end of the host.
            limit: how many messages to return at most.

        Returns:
            What was there; nothing when the time has passed.

        Raises:
            NotGranted: no grant in `listen`, or too many channels at once.
            BrokerError: what the broker says against it.
            Closed: the host is stopping, or the try has ended.
        """
        ...


class Handler(Protocol):
    """One configured handler, ready to be called, many times at once."""

    async def handle(self, messages: Sequence[Message], context: Context) -> None:
        """Handle messages; returning means that all of them are done.

        It is one message, unless the configuration asks for batches.
        Cancelling it (deadline, shutdown) ends the work; nothing of it goes on.

        Raises:
            HandlerFailed: the handler said or raised an error.
            Trapped: the guest trapped.
            Rejected: the handler wants no further try.
        """
        ...

    async def wanted(self, context: Context) -> Wanted | None:
        """What the handler wants to hear; asked once, before anything is subscribed to.

        None leaves it to the configuration's `subscribe`. Otherwise it takes the place of that, within the grants.

        Raises:
            HandlerError: it could not say; the host does not start.
        """
        ...

    async def close(self) -> None:
        """Release everything. Idempotent."""
        ...
