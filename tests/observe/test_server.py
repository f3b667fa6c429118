"""The pages for whoever watches a host, over real connections."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from http import HTTPStatus

import pytest

from dragoman.errors import ConfigError
from dragoman.host.counters import Counters
from dragoman.observe import server as module
from dragoman.observe.health import Health
from dragoman.observe.page import Page
from dragoman.observe.server import Server


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """One that says which format it was asked for."""
    async with Server("127.0.0.1:0", {"/page": lambda accept: Page(f"for {accept}".encode())}) as one:
        yield one


async def ask(server: Server, request: str) -> tuple[int, dict[str, str], bytes]:
    """What is answered to one request on a connection of its own."""
    host, port = server.url.removeprefix("http://").rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request.replace("\n", "\r\n").encode("latin-1"))
        return await answer(reader)
    finally:
        writer.close()


async def answer(reader: asyncio.StreamReader, *, body: bool = True) -> tuple[int, dict[str, str], bytes]:
    """The next answer on a connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return int(first.split()[1]), headers, await reader.readexactly(int(headers["content-length"]) if body else 0)


async def test_a_page_is_made_for_what_the_watcher_accepts(server: Server) -> None:
    """With its length and media type, and never kept."""
    status, headers, body = await ask(server, "GET /page?x=1 HTTP/1.1\nHost: h\nAccept: text/html\n\n")
    assert (status, body) == (HTTPStatus.OK, b"for text/html")
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["cache-control"] == "no-store"


async def test_several_requests_use_one_connection(server: Server) -> None:
    """As Prometheus does; HEAD gives the headers alone, and a body that was sent along is thrown away."""
    host, port = server.url.removeprefix("http://").rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"HEAD /page HTTP/1.1\r\nHost: h\r\n\r\n")
    status, headers, _ = await answer(reader, body=False)
    assert (status, headers["content-length"]) == (HTTPStatus.OK, "4")
    writer.write(
        b"GET /page HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" + b"GET /page HTTP/1.1\r\nHost: h\r\n\r\n"
    )
    assert [(await answer(reader))[0] for _ in range(2)] == [HTTPStatus.OK, HTTPStatus.OK]
    writer.close()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ("GET /nothing HTTP/1.1\nHost: h\n\n", HTTPStatus.NOT_FOUND),
        ("POST /page HTTP/1.1\nHost: h\nContent-Length: 0\n\n", HTTPStatus.METHOD_NOT_ALLOWED),
        ("nonsense\n\n", HTTPStatus.BAD_REQUEST),
        ("GET /page HTTP/1.1\nHost: h\nX: " + "x" * 100_000 + "\n\n", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE),
    ],
)
async def test_what_is_no_request_for_a_page_is_refused(server: Server, request_: str, status: HTTPStatus) -> None:
    """With the status that says why; the next watcher is served."""
    assert (await ask(server, request_))[0] == status
    assert (await ask(server, "GET /page HTTP/1.1\nHost: h\n\n"))[0] == HTTPStatus.OK


async def test_a_silent_watcher_is_sent_away(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time: it holds no connection for ever."""
    monkeypatch.setattr(module, "_PATIENCE", 0.05)
    host, port = server.url.removeprefix("http://").rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /pa")
    assert await reader.read() == b""
    writer.close()


async def test_too_many_watchers_are_told_to_come_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound holds, and those within it are served."""
    monkeypatch.setattr(module, "_CONNECTIONS", 1)
    host, port = server.url.removeprefix("http://").rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /page HTTP/1.1\r\nHost: h\r\n\r\n")
    assert (await answer(reader))[0] == HTTPStatus.OK
    assert (await ask(server, "GET /page HTTP/1.1\nHost: h\n\n"))[0] == HTTPStatus.SERVICE_UNAVAILABLE
    writer.close()


async def test_a_place_that_is_taken_is_a_mistake_of_the_configuration(server: Server) -> None:
    """One line, with the key and what to do."""
    address = server.url.removeprefix("http://")
    with pytest.raises(
        ConfigError, match=rf"observe\.address: can't listen on {address}: Address already in use \(choose another port"
    ):
        async with Server(address, {}):
            pass


async def test_closing_ends_waiting_watchers(server: Server) -> None:
    """Also twice."""
    host, port = server.url.removeprefix("http://").rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /page HTTP/1.1\r\nHost: h\r\n\r\n")
    await answer(reader)
    await server.close()
    await server.close()
    assert await reader.read() == b""
    writer.close()


def test_a_host_is_ready_when_it_has_started_and_nothing_is_away() -> None:
    """Otherwise the answer is 503, and says what it waits for; it lives all the time."""
    counters = {"copy": Counters(), "other": Counters()}
    health = Health(lambda: counters)
    assert health.ready().status == HTTPStatus.SERVICE_UNAVAILABLE
    assert health.live().status == HTTPStatus.OK
    health.state = "ready"
    assert health.ready().status == HTTPStatus.OK
    counters["copy"].outages["receive from 'in'"] = "no broker"
    assert health.ready().status == HTTPStatus.SERVICE_UNAVAILABLE
    assert json.loads(health.ready().body)["waiting"] == {"copy": ["can't receive from 'in': no broker"]}
    counters["copy"].outages.clear()
    health.state = "draining"
    assert health.ready().status == HTTPStatus.SERVICE_UNAVAILABLE
    assert health.live().status == HTTPStatus.OK
