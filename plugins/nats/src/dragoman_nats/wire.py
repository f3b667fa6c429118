"""The layer under nats-py's public API: raw headers in, no task and no queue per message, writes gathered per tick.

nats-py decodes headers into a dictionary (repeated names and bytes that are no UTF-8 are lost) and starts a wait for
each message. `Wire` hooks in below: it overrides one method and appends to one list. `tests/plugins/nats/test_wire.py`
notices when a new release changes either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from nats.aio.client import Client

#: Bytes queued for the socket at which a sender waits.
_MUCH: Final = 256 * 1024
#: Takes subject, reply, raw headers (or None) and data. Called from the read loop: must not block or raise.
Sink = Callable[[bytes, bytes, bytes | None, bytes], None]


class Wire(Client):
    """A connection of nats-py with sinks: subscriptions whose messages are handed over raw and at once."""

    def __init__(self) -> None:
        super().__init__()
        self._sinks: dict[int, Sink] = {}

    async def attach(self, subject: str, sink: Sink, queue: str = "") -> int:
        """Subscribe a sink; returns the number to detach it by. The server has it after the next `flush`."""
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

    async def written(self) -> None:
        """Where much is queued, wait until it is handed to the socket: the brake on a fast sender."""
        if self._pending_data_size > _MUCH and self._transport is not None:
            await self._flush_pending(force_flush=True)

    def _put(self, command: bytes) -> None:
        self._pending.append(command)
        self._pending_data_size += len(command)
        # One waiting future is enough: the flusher writes all that is pending when it runs.
        if self._flush_queue is not None and self._flush_queue.empty():
            self._flush_queue.put_nowait(asyncio.get_running_loop().create_future())

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: Any) -> Any:
        sink = self._sinks.get(sid)
        if sink is None:
            return await super()._process_msg(sid, subject, reply, data, headers)
        sink(bytes(subject), bytes(reply), headers, data)
        return None
