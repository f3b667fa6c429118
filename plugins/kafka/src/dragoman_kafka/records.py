"""Kafka's records to messages and back: pure functions.

The key and header values are bytes on Kafka; in metadata they are text with surrogate escapes, so that any bytes
survive. A header of Kafka's with no value at all arrives as an empty one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Protocol

from dragoman.errors import UnsupportedFormat
from dragoman.formats import kafka
from dragoman.message import Channel, FormatSpec, Message

_CONTENT_TYPE: Final = "content-type"
#: Headers of these names would be read as something else, so they are spelt with `kafka.headers.` in metadata.
_TAKEN: Final = frozenset({"key", _CONTENT_TYPE})
#: What is no header, unless it is spelt out.
_OURS: Final = frozenset({"key", "time", _CONTENT_TYPE})

_FORMAT: Final = FormatSpec.KAFKA  # to find it in its class takes a while

Headers = Sequence[tuple[str, bytes | None]]


class Record(Protocol):
    """A record as aiokafka parses it."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int
    offset: int


@dataclass(slots=True)
class Outgoing:
    """A record as a producer sends it.

    Attributes:
        key: the bytes that choose the partition; None has no key.
        value: the body; None is a tombstone.
        headers: names and bytes, in order.
        timestamp: milliseconds since 1970; None is the moment of sending.
        partition: the partition that was asked for, or None.
    """

    key: bytes | None = None
    value: bytes | None = b""
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    timestamp: int | None = None
    partition: int | None = None


def to_message(record: Record, channel: Channel, partition: int) -> Message:
    """The message in a record of that partition; it never fails, whatever a foreign producer wrote."""
    (message,) = to_messages([record], channel, partition)
    return message


def to_messages(records: Sequence[Record], channel: Channel, partition: int) -> list[Message]:
    """The messages in records of that partition, as `to_message`."""
    place, offset, latest = _partition(partition), kafka.OFFSET, kafka.LATEST_TIME
    stamp, time = -1, ("", "")  # what was published together has the same time
    made: list[Message] = []
    for record in records:
        value, timestamp = record.value, record.timestamp
        if record.key is not None or record.headers or value is None or not 0 <= timestamp <= latest:
            made.append(_to_message(record, channel, place))
            continue
        if timestamp != stamp:
            stamp, time = timestamp, _time(timestamp)
        made.append(Message(value, (time, place, (offset, str(record.offset))), None, _FORMAT, channel))
    return made


def _to_message(record: Record, channel: Channel, partition: tuple[str, str]) -> Message:
    key, value, timestamp = record.key, record.value, record.timestamp
    pairs: list[tuple[str, str]] = []
    if key is not None:
        pairs.append(("key", key.decode("utf-8", "surrogateescape")))
    content_type, timed = _read_headers(record.headers, pairs) if record.headers else (None, False)
    if timestamp >= 0:  # records of old formats have none
        exact = timed or timestamp > kafka.LATEST_TIME
        pairs.append((kafka.TIMESTAMP, str(timestamp)) if exact else _time(timestamp))
    pairs += partition, (kafka.OFFSET, str(record.offset))
    if value is None:
        pairs.append((kafka.TOMBSTONE, "true"))
        value = b""
    return Message(value, tuple(pairs), content_type, _FORMAT, channel)


def _read_headers(headers: Headers, metadata: list[tuple[str, str]]) -> tuple[str | None, bool]:
    content_type, timed = None, False
    for name, value in headers:
        text = value.decode("utf-8", "surrogateescape") if value else ""
        if name == _CONTENT_TYPE and content_type is None:
            content_type = text
        elif name == "time" and not timed:
            timed = True
            metadata.append((name, text))
        elif name in _TAKEN or name == "time" or name.startswith(kafka.PREFIX):
            metadata.append((kafka.HEADER + name, text))
        else:
            metadata.append((name, text))
    return content_type, timed


