"""A session at the broker: one connection and one filter, whose messages the subscriptions to it here share.

Each filter has a connection of its own. So a subscription that stands still holds up no other, filters that overlap do
not mix, and what comes while a queue has no subscription stays at the broker.
"""

from __future__ import annotations

import asyncio
from collections import deque
from hashlib import blake2s
from typing import Final, Self
from uuid import uuid4

from dragoman.adapter import Delivery
from dragoman.errors import BrokerError
from dragoman_mqtt import slots
from dragoman_mqtt.boundary import closed
from dragoman_mqtt.packets import Publish
from dragoman_mqtt.records import decode
from dragoman_mqtt.settings import MqttSettings
from dragoman_mqtt.subscribing import Wanted
from dragoman_mqtt.topics import Channels
from dragoman_mqtt.wire import Wire

#: Messages in our hands at which reading pauses, where the broker has no bound of its own: QoS 0, and MQTT 3.1.1.
_MUCH: Final = 4_096


class Member:
    """One subscription's part in a session.

    Attributes:
        unsettled: what it has in hand, in the order of arrival.
        changed: set when there may be something to do.
    """

    def __init__(self) -> None:
        self.unsettled: dict[Delivery, None] = {}
        self.changed = asyncio.Event()


class Session:
    """A `dragoman_mqtt.wire.Sink` for one filter.

    Attributes:
        arrived: deliveries that nobody has taken yet.
        members: the subscriptions that share it.
        error: why it has ended, or None.
    """

    def __init__(self, settings: MqttSettings, wanted: Wanted) -> None:
        self.arrived: deque[Delivery] = deque()
        self.members: list[Member] = []
        self.error: BrokerError | None = None
        self._released: list[Delivery] = []
        self._settings, self._wanted = settings, wanted
        self._channels = Channels(wanted.channel.kind)
        self._much = max(_MUCH, wanted.prefetch)
        self._slot: slots.Slot | None = None
        self._wire: Wire | None = None

    async def open(self) -> Self:
        """Connect and subscribe; returns when the broker has confirmed it.

        Raises:
            ConnectionLost, AuthenticationFailed, PermissionDenied, Unsupported: as the broker says.
        """
        wanted = self._wanted
        try:
            name = self._name()
            self._wire = Wire(self._settings, name, self, keep=wanted.kept, prefetch=wanted.prefetch)
            await self._wire.open()
            await self._wire.subscribe(wanted.filter, wanted.qos, wanted.retain_handling)
        except BaseException:
            self.drop()
            raise
        return self

    def _name(self) -> str:
        if not self._wanted.kept:
            return f"{self._settings.client_id}.{uuid4().hex[:12]}"
        what = f"{self._wanted.channel.kind} {self._wanted.group} {self._wanted.filter}"
        name = f"{self._settings.client_id}.{blake2s(what.encode(), digest_size=6).hexdigest()}"
        self._slot = slots.take(f"{self._settings.where} {name}")
        return f"{name}.{self._slot.number}" if self._slot.number else name

    def came(self, packets: list[Publish]) -> None:
        """See `Sink`."""
        envelope, channels, arrived = self._settings.envelope, self._channels, self.arrived
        for packet in packets:
            message = decode(packet, channels.of(packet.topic), envelope=envelope)
            arrived.append(Delivery(message, message.key, 1, packet))
        if len(arrived) > self._much and self._wire is not None:
            self._wire.pause(on=True)
        self._tell()

    def confirmed(self, number: int, reason: int) -> None:
        """See `Sink`: nothing is published here."""

    def lost(self, error: BrokerError) -> None:
        """See `Sink`. What was not taken yet comes again with the resumed session."""
        if self.error is None:
            self.error = error
            self.arrived.clear()
            self._tell()

    def take(self, limit: int) -> list[Delivery]:
        """What has arrived, at most so many."""
        arrived = self.arrived
        taken = [arrived.popleft() for _ in range(min(limit, len(arrived)))]
        if self._wire is not None and self._wire.paused and len(arrived) < self._much // 2:
            self._wire.pause(on=False)
        return taken

    def done(self, delivery: Delivery) -> None:
        """Tell the broker that a delivery is done."""
        packet: Publish = delivery.token
        if packet.qos and self._wire is not None:
            self._wire.settle(packet.number, packet.qos)

    def release(self, delivery: Delivery) -> None:
        """Keep a delivery for the next subscription. Where the session ends with this one, nobody will have it."""
        if self._wanted.kept:
            self._released.append(delivery)
        else:
            self.done(delivery)

    def join(self, member: Member) -> None:
        """A further subscription; it gets what was released before."""
        self.members.append(member)
        self._return(self._released)
        self._released = []

    def leave(self, member: Member) -> None:
        """A subscription ends; what it held goes to those that stay."""
        if member in self.members:
            self.members.remove(member)
            self._return([*member.unsettled, *self._released])
            self._released = []

    def _return(self, deliveries: list[Delivery]) -> None:
        if self.members and self.error is None:
            self.arrived.extendleft(reversed(deliveries))
            self._tell()

    def _tell(self) -> None:
        for member in self.members:
            member.changed.set()

    async def close(self) -> None:
        """End the connection; the broker keeps what is unsettled. Idempotent; closes also when cancelled."""
        self.lost(closed(self._wanted.channel.name))
        try:
            if self._wire is not None:
                if self._wanted.shared and self._slot is not None and self._slot.number:
                    # The first session stays subscribed for the group. A further one that is not there would take
                    # messages that the others could have.
                    self._wire.unsubscribe(self._wanted.filter)
                await self._wire.close()
        finally:
            self.drop()

    def drop(self) -> None:
        """End the connection at once. Idempotent."""
        self.lost(closed(self._wanted.channel.name))
        if self._wire is not None:
            self._wire.drop()
            # While an abandoned connection is on its way, nobody else may have the session that it would take over.
            self._wire.when_gone(self._release)
        else:
            self._release()

    def _release(self) -> None:
        if self._slot is not None:
            self._slot.release()
