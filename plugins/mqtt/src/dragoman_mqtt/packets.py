"""The packets that carry messages, as bytes: pure functions. All others are paho's.

Source: MQTT 5.0, sections 2.2.2 (properties), 3.3 (PUBLISH) and 3.4 to 3.7; MQTT 3.1.1, section 3.3.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

PUBLISH: Final = 0x30
PUBACK: Final = 0x40
PUBREC: Final = 0x50
PUBREL: Final = 0x62
PUBCOMP: Final = 0x70

#: What the length of a packet's rest can say.
LARGEST: Final = 268_435_455
_MOST_LENGTH_BYTES: Final = 4
_ACK: Final = Struct("!BBH")
_ID: Final = Struct("!H")


class Malformed(Exception):
    """Bytes that are no packet."""


class Publish(NamedTuple):
    """A PUBLISH packet that came.

    Attributes:
        topic: the topic's bytes.
        number: the packet identifier; 0 for QoS 0.
        qos: 0, 1 or 2.
        retain: whether the broker had kept it.
        properties: the property block without its length; empty for MQTT 3.1.1.
        body: the payload.
    """

    topic: bytes
    number: int
    qos: int
    retain: bool
    properties: bytes
    body: bytes


def length_bytes(value: int) -> bytes:
    """A variable byte integer."""
    if value < 128:
        return bytes((value,))
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def read_length(data: bytes | bytearray, position: int) -> tuple[int, int]:
    """A variable byte integer and the position after it; (-1, position) where it is not complete yet.

    Raises:
        Malformed: it goes on for more than four bytes.
    """
    value = shift = 0
    for index in range(position, min(position + _MOST_LENGTH_BYTES, len(data))):
        byte = data[index]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, index + 1
        shift += 7
    if len(data) - position >= _MOST_LENGTH_BYTES:
        raise Malformed("a length of more than four bytes")
    return -1, position


def publish(topic: bytes, number: int, qos: int, *, retain: bool, properties: bytes, body: bytes) -> bytes:
    """A PUBLISH packet; `properties` with its length, empty for MQTT 3.1.1."""
    identifier = _ID.pack(number) if qos else b""
    head = b"%b%b%b%b" % (_ID.pack(len(topic)), topic, identifier, properties)
    rest = length_bytes(len(head) + len(body))
    return b"%c%b%b%b" % (PUBLISH | qos << 1 | retain, rest, head, body)


def acknowledgement(kind: int, number: int) -> bytes:
    """PUBACK, PUBREC, PUBREL or PUBCOMP, all is well."""
    return _ACK.pack(kind, 2, number)


def read_publish(first: int, rest: bytes, *, properties: bool) -> Publish:
    """A PUBLISH packet from its first byte and what follows its length.

    Raises:
        Malformed: it is none.
    """
    qos = first >> 1 & 3
    try:
        end = 2 + _ID.unpack_from(rest)[0]
        topic = rest[2:end]
        number = 0
        if qos:
            number = _ID.unpack_from(rest, end)[0]
            end += 2
        block = b""
        if properties:
            size, end = read_length(rest, end)
            block = rest[end : end + size]
            end += size
    except Exception as error:
        raise Malformed("a PUBLISH packet that is too short") from error
    if end > len(rest) or qos == 3:
        raise Malformed("a PUBLISH packet that is no such thing")
    return Publish(topic, number, qos, bool(first & 1), block, rest[end:])


def read_acknowledgement(rest: bytes) -> tuple[int, int]:
    """The packet identifier and the reason code, which is 0 where it is left out.

    Raises:
        Malformed: it is too short.
    """
    if len(rest) < 2:
        raise Malformed("an acknowledgement without an identifier")
    return _ID.unpack_from(rest)[0], rest[2] if len(rest) > 2 else 0
