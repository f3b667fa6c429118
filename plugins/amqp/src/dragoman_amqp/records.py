"""AMQP's messages to ours and back: pure functions.

What a property can say becomes that property: `message-id`, `correlation-id`, `reply-to`, `priority`, `time`, `ttl`
and the `amqp.` names of `dragoman.formats.amqp`. Everything else is a header, a name that repeats is one header with
an array, and so is what its property can't say exactly. Values keep their order within a name.
"""

from __future__ import annotations

import json
import struct
from functools import lru_cache
from typing import Any, Final

from dragoman.errors import UnsupportedFormat
from dragoman.formats import amqp
from dragoman.message import Channel, FormatSpec, Message
from dragoman_amqp import properties
from dragoman_amqp.properties import Field

_CONTENT_TYPE: Final = "content-type"
#: Metadata that are a short string on AMQP too: the name of the property by that in metadata.
_TEXTS: Final = {
    "message-id": "message-id",
    "correlation-id": "correlation-id",
    "reply-to": "reply-to",
    amqp.CONTENT_ENCODING: "content-encoding",
    amqp.TYPE: "type",
    amqp.USER_ID: "user-id",
    amqp.APP_ID: "app-id",
    amqp.CLUSTER_ID: "cluster-id",
}
_NAMES: Final = {name: ours for ours, name in _TEXTS.items()}
#: Portable names that users may write in AMQP's way.
_ALIASES: Final = {
    amqp.MESSAGE_ID: "message-id",
    amqp.CORRELATION_ID: "correlation-id",
    amqp.REPLY_TO: "reply-to",
    amqp.PRIORITY: "priority",
}
#: The broker's own counts, which are `Delivery.count`.
_COUNTS: Final = frozenset({"x-delivery-count", "x-acquired-count"})
_TRANSIENT: Final = 1
_PERSISTENT: Final = 2
_FLAGS: Final = struct.Struct(">H")
#: Bytes of properties up to which it pays to look whether the same were read before.
_SMALL: Final = 96


def to_message(data: bytes, body: bytes, channel: Channel, subject: str = "") -> tuple[Message, int | None]:
    """The message in a content header's properties and a body; it never fails, whatever a foreign producer wrote.

    Args:
        data: the properties, beginning with their flags.
        body: the body.
        channel: where it arrived.
        subject: its routing key, where that says more than the channel.

    Returns:
        The message, and how often it was delivered before, where the broker says so.
    """
    if len(data) <= _SMALL and not _FLAGS.unpack_from(data)[0] & properties.VARYING:
        content_type, metadata, count = _read_shared(data)
    else:
        content_type, metadata, count = _read(data)
    if subject:
        metadata = (*metadata, (amqp.SUBJECT, subject))
    return Message(body, metadata, content_type, FormatSpec.AMQP, channel), count


def _read(data: bytes) -> tuple[str | None, tuple[tuple[str, str], ...], int | None]:
    try:
        found = properties.decode(data)
    except ValueError:  # of a broken producer; its body is still a message
        return None, (), None
    headers: list[Field] = found.pop("headers", [])
    named = {field.name for field in headers}
    metadata = _read_properties(found, named)
    count = _read_headers(headers, metadata, taken={name for name, _ in metadata} | found.keys() & {_CONTENT_TYPE})
    content_type = found.get(_CONTENT_TYPE)
    if content_type is None:
        content_type = next((value for name, value in metadata if name == _CONTENT_TYPE), None)
        metadata = [pair for pair in metadata if pair[0] != _CONTENT_TYPE]
    return content_type, tuple(metadata), count


#: Most messages of a producer have the same few properties.
_read_shared: Final = lru_cache(maxsize=256)(_read)


def _read_properties(found: dict[str, Any], headers: set[str]) -> list[tuple[str, str]]:
    metadata = [(_NAMES[name], value) for name, value in found.items() if name in _NAMES]
    if "priority" in found:
        metadata.append(("priority", str(found["priority"])))
    if "timestamp" in found:
        seconds = found["timestamp"]
        exact = "time" not in headers and seconds <= amqp.LATEST_TIME
        metadata.append(("time", amqp.time_of(seconds)) if exact else (amqp.CREATION_TIME, str(seconds)))
    if "expiration" in found:
        text = found["expiration"]
        exact = "ttl" not in headers and _is_number(text)
        metadata.append(("ttl", amqp.ttl_of(int(text))) if exact else (amqp.TTL, text))
    if found.get("delivery-mode") == _TRANSIENT:
        metadata.append((amqp.DURABLE, "false"))
    return metadata


def _read_headers(headers: list[Field], metadata: list[tuple[str, str]], taken: set[str]) -> int | None:
    count: int | None = None
    kinds: dict[str, str] = {}
    for field in headers:
        if field.name in _COUNTS:
            if field.name == "x-delivery-count" and isinstance(field.value, int):
                count = field.value
            continue
        name = amqp.HEADER + field.name if field.name in taken or _is_reserved(field.name) else field.name
        if _repeats(field):
            metadata += [(name, properties.text(each.value)) for each in field.value]
            continue
        metadata.append((name, properties.to_text(field)))
        if field.kind != properties.of_text("", metadata[-1][1]).kind and field.kind != "S":
            kinds[field.name] = field.kind
    if kinds:
        metadata.append((amqp.TYPES, json.dumps(kinds)))
    return count


