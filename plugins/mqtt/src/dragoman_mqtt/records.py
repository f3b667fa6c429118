"""MQTT's messages and ours: pure functions.

Metadata are user properties, in their order, repeated ones too; what has a property of its own travels in that one.
What MQTT's strings can't say (control characters, bytes that are no UTF-8) travels percent-encoded in a user property
`dragoman-pair: name=value` at its place; a format other than `mqtt` and `raw` in `dragoman-format`.

Source: MQTT 5.0, sections 1.5.4 (strings), 2.2.2 and 3.3.2.3 (properties).
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from struct import Struct
from typing import Final, NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

from dragoman.errors import UnsupportedFormat, nearest
from dragoman.formats import mqtt
from dragoman.message import Channel, FormatSpec, Message, Metadata
from dragoman_mqtt.packets import Malformed, Publish, length_bytes, read_length
from dragoman_mqtt.topics import topic_problem

_PAYLOAD_FORMAT, _EXPIRY, _CONTENT_TYPE, _RESPONSE, _CORRELATION = 0x01, 0x02, 0x03, 0x08, 0x09
_USER: Final = 0x26
_PAIR, _FORMAT, _TYPE = "dragoman-pair", "dragoman-format", "dragoman-content-type"
_RESERVED: Final = frozenset({_PAIR, _FORMAT, _TYPE})
_U16: Final = Struct("!H")
_U32: Final = Struct("!I")
_LONGEST: Final = 65_535
#: What MQTT strings must not or should not have in them: control characters, surrogates, and no characters.
_UNFIT: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_QOS: Final = tuple(((mqtt.QOS, str(qos)),) for qos in range(3))
_OWN: Final = (
    mqtt.QOS,
    mqtt.RETAIN,
    mqtt.RETAINED,
    mqtt.PAYLOAD_FORMAT,
    mqtt.MESSAGE_EXPIRY_INTERVAL,
    mqtt.RESPONSE_TOPIC,
    mqtt.CORRELATION_DATA,
)
#: In front of metadata and body where MQTT has no properties.
_ENVELOPE: Final = b"\x00dragoman\x01"


class Outgoing(NamedTuple):
    """A message as it is published.

    Attributes:
        qos: 0, 1 or 2.
        retain: whether the broker is to keep it.
        properties: the property block with its length; empty for MQTT 3.1.1.
        body: the payload.
    """

    qos: int
    retain: bool
    properties: bytes
    body: bytes


def encode(message: Message, qos: int) -> Outgoing:
    """A message for MQTT 5.

    Args:
        message: the message.
        qos: the quality of service where the message does not say.

    Raises:
        UnsupportedFormat: a part of it can't be carried.
    """
    if not message.metadata and message.content_type is None and message.format in {FormatSpec.RAW, FormatSpec.MQTT}:
        return Outgoing(qos, False, b"\x00", message.data)  # a field
    written = _Writer(qos)
    if message.format not in {FormatSpec.RAW, FormatSpec.MQTT}:
        written.pair(_FORMAT, message.format)
    if message.content_type is not None:
        written.content_type(message.content_type)
    for name, value in message.metadata:
        written.metadata(name, value)
    block = bytes(written.block)
    return Outgoing(written.qos, written.retain, length_bytes(len(block)) + block, message.data)


def encode_plain(message: Message, qos: int, *, envelope: bool) -> Outgoing:
    """A message for MQTT 3.1.1, which has no properties.

    Raises:
        UnsupportedFormat: it has metadata, and no envelope was asked for.
    """
    coded = encode(message, qos)
    if coded.properties == b"\x00" and not (envelope and message.data.startswith(_ENVELOPE)):
        return coded._replace(properties=b"")
    if not envelope:
        raise UnsupportedFormat(
            "MQTT 3.1.1 carries no metadata and no content type",
            expected="a body alone",
            hint="use protocol = '5', or set envelope = true to put them in front of the body",
        )
    return coded._replace(properties=b"", body=_ENVELOPE + coded.properties + coded.body)


class _Writer:
    """Collects the property block of one message."""

    def __init__(self, qos: int) -> None:
        self.qos, self.retain = qos, False
        self.block = bytearray()
        self._taken: set[int] = set()

    def metadata(self, name: str, value: str) -> None:
        """One pair."""
        write = _WRITERS.get(name)
        if write is not None:
            write(self, name, value)
        elif not name.startswith(mqtt.PREFIX):
            self.user(name, value)
        elif name.startswith(mqtt.USER_PROPERTY):
            self.user(name.removeprefix(mqtt.USER_PROPERTY), value)
        else:
            raise UnsupportedFormat(f"MQTT has no `{name}`", expected=", ".join(_OWN), nearest=nearest(name, _OWN))

    def user(self, name: str, value: str) -> None:
        """A user property."""
        if name in _RESERVED or _UNFIT.search(name) or _UNFIT.search(value):
            name, value = _PAIR, f"{_quoted(name)}={_quoted(value)}"
        self.pair(name, value)

    def pair(self, name: str, value: str) -> None:
        """A user property as it stands."""
        self.block.append(_USER)
        self.block += _string(name, name) + _string(value, name)

    def content_type(self, value: str) -> None:
        """The content type."""
        if _UNFIT.search(value):
            self.pair(_TYPE, _quoted(value))
        else:
            self._own(_CONTENT_TYPE, _string(value, "content type"))

    def _own(self, identifier: int, value: bytes) -> bool:
        """A property that may be there once; False where it is there already."""
        if identifier in self._taken:
            return False
        self._taken.add(identifier)
        self.block.append(identifier)
        self.block += value
        return True

    def write_qos(self, name: str, value: str) -> None:
        """`mqtt.qos`."""
        if value not in {"0", "1", "2"}:
            raise UnsupportedFormat(f"`{name}` is {value!r}", expected="0, 1 or 2")
        self.qos = int(value)

    def write_retain(self, name: str, value: str) -> None:
        """`mqtt.retain`."""
        if value not in {"true", "false"}:
            raise UnsupportedFormat(f"`{name}` is {value!r}", expected="true or false")
        self.retain = value == "true"

    def write_payload_format(self, name: str, value: str) -> None:
        """`mqtt.payload_format`."""
        if value not in {"0", "1"}:
            raise UnsupportedFormat(f"`{name}` is {value!r}", expected="0 (bytes) or 1 (UTF-8)")
        self._own(_PAYLOAD_FORMAT, bytes((int(value),)))

    def write_expiry(self, name: str, value: str) -> None:
        """`ttl`: whole seconds, rounded up."""
        try:
            seconds = math.ceil(float(value))
        except (ValueError, OverflowError):
            seconds = -1
        if not 0 <= seconds <= 0xFFFFFFFF:
            raise UnsupportedFormat(f"`{name}` is {value!r}", expected="a number of seconds up to 4294967295")
        self._own(_EXPIRY, _U32.pack(seconds))

    def write_response_topic(self, name: str, value: str) -> None:
        """`reply-to`, where it is a topic; otherwise it is metadata like any other."""
        fit = topic_problem(value) is None and not _UNFIT.search(value)
        if not (fit and self._own(_RESPONSE, _string(value, name))):
            self.user("reply-to", value)

    def write_correlation(self, name: str, value: str) -> None:
        """`correlation-id`: any bytes."""
        raw = _bytes(value)
        if not self._own(_CORRELATION, _sized(raw, name)):
            self.user("correlation-id", value)

    def skip(self, name: str, value: str) -> None:
        """What is only told."""


_WRITERS: Final[dict[str, Callable[[_Writer, str, str], None]]] = {
    mqtt.QOS: _Writer.write_qos,
    mqtt.RETAIN: _Writer.write_retain,
    mqtt.RETAINED: _Writer.skip,
    mqtt.PAYLOAD_FORMAT: _Writer.write_payload_format,
    mqtt.MESSAGE_EXPIRY_INTERVAL: _Writer.write_expiry,
    "ttl": _Writer.write_expiry,
    mqtt.RESPONSE_TOPIC: _Writer.write_response_topic,
    "reply-to": _Writer.write_response_topic,
    mqtt.CORRELATION_DATA: _Writer.write_correlation,
    "correlation-id": _Writer.write_correlation,
}


def decode(packet: Publish, channel: Channel, *, envelope: bool = False) -> Message:
    """The message that was published. Of malformed properties, what can be read is kept."""
    metadata: Metadata = _QOS[packet.qos]
    if packet.retain:
        metadata = (*metadata, (mqtt.RETAINED, "true"))
    if packet.properties:
        return _read(packet.properties, packet.body, metadata, channel)
    if envelope and packet.body.startswith(_ENVELOPE):
        return _open(packet.body, metadata, channel)
    return Message(packet.body, metadata, None, FormatSpec.MQTT, channel)


def _open(body: bytes, metadata: Metadata, channel: Channel) -> Message:
    try:
        size, start = read_length(body, len(_ENVELOPE))
    except Malformed:
        size = -1
    if size < 0 or start + size > len(body):
        return Message(body, metadata, None, FormatSpec.MQTT, channel)  # somebody else's bytes that begin alike
    return _read(body[start : start + size], body[start + size :], metadata, channel)


def _read(block: bytes, body: bytes, first: Metadata, channel: Channel) -> Message:
    read = _Reader(first)
    position = 0
    try:
        while position < len(block):
            position = read.one(block, position)
    except (struct.error, Malformed, IndexError):
        pass  # the broker let it through: the body is worth more than its properties
    return Message(body, tuple(read.metadata), read.content_type, read.format, channel)


class _Reader:
    """Collects what a property block says."""

    def __init__(self, first: Metadata) -> None:
        self.metadata = list(first)
        self.content_type: str | None = None
        self.format = FormatSpec.MQTT

    def one(self, block: bytes, position: int) -> int:
        """Read the property at a position; returns the position after it."""
        identifier = block[position]
        position += 1
        match identifier:
            case 0x26:  # user property
                name, position = _read_sized(block, position)
                value, position = _read_sized(block, position)
                self._user(_text(name), _text(value))
            case 0x01:  # payload format indicator
                self.metadata.append((mqtt.PAYLOAD_FORMAT, str(block[position])))
                position += 1
            case 0x02:  # message expiry interval
                self.metadata.append(("ttl", str(_U32.unpack_from(block, position)[0])))
                position += 4
            case 0x03 | 0x08 | 0x09:  # content type, response topic, correlation data
                raw, position = _read_sized(block, position)
                self._string(identifier, _text(raw))
            case 0x0B:  # subscription identifier
                _, position = read_length(block, position)
            case 0x23:  # topic alias
                position += 2
            case _:
                raise Malformed(f"no property of a message has the number {identifier}")
        return position

    def _string(self, identifier: int, value: str) -> None:
        if identifier == _CONTENT_TYPE:
            self.content_type = value
        else:
            self.metadata.append(("reply-to" if identifier == _RESPONSE else "correlation-id", value))

    def _user(self, name: str, value: str) -> None:
        if name == _PAIR:
            left, _, right = value.partition("=")
            self.metadata.append((_text(unquote_to_bytes(left)), _text(unquote_to_bytes(right))))
        elif name == _FORMAT:
            self.format = FormatSpec(value) if value in set(FormatSpec) else FormatSpec.MQTT
        elif name == _TYPE:
            self.content_type = _text(unquote_to_bytes(value))
        elif name.startswith(mqtt.PREFIX):
            self.metadata.append((mqtt.USER_PROPERTY + name, value))
        else:
            self.metadata.append((name, value))


def _read_sized(block: bytes, position: int) -> tuple[bytes, int]:
    end = position + 2 + _U16.unpack_from(block, position)[0]
    if end > len(block):
        raise Malformed("a string that is longer than its block")
    return block[position + 2 : end], end


def _sized(raw: bytes, what: str) -> bytes:
    if len(raw) > _LONGEST:
        raise UnsupportedFormat(f"`{what}` has {len(raw)} bytes", expected=f"at most {_LONGEST}")
    return _U16.pack(len(raw)) + raw


def _string(text: str, what: str) -> bytes:
    return _sized(text.encode(), what)


def _quoted(text: str) -> str:
    return quote_from_bytes(_bytes(text), safe="")


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise UnsupportedFormat("metadata with half of a surrogate pair", expected="text") from error


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
