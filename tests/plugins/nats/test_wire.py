"""`wire.py` hooks in below nats-py's public API: these tests notice when a release moves what it holds on to."""

from __future__ import annotations

import asyncio
import inspect
from importlib.metadata import version

from nats.aio.client import Client
from nats.protocol.parser import Parser

from dragoman_nats.wire import Wire
from tests.servers import Nats


def test_the_method_that_is_overridden_still_takes_what_it_took() -> None:
    """The parser calls it for each message with the raw header block."""
    assert list(inspect.signature(Client._process_msg).parameters) == [
        "self", "sid", "subject", "reply", "data", "headers",
    ]  # fmt: skip
    assert inspect.iscoroutinefunction(Client._process_msg)


def test_the_parser_that_is_replaced_is_still_asked() -> None:
    """`_ps` is what the read loop gives its portions."""
    assert isinstance(Client()._ps, Parser)
    assert "await self._ps.parse(" in inspect.getsource(Client._read_loop)


def test_the_release_is_one_that_was_looked_at() -> None:
    """A new minor release is looked at before the range in pyproject.toml is widened."""
    assert version("nats-py").startswith("2.16.")


async def test_a_sink_gets_raw_headers_and_the_flusher_writes_what_was_put(nats: Nats) -> None:
    """The pending list, its size and the flusher's queue are still what `_put` fills."""
    wire = Wire()
    await wire.connect(nats.url)
    came: asyncio.Queue[tuple[bytes, bytes, bytes | None, bytes]] = asyncio.Queue()
    number = await wire.attach("raw.>", lambda *message: came.put_nowait(message))
    wire.send("raw.a", "answer.here", b"NATS/1.0\r\nx: \xff\r\nx: 2\r\n\r\n", b"body")
    wire.send("raw.b", "", None, b"")
    async with asyncio.timeout(5):
        assert await came.get() == (b"raw.a", b"answer.here", b"NATS/1.0\r\nx: \xff\r\nx: 2\r\n\r\n", b"body")
        assert await came.get() == (b"raw.b", b"", None, b"")
    wire.detach(number)
    wire.send("raw.c", "", None, b"")
    await wire.read_by_server()
    assert came.empty()
    await wire.close()
