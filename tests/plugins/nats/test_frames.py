"""Messages for sinks are cut out of what the server sends; everything else reaches nats-py, in its order."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.errors import ProtocolError
from nats.protocol.parser import AWAITING_CONTROL_LINE, AWAITING_MSG_PAYLOAD, Parser

from dragoman_nats.frames import Frames

SINK, OTHER = 7, 8


class _Client:
    """Writes down what a parser calls."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def sink(self, *message: Any) -> None:
        self.heard.append((SINK, *message))

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        self.heard.append((sid, bytes(subject), bytes(reply), headers, bytes(data)))

    async def _process_pong(self) -> None:
        self.heard.append("pong")

    async def _process_ping(self) -> None:
        self.heard.append("ping")

    async def _process_err(self, text: str) -> None:
        self.heard.append(text)

    async def _process_info(self, info: dict[str, Any]) -> None:
        self.heard.append(info)


async def _read(parser: Any, portions: list[bytes]) -> None:
    for portion in portions:
        await parser.parse(portion)


def _message(number: int, reply: bytes, headers: bytes, data: bytes) -> bytes:
    words = [b"MSG", b"a.b", b"%d" % number, *([reply] if reply else [])]
    if headers:
        words[0] = b"HMSG"
        words.append(b"%d" % len(headers))
    return b" ".join([*words, b"%d" % len(headers + data)]) + b"\r\n" + headers + data + b"\r\n"


_messages = st.builds(
    _message,
    st.sampled_from([SINK, OTHER]),
    st.sampled_from([b"", b"$JS.ACK.s.c.1.2.3.4.0"]),
    st.sampled_from([b"", b"NATS/1.0\r\nx: \xff\r\n\r\n"]),
    st.one_of(st.binary(max_size=40), st.just(b"\r\nMSG a 7 1\r\nx\r\n")),
)
_others = st.sampled_from([b"PING\r\n", b"PONG\r\n", b"+OK\r\n", b"-ERR 'no'\r\n", b'INFO {"a": 1}\r\n'])


@given(st.lists(st.one_of(_messages, _others), max_size=20), st.lists(st.integers(0, 2_000), max_size=10))
def test_what_is_heard_is_what_the_parser_of_the_library_makes_of_it(frames: list[bytes], cuts: list[int]) -> None:
    """Wherever the portions are cut, and whatever a body looks like."""
    stream = b"".join(frames)
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    portions = [stream[start:end] for start, end in pairwise(places)]
    ours, theirs = _Client(), _Client()
    asyncio.run(_read(Frames(ours, {SINK: ours.sink}), portions))
    asyncio.run(_read(Parser(theirs), [stream]))
    assert ours.heard == theirs.heard


async def test_a_large_message_in_many_portions_is_not_copied_again_with_each() -> None:
    """Its beginning is waited for where it lies, so that reading 64 MiB takes a moment and not a minute."""
    client, data = _Client(), bytes(2**18)
    stream = _message(SINK, b"", b"", data)
    parser = Frames(client, {SINK: client.sink})
    kept = parser.buf
    for start in range(0, len(stream), 2**15):
        assert not client.heard
        await parser.parse(stream[start : start + 2**15])
        assert parser.buf is kept
        assert start == 0 or parser.state == AWAITING_MSG_PAYLOAD or client.heard
    assert client.heard == [(SINK, b"a.b", b"", None, data)]
    assert parser.state == AWAITING_CONTROL_LINE


@pytest.mark.parametrize("line", [b"MSG a x 3\r\nabc\r\n", b"MSG a 7 three\r\nabc\r\n", b"NONSENSE\r\n"])
def test_what_is_no_frame_is_a_protocol_error(line: bytes) -> None:
    """nats-py then connects anew."""
    client = _Client()
    with pytest.raises(ProtocolError):
        asyncio.run(_read(Frames(client, {SINK: client.sink}), [line]))


async def test_nothing_is_handed_over_that_an_old_connection_had_sent() -> None:
    """An error may end it in the middle of a portion."""
    client = _Client()
    parser = Frames(client, {SINK: client.sink})

    async def failed(text: str) -> None:
        client.heard.append(text)
        parser.reset()

    client._process_err = failed  # type: ignore[method-assign]
    await parser.parse(_message(SINK, b"", b"", b"1") + b"-ERR 'gone'\r\n" + _message(SINK, b"", b"", b"2"))
    assert client.heard == [(SINK, b"a.b", b"", None, b"1"), "'gone'"]
