"""Deliveries from a JetStream consumer, pulled."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Self

from dragoman.adapter import ACCEPT, Accept, Delivery, Outcome, Release, SubscribeOptions
from dragoman.errors import BrokerError, ChannelNotFound, ConnectionLost, PermissionDenied, Unsupported
from dragoman.message import Channel
from dragoman_nats.boundary import boundary, closed
from dragoman_nats.connection import Connection
from dragoman_nats.pulls import HEARTBEAT, Pulls
from dragoman_nats.records import Status, Subjects, count_of, decode, status_of
from dragoman_nats.topology import Topology, read_extensions

_ACCEPT: Final = b"+ACK"
_PROGRESS: Final = b"+WPI"
_REJECT: Final = b"+TERM"
_RELEASE: Final = b"-NAK"
#: Statuses after which the consumer gives nothing more; the others only end one request.
_FATAL: Final = ("consumer deleted", "consumer is push based", "bad request", "stream deleted")
#: Seconds before asking again after a refusal: the server has too many requests or unsettled deliveries.
_PAUSE: Final = 0.25
#: Seconds that closing may take.
_FAREWELL: Final = 2.0


class StreamSubscription:
    """A `dragoman.adapter.Subscription`, and a `Lag`."""

    def __init__(
        self, connection: Connection, topology: Topology, channel: Channel, options: SubscribeOptions, ack_wait: float
    ) -> None:
        self._connection, self._topology = connection, topology
        self._channel, self._options = channel, options
        self._ack_wait = read_extensions(options).get("ack-wait", ack_wait)
        if channel.kind == "queue" and not options.group:
            raise Unsupported("a queue needs a group", where=channel.name)
        if options.transactions:
            raise Unsupported("NATS has no transactions", where=channel.name)
        self._subjects = Subjects(channel.kind)
        self._inbox = connection.wire.new_inbox()
        self._sink = 0
        self._stream, self._consumer, self._ephemeral = "", "", False
        self._pulls = Pulls()
        self._arrived: deque[Delivery] = deque()
        self._unsettled: set[Delivery] = set()
        self._wake = asyncio.Event()
        self._error: BrokerError | None = None
        self._silent = 0.0
        self._stop_listening = connection.listen(self._complained)
        self._keeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        try:
            self._connection.check()
            self._stream, self._consumer, self._ephemeral = await self._consume()
            self._sink = await self._connection.wire.attach(f"{self._inbox}.*", self._came)
            with boundary(self._channel.name):
                await self._connection.wire.read_by_server()
        except BaseException:
            self._stop_listening()
            self._connection.wire.detach(self._sink)
            raise
        self._keeper = asyncio.create_task(self._keep(), name=f"nats keeps deliveries of {self._channel}")
        return self

    async def _consume(self) -> tuple[str, str, bool]:
        """The consumer; a server that forbids it complains beside the request, and never answers that."""
        creating = asyncio.ensure_future(self._topology.consumer(self._channel, self._options))
        complaint = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait((creating, complaint), return_when=asyncio.FIRST_COMPLETED)
            if self._error is not None:
                raise self._error
            return await creating
        finally:
            complaint.cancel()
            creating.cancel()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Give back what is unsettled and end the consumer, where it was ours alone. Idempotent."""
        if self._keeper is None:
            return
        keeper, self._keeper = self._keeper, None
        keeper.cancel()
        self._stop_listening()
        self._fail(closed(self._channel.name))
        wire = self._connection.wire
        wire.detach(self._sink)
        if not wire.is_connected:
            return
        with suppress(BrokerError, TimeoutError, OSError):
            async with asyncio.timeout(_FAREWELL):
                await self._give_back()

    async def _give_back(self) -> None:
        wire, gone = self._connection.wire, asyncio.Event()
        if self._unsettled:
            # nats-server 2.9 hands what goes back to our open requests first, finds nobody there, and then counts the
            # next delivery as the first. A request that runs out at once makes it look for the dead ones.
            inbox = wire.new_inbox()
            number = await wire.attach(inbox, lambda *_: gone.set())
            wire.send(self._next_message, inbox, None, b'{"batch": 1, "expires": 20000000}')
            with suppress(TimeoutError):
                await asyncio.wait_for(gone.wait(), _FAREWELL / 2)
            wire.detach(number)
        wire.send_each([delivery.token for delivery in self._unsettled], _RELEASE)
        self._unsettled.clear()
        await wire.read_by_server()
        if self._ephemeral:
            await self._topology.delete_consumer(self._stream, self._consumer)

    @property
    def _next_message(self) -> str:
        return f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}"

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """See `dragoman.adapter.Subscription.receive`."""
        while not self._arrived:
            if self._error is not None:
                raise self._error
            self._ask(at_least=1)
            self._wake.clear()
            await self._wake.wait()
        arrived = self._arrived
        if limit >= len(arrived):
            batch = list(arrived)
            arrived.clear()
        else:
            batch = [arrived.popleft() for _ in range(limit)]
        self._ask(at_least=max(1, self._options.prefetch // 4))
        return batch

    def _ask(self, at_least: int) -> None:
        room = self._options.prefetch - len(self._unsettled) - self._pulls.asked
        if room >= at_least and self._error is None and self._connection.wire.is_connected:
            number, body = self._pulls.request(room)
            self._connection.wire.send(self._next_message, f"{self._inbox}.{number}", None, body)

    async def settle(self, outcomes: Sequence[tuple[Delivery, Outcome]]) -> None:
        """See `dragoman.adapter.Subscription.settle`.

        Returns when the server has read them. JetStream confirms none; one that is lost brings the message again.
        """
        if self._keeper is None:
            raise closed(self._channel.name)
        self._connection.check()
        held = [pair for pair in outcomes if pair[0] in self._unsettled]
        self._unsettled.difference_update([delivery for delivery, _ in held])
        wire = self._connection.wire
        wire.send_each([delivery.token for delivery, outcome in held if outcome is ACCEPT], _ACCEPT)
        for delivery, outcome in held:
            if outcome is not ACCEPT:
                wire.send_each([delivery.token], _verb(outcome))
        if not self._arrived:
            self._ask(at_least=max(1, self._options.prefetch // 4))
        with boundary(self._channel.name):
            await wire.read_by_server()

    async def lag(self) -> int:
        """See `dragoman.adapter.Lag.lag`; asks the server.

        What others have in hand counts, and so does what a process that was killed had, until its `ack_wait` is over.
        """
        self._connection.check()
        new, given = await self._topology.waiting(self._stream, self._consumer)
        if given > len(self._unsettled):
            # What was settled just now may not be counted yet, though the server has read it.
            await asyncio.sleep(_PAUSE)
            new, given = await self._topology.waiting(self._stream, self._consumer)
        return new + max(given - len(self._unsettled), 0)

    def _came(self, subject: bytes, reply: bytes, headers: bytes | None, data: bytes) -> None:
        self._silent = 0.0
        status = status_of(headers) if not data else None
        if status is not None:
            self._told(subject, status)
            return
        self._pulls.arrived()
        message = decode(data, headers, self._subjects.channel(subject))
        delivery = Delivery(message, message.key if message.metadata else None, count_of(reply), reply)
        self._unsettled.add(delivery)
        if not self._arrived:
            self._wake.set()
        self._arrived.append(delivery)

    def _told(self, subject: bytes, status: Status) -> None:
        if status.code == 100:
            return  # a sign of life
        self._pulls.ended(int(subject.rpartition(b".")[2]))
        if status.code == 503:
            self._fail(ConnectionLost("JetStream does not answer", where=self._channel.name))
        elif status.text.lower() in _FATAL:
            what = f"the consumer {self._consumer} is gone: {status.text}"
            self._fail(ChannelNotFound(what, where=self._channel.name))
        elif status.code == 408:
            self._wake.set()  # the request ran out, as it was meant to: whoever waits asks again
        else:
            asyncio.get_running_loop().call_later(_PAUSE, self._wake.set)

    def _complained(self, error: BrokerError) -> None:
        denied = isinstance(error, PermissionDenied)
        named = self._channel.name.lower() in str(error).lower()
        if named if denied else not self._connection.wire.is_connected:
            self._fail(error)

    def _fail(self, error: BrokerError) -> None:
        self._error = self._error or error
        self._arrived.clear()
        self._wake.set()

    async def _keep(self) -> None:
        """Tell the server that work goes on, so that it gives nothing of ours away, and notice when it falls silent."""
        interval = min(self._ack_wait / 3, HEARTBEAT)
        while True:
            await asyncio.sleep(interval)
            wire = self._connection.wire
            wire.send_each([delivery.token for delivery in self._unsettled], _PROGRESS)
            self._silent += interval
            if self._pulls.asked and self._silent > 3 * HEARTBEAT:
                what = f"the server was silent for {self._silent:.0f} s"
                self._fail(ConnectionLost(what, where=self._channel.name))


def _verb(outcome: Outcome) -> bytes:
    if isinstance(outcome, Accept):
        return _ACCEPT
    if isinstance(outcome, Release):
        if outcome.delay > 0:
            return _RELEASE + b" " + json.dumps({"delay": int(outcome.delay * 1e9)}).encode()
        return _RELEASE
    return _REJECT
