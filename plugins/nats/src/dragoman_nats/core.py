"""Core NATS, for those who ask for it: at most once, nothing kept, nothing settled."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final, Self

from dragoman.adapter import Delivery, Outcome, Release, SubscribeOptions
from dragoman.errors import BrokerError, PermissionDenied, Unsupported
from dragoman.message import Channel
from dragoman_nats.boundary import boundary, closed
from dragoman_nats.connection import Connection
from dragoman_nats.records import Subjects, decode
from dragoman_nats.topology import check_subject

#: Messages kept for a subscriber that is slower than its publishers, beside its prefetch.
_BUFFER: Final = 65_536


class CoreSubscription:
    """A `dragoman.adapter.Subscription` without any second delivery: settling only forgets.

    A subscriber that stays behind by more than the buffer loses messages, and is told so by the next `receive`.
    """

    def __init__(self, connection: Connection, channel: Channel, options: SubscribeOptions) -> None:
        self._connection, self._channel = connection, channel
        if options.start is not None or options.extensions:
            what = "a start in the past" if options.start is not None else "extensions"
            raise Unsupported(f"core NATS has no {what}", where=channel.name, hint="adapter = 'nats' is JetStream")
        if options.transactions:
            raise Unsupported("NATS has no transactions", where=channel.name)
        if channel.kind == "queue" and not options.group:
            raise Unsupported("a queue needs a group", where=channel.name)
        check_subject(channel, wildcards=True)
        self._queue = (options.group or "") if channel.kind == "queue" else ""
        self._subjects = Subjects(channel.kind)
        self._arrived: deque[Delivery] = deque()
        self._prefetch = options.prefetch
        self._unsettled: set[Delivery] = set()
        self._dropped = 0
        self._wake = asyncio.Event()
        self._error: BrokerError | None = None
        self._sink: int | None = None
        self._stop_listening = connection.listen(self._complained)

    async def __aenter__(self) -> Self:
        self._connection.check()
        wire = self._connection.wire
        try:
            self._sink = await wire.attach(self._channel.name, self._came, self._queue.replace(" ", "_"))
            with boundary(self._channel.name):
                await wire.read_by_server()
            self._refuse_if_failed()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Unsubscribe. Idempotent."""
        self._stop_listening()
        if self._sink is not None:
            self._connection.wire.detach(self._sink)
        self._fail(closed(self._channel.name))

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """See `dragoman.adapter.Subscription.receive`."""
        while not self._arrived or len(self._unsettled) >= self._prefetch:
            self._refuse_if_failed()
            self._wake.clear()
            await self._wake.wait()
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            raise BrokerError(
                f"{dropped} messages were dropped: the subscriber is too slow for core NATS",
                where=self._channel.name,
                hint="adapter = 'nats' keeps them",
            )
        count = min(limit, len(self._arrived), self._prefetch - len(self._unsettled))
        batch = [self._arrived.popleft() for _ in range(count)]
        self._unsettled.update(batch)
        return batch

    async def settle(self, outcomes: Sequence[tuple[Delivery, Outcome]]) -> None:
        """Forget the deliveries. A release loses the message, as at most once says; a delay is refused."""
        if any(isinstance(outcome, Release) and outcome.delay > 0 for _, outcome in outcomes):
            raise Unsupported("core NATS has no delayed release", where=self._channel.name)
        self._refuse_if_failed()
        self._unsettled.difference_update(delivery for delivery, _ in outcomes)
        self._wake.set()

    def _came(self, subject: bytes, reply: bytes, headers: bytes | None, data: bytes) -> None:
        if len(self._arrived) >= _BUFFER:
            self._dropped += 1
            return
        message = decode(data, headers, self._subjects.channel(subject))
        if reply:
            message = message.with_metadata(reply_to=reply.decode())
        self._arrived.append(Delivery(message))
        self._wake.set()

    def _complained(self, error: BrokerError) -> None:
        denied = isinstance(error, PermissionDenied)
        named = f'"{self._channel.name.lower()}"' in str(error).lower()
        if named if denied else not self._connection.wire.is_connected:
            self._fail(error)

    def _refuse_if_failed(self) -> None:
        if self._error is not None:
            raise self._error

    def _fail(self, error: BrokerError) -> None:
        self._error = self._error or error
        self._wake.set()
