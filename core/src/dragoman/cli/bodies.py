"""Where the messages come from that `send` sends."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Final

from dragoman.errors import DragomanError

#: Bytes that are read at once. More is not read before what was read is sent.
_CHUNK: Final = 64 * 2**10
#: Bytes of one line: what has no end of line is not read into memory without bound.
LONGEST_LINE: Final = 256 * 2**20


async def repeated(body: bytes, count: int | None) -> AsyncIterator[list[bytes]]:
    """The same body `count` times, or once, in batches."""
    left = 1 if count is None else count
    while left:
        batch = min(left, 100)
        yield [body] * batch
        left -= batch


async def lines_of_stdin(count: int | None) -> AsyncIterator[list[bytes]]:
    """Lines as they come, without their ends; at most `count` of them.

    Raises:
        DragomanError: a line longer than `LONGEST_LINE`.
    """
    left = sys.maxsize if count is None else count
    async for lines in _lines(_chunks(sys.stdin.fileno())):
        yield lines[:left]
        left -= len(lines[:left])
        if not left:
            return


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[list[bytes]]:
    rest: list[bytes] = []
    held = 0
    async for chunk in chunks:
        first, *others = chunk.split(b"\n")
        rest.append(first)
        held += len(first)
        if held > LONGEST_LINE:
            raise DragomanError(f"a line is longer than {LONGEST_LINE:,} bytes", where="standard input")
        if others:
            yield [b"".join(rest), *others[:-1]]
            rest, held = [others[-1]], len(others[-1])
    if held:
        yield [b"".join(rest)]


async def _chunks(descriptor: int) -> AsyncIterator[bytes]:
    # A thread, as a file can't be waited for otherwise; a daemon, as nothing can wake it from a read when we end.
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[bytes | OSError] = asyncio.Queue(1)

    def read() -> None:
        for chunk in _read(descriptor):
            asyncio.run_coroutine_threadsafe(chunks.put(chunk), loop).result()

    threading.Thread(target=read, daemon=True, name="standard input").start()
    while chunk := await chunks.get():
        if isinstance(chunk, OSError):
            raise DragomanError(f"can't be read: {chunk.strerror}", where="standard input") from chunk
        yield chunk


def _read(descriptor: int) -> Iterator[bytes | OSError]:
    """What was read, an empty piece at the end."""
    try:
        while chunk := os.read(descriptor, _CHUNK):
            yield chunk
    except OSError as error:
        yield error
    yield b""
