"""Publishing to JetStream: one inbox for all confirmations, one future for each call instead of each message."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Final

from dragoman.errors import (
    BrokerError,
    ChannelNotFound,
    PayloadTooLarge,
    PermissionDenied,
    PublishFailed,
)
from dragoman.message import Message
from dragoman_nats.boundary import refusal
from dragoman_nats.connection import Connection
from dragoman_nats.records import encode_headers, status_of

#: Messages without a confirmation yet; a further publish waits.
_LIMIT: Final = 8_192


class _Call:
    """What one call of `publish` waits for."""

    __slots__ = ("channel", "done", "left", "numbers")

    def __init__(self, channel: str, count: int, done: asyncio.Future[None]) -> None:
        self.channel, self.left, self.done = channel, count, done
        self.numbers = range(0)

    def confirmed(self) -> None:
        self.left -= 1
        if self.left == 0 and not self.done.done():
            self.done.set_result(None)

    def failed(self, error: BrokerError) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class Confirms:
    """Sends messages and waits until the stream has them."""

    def __init__(self, connection: Connection, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout
        self._waiting: dict[int, _Call] = {}
        self._next = 0
        self._prefix = connection.wire.new_inbox()
        self._turn = asyncio.Lock()
        self._room = asyncio.Event()
        self._stop_listening = connection.listen(self._complained)

    async def open(self) -> None:
        """Subscribe the inbox."""
        await self._connection.wire.attach(f"{self._prefix}.*", self._answered)

    def close(self) -> None:
        """Stop listening."""
        self._stop_listening()

    async def publish(self, subject: str, messages: Sequence[Message]) -> None:
        """Send and wait for the confirmations; see `dragoman.adapter.Adapter.publish`."""
        encoded = [(encode_headers(message), message.data) for message in messages]
        limit = self._connection.wire.max_payload
        for headers, data in encoded:
            if len(data) + len(headers or b"") > limit:
                raise PayloadTooLarge(
                    f"a message of {len(data)} bytes with {len(headers or b'')} bytes of headers",
                    where=subject,
                    expected=f"at most {limit} bytes together",
                )
        # In turns of what the table holds: messages keep the order in which the calls began.
        for start in range(0, len(encoded), _LIMIT):
            await self._send(subject, encoded[start : start + _LIMIT])

    async def _send(self, subject: str, encoded: Sequence[tuple[bytes | None, bytes]]) -> None:
        loop = asyncio.get_running_loop()
        call = _Call(subject, len(encoded), loop.create_future())
        # A timer of the loop's own costs a third of `asyncio.timeout`, and this runs for every call.
        timer = loop.call_later(self._timeout, self._expired, call)
        try:
            if self._turn.locked() or len(self._waiting) + len(encoded) > _LIMIT:
                await self._wait_for_room(call)
            self._connection.check()
            self._put(call, encoded)
            await self._connection.wire.written()
            await call.done
        finally:
            timer.cancel()
            for number in call.numbers:
                self._waiting.pop(number, None)
            self._room.set()

    def _put(self, call: _Call, encoded: Sequence[tuple[bytes | None, bytes]]) -> None:
        first = self._next
        self._next += len(encoded)
        call.numbers = range(first, self._next)
        send, waiting, prefix, subject = self._connection.wire.send, self._waiting, self._prefix, call.channel
        for number, (headers, data) in zip(call.numbers, encoded, strict=True):
            waiting[number] = call
            send(subject, f"{prefix}.{number}", headers, data)

    async def _wait_for_room(self, call: _Call) -> None:
        async with self._turn:  # first come, first served: the order of the calls is the order of the messages
            while len(self._waiting) + call.left > _LIMIT:
                if call.done.done():
                    return
                self._room.clear()
                await self._room.wait()

    def _expired(self, call: _Call) -> None:
        sent = len(call.numbers)
        what = f"the server confirmed {sent - call.left} of {sent} messages" if sent else "the server confirms nothing"
        what += f" within {self._timeout:g} s"
        call.failed(PublishFailed(what, where=call.channel, outcome_unknown=bool(sent)))
        self._room.set()

    def _answered(self, subject: bytes, _reply: bytes, headers: bytes | None, data: bytes) -> None:
        call = self._waiting.pop(int(subject.rpartition(b".")[2]), None)
        if call is None:
            return  # it came after its call had given up
        if (status := status_of(headers)) is not None:
            call.failed(
                ChannelNotFound(
                    f"no stream takes this subject (status {status.code})",
                    where=call.channel,
                    hint="create the stream, or set streams = 'create'",
                )
            )
        elif b'"error"' in data and "error" in (answer := json.loads(data)):
            call.failed(refusal(answer["error"], call.channel))
        else:
            call.confirmed()

    def _complained(self, error: BrokerError) -> None:
        # A permissions violation names its subject and no message: it fails the calls to that subject.
        denied = isinstance(error, PermissionDenied)
        for call in {id(call): call for call in self._waiting.values()}.values():
            if f'"{call.channel.lower()}"' in str(error).lower() if denied else not self._connection.wire.is_connected:
                call.failed(self._unknown(error, call))

    def _unknown(self, error: BrokerError, call: _Call) -> BrokerError:
        if isinstance(error, PermissionDenied) or not call.numbers:
            return error
        what = f"{error.what} before the server confirmed"
        return PublishFailed(what, where=call.channel, outcome_unknown=True)
