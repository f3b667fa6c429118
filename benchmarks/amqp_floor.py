"""What RabbitMQ confirms to a client that computes nothing: frames prepared beforehand, on a plain socket.

Nothing but confirmations is read, and each is answered at once with as many messages: all of the time is the broker's.

Source: AMQP 0-9-1, section 4.2.3 (frames), and https://www.rabbitmq.com/docs/confirms.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

from pamqp import body, commands, frame, header

from benchmarks.consuming import BODY, name
from benchmarks.side_by_side import COUNT, IN_FLIGHT, Measured, Run, Stopwatch

#: Frame type, channel, length; class and method; delivery tag, whether it is for all before it, too; the frame's end.
_ACK: Final = struct.Struct(">BHIHHQBB")
_IS_ACK: Final = (13, 60, 80)
_READ: Final = 2**18


def floor(port: int, arguments: Mapping[str, Any], *, persistent: bool) -> Run:
    """Publish to a durable queue with these arguments; whatever is confirmed is followed by as much at once."""

    def run() -> Measured:
        with _Publisher(port, arguments, persistent=persistent) as publisher:
            watch = Stopwatch()
            publisher.publish()
            return watch.over(COUNT)

    return lambda: asyncio.to_thread(run)


class _Publisher:
    def __init__(self, port: int, arguments: Mapping[str, Any], *, persistent: bool) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._queue = queue = name()
        self._open(arguments)
        properties = commands.Basic.Properties(delivery_mode=2 if persistent else 1)
        publish = commands.Basic.Publish(exchange="", routing_key=queue, mandatory=True)
        parts = (publish, header.ContentHeader(body_size=len(BODY), properties=properties), body.ContentBody(BODY))
        self._message = b"".join(frame.marshal(part, 1) for part in parts)
        self._rest = b""

    def _open(self, arguments: Mapping[str, Any]) -> None:
        self._socket.sendall(b"AMQP\0\0\x09\x01")
        self._answer()
        self._call(commands.Connection.StartOk({}, "PLAIN", "\0guest\0guest", "en_US"), 0)
        self._socket.sendall(frame.marshal(commands.Connection.TuneOk(2047, 2**17, 0), 0))
        self._call(commands.Connection.Open("/"), 0)
        self._call(commands.Channel.Open())
        self._call(commands.Queue.Declare(queue=self._queue, durable=True, arguments=dict(arguments)))
        self._call(commands.Confirm.Select())

    def _call(self, method: Any, channel: int = 1) -> None:
        self._socket.sendall(frame.marshal(method, channel))
        self._answer()

    def _answer(self) -> None:
        """Read one frame; the broker sends no other before it is asked again."""
        data = b""
        while len(data) < 8 or len(data) < 8 + int.from_bytes(data[3:7], "big"):
            data += self._some()

    def _some(self) -> bytes:
        data = self._socket.recv(_READ)
        if not data:
            raise ConnectionError("RabbitMQ closed the connection")
        return data

    def publish(self) -> None:
        """Publish them all, and return when they are confirmed."""
        sent, waiting = 0, dict[int, None]()
        while waiting or sent < COUNT:
            more = min(IN_FLIGHT - len(waiting), COUNT - sent)
            waiting |= dict.fromkeys(range(sent + 1, sent + more + 1))
            sent += more
            self._socket.sendall(self._message * more)
            self._confirm(waiting)

    def _confirm(self, waiting: dict[int, None]) -> None:
        data = self._rest + self._some()
        whole = len(data) - len(data) % _ACK.size
        self._rest = data[whole:]
        for _, _, *kind, tag, multiple, _ in _ACK.iter_unpack(data[:whole]):
            if tuple(kind) != _IS_ACK:
                raise ConnectionError(f"RabbitMQ sent something else than a confirmation: {kind}")
            if multiple:
                while waiting and (first := next(iter(waiting))) <= tag:
                    del waiting[first]
            else:
                waiting.pop(tag, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
