"""The layer below aiormq's public API, all of it: what comes from the socket, and what goes there.

aiormq makes the connection (handshake, authentication, heartbeats, the orderly end), on a transport that we give it.
This protocol hands it the frames of channel 0 only. Those of every other channel go straight to the channels of
`channels.py`: no task, no queue and no await for each of them, which is what makes aiormq's own channels slow.

`tests/plugins/amqp/test_wire.py` would notice a release of aiormq for which this is no longer true.

Source: AMQP 0-9-1, section 4.2.3 (frames).
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from typing import Any, Final, Protocol, cast

from aiormq.connection import Connection, TransportFactory
from aiormq.exceptions import ProbableAuthenticationError
from pamqp import commands, frame
from yarl import URL

from dragoman.errors import BrokerError, ConnectionLost
from dragoman_amqp.boundary import refused

_HEAD: Final = struct.Struct(">BHI")
_HEAD_SIZE: Final = 7
_END: Final = 0xCE
_HEARTBEAT: Final = b"\x08\x00\x00\x00\x00\x00\x00\xce"
_CLOSE_OK: Final = frame.marshal(commands.Connection.CloseOk(), 0)
_METHOD: Final = 1
_METHOD_ID: Final = struct.Struct(">HH")
_CLOSE: Final = (10, 50)
_BLOCKED: Final = (10, 60)
_UNBLOCKED: Final = (10, 61)
#: Bytes that may wait for the socket before publishers wait too.
_HIGH_WATER: Final = 2**20
#: Bytes of a frame before the connection is tuned; afterwards it is what both sides agreed upon.
_LARGEST: Final = 2**20


class Frames(Protocol):
    """One channel's end of the wire."""

    def frame(self, kind: int, payload: bytes) -> None:
        """A frame came. Never blocks."""

    def lost(self, error: BrokerError) -> None:
        """Nothing comes any more. Never blocks."""