# What was published together has the same time: formatting it once makes reading a third cheaper.
@lru_cache(maxsize=1024)
def _time(timestamp: int) -> tuple[str, str]:
    return "time", kafka.time_of(timestamp)


@lru_cache(maxsize=1024)
def _partition(number: int) -> tuple[str, str]:
    return kafka.PARTITION, str(number)


def to_record(message: Message) -> Outgoing:
    """The record for a message.

    Raises:
        UnsupportedFormat: a property of Kafka's own is given twice, or is not what Kafka can carry.
    """
    record = Outgoing(None, message.data, [])
    if message.content_type is None and not message.metadata:
        return record
    if message.content_type is not None:
        record.headers.append((_CONTENT_TYPE, _bytes(_CONTENT_TYPE, message.content_type)))
    special: dict[str, str] = {}
    for name, value in message.metadata:
        if name in _OURS or name.startswith(kafka.PREFIX):
            _take(record, special, message, name, value)
        else:
            record.headers.append((_name(name), _bytes(name, value)))
    if special:
        _apply(record, special)
    return record


def _take(record: Outgoing, special: dict[str, str], message: Message, name: str, value: str) -> None:
    if name.startswith(kafka.HEADER):
        record.headers.append((_name(name.removeprefix(kafka.HEADER)), _bytes(name, value)))
    elif name == _CONTENT_TYPE:
        if value != message.content_type:
            record.headers.append((name, _bytes(name, value)))
    else:
        name = "key" if name == kafka.KEY else name
        if special.setdefault(name, value) != value:
            raise UnsupportedFormat(f"`{name}` is given twice: {special[name]!r} and {value!r}", expected="one of them")


def _apply(record: Outgoing, special: dict[str, str]) -> None:
    key, time = special.pop("key", None), special.pop("time", None)
    timestamp = special.pop(kafka.TIMESTAMP, None)
    if key is not None:
        record.key = _bytes("key", key)
    if timestamp is not None:
        record.timestamp = _number(kafka.TIMESTAMP, timestamp)
    if time is not None:
        _set_time(record, time)
    if kafka.TOMBSTONE in special:
        _set_tombstone(record, special.pop(kafka.TOMBSTONE))
    _set_partition(record, special)
    if special:
        raise UnsupportedFormat(f"Kafka has no `{min(special)}`", hint=f"`{kafka.HEADER}NAME` is a header of any name")


def _set_tombstone(record: Outgoing, text: str) -> None:
    if text not in ("true", "false"):
        raise UnsupportedFormat(f"`{kafka.TOMBSTONE}` is {text!r}", expected="`true` or `false`")
    if text == "true" and record.value:
        raise UnsupportedFormat(f"`{kafka.TOMBSTONE}` with {len(record.value)} bytes of data", expected="no data")
    if text == "true":
        record.value = None


def _set_time(record: Outgoing, time: str) -> None:
    timestamp = kafka.timestamp_of(time)
    if record.timestamp is None and timestamp is not None and timestamp >= 0 and kafka.time_of(timestamp) == time:
        record.timestamp = timestamp
    else:
        # What the timestamp can't say exactly travels as it is written, in a header: before others of that name.
        record.headers.insert(0, ("time", _bytes("time", time)))
        record.timestamp = max(0, timestamp or 0) if record.timestamp is None and timestamp else record.timestamp


def _set_partition(record: Outgoing, special: dict[str, str]) -> None:
    partition = special.pop(kafka.PARTITION, None)
    # With an offset it says where a message was, and this one is only passed on.
    if special.pop(kafka.OFFSET, None) is None and partition is not None:
        record.partition = _number(kafka.PARTITION, partition)


def _number(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) >= 2**63:
        raise UnsupportedFormat(f"`{name}` is {text!r}", expected="a number from 0, of 64 bits")
    return int(text)


def _name(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise UnsupportedFormat(f"the name of the header {name!r} is no Unicode text") from error
    return name


def _bytes(name: str, text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise UnsupportedFormat(f"the value of `{name}` is no Unicode text, and no bytes either") from error
