"""A native record to a `Message` and back: pure functions, tested without a broker."""

from __future__ import annotations

from dataclasses import dataclass

from dragoman.message import Channel, FormatSpec, Message


@dataclass(frozen=True, slots=True)
class Record:
    """Replace: your client library's own class. Header values are bytes here, as on most brokers."""

    body: bytes
    headers: tuple[tuple[str, bytes], ...]
    content_type: str | None
    key: str | None


def to_record(message: Message) -> Record:
    """What is sent for a message.

    Replace: give the portable names (`key`, `message-id`, …) the places that your broker has for them. What it can't
    carry without loss raises `UnsupportedFormat`; nothing is dropped silently.
    """
    headers = tuple((name, _bytes(value)) for name, value in message.metadata)
    return Record(message.data, headers, message.content_type, message.key)


def to_message(record: Record, channel: Channel) -> Message:
    """What a handler sees of a record."""
    metadata = tuple((name, _text(value)) for name, value in record.headers)
    return Message(record.body, metadata, record.content_type, FormatSpec.RAW, channel)


def _bytes(value: str) -> bytes:
    # A value that was no UTF-8 on the broker is kept with surrogate escapes; this gives its bytes back.
    return value.encode("utf-8", "surrogateescape")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
