"""The layer under nats-py's public API: raw headers in, no task and no queue per message, writes gathered per tick.

nats-py decodes headers into a dictionary (repeated names and bytes that are no UTF-8 are lost) and starts a wait for
each message. `Wire` hooks in below: it takes another parser, overrides one method and appends to one list.
`tests/plugins/nats/test_wire.py` notices when a new release changes any of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from nats.aio.client import Client

from dragoman.errors import ConnectionLost
from dragoman_nats.frames import Frames, Sink

#: Bytes queued for the socket at which a sender waits.
_MUCH: Final = 256 * 1024


class Wire(Client):
    """A connection of nats-py with sinks: subscriptions whose messages are handed over raw and at once."""

    def __init__(self) -> None:
        super().__init__()
        self._sinks: dict[int, Sink] = {}
        self._ps = Frames(self, self._sinks)
        self._written: asyncio.Future[None] | None = None

    async def attach(self, subject: str, sink: Sink, queue: str = "") -> int:
        """Subscribe a sink; returns the number to detach it by. `read_by_server` tells when it has it."""
        self._sid += 1
        number = int(self._sid)
        self._sinks[number] = sink
        group = f" {queue}" if queue else ""
        self._put(f"SUB {subject}{group} {number}\r\n".encode())
        return number

    def detach(self, number: int) -> None:
        """End a sink. What is on its way to it is dropped."""
        if self._sinks.pop(number, None) is not None and self.is_connected:
            self._put(f"UNSUB {number}\r\n".encode())

    def send(self, subject: str, reply: str, headers: bytes | None, data: bytes) -> None:
        """Queue one message for the next write. Never blocks; use `written` to wait for room."""
        if headers is None:
            head = f"PUB {subject} {reply} {len(data)}\r\n".encode()
            self._put(b"%b%b\r\n" % (head, data))
        else:
            head = f"HPUB {subject} {reply} {len(headers)} {len(headers) + len(data)}\r\n".encode()
            self._put(b"%b%b%b\r\n" % (head, headers, data))

    def send_each(self, subjects: Iterable[bytes], data: bytes) -> None:
        """Queue the same data for each of some subjects. Never blocks."""
        tail = b"  %d\r\n%b\r\n" % (len(data), data)
        if commands := (tail + b"PUB ").join(subjects):
            self._put(b"PUB " + commands + tail)

    async def written(self) -> None:
        """Where much is queued, wait until it is handed to the socket: the brake on a fast sender."""
        if self._pending_data_size > _MUCH and self._written is not None:
            await asyncio.shield(self._written)

    async def read_by_server(self, timeout: float = 10.0) -> None:
        """Wait until the server has read all that was sent so far: it answers a ping.

        nats-py's own `flush` may swallow a cancellation, and once cancelled it ends the read loop at the next pong.

        Raises:
            ConnectionLost: the connection went meanwhile.
            TimeoutError: the server did not answer.
        """
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._pongs.append(answer)
        self._put(b"PING\r\n")
        async with asyncio.timeout(timeout):
            if not await asyncio.shield(answer):
                raise ConnectionLost("the connection to the server is gone")

    def abandon(self) -> None:
        """Tell everybody who waits for an answer of the server that none will come."""
        for answer in self._pongs:
            if not answer.done():
                answer.set_result(False)
        self._pongs.clear()
        if self._written is not None and not self._written.done():
            self._written.set_result(None)
        for subscription in self._subs.values():  # nats-py forgets to, where its own closing is interrupted
            waiting: asyncio.Task[None] | None = subscription._wait_for_msgs_task  # noqa: SLF001
            if waiting is not None:
                waiting.cancel()

    def _put(self, command: bytes) -> None:
        self._pending.append(command)
        self._pending_data_size += len(command)
        # One waiting future is enough: the flusher writes all that is pending when it runs.
        if self._flush_queue is not None and self._flush_queue.empty():
            self._written = asyncio.get_running_loop().create_future()
            self._flush_queue.put_nowait(self._written)

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: Any) -> Any:
        sink = self._sinks.get(sid)
        if sink is None:
            return await super()._process_msg(sid, subject, reply, data, headers)
        sink(bytes(subject), bytes(reply), headers, data)
        return None