class Wire(asyncio.StreamReaderProtocol):
    """The socket, shared by aiormq (channel 0) and by our channels.

    Attributes:
        error: why the connection is of no more use, or None.
        blocked: why the broker takes no messages for now (a memory or disk alarm), or None.
        refusal: why the broker did not open the connection, or None; aiormq keeps it to itself.
        gone: done when the socket is closed.
    """

    def __init__(self, place: str) -> None:
        # The reader of our own class's base is never read: aiormq gets one that holds channel 0 only.
        self._unread = asyncio.StreamReader()
        super().__init__(self._unread)
        self._place = place
        self._loop = asyncio.get_running_loop()
        self._control = asyncio.StreamReader()
        self._fed = 0.0
        self._transport: asyncio.Transport | None = None
        self._channels: dict[int, Frames] = {}
        self._next = 0
        self._channel_max = 2047
        self._frame_max = _LARGEST
        self._open = False
        self._rest = b""
        self._out: list[bytes] = []
        self._flushing = False
        self._room = asyncio.Event()
        self._room.set()
        self.error: BrokerError | None = None
        self.blocked: str | None = None
        self.refusal: BrokerError | None = None
        self.gone: asyncio.Future[None] = self._loop.create_future()

    # For aiormq

    def streams(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """What aiormq reads and writes.

        Raises:
            ConnectionLost: it was lost already.
        """
        if self._transport is None or self.error is not None:
            raise self.error or ConnectionLost("not connected", where=self._place)
        return self._control, asyncio.StreamWriter(self._transport, self, self._control, self._loop)

    def opened(self, connection: Connection) -> None:
        """The handshake is over: from now on our channels may be used."""
        self._open = True
        self._channel_max = connection.connection_tune.channel_max or 65535
        self._frame_max = connection.connection_tune.frame_max or _LARGEST

    # For our channels

    @property
    def body_max(self) -> int:
        """How many bytes of a body fit into one frame."""
        return self._frame_max - _HEAD_SIZE - 1

    def attach(self, channel: Frames) -> int:
        """Give the channel a number of its own.

        Raises:
            BrokerError: the wire is lost, or has no number left.
        """
        if self.error is not None:
            raise self.error
        if len(self._channels) >= self._channel_max:
            raise BrokerError(f"all {self._channel_max} channels of the connection are in use", where=self._place)
        while True:
            self._next = self._next % self._channel_max + 1
            if self._next not in self._channels:
                self._channels[self._next] = channel
                return self._next

    def detach(self, number: int) -> None:
        """The number is free again."""
        self._channels.pop(number, None)

    def send(self, data: bytes) -> None:
        """Write whole frames, together with what else is sent in this turn of the loop. Never blocks."""
        self._out.append(data)
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write now what was to be written in this turn."""
        self._flushing = False
        if self._out:
            data, self._out = b"".join(self._out), []
            if self._transport is not None and not self._transport.is_closing():
                self._transport.write(data)

    @property
    def congested(self) -> bool:
        """Whether so much waits for the socket that no more should be sent."""
        return not self._room.is_set()

    async def room(self) -> None:
        """Wait until more may be sent. Cancel-safe."""
        await self._room.wait()

    def lose(self, error: BrokerError) -> None:
        """Tell every channel that it is over. Idempotent; the first error stays."""
        if self.error is not None:
            return
        self.error = error
        self._room.set()
        channels, self._channels = list(self._channels.values()), {}
        for channel in channels:
            channel.lost(error)

    def abort(self, error: BrokerError) -> None:
        """End it at once. Idempotent."""
        self.lose(error)
        if self._transport is not None:
            self._transport.abort()

    # For asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        """Cut the stream into frames, and give each to its channel."""
        if self._rest:
            data = self._rest + data
        if not self._open and data.startswith(b"AMQP"):  # the broker speaks another version
            self._control.feed_data(data)
            return
        at, size = 0, len(data)
        channels, unpack = self._channels, _HEAD.unpack_from
        try:
            while size - at > _HEAD_SIZE:
                kind, number, length = unpack(data, at)
                end = at + _HEAD_SIZE + length
                if length > self._frame_max or (end < size and data[end] != _END):
                    self._broken(f"a frame of {length} bytes, or one without its end", None)
                    return
                if end >= size:
                    break
                if number == 0:
                    self._controlled(kind, data[at : end + 1])
                elif channel := channels.get(number):
                    channel.frame(kind, data[at + _HEAD_SIZE : end])
                at = end + 1
        except (ValueError, struct.error, IndexError, KeyError) as error:
            self._broken(str(error), error)
            return
        self._rest = data[at:]
        self._alive()

    def _broken(self, what: str, cause: Exception | None) -> None:
        lost = ConnectionLost(f"what the broker sent is no AMQP: {what}", where=self._place)
        lost.__cause__ = cause
        self.abort(lost)

    def _alive(self) -> None:
        # aiormq takes a connection for stuck on which it sees nothing; it does not see our channels.
        now = self._loop.time()
        if self._open and now - self._fed > 1.0:
            self._fed = now
            self._control.feed_data(_HEARTBEAT)

    def _controlled(self, kind: int, data: bytes) -> None:
        """A frame of channel 0: aiormq's, but for news that it would only log."""
        method = _METHOD_ID.unpack_from(data, _HEAD_SIZE) if kind == _METHOD else None
        if method not in (_CLOSE, _BLOCKED, _UNBLOCKED):
            self._control.feed_data(data)
            return
        news: Any = frame.unmarshal(data)[2]
        if not self._open:
            self.refusal = refused(news.reply_code, news.reply_text, self._place)
            self._control.feed_data(data)
        elif method == _CLOSE:
            self._ended(news)
        else:
            self.blocked = news.reason if method == _BLOCKED else None

    def _ended(self, close: commands.Connection.Close) -> None:
        reason = refused(close.reply_code, close.reply_text, self._place)
        error = reason if isinstance(reason, ConnectionLost) else ConnectionLost(reason.what, where=self._place)
        self.lose(error)
        if self._transport is not None:
            self._transport.write(_CLOSE_OK)
            self._transport.close()

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        super().pause_writing()
        self._room.clear()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        super().resume_writing()
        self._room.set()

    def eof_received(self) -> bool:
        """The broker writes no more: neither do we."""
        super().eof_received()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        super().connection_lost(exc)
        error = ConnectionLost(
            f"the connection was lost: {exc}" if exc else "the connection was lost", where=self._place
        )
        error.__cause__ = exc
        if not self._open:  # aiormq is in the middle of the handshake
            self._control.feed_eof()
        self.lose(error)
        if not self.gone.done():
            self.gone.set_result(None)


class _Ready(TransportFactory):
    """Gives aiormq a transport that is there already, so that a refused connection is ours to report."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """See `aiormq.connection.TransportFactory`."""
        del url, kwargs
        return self._wire.streams()


async def dial(host: str, port: int, tls: ssl.SSLContext | None, place: str) -> Wire:
    """Connect the socket.

    Raises:
        OSError: nobody answers, or the certificate is not right.
    """
    loop = asyncio.get_running_loop()
    wire = Wire(place)
    await loop.create_connection(lambda: wire, host, port, ssl=tls)
    return wire


async def shake_hands(wire: Wire, url: URL, vhost: str, properties: dict[str, Any]) -> Connection:
    """Let aiormq open the connection.

    Args:
        wire: the connected socket.
        url: what aiormq is told of name, password and heartbeats.
        vhost: the virtual host; aiormq's own reading of a URL does not know every name.
        properties: what the broker is told about us.

    Raises:
        BrokerError: the broker says why it refuses.
        aiormq.exceptions.AMQPError: the broker refuses otherwise, or is none.
    """
    connection = Connection(url, transport_factory=_Ready(wire), client_properties=properties)
    connection.vhost = vhost
    try:
        await connection.connect()
        wire.opened(connection)
    except BaseException as error:
        wire.abort(ConnectionLost("the broker did not open the connection"))
        if wire.refusal is not None and not isinstance(error, ProbableAuthenticationError):
            raise wire.refusal from error
        raise
    return connection
