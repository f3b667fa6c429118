"""A small HTTP server for whoever watches a host: a few pages that are made when they are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from os import strerror
from typing import Final, Self

import h11

from dragoman.errors import ConfigError, Problem
from dragoman.observe.page import Page

#: Watchers that are served at once; a further one is told to come again.
_CONNECTIONS: Final = 64
#: Seconds in which a request must have come, and its answer must have gone.
_PATIENCE: Final = 10.0
_CHUNK: Final = 65_536


#: Makes a page for what a watcher accepts (the header `Accept`). Quick: it runs on the loop.
Make = Callable[[str], Page]


class Server:
    """Answers GET and HEAD for some paths, on one address, while inside `async with`.

    Args:
        address: `host:port`; port 0 takes a free one.
        pages: what makes each page, by its path.
        key: where the address is configured, for an error.

    Attributes:
        url: where it is; with the port that was taken. Empty before it listens.
    """

    def __init__(self, address: str, pages: Mapping[str, Make], *, key: str = "observe.address") -> None:
        host, _, port = address.rpartition(":")
        self.url = ""
        self._host = host.strip("[]")
        self._port = int(port)
        self._pages = pages
        self._key = key
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        try:
            self._server = await asyncio.start_server(self._connected, self._host, self._port)
        except OSError as error:
            what = f"can't listen on {self._host}:{self._port}: {strerror(error.errno) if error.errno else error}"
            hint = "choose another port, or 0 for any that is free"
            raise ConfigError([Problem("", self._key, what, hint=hint)]) from error
        host, port, *_ = self._server.sockets[0].getsockname()
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Listen no more, and end what is being answered. Idempotent."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        serving = list(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio makes one for each connection
        busy = len(self._serving) >= _CONNECTIONS
        self._serving.add(task)
        try:
            with suppress(OSError, TimeoutError, h11.ProtocolError, asyncio.CancelledError):
                await self._conversation(reader, writer, busy=busy)
        finally:
            self._serving.discard(task)
            writer.transport.abort() if busy else writer.close()

    async def _conversation(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, busy: bool) -> None:
        connection = h11.Connection(h11.SERVER)
        while True:
            async with asyncio.timeout(_PATIENCE):
                try:
                    request = await _request(connection, reader)
                except h11.RemoteProtocolError as error:
                    status = HTTPStatus(error.error_status_hint)
                    return await _answer(connection, writer, _short(status), with_body=True, close=True)
                if request is None:
                    return None
                page = _short(HTTPStatus.SERVICE_UNAVAILABLE) if busy else self._page(request)
                await _answer(connection, writer, page, with_body=request.method != b"HEAD", close=busy)
            if busy or connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return None
            connection.start_next_cycle()

    def _page(self, request: h11.Request) -> Page:
        path = request.target.split(b"?", 1)[0].decode("ascii", "replace")
        make = self._pages.get(path)
        if make is None:
            found = ", ".join(self._pages)
            return Page(f"there is no {path}; there are {found}\n".encode(), status=HTTPStatus.NOT_FOUND)
        if request.method not in (b"GET", b"HEAD"):
            return _short(HTTPStatus.METHOD_NOT_ALLOWED)
        accepted = dict(request.headers).get(b"accept", b"")
        return make(accepted.decode("latin-1"))


async def _request(connection: h11.Connection, reader: asyncio.StreamReader) -> h11.Request | None:
    """The next request, its body thrown away; None when there is no more."""
    request: h11.Request | None = None
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_CHUNK))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.EndOfMessage):
            return request
        elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
            return None


async def _answer(
    connection: h11.Connection, writer: asyncio.StreamWriter, page: Page, *, with_body: bool, close: bool
) -> None:
    headers = [
        ("content-type", page.content_type),
        ("content-length", str(len(page.body))),
        ("cache-control", "no-store"),
        *([("connection", "close")] if close else []),
        *([("allow", "GET, HEAD")] if page.status == HTTPStatus.METHOD_NOT_ALLOWED else []),
    ]
    pieces = [connection.send(h11.Response(status_code=page.status, headers=headers, reason=page.status.phrase))]
    if with_body:
        pieces.append(connection.send(h11.Data(data=page.body)))
    pieces.append(connection.send(h11.EndOfMessage()))
    writer.write(b"".join(piece for piece in pieces if piece))
    await writer.drain()


def _short(status: HTTPStatus) -> Page:
    return Page(f"{status.phrase.lower()}\n".encode(), status=status)
