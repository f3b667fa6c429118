"""The adapter `mqtt`: a connection for publishing and requests, and one for each session that is subscribed to."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from uuid import uuid4

from dragoman.adapter import SubscribeOptions, Subscription
from dragoman.errors import BrokerError
from dragoman.message import Channel, Message
from dragoman_mqtt.confirms import Confirms
from dragoman_mqtt.requests import Requests
from dragoman_mqtt.settings import MqttSettings
from dragoman_mqtt.subscription import MqttSubscription, Sessions
from dragoman_mqtt.wire import Wire


class _Sender:
    """What comes on the connection for publishing: confirmations and replies."""

    def __init__(self, confirms: Confirms, requests: Requests) -> None:
        self._confirms, self._requests = confirms, requests
        self.came = requests.came
        self.confirmed = confirms.confirmed

    def lost(self, error: BrokerError) -> None:
        self._confirms.lost(error)
        self._requests.lost(error)


class MqttAdapter:
    """MQTT, at least once."""

    def __init__(self, settings: MqttSettings) -> None:
        self._settings = settings
        self._confirms = Confirms(settings)
        self._requests = Requests(settings, self._confirms)
        self._sessions = Sessions(settings)
        name = f"{settings.client_id}.{uuid4().hex[:12]}"
        self._wire = Wire(settings, name, _Sender(self._confirms, self._requests), will=settings.will)

    async def open(self) -> None:
        """Connect. Raises ConnectionLost, AuthenticationFailed."""
        await self._wire.open()
        self._confirms.begin(self._wire)
        self._requests.begin(self._wire)

    async def publish(self, channel: Channel, messages: Sequence[Message]) -> None:
        """See `dragoman.adapter.Adapter.publish`."""
        await self._confirms.publish(channel, messages)

    def subscribe(self, channel: Channel, options: SubscribeOptions) -> AbstractAsyncContextManager[Subscription]:
        """See `dragoman.adapter.Adapter.subscribe`."""
        return MqttSubscription(self._sessions, self._settings, channel, options)

    async def request(
        self, channel: Channel, message: Message, *, timeout: float | None, expected: int | None
    ) -> Sequence[Message]:
        """See `dragoman.adapter.RequestReply.request`."""
        return await self._requests.request(channel, message, timeout=timeout, expected=expected)

    async def reply(self, to: Message, replies: Sequence[Message]) -> None:
        """See `dragoman.adapter.RequestReply.reply`."""
        await self._requests.reply(to, replies)

    async def close(self) -> None:
        """See `dragoman.adapter.Adapter.close`."""
        try:
            await self._sessions.close()
        finally:
            await self._wire.close()


async def connect(settings: MqttSettings) -> MqttAdapter:
    """Connect. Raises ConnectionLost, AuthenticationFailed."""
    adapter = MqttAdapter(settings)
    await adapter.open()
    return adapter
