"""Publishing: one table of unconfirmed messages, one future for each call instead of each message.

Never more are unconfirmed than the broker takes at once; what is beyond waits here, in the order of the calls.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

from dragoman.errors import BrokerError, PayloadTooLarge, PublishFailed
from dragoman.message import Channel, Message
from dragoman_mqtt.boundary import NOBODY, refusal
from dragoman_mqtt.packets import publish
from dragoman_mqtt.records import Outgoing, encode, encode_plain
from dragoman_mqtt.settings import MqttSettings
from dragoman_mqtt.topics import check_topic
from dragoman_mqtt.wire import Wire

#: What a packet has beside topic, properties and body, in bytes, at most.
_HEAD: Final = 9
_NOBODY: Final = "nobody is subscribed to this queue: the broker dropped the message"


class _Call:
    """What one call of `publish` sends, and waits for."""

    __slots__ = ("channel", "done", "left", "messages", "seen", "sent", "topic")

    def __init__(
        self, channel: Channel, topic: bytes, messages: Sequence[Outgoing], done: asyncio.Future[None]
    ) -> None:
        self.channel, self.topic, self.messages, self.done = channel, topic, messages, done
        self.left = len(messages)
        self.sent = self.seen = 0

    def confirmed(self) -> None:
        self.left -= 1
        if self.left == 0 and not self.done.done():
            self.done.set_result(None)

    def failed(self, error: BrokerError) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class Confirms:
    """Sends messages and waits until the broker has them."""

    def __init__(self, settings: MqttSettings) -> None:
        self._settings = settings
        self._waiting: dict[int, _Call] = {}
        self._queue: deque[_Call] = deque()
        self._window = 1
        self._answers = 0

    def begin(self, wire: Wire) -> None:
        """Send through this wire, which has just been opened."""
        self._wire = wire
        self._window = min(wire.receive_maximum, self._settings.max_in_flight)

    async def publish(self, channel: Channel, messages: Sequence[Message]) -> None:
        """See `dragoman.adapter.Adapter.publish`."""
        self._wire.check()
        topic = check_topic(channel.name)
        encoded = [self._encoded(message, channel, topic) for message in messages]
        if not encoded:
            return
        loop = asyncio.get_running_loop()
        call = _Call(channel, topic, encoded, loop.create_future())
        call.seen = self._answers
        # A timer of the loop's own costs a third of `asyncio.timeout`, and this runs for every call.
        timer = loop.call_later(self._settings.publish_timeout, self._expired, call)
        self._queue.append(call)
        try:
            self._pump()
            await call.done
            if not all(message.qos for message in encoded):
                await self._wire.sync()  # nobody confirms QoS 0, but an answer says that it was read
        finally:
            timer.cancel()
            if call.sent < len(encoded) and not call.done.done():
                call.done.cancel()  # what is left of it is not sent any more

    def _encoded(self, message: Message, channel: Channel, topic: bytes) -> Outgoing:
        qos = self._settings.qos
        out = encode(message, qos) if self._wire.v5 else encode_plain(message, qos, envelope=self._settings.envelope)
        size = _HEAD + len(topic) + len(out.properties) + len(out.body)
        if size > self._wire.maximum_packet:
            raise PayloadTooLarge(
                f"a message of {len(message.data)} bytes, {size} with topic and properties",
                where=channel.name,
                expected=f"at most {self._wire.maximum_packet} bytes together",
            )
        self._wire.refuse(out.qos, retain=out.retain, where=channel.name)
        return out

    def _pump(self) -> None:
        queue, waiting, wire = self._queue, self._waiting, self._wire
        while queue and len(waiting) < self._window:
            call = queue[0]
            if call.done.done():
                queue.popleft()
                continue
            message = call.messages[call.sent]
            call.sent += 1
            if call.sent == len(call.messages):
                queue.popleft()
            number = self._number_for(call) if message.qos else 0
            wire.send(
                publish(
                    call.topic,
                    number,
                    message.qos,
                    retain=message.retain,
                    properties=message.properties,
                    body=message.body,
                )
            )
            if not number:
                call.confirmed()

    def _number_for(self, call: _Call) -> int:
        number = self._wire.new_number()
        self._wire.numbers.add(number)
        self._waiting[number] = call
        return number

    def confirmed(self, number: int, reason: int) -> None:
        """The broker has a message, or refused it."""
        call = self._waiting.pop(number, None)
        if call is None:
            return  # no number of ours
        self._answers += 1
        self._wire.numbers.discard(number)
        if reason:
            self._answered(call, reason)
        else:
            call.confirmed()
        if self._queue:
            self._pump()

    def _answered(self, call: _Call, reason: int) -> None:
        if reason == NOBODY and self._settings.mandatory and call.channel.kind == "queue":
            call.failed(PublishFailed(_NOBODY, where=call.channel.name, hint="mandatory = false makes this no error"))
        elif problem := refusal(reason, call.channel.name, publishing=True):
            call.failed(problem)
        else:
            call.confirmed()

    def _expired(self, call: _Call) -> None:
        if call.done.done():
            return
        timeout = self._settings.publish_timeout
        if call.seen != self._answers:  # it goes on, slowly: it is confirmed in its turn
            call.seen = self._answers
            asyncio.get_running_loop().call_later(timeout, self._expired, call)
            return
        what = f"the broker confirmed {len(call.messages) - call.left} of {len(call.messages)} messages"
        what += f", and nothing for {timeout:g} s"
        call.failed(PublishFailed(what, where=call.channel.name, outcome_unknown=bool(call.sent)))

    def lost(self, error: BrokerError) -> None:
        """The connection is gone."""
        for call in {id(call): call for call in (*self._waiting.values(), *self._queue)}.values():
            call.failed(_unknown(error, call))
        self._waiting.clear()
        self._queue.clear()


def _unknown(error: BrokerError, call: _Call) -> BrokerError:
    if not call.sent:
        return error
    what = f"{error.what}, before the broker confirmed"
    return PublishFailed(what, where=call.channel.name, outcome_unknown=True)