def _repeats(field: Field) -> bool:
    return field.kind == "A" and len(field.value) > 1 and all(each.kind in "Sx" for each in field.value)


def _is_reserved(name: str) -> bool:
    return name == amqp.TYPES or name.startswith(amqp.HEADER)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16 and text == str(int(text))


def to_properties(message: Message, user: str | None = None) -> bytes:
    """The properties of a message as they are written, beginning with their flags.

    Args:
        message: the message.
        user: who we are to the broker, which refuses a message that says to be from somebody else; the `amqp.user-id`
            of others is carried as a header.

    Raises:
        UnsupportedFormat: a name or a value can't be written.
    """
    try:
        if not message.metadata:
            return _plain(message.content_type)
        return properties.encode(_written(message, user))
    except (ValueError, struct.error) as error:
        raise UnsupportedFormat(f"AMQP can't carry the metadata: {error}") from error


@lru_cache(maxsize=64)
def _plain(content_type: str | None) -> bytes:
    return properties.encode(_written(Message(content_type=content_type), None))


def _written(message: Message, user: str | None) -> dict[str, Any]:
    values: dict[str, list[str]] = {}
    for name, value in message.metadata:
        values.setdefault(_ALIASES.get(name, name), []).append(value)
    found: dict[str, Any] = {"delivery-mode": _PERSISTENT}
    _write_content_type(message.content_type, values, found)
    for name in [name for name, given in values.items() if len(given) == 1 and name in _PROPERTY]:
        if _PROPERTY[name](name, values[name][0], found, user):
            del values[name]
    if values:
        found["headers"] = _headers(values)
    return found


def _write_content_type(content_type: str | None, values: dict[str, list[str]], found: dict[str, Any]) -> None:
    if content_type is None:
        return
    if values.get(_CONTENT_TYPE) == [content_type]:
        del values[_CONTENT_TYPE]
    if properties.is_short(content_type):
        found[_CONTENT_TYPE] = content_type
    else:
        values[_CONTENT_TYPE] = [content_type, *values.get(_CONTENT_TYPE, ())]


def _headers(values: dict[str, list[str]]) -> list[Field]:
    kinds = _kinds(values)
    fields = []
    for ours, given in values.items():
        name = ours.removeprefix(amqp.HEADER)
        if len(given) > 1:
            fields.append(Field(name, "A", [properties.of_text("", value) for value in given]))
        elif name in kinds:
            fields.append(properties.from_text(name, kinds[name], given[0]))
        else:
            fields.append(properties.of_text(name, given[0]))
    return fields


def _kinds(values: dict[str, list[str]]) -> dict[str, str]:
    """The types that `_read_headers` noted; anything else of that name is a header like others."""
    try:
        [text] = values[amqp.TYPES]
        kinds = json.loads(text)
    except (KeyError, ValueError):
        return {}
    if not isinstance(kinds, dict) or not all(isinstance(kind, str) and len(kind) == 1 for kind in kinds.values()):
        return {}
    del values[amqp.TYPES]
    return kinds


# Each writes one property, and says whether the property says all of it; what it does not goes as a header too.


def _write_text(name: str, value: str, found: dict[str, Any], user: str | None) -> bool:
    if not properties.is_short(value) or (name == amqp.USER_ID and value != user):
        return False
    found[_TEXTS[name]] = value
    return True


def _write_priority(_: str, value: str, found: dict[str, Any], __: str | None) -> bool:
    if not _is_number(value) or int(value) > 255:
        return False
    found["priority"] = int(value)
    return True


def _write_time(_: str, value: str, found: dict[str, Any], __: str | None) -> bool:
    seconds = amqp.seconds_of(value)
    if seconds is not None:
        found.setdefault("timestamp", seconds)
    return seconds is not None and amqp.time_of(seconds) == value


def _write_ttl(_: str, value: str, found: dict[str, Any], __: str | None) -> bool:
    milliseconds = amqp.milliseconds_of(value)
    if milliseconds is None:
        raise UnsupportedFormat(f"`ttl` is {value!r}", expected="a number of seconds")
    found.setdefault("expiration", str(milliseconds))
    return amqp.ttl_of(milliseconds) == value


def _write_milliseconds(_: str, value: str, found: dict[str, Any], __: str | None) -> bool:
    if not _is_number(value) or int(value) >= 2**32:
        raise UnsupportedFormat(f"`{amqp.TTL}` is {value!r}", expected="a number of milliseconds")
    found["expiration"] = value
    return True


def _write_seconds(_: str, value: str, found: dict[str, Any], __: str | None) -> bool:
    if not _is_number(value) or int(value) >= 2**63:
        return False
    found["timestamp"] = int(value)
    return True


def _write_durable(_: str, value: str, found: dict[str, Any], __: str | None) -> bool:
    if value not in ("true", "false"):
        raise UnsupportedFormat(f"`{amqp.DURABLE}` is {value!r}", expected="`true` or `false`")
    found["delivery-mode"] = _PERSISTENT if value == "true" else _TRANSIENT
    return True


_PROPERTY: Final = {
    **dict.fromkeys(_TEXTS, _write_text),
    "priority": _write_priority,
    "time": _write_time,
    "ttl": _write_ttl,
    amqp.TTL: _write_milliseconds,
    amqp.CREATION_TIME: _write_seconds,
    amqp.DURABLE: _write_durable,
}
