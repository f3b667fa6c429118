"""Reads the messages of sinks out of what the server sends, whole portions at a time.

nats-py's parser matches expressions and starts a coroutine for each message, which costs more than all that follows.
This one cuts whole messages for sinks out by their lengths, and leaves everything else to it: other subscriptions,
messages that are cut by the end of a portion, and whatever is no message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nats.errors import ProtocolError
from nats.protocol.parser import AWAITING_CONTROL_LINE, Parser

#: Takes subject, reply, raw headers (or None) and data. Called from the read loop: must not block or raise.
Sink = Callable[[bytes, bytes, bytes | None, bytes], None]


class Frames(Parser):
    """The parser of one connection.

    Args:
        client: whose it is; nats-py's parser calls it.
        sinks: those of the connection, by the number of their subscription.
    """

    def __init__(self, client: Any, sinks: Mapping[int, Sink]) -> None:
        self._sinks = sinks
        self._resets = 0
        super().__init__(client)

    def reset(self) -> None:
        """Forget what was read; the connection begins anew."""
        self._resets += 1
        super().reset()

    async def parse(self, data: bytes = b"") -> None:
        """Take the next portion.

        Raises:
            ProtocolError: that is no frame of the protocol.
        """
        resets = self._resets
        if self.state != AWAITING_CONTROL_LINE:  # the rest of one that was cut
            missing = self.needed + 2 - len(self.buf)
            await super().parse(data[:missing])
            data = data[missing:]
        elif self.buf:
            data = bytes(self.buf) + data
            self.buf.clear()
        start = 0
        # What nats-py does with a frame may end the connection: then the rest is of no meaning.
        while start < len(data) and self._resets == resets:
            try:
                start = self._to_sinks(data, start)
                end = _end(data, start)
            except ValueError:
                raise ProtocolError("nats: malformed MSG") from None
            if start < end:
                await super().parse(data[start:end])
            start = end

    def _to_sinks(self, data: bytes, start: int) -> int:
        """Hand over what is for sinks, up to the first frame that is not; where that begins."""
        sinks, size = self._sinks, len(data)
        while (line_end := data.find(b"\r\n", start)) >= 0:
            words = data[start:line_end].split()
            if len(words) < 4 or words[0] not in (b"MSG", b"HMSG"):
                break
            sink = sinks.get(int(words[2]))
            body = line_end + 2
            end = body + int(words[-1])
            if sink is None or end + 2 > size:
                break
            if words[0] == b"MSG":
                sink(words[1], words[3] if len(words) == 5 else b"", None, data[body:end])
            else:
                middle = body + int(words[-2])
                sink(words[1], words[3] if len(words) == 6 else b"", data[body:middle], data[middle:end])
            start = end + 2
        return start


def _end(data: bytes, start: int) -> int:
    """Where the frame ends that begins there: with what it announces, or with all there is."""
    line_end = data.find(b"\r\n", start)
    if line_end < 0:
        return len(data)
    words = data[start:line_end].split()
    announced = int(words[-1]) + 2 if words and words[0] in (b"MSG", b"HMSG") else 0
    return min(line_end + 2 + announced, len(data))
