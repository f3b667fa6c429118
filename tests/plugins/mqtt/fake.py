"""A broker of a few lines that says what real ones say only when they are set up for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Fake:
    """Answers as it is told; counts what came.

    Attributes:
        connack: what follows the flags in CONNACK: the reason code and the properties with their length.
        suback: the reason code for each subscription.
        puback: the reason code for each message; None answers none.
        goodbye: what follows a subscription's confirmation.
        published: how many messages came.
        url: where it listens.
    """

    def __init__(
        self, *, connack: bytes = b"\x00\x00", suback: int = 1, puback: int | None = 0, goodbye: bytes = b""
    ) -> None:
        self.connack, self.suback, self.puback, self.goodbye = connack, suback, puback, goodbye
        self.published = 0
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Fake]:
        """Listen on a free port of loopback."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.read(1):
                body = await reader.readexactly(await _length(reader))
                writer.write(self._answer(head[0], body))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, first: int, body: bytes) -> bytes:
        match first >> 4:
            case 1:  # CONNECT
                return _packet(0x20, b"\x00" + self.connack)
            case 3:  # PUBLISH
                self.published += 1
                if first & 6 and self.puback is not None:
                    at = 2 + int.from_bytes(body[:2])
                    return _packet(0x40, body[at : at + 2] + bytes((self.puback, 0)))
            case 8:  # SUBSCRIBE
                return _packet(0x90, body[:2] + bytes((0, self.suback))) + self.goodbye
            case 12:  # PINGREQ
                return b"\xd0\x00"
        return b""


def _packet(first: int, body: bytes) -> bytes:
    return bytes((first, len(body))) + body


async def _length(reader: asyncio.StreamReader) -> int:
    value = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        value |= (byte & 127) << shift
        if byte < 128:
            return value
        shift += 7
