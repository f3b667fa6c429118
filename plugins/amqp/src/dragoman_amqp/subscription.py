"""Deliveries from one queue: pushed by the broker up to the prefetch, pulled by the host."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from pamqp import commands

from dragoman.adapter import Accept, Delivery, Outcome, Release, SubscribeOptions
from dragoman.errors import BrokerError, Unsupported
from dragoman.message import Channel
from dragoman_amqp import boundary, channels
from dragoman_amqp.extensions import Extensions
from dragoman_amqp.properties import text
from dragoman_amqp.records import to_message
from dragoman_amqp.topology import Topology
from dragoman_amqp.wire import Wire


class AmqpSubscription(channels.Listener):
    """A `dragoman.adapter.Subscription`, and a `Lag`."""

    def __init__(self, wire: Wire, topology: Topology, channel: Channel) -> None:
        self._wire = wire
        self._topology = topology
        self._channel = channel
        self._subject = ""
        self._queue = ""
        self._amqp: channels.Channel | None = None
        self._arrived: deque[Delivery] = deque()
        self._unsettled: dict[int, Delivery] = {}
        self._accepted: list[int] = []
        self._wake = asyncio.Event()
        self._error: BrokerError | None = None
        self._loop = asyncio.get_running_loop()

    async def open(self, options: SubscribeOptions, extensions: Extensions, timeout: float) -> None:
        """Subscribe; returns when the broker has confirmed it. Cancelling it leaves no consumer behind.

        Raises:
            The errors of `dragoman.adapter.Adapter.subscribe`.
        """
        where = str(self._channel)
        queue = await self._topology.source(self._channel, options.group)
        self._amqp = await channels.Channel.open(self._wire, self, where=where, timeout=timeout)
        try:
            self._queue = queue if queue is not None else await self._own_queue(self._amqp, extensions)
            await self._amqp.call(commands.Basic.Qos(prefetch_count=min(options.prefetch, 65535)))
            await self._amqp.call(
                commands.Basic.Consume(
                    queue=self._queue, exclusive=extensions.exclusive, arguments=extensions.arguments()
                )
            )
        except BaseException:
            self._amqp.abandon()
            raise

    async def _own_queue(self, amqp: channels.Channel, extensions: Extensions) -> str:
        keys = extensions.binding_keys or (self._channel.name,)
        [declare] = self._topology.own_queue(self._channel, keys)
        answer: Any = await amqp.call(declare)
        queue = str(answer.queue)
        heard = [] if extensions.binding_keys else await self._topology.hearing(self._channel, queue)
        for bind in (*self._topology.own_queue(self._channel, keys, queue), *heard):
            await amqp.call(bind)
        return queue

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """See `dragoman.adapter.Subscription.receive`."""
        while not self._arrived:
            if self._error is not None:
                raise self._error
            self._wake.clear()
            await self._wake.wait()
        arrived = self._arrived
        if len(arrived) <= limit:
            batch = list(arrived)
            arrived.clear()
            return batch
        return [arrived.popleft() for _ in range(limit)]

    async def settle(self, outcomes: Sequence[tuple[Delivery, Outcome]]) -> None:
        """See `dragoman.adapter.Subscription.settle`.

        Returns when they are on their way: AMQP confirms none, and one that is lost only brings the message again.
        """
        if self._error is not None:
            raise self._error
        for _, outcome in outcomes:
            if isinstance(outcome, Release) and outcome.delay:
                raise Unsupported("AMQP can't delay what is released", where=str(self._channel))
        for delivery, outcome in outcomes:
            if self._unsettled.get(delivery.token) is delivery:
                del self._unsettled[delivery.token]
                self._settled(delivery.token, outcome)
        if self._wire.congested:
            await self._wire.room()

    def _settled(self, tag: int, outcome: Outcome) -> None:
        if isinstance(outcome, Accept):
            if not self._accepted:
                self._loop.call_soon(self._acknowledge)
            self._accepted.append(tag)
        elif self._amqp is not None:
            self._amqp.negative(tag, requeue=isinstance(outcome, Release))

    def _acknowledge(self) -> None:
        """One acknowledgement for all up to the first that is unsettled, and one for each after it."""
        accepted, self._accepted = sorted(self._accepted), []
        if self._amqp is None or self._amqp.error is not None or not accepted:
            return
        first = next(iter(self._unsettled), None)
        together = [tag for tag in accepted if first is None or tag < first]
        if together:
            self._amqp.acknowledge(together[-1], multiple=True)
        for tag in accepted[len(together) :]:
            self._amqp.acknowledge(tag)

    async def lag(self) -> int:
        """See `dragoman.adapter.Lag.lag`; asks the broker.

        Raises:
            BrokerError: the broker does not say.
        """
        if self._error is not None:
            raise self._error
        return await self._topology.waiting(self._queue) + len(self._arrived)

    async def close(self) -> None:
        """Give back what is unsettled; returns when the broker has it. Idempotent; closes also when cancelled."""
        self._acknowledge()
        self.ended(boundary.closed(str(self._channel)))
        if self._amqp is not None:
            await self._amqp.close()

    # Listener

    def delivered(self, tag: int, key: bytes, properties: bytes, body: bytes, *, redelivered: bool) -> None:
        """See `dragoman_amqp.channels.Listener`."""
        channel, subject = self._arrival(key)
        message, count = to_message(properties, body, channel, subject)
        if count is not None:
            count += 1
        else:
            count = 2 if redelivered else 1
        delivery = Delivery(message, message.key, count, tag)
        self._unsettled[tag] = delivery
        self._arrived.append(delivery)
        self._wake.set()

    def _arrival(self, key: bytes) -> tuple[Channel, str]:
        """The channel of a routing key, and the subject where it says more than the channel."""
        name = text(key)
        if name == self._channel.name or not name:
            return self._channel, ""
        if self._channel.kind == "topic":
            return Channel(name, "topic"), ""
        return self._channel, name

    def ended(self, error: BrokerError) -> None:
        """See `dragoman_amqp.channels.Listener`."""
        if self._error is None:
            self._error = error
        self._arrived.clear()
        self._unsettled.clear()
        self._wake.set()
