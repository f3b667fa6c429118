"""NATS messages and ours: pure functions.

Metadata are headers, in their order, repeated ones too. `content_type` is the header `Content-Type`. What a NATS header
can't say (a name with blanks, a value with line ends or blanks at its ends, a name that the server would act on)
travels percent-encoded in a header `Dragoman-Pair: name=value` at its place; a format other than `raw` in
`Dragoman-Format`. `nats.msg-id` is the server's own `Nats-Msg-Id`, by which it drops what was published twice.

Source: NATS ADR-4 (message headers), ADR-8 and the JetStream acknowledgement subjects.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

from dragoman.message import Channel, ChannelKind, FormatSpec, Message

_LINE: Final = b"NATS/1.0"
#: RFC 9110's token: what a header's name may be made of.
_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(rb"(?:[^\x00-\x20](?:[^\r\n\x00]*[^\x00-\x20])?)?")
_RESERVED: Final = re.compile(
    rb"nats-|dragoman-(?:pair|format|content-type)$|content-type$|nats\.msg-id$", re.IGNORECASE
)


def encode_headers(message: Message) -> bytes | None:
    """The header block of a message, or None where it needs none."""
    if not message.metadata and message.content_type is None and message.format is FormatSpec.RAW:
        return None
    lines = [_LINE]
    if message.format is not FormatSpec.RAW:
        lines.append(b"Dragoman-Format: " + message.format.encode())
    if message.content_type is not None:
        lines.append(_content_type_line(_bytes(message.content_type)))
    lines += [_metadata_line(_bytes(name), _bytes(value)) for name, value in message.metadata]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _content_type_line(value: bytes) -> bytes:
    if value and _VALUE.fullmatch(value):
        return b"Content-Type: " + value
    return b"Dragoman-Content-Type: " + quote_from_bytes(value, safe="").encode()


def _metadata_line(name: bytes, value: bytes) -> bytes:
    if _VALUE.fullmatch(value):
        if _NAME.fullmatch(name) and _RESERVED.match(name) is None:
            return name + b": " + value
        if name == b"nats.msg-id" and value:
            return b"Nats-Msg-Id: " + value
    return f"Dragoman-Pair: {quote_from_bytes(name, safe='')}={quote_from_bytes(value, safe='')}".encode()


def decode(data: bytes, headers: bytes | None, channel: Channel) -> Message:
    """The message that was published. Of malformed headers, what can be read is kept."""
    if not headers:
        return Message(data, channel=channel)
    content_type: str | None = None
    message_format = FormatSpec.RAW
    metadata: list[tuple[str, str]] = []
    for line in headers.split(b"\r\n")[1:]:
        name, colon, value = line.partition(b":")
        if not colon:
            continue
        value = value.strip()
        match name.lower():
            case b"content-type":
                content_type = _text(value)
            case b"dragoman-content-type":
                content_type = _text(unquote_to_bytes(value))
            case b"dragoman-format":
                message_format = _format(value)
            case b"dragoman-pair":
                left, _, right = value.partition(b"=")
                metadata.append((_text(unquote_to_bytes(left)), _text(unquote_to_bytes(right))))
            case b"nats-msg-id":
                metadata.append(("nats.msg-id", _text(value)))
            case _:
                metadata.append((_text(name), _text(value)))
    return Message(data, tuple(metadata), content_type, message_format, channel)


def _format(value: bytes) -> FormatSpec:
    try:
        return FormatSpec(value.decode())
    except ValueError:
        return FormatSpec.RAW


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


class Status(NamedTuple):
    """A message of the server's own, without data: no responders, no messages, a request that ran out."""

    code: int
    text: str


def status_of(headers: bytes | None) -> Status | None:
    """The status in a header block, or None where it is an ordinary message."""
    if headers is None or headers[8:9] != b" ":
        return None
    code, _, text = headers[9:].partition(b"\r\n")[0].decode("latin-1").partition(" ")
    return Status(int(code) if code.isdigit() else 0, text)


def count_of(reply: bytes) -> int:
    """How often a message was delivered, from its acknowledgement subject, with or without a domain (ADR-15)."""
    place = 4 if reply.count(b".") == 8 else 6
    return int(reply.split(b".", place + 1)[place])


class Subjects:
    """Channels by subject, so that a delivery costs a look-up; the last one is kept."""

    def __init__(self, kind: ChannelKind) -> None:
        self._kind = kind
        self._subject = b""
        self._channel = Channel("", kind)

    def channel(self, subject: bytes) -> Channel:
        """The channel of a subject."""
        if subject != self._subject:
            self._subject, self._channel = subject, Channel(subject.decode("utf-8", "surrogateescape"), self._kind)
        return self._channel
