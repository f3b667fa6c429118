"""How a message lies in the log: one row, exact for every text and every byte."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from dragoman.message import Channel, FormatSpec, Message, Metadata

#: key, format, content type, metadata, data.
Packed = tuple[bytes | None, int, bytes | None, bytes | None, bytes]

#: In the file a format is its number here; numbers are never given to another one.
FORMATS: Final = (
    FormatSpec.RAW,
    FormatSpec.CLOUDEVENTS,
    FormatSpec.HTTP,
    FormatSpec.AMQP,
    FormatSpec.MQTT,
    FormatSpec.KAFKA,
)
_NUMBERS: Final = {spec: number for number, spec in enumerate(FORMATS)}


def encode(text: str) -> bytes:
    """UTF-8 that takes lone surrogates too, so that `decode` gives every `str` back as it was."""
    return text.encode("utf-8", "surrogatepass")


def decode(text: bytes) -> str:
    """What `encode` was given."""
    return text.decode("utf-8", "surrogatepass")


def pack(message: Message) -> Packed:
    """The columns of a message."""
    content_type, metadata, spec = message.content_type, message.metadata, message.format
    key = message.key if metadata else None
    return (
        None if key is None else encode(key),
        # An enumeration's hash is computed in Python each time: the usual format needs none.
        0 if spec is FormatSpec.RAW else _NUMBERS[spec],
        None if content_type is None else encode(content_type),
        pack_metadata(metadata) if metadata else None,
        message.data,
    )


def size(packed: Packed) -> int:
    """The bytes that count towards `max_message` and `keep_size`."""
    return len(packed[4]) + len(packed[3] or b"") + len(packed[2] or b"")


def unpack(
    format_number: int, content_type: bytes | None, metadata: bytes | None, data: bytes, channel: Channel
) -> Message:
    """The message of a row."""
    return Message(
        data,
        () if metadata is None else unpack_metadata(metadata),
        None if content_type is None else decode(content_type),
        FORMATS[format_number],
        channel,
    )


def pack_metadata(metadata: Metadata) -> bytes:
    """Names and values in turn, with NUL between them; a NUL inside one is escaped."""
    text = "\0".join(chain.from_iterable(metadata))
    if "\1" in text or text.count("\0") != 2 * len(metadata) - 1:
        text = "\0".join(map(_escape, chain.from_iterable(metadata)))
    return encode(text)


def unpack_metadata(packed: bytes) -> Metadata:
    """What `pack_metadata` was given."""
    text = decode(packed)
    parts: Iterable[str] = text.split("\0")
    if "\1" in text:
        parts = map(_unescape, parts)
    return tuple(_pairs(iter(parts)))


def _pairs(parts: Iterator[str]) -> Iterator[tuple[str, str]]:
    return zip(parts, parts, strict=True)


def _escape(part: str) -> str:
    return part.replace("\1", "\1b").replace("\0", "\1a")


def _unescape(part: str) -> str:
    return part.replace("\1a", "\0").replace("\1b", "\1")
