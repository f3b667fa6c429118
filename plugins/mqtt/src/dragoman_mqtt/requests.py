"""Requests and their replies: response topic and correlation data, one subscription for all of a connection's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import uuid4

from dragoman.errors import BrokerError
from dragoman.message import Channel, Message
from dragoman.replies import Replies
from dragoman_mqtt.confirms import Confirms
from dragoman_mqtt.packets import Publish
from dragoman_mqtt.records import decode
from dragoman_mqtt.settings import MqttSettings
from dragoman_mqtt.topics import Channels
from dragoman_mqtt.wire import Wire


class Requests:
    """Sends requests, gathers replies, and answers."""

    def __init__(self, settings: MqttSettings, confirms: Confirms) -> None:
        self._confirms = confirms
        self._envelope = settings.envelope
        self._prefix = f"{settings.reply_topic}/{uuid4().hex}"
        self._replies: Replies[bytes] = Replies()
        self._channels = Channels("topic")
        self._listening = False
        self._turn = asyncio.Lock()

    def begin(self, wire: Wire) -> None:
        """Use this wire, which has just been opened."""
        self._wire = wire

    async def request(
        self, channel: Channel, message: Message, *, timeout: float | None, expected: int | None
    ) -> Sequence[Message]:
        """See `dragoman.adapter.RequestReply.request`."""
        self._wire.check()
        await self._listen()
        inbox = f"{self._prefix}/{uuid4().hex}"
        correlation = message.get("correlation-id") or uuid4().hex
        asking = message.with_metadata(reply_to=inbox, correlation_id=correlation)

        async def send() -> None:
            await self._confirms.publish(channel, [asking])

        key = inbox.encode()
        return await self._replies.gather(key, send, where=channel.name, timeout=timeout, expected=expected)

    async def _listen(self) -> None:
        async with self._turn:
            if not self._listening:
                await self._wire.subscribe(f"{self._prefix}/+", 1, 0)
                self._listening = True

    async def reply(self, to: Message, replies: Sequence[Message]) -> None:
        """See `dragoman.adapter.RequestReply.reply`."""
        inbox = to.get("reply-to")
        if not inbox:
            return
        correlation = to.get("correlation-id")
        answers = [reply.with_metadata(correlation_id=correlation) if correlation else reply for reply in replies]
        await self._confirms.publish(Channel(inbox, "topic"), answers)

    def came(self, packets: list[Publish]) -> None:
        """Replies, perhaps to requests that had enough."""
        for packet in packets:
            if packet.topic in self._replies:
                channel = self._channels.of(packet.topic)
                self._replies.came(packet.topic, decode(packet, channel, envelope=self._envelope))
            if packet.qos:
                self._wire.settle(packet.number, packet.qos)

    def lost(self, error: BrokerError) -> None:
        """The connection is gone."""
        self._replies.lost(error)
