"""A TCP proxy on loopback, in a process of its own, whose network can be cut, stalled and restored."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import suppress
from pathlib import Path


class Proxy:
    """Forwards `port` to `target`, both on loopback (or `target` anywhere, as `host:port`).

    The process ends when its standard input closes, so it can't outlive us.
    """

    def __init__(self, port: int, target: str) -> None:
        self.port = port
        self.target = target
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Listen; returns when connections are accepted."""
        if self._process is None:
            command = [sys.executable, "-S", "-E", str(Path(__file__)), str(self.port), self.target]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
            self._answer()

    def tell(self, word: str) -> None:
        """`cut`, `stall` or `restore`; returns when it is done."""
        if self._process is None or self._process.stdin is None:
            raise RuntimeError(f"the proxy on port {self.port} does not run")
        self._process.stdin.write(word.encode() + b"\n")
        self._process.stdin.flush()
        self._answer()

    def _answer(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ok\n":
            raise RuntimeError(f"the proxy on port {self.port} ended: is the port taken?")

    def close(self) -> None:
        """End it, and every connection through it. Idempotent."""
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            process.communicate()


class _Forwarder:
    """What runs in the process."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host or "127.0.0.1", int(port))
        self._flows = asyncio.Event()
        self._flows.set()
        self._open = True
        self._writers: set[asyncio.StreamWriter] = set()

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut():
            writer.transport.abort()
            return
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, upstream_writer}
        if self._is_cut():  # while it connected
            for end in both:
                end.transport.abort()
            return
        self._writers |= both
        await asyncio.gather(self._copy(reader, upstream_writer), self._copy(upstream_reader, writer))
        self._writers -= both
        for end in both:
            end.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(2**18):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        with suppress(OSError):
            writer.close()

    def _is_cut(self) -> bool:
        return not self._open

    def obey(self, word: str) -> None:
        if word == "stall":
            self._flows.clear()
            return
        self._open = word == "restore"
        if not self._open:
            for writer in self._writers:
                writer.transport.abort()
        self._flows.set()


async def _main(port: int, target: str) -> None:
    forwarder = _Forwarder(target)
    await asyncio.start_server(forwarder.forward, "127.0.0.1", port, limit=2**20, backlog=1000)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    sys.stdout.write("ok\n")
    sys.stdout.flush()
    while word := (await commands.readline()).decode().strip():
        forwarder.obey(word)
        sys.stdout.write("ok\n")
        sys.stdout.flush()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_main(int(sys.argv[1]), sys.argv[2]))
