"""AMQP channels of our own: calls and their answers, deliveries, confirmations.

The methods that come with each message are read and written by hand; all others by pamqp.

Source: AMQP 0-9-1, sections 4.2.4 to 4.2.6, and RabbitMQ's confirmations, https://www.rabbitmq.com/docs/confirms.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, Self

from pamqp import commands, frame
from pamqp.base import Frame

from dragoman.errors import BrokerError, ConnectionLost, TimedOut
from dragoman_amqp import boundary
from dragoman_amqp.properties import short
from dragoman_amqp.wire import Wire

_FRAME: Final = struct.Struct(">BHI")
_METHOD: Final = struct.Struct(">HH")
_TAGGED: Final = struct.Struct(">QB")
_BODY_SIZE: Final = struct.Struct(">Q")
_CONTENT: Final = struct.Struct(">BHIHHQ")
_ACK: Final = struct.Struct(">BHIHHQBB")
_END: Final = b"\xce"
_PROPERTIES: Final = 12  # where they begin in a content header
_BASIC: Final = 60
_PUBLISH, _RETURN, _DELIVER, _ACK_METHOD, _NACK_METHOD = 40, 50, 60, 80, 120
_CLOSE_SECONDS: Final = 2.0


class Listener:
    """What a channel tells whoever opened it; each of these never blocks. Says nothing to nobody by itself."""

    def delivered(self, tag: int, key: bytes, properties: bytes, body: bytes, *, redelivered: bool) -> None:
        """A message came: its delivery tag, its routing key, its properties with their flags in front, its body."""

    def confirmed(self, tag: int, *, multiple: bool, taken: bool) -> None:
        """The broker has the message with that number, or refused it; with `multiple`, also all before it."""

    def returned(self, refusal: BrokerError, properties: bytes, body: bytes) -> None:
        """A message could not be routed; its confirmation follows."""

    def ended(self, error: BrokerError) -> None:
        """The channel is of no more use."""


class Channel:
    """One AMQP channel.

    Attributes:
        number: its number on the wire.
        error: why it is of no more use, or None.
    """

    def __init__(self, wire: Wire, listener: Listener, where: str, timeout: float) -> None:
        self._wire = wire
        self._listener = listener
        self._where = where
        self._timeout = timeout
        self._answers: deque[asyncio.Future[Frame]] = deque()
        self._content: tuple[int, bytes] = (0, b"")  # the method that the next content belongs to
        self._properties = b""
        self._missing = 0
        self._pieces: list[bytes] = []
        self._closing = False
        self._closed = asyncio.Event()
        self.error: BrokerError | None = None
        self.number = wire.attach(self)

    @classmethod
    async def open(cls, wire: Wire, listener: Listener, *, where: str, timeout: float) -> Self:
        """Open a channel. Cancelling it leaves none behind.

        Raises:
            BrokerError: the connection is lost, or the broker refuses.
        """
        channel = cls(wire, listener, where, timeout)
        try:
            await channel.call(commands.Channel.Open())
        except BaseException:
            channel.abandon()
            raise
        return channel

    # Calls

    async def call(self, method: Frame) -> Any:
        """Send a method and wait for its answer. Cancel-safe: a later call gets its own answer all the same.

        Raises:
            BrokerError: the broker refused, which ends the channel; or the connection was lost.
            TimedOut: no answer within the time; the channel is of no more use.
        """
        if self.error is not None:
            raise self.error
        answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        self.send(method)
        try:
            async with asyncio.timeout(self._timeout) as limit:
                return await answer
        except TimeoutError as error:
            if not limit.expired():
                raise
            late = TimedOut(f"no answer to {method.name} within {self._timeout:g} s", where=self._where)
            self.fail(late)
            raise late from error

    def send(self, method: Frame) -> None:
        """Send a method that has no answer. Never blocks."""
        self._wire.send(frame.marshal(method, self.number))

    def acknowledge(self, tag: int, *, multiple: bool = False) -> None:
        """Accept a delivery; with `multiple`, also all before it. Never blocks."""
        self._wire.send(_ACK.pack(1, self.number, 13, _BASIC, _ACK_METHOD, tag, multiple, 0xCE))

    def negative(self, tag: int, *, requeue: bool) -> None:
        """Give a delivery back, or refuse it for good. Never blocks."""
        self._wire.send(_ACK.pack(1, self.number, 13, _BASIC, _NACK_METHOD, tag, requeue << 1, 0xCE))

    def route(self, exchange: str, key: str, *, mandatory: bool) -> bytes:
        """The frame of `Basic.Publish` for that way, the same for each message that goes it."""
        method = _METHOD.pack(_BASIC, _PUBLISH) + b"\0\0" + short(exchange) + short(key) + bytes((mandatory,))
        return _FRAME.pack(1, self.number, len(method)) + method + _END

    def publish(self, route: bytes, properties: bytes, body: bytes) -> None:
        """Send a message, all its frames in one go. Never blocks."""
        size, largest = len(body), self._wire.body_max
        header = _CONTENT.pack(2, self.number, _PROPERTIES + len(properties), _BASIC, 0, size)
        if 0 < size <= largest:
            piece = _FRAME.pack(3, self.number, size)
            self._wire.send(b"".join((route, header, properties, _END, piece, body, _END)))
            return
        parts = [route, header, properties, _END]
        for at in range(0, size, largest):
            piece = body[at : at + largest]
            parts += (_FRAME.pack(3, self.number, len(piece)), piece, _END)
        self._wire.send(b"".join(parts))

    # The end

    def fail(self, error: BrokerError) -> None:
        """It is of no more use to us: tell whoever waits, and have the broker end it too. Never blocks."""
        self._end(error)
        self.abandon()

    def abandon(self) -> None:
        """Close without waiting; the number is free again when the broker has answered. Never blocks."""
        if not self._closing:
            self._closing = True
            self._end(boundary.closed(self._where))
            if self._wire.error is None:
                self.send(commands.Channel.Close(200, "", 0, 0))
            else:
                self._closed.set()

    async def close(self) -> None:
        """Close, and wait until the broker has taken everything back. Idempotent; closes also when cancelled."""
        self.abandon()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._closed.wait()

    def lost(self, error: BrokerError) -> None:
        """See `dragoman_amqp.wire.Frames`."""
        self._closing = True
        self._closed.set()
        self._end(error)

    def _end(self, error: BrokerError) -> None:
        if self.error is not None:
            return
        self.error = error
        for answer in self._answers:
            if not answer.done():
                answer.set_exception(error)
                answer.exception()  # whoever waited may have been cancelled; that is no lost exception
        self._answers.clear()
        self._listener.ended(error)

    # What comes

    def frame(self, kind: int, payload: bytes) -> None:
        """See `dragoman_amqp.wire.Frames`."""
        if kind == 1:
            self._method(payload)
        elif kind == 2:
            (self._missing,) = _BODY_SIZE.unpack_from(payload, 4)
            self._properties = payload[_PROPERTIES:]
            if not self._missing:
                self._complete(b"")
        elif kind == 3:
            self._missing -= len(payload)
            if self._missing or self._pieces:
                self._piece(payload)
            else:
                self._complete(payload)

    def _piece(self, payload: bytes) -> None:
        self._pieces.append(payload)
        if self._missing <= 0:
            pieces, self._pieces = self._pieces, []
            self._complete(b"".join(pieces))

    def _method(self, payload: bytes) -> None:
        group, method = _METHOD.unpack_from(payload)
        if group == _BASIC and method in (_DELIVER, _RETURN):
            self._content = method, payload
        elif group == _BASIC and method in (_ACK_METHOD, _NACK_METHOD):
            tag, bits = _TAGGED.unpack_from(payload, 4)
            self._listener.confirmed(tag, multiple=bits & 1 == 1, taken=method == _ACK_METHOD)
        else:
            self._other(_unmarshalled(payload))

    def _complete(self, body: bytes) -> None:
        method, payload = self._content
        if self.error is not None:
            return
        if method == _DELIVER:
            # consumer-tag short, delivery-tag 64, redelivered 8, exchange short, routing-key short
            at = 5 + payload[4]
            tag, redelivered = _TAGGED.unpack_from(payload, at)
            key = payload[at + 11 + payload[at + 9] :]
            self._listener.delivered(tag, key, self._properties, body, redelivered=redelivered & 1 == 1)
        else:
            news: Any = _unmarshalled(payload)
            refusal = boundary.refused(news.reply_code, news.reply_text, self._where)
            self._listener.returned(refusal, self._properties, body)

    def _other(self, method: Frame) -> None:
        if isinstance(method, commands.Channel.Close):
            self._closed_by_broker(method)
        elif isinstance(method, commands.Channel.CloseOk):
            self._wire.detach(self.number)
            self._closed.set()
        elif isinstance(method, commands.Basic.Cancel):
            self.fail(
                ConnectionLost("the broker ended the subscription: its queue was deleted or moved", where=self._where)
            )
        elif isinstance(method, commands.Channel.Flow):
            self.send(commands.Channel.FlowOk(method.active))
        elif self._answers:
            answer = self._answers.popleft()
            if not answer.done():
                answer.set_result(method)

    def _closed_by_broker(self, close: commands.Channel.Close) -> None:
        self._closing = True
        self.send(commands.Channel.CloseOk())
        self._wire.detach(self.number)
        self._closed.set()
        self._end(boundary.refused(close.reply_code, close.reply_text, self._where))


def _unmarshalled(payload: bytes) -> Frame:
    (index,) = struct.unpack_from(">I", payload)
    method: Frame = commands.INDEX_MAPPING[index]()
    method.unmarshal(payload[4:])
    return method


async def once(wire: Wire, methods: Sequence[Frame], *, where: str, timeout: float) -> list[Any]:
    """Call methods on a channel of their own, in order, all sent at once; their answers.

    A refusal ends the channel on which it is made, so that what else the connection does goes on.

    Raises:
        BrokerError: the broker refused one of them, and did none of those after it.
    """
    channel = await Channel.open(wire, Listener(), where=where, timeout=timeout)
    try:
        return [await channel.call(method) for method in methods]
    finally:
        channel.abandon()
