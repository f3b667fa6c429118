"""What a handler is given besides its message: sends that go through its grants, and that count."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from dragoman.adapter import Delivery
from dragoman.client import Client
from dragoman.errors import Closed, HandlerFailed, NotGranted, StorageFailed
from dragoman.handlers.handler import Wanted
from dragoman.host.counters import Counters
from dragoman.host.grants import Grants
from dragoman.host.hand import Hand, Place
from dragoman.message import Channel, Message, MessageLike, MetadataLike

if TYPE_CHECKING:
    from dragoman.host.ephemeral import Ephemerals
    from dragoman.host.subscriptions import Subscriptions

T = TypeVar("T")
_log: Final = logging.getLogger("dragoman.handlers")


@dataclass(frozen=True, slots=True)
class Outlet:
    """Where the sends of one handler go; shared by all its contexts.

    Attributes:
        handler: the handler's name.
        client: the name of the client that it subscribes with.
        grants: what it may use.
        clients: the clients by name.
        counters: where its sends are counted.
        subscriptions: what it hears; None before that is known.
        ephemerals: what it receives from by itself; None until then, too.
    """

    handler: str
    client: str
    grants: Grants
    clients: Mapping[str, Client]
    counters: Counters
    subscriptions: Subscriptions | None = None
    ephemerals: Ephemerals | None = None


class HandlingContext:
    """The `dragoman.handlers.handler.Context` of one try.

    A message is accepted only when everything that its handler sent is confirmed, also what it sent from tasks of its
    own and did not wait for. So the host awaits `confirm` when the handler has returned:

    * it waits for sends that are still under way;
    * a send that failed in a task whose error nobody took fails the try; an error that the handler awaited is the
      handler's to judge;
    * a call that was never awaited fails the try: nothing was sent;
    * a send that begins after the end of the try raises `Closed`.

    Attributes:
        attempt: which try it is, the first being 1.
        away: whether a send failed while its client had no connection, or its broker no room. Then it is not the
            message's fault that the try failed, whatever the handler makes of the error.
        hand: what the handler says of its messages by itself; None where it says nothing.
        sends: what is to go out in one with the acceptance of its message; see `outbox.py`.
    """

    __slots__ = (
        "_begun",
        "_called",
        "_confirmed",
        "_ended",
        "_finished",
        "_given",
        "_outlet",
        "_place",
        "_unseen",
        "attempt",
        "away",
        "hand",
        "sends",
    )

    def __init__(
        self, outlet: Outlet, place: Place | None = None, given: Sequence[Delivery] = (), attempt: int = 1
    ) -> None:
        """The context of a try with these deliveries, all from one place."""
        self.attempt = attempt
        self.away = False
        self.hand: Hand | None = None
        self.sends: list[tuple[Channel, list[Message]]] | tuple[()] = ()
        self._outlet = outlet
        self._place = place
        self._given = given
        self._called = self._begun = self._finished = 0
        self._unseen: list[tuple[asyncio.Task[Any] | None, BaseException]] | None = None
        self._confirmed: asyncio.Future[None] | None = None
        self._ended = False

    @property
    def handler(self) -> str:
        """The handler's name in the configuration."""
        return self._outlet.handler

    @property
    def client(self) -> str:
        """The name of the client that the message came from, and the default of the calls below."""
        return self._outlet.client

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger that adds the handler's name, the message's id and the attempt to each line."""
        first = self._given[0].message.id if self._given else None
        extra = {"handler": self.handler, "message_id": first, "attempt": self.attempt}
        return logging.LoggerAdapter(_log, extra)

    def connect(self, client: str) -> None:
        """Check that the handler may use that client. Raises `NotGranted`."""
        self._outlet.grants.connect(client)

    def publish(
        self,
        channel: str,
        *messages: MessageLike,
        client: str | None = None,
        key: str | None = None,
        content_type: str | None = None,
        metadata: MetadataLike = (),
    ) -> Coroutine[Any, Any, None]:
        """Send messages to a channel, in order; to be awaited, and then the broker has them all.

        Raises:
            NotGranted: the handler has no grant to publish there; raised by the call itself.
            BrokerError: as `dragoman.client.Client.publish`.
            Closed: this try has ended.
        """
        name = client or self._outlet.client
        where = self._outlet.grants.publish(name, channel)
        sender = self._outlet.clients[name]
        send = sender.publish
        return self._counted(
            len(messages), sender, lambda: send(where, *messages, key=key, content_type=content_type, metadata=metadata)
        )

    def request(
        self,
        channel: str,
        message: MessageLike,
        *,
        client: str | None = None,
        timeout: float | None = None,
        expected: int | None = None,
    ) -> Coroutine[Any, Any, Sequence[Message]]:
        """Send a request and wait for its replies, as `dragoman.client.Client.request` says.

        Raises:
            NotGranted: the handler has no grant to publish there; raised by the call itself.
            TimedOut: no reply came within `timeout` seconds.
            BrokerError: as `dragoman.client.Client.request`.
            Closed: this try has ended.
        """
        name = client or self._outlet.client
        where = self._outlet.grants.publish(name, channel)
        sender = self._outlet.clients[name]
        send = sender.request
        return self._counted(1, sender, lambda: send(where, message, timeout=timeout, expected=expected))

    def reply(self, to: Message, *replies: MessageLike) -> Coroutine[Any, Any, None]:
        """Answer the message that is being handled, through its client; does nothing where it asked for no reply.

        Raises:
            NotGranted: `to` asks for its reply at another place than that message; raised by the call itself. The
                request is the grant, so a handler can't make one up.
            BrokerError: as `dragoman.client.Client.reply`.
            Closed: this try has ended.
        """
        self._check_reply(to)
        sender = self._outlet.clients[self._outlet.client]
        send = sender.reply
        return self._counted(len(replies), sender, lambda: send(to, *replies))

    def _check_reply(self, to: Message) -> None:
        address = to.get("reply-to")
        if address is not None and not self._asked(address):
            what = "no grant to reply to a message that it is not handling"
            raise NotGranted(what, where=f"handlers.{self.handler}", hint="publish there, with a grant")

    def _asked(self, address: str) -> bool:
        """Whether a message of this try asks for its reply there."""
        return any(given.message.get("reply-to") == address for given in self._given) or (
            self.hand is not None and any(held.delivery.message.get("reply-to") == address for held in self.hand.held())
        )

    def receipt(self, message: Message) -> str:
        """What names a message that was given to this try, for `complete` and `abandon`; the same each time.

        Raises:
            NotHeld: it is none of those objects.
            Closed: this try has ended.
        """
        return self._in_hand().receipt(message)

    async def complete(self, receipt: str) -> None:
        """Accept a message now, whatever becomes of the try; returns when its broker has it.

        Its lane goes on when the try has ended.

        Raises:
            NotHeld: no message of this try has that receipt, or it was used before; nothing was done.
            ConnectionLost: its subscription was lost meanwhile: it comes again.
            Closed: this try has ended.
        """
        await self._in_hand().complete(receipt)

    async def abandon(self, receipt: str) -> None:
        """Give a message up: when the try has ended, it becomes of it what the configuration's `abandoned` says.

        Raises:
            NotHeld: as `complete`.
            Closed: this try has ended.
        """
        self._in_hand().abandon(receipt)

    async def subscribe(self, channel: str, *, extensions: Mapping[str, str] | None = None) -> str:
        """Hear one more channel, as `dragoman.host.subscriptions.Subscriptions.subscribe` says."""
        return await self._changed(self._hearing().subscribe(channel, extensions or {}))

    async def unsubscribe(self, token: str) -> None:
        """Give a token up, as `dragoman.host.subscriptions.Subscriptions.unsubscribe` says."""
        await self._changed(self._hearing().unsubscribe(token))

    async def set_subscriptions(self, wanted: Wanted) -> None:
        """Hear these channels and no others, as `dragoman.host.subscriptions.Subscriptions.replace` says."""
        await self._changed(self._hearing().replace(wanted))

    async def receive(
        self, channel: str, *, client: str | None = None, timeout: float | None, limit: int = 1
    ) -> Sequence[Message]:
        """What comes on a channel, for this try; see `dragoman.handlers.handler.Context.receive`."""
        hand = self._in_hand()
        name = client or self._outlet.client
        where = self._outlet.grants.listen(name, channel)
        self._outlet.clients[name].require(where.kind)
        if self._outlet.ephemerals is None:
            raise Closed(
                "the host asks what to subscribe to: nothing is received yet", where=f"handlers.{self.handler}"
            )
        try:
            place, deliveries = await self._outlet.ephemerals.receive(name, where, timeout, max(limit, 1))
        except BaseException:
            self.away = self.away or not self._outlet.clients[name].connected
            raise
        if self._ended:  # received by a task that its handler left behind
            for delivery in deliveries:
                place.give_back(delivery)
            self._refuse_if_ended()
        hand.add(place, deliveries)
        return [delivery.message for delivery in deliveries]

    def _hearing(self) -> Subscriptions:
        self._refuse_if_ended()
        if self._outlet.subscriptions is None:
            what = "the host asks what to subscribe to: say it by what `wanted` returns"
            raise Closed(what, where=f"handlers.{self.handler}")
        return self._outlet.subscriptions

    async def _changed(self, change: Coroutine[Any, Any, T]) -> T:
        try:
            return await change
        except BaseException:
            self.away = self.away or not self._outlet.clients[self._outlet.client].connected
            raise

    def _in_hand(self) -> Hand:
        self._refuse_if_ended()
        if self.hand is None:
            self.hand = Hand(f"handlers.{self.handler}", self._place, self._given)
        return self.hand

    def _counted(self, messages: int, sender: Client, send: Callable[[], Awaitable[T]]) -> Coroutine[Any, Any, T]:
        self._called += 1
        return self._sent(messages, sender, send)

    async def _sent(self, messages: int, sender: Client, send: Callable[[], Awaitable[T]]) -> T:
        self._begun += 1
        try:
            self._refuse_if_ended()
            result = await send()
        except BaseException as error:
            self._note(error)
            # A full or locked file is an outage, too: it says nothing about the message.
            full = isinstance(error, StorageFailed) and error.retryable
            self.away = self.away or full or not sender.connected
            raise
        finally:
            self._finished += 1
            if self._confirmed is not None and self._finished == self._begun and not self._confirmed.done():
                self._confirmed.set_result(None)
        self._outlet.counters.sent += messages
        return result

    def _refuse_if_ended(self) -> None:
        if self._ended:
            raise Closed("the try that this context belongs to has ended", where=f"handlers.{self.handler}")

    def _note(self, error: BaseException) -> None:
        if self._unseen is None:
            self._unseen = []
        self._unseen.append((asyncio.current_task(), error))

    @property
    def confirmed(self) -> bool:
        """Whether nothing is left for `confirm` to look at."""
        return self._called == self._finished and self._unseen is None

    async def confirm(self) -> None:
        """Wait until the broker has everything that the handler sent.

        Raises:
            HandlerFailed: it does not have everything.
        """
        if self._called != self._finished:
            await asyncio.sleep(0)  # a task that was just made takes its first step
        if self._called != self._begun:
            raise HandlerFailed("a send was called but not awaited, so nothing was sent; write `await context...`")
        if self._begun != self._finished:
            self._confirmed = asyncio.get_running_loop().create_future()
            await self._confirmed
        self._refuse_unseen(asyncio.current_task())

    def _refuse_unseen(self, own: asyncio.Task[Any] | None) -> None:
        for task, error in self._unseen or ():
            # asyncio keeps in `_log_traceback` whether anybody has taken a task's error: it warns of those left.
            if task is not None and task is not own and (not task.done() or task._log_traceback):  # noqa: SLF001
                raise HandlerFailed(f"a send failed in a task that nobody awaited: {error}") from error

    def end(self) -> None:
        """Refuse every further send."""
        self._ended = True
