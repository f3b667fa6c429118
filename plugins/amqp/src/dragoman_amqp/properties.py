"""The properties of a message as AMQP 0-9-1 writes them: bytes to values and back, nothing lost.

pamqp has such functions too. These are here because bytes that are no text must survive, in names too, and because each
message goes through them.

Source: AMQP 0-9-1, sections 4.2.5 (data types) and 4.2.6.1 (the content header); the types of values in tables as
RabbitMQ has them, https://www.rabbitmq.com/docs/amqp-0-9-1-errata#section_3.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

_LONGEST: Final = 255
_U16: Final = struct.Struct(">H")
_U32: Final = struct.Struct(">I")
_U64: Final = struct.Struct(">Q")
_DECIMAL: Final = struct.Struct(">BI")


class Field(NamedTuple):
    """One value of a table: its name (empty in an array), the letter of its type, and the value.

    Values of `S` and `x` are bytes, of `A` and `F` lists of fields, of `T` seconds since 1970.
    """

    name: str
    kind: str
    value: Any


#: The name, the bit in the flags, and the type of each property, in the order in which they are written.
_LAYOUT: Final = (
    ("content-type", 1 << 15, "short"),
    ("content-encoding", 1 << 14, "short"),
    ("headers", 1 << 13, "table"),
    ("delivery-mode", 1 << 12, "octet"),
    ("priority", 1 << 11, "octet"),
    ("correlation-id", 1 << 10, "short"),
    ("reply-to", 1 << 9, "short"),
    ("expiration", 1 << 8, "short"),
    ("message-id", 1 << 7, "short"),
    ("timestamp", 1 << 6, "time"),
    ("type", 1 << 5, "short"),
    ("user-id", 1 << 4, "short"),
    ("app-id", 1 << 3, "short"),
    ("cluster-id", 1 << 2, "short"),
)
#: The flags of what differs from message to message.
VARYING: Final = (1 << 10) | (1 << 9) | (1 << 7) | (1 << 6)
_NUMBERS: Final = {
    "b": struct.Struct(">b"),
    "B": struct.Struct(">B"),
    "s": struct.Struct(">h"),
    "u": struct.Struct(">H"),
    "I": struct.Struct(">i"),
    "i": struct.Struct(">I"),
    "l": struct.Struct(">q"),
    "L": struct.Struct(">q"),
    "T": struct.Struct(">Q"),
    "f": struct.Struct(">f"),
    "d": struct.Struct(">d"),
}


def text(value: bytes) -> str:
    """The text of bytes, with surrogate escapes for what is no UTF-8."""
    return value.decode("utf-8", "surrogateescape")


def raw(value: str) -> bytes:
    """The bytes of a text, surrogate escapes undone.

    Raises:
        UnicodeEncodeError: it is no Unicode text, and no escaped bytes either.
    """
    return value.encode("utf-8", "surrogateescape")


def is_short(value: str) -> bool:
    """Whether it fits into a short string."""
    return len(value) <= _LONGEST and len(raw(value)) <= _LONGEST


def decode(data: bytes) -> dict[str, Any]:
    """The properties in `data`, which begins with their flags; only those that are set.

    Raises:
        ValueError: they are malformed.
    """
    try:
        return _decoded(data)
    except (struct.error, IndexError) as error:
        raise ValueError("the properties of a message are malformed") from error


def _decoded(data: bytes) -> dict[str, Any]:
    (flags,) = _U16.unpack_from(data)
    if flags & 1:
        raise ValueError("a message has more properties than AMQP 0-9-1 knows")
    found: dict[str, Any] = {}
    at = 2
    for name, bit, kind in _LAYOUT:
        if flags & bit:
            found[name], at = _READERS[kind](data, at)
    return found


def _read_short(data: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + data[at]
    return text(_slice(data, at + 1, end)), end


def _read_time(data: bytes, at: int) -> tuple[int, int]:
    return _U64.unpack_from(data, at)[0], at + 8


def _read_octet(data: bytes, at: int) -> tuple[int, int]:
    return data[at], at + 1


def _read_table(data: bytes, at: int) -> tuple[list[Field], int]:
    return _read_fields(data, at, named=True)


def _read_fields(data: bytes, at: int, *, named: bool) -> tuple[list[Field], int]:
    end = at + 4 + _U32.unpack_from(data, at)[0]
    at += 4
    fields: list[Field] = []
    while at < end:
        name = ""
        if named:
            name, at = _read_short(data, at)
        kind = chr(data[at])
        value, at = _read_value(kind, data, at + 1)
        fields.append(Field(name, kind, value))
    if at != end:
        raise ValueError("a table ends in the middle of a value")
    return fields, end


def _read_value(kind: str, data: bytes, at: int) -> tuple[Any, int]:
    if kind in "Sx":
        end = at + 4 + _U32.unpack_from(data, at)[0]
        return _slice(data, at + 4, end), end
    if kind in _NUMBERS:
        number = _NUMBERS[kind]
        return number.unpack_from(data, at)[0], at + number.size
    if kind == "t":
        return data[at] != 0, at + 1
    if kind in "AF":
        return _read_fields(data, at, named=kind == "F")
    if kind == "D":
        scale, unscaled = _DECIMAL.unpack_from(data, at)
        return Decimal(unscaled).scaleb(-scale), at + 5
    if kind in "V\0":
        return None, at
    raise ValueError(f"a table holds a value of the unknown type {kind!r}")


def _slice(data: bytes, at: int, end: int) -> bytes:
    if end > len(data):
        raise ValueError("a value goes beyond the end of its frame")
    return data[at:end]


_READERS: Final[dict[str, Callable[[bytes, int], tuple[Any, int]]]] = {
    "short": _read_short,
    "table": _read_table,
    "octet": _read_octet,
    "time": _read_time,
}


def encode(properties: dict[str, Any]) -> bytes:
    """The reverse of `decode`; what is None is left out.

    Raises:
        ValueError: a text is too long for a short string, or a number too large.
    """
    flags = 0
    parts = [b""]
    for name, bit, kind in _LAYOUT:
        value = properties.get(name)
        if value is not None:
            flags |= bit
            parts.append(_WRITERS[kind](value))
    parts[0] = _U16.pack(flags)
    return b"".join(parts)


def short(value: str) -> bytes:
    """A short string.

    Raises:
        ValueError: it is longer than 255 bytes.
    """
    data = raw(value)
    if len(data) > _LONGEST:
        raise ValueError(f"{value[:32]!r}… is {len(data)} bytes long; a short string has at most {_LONGEST}")
    return bytes((len(data),)) + data


def _table(fields: Sequence[Field]) -> bytes:
    data = b"".join(short(each.name) + each.kind.encode() + _value(each.kind, each.value) for each in fields)
    return _U32.pack(len(data)) + data


def _array(fields: Sequence[Field]) -> bytes:
    data = b"".join(each.kind.encode() + _value(each.kind, each.value) for each in fields)
    return _U32.pack(len(data)) + data


def _value(kind: str, value: Any) -> bytes:
    if kind in "Sx":
        return _U32.pack(len(value)) + bytes(value)
    if kind in _NUMBERS:
        return _NUMBERS[kind].pack(value)
    if kind == "t":
        return b"\1" if value else b"\0"
    if kind in "AF":
        return (_table if kind == "F" else _array)(value)
    if kind == "D":
        sign, digits, exponent = value.as_tuple()
        if sign or exponent > 0:
            raise ValueError(f"{value} is no decimal of AMQP's")
        return _DECIMAL.pack(-exponent, int("".join(map(str, digits))))
    return b""


_WRITERS: Final[dict[str, Callable[[Any], bytes]]] = {
    "short": short,
    "table": _table,
    "octet": lambda value: bytes((value,)),
    "time": _U64.pack,
}


def to_text(field: Field) -> str:
    """What a value is in metadata: text as it is, numbers in digits, arrays and tables as JSON."""
    if field.kind in "Sx":
        return text(field.value)
    if field.kind in "VAF\0t":
        return json.dumps(_plain(field))
    return str(field.value)


def _plain(field: Field) -> Any:
    if field.kind == "A":
        return [_plain(each) for each in field.value]
    if field.kind == "F":
        return {each.name: _plain(each) for each in field.value}
    if field.kind in "Sx":
        return text(field.value)
    return str(field.value) if field.kind == "D" else field.value


def from_text(name: str, kind: str, value: str) -> Field:
    """The value of that type that `to_text` gives this text for; where there is none, the text."""
    try:
        field = Field(name, kind, _parsed(kind, value))
        _value(kind, field.value)  # or it is out of the type's range
    except (ValueError, ArithmeticError, struct.error, RecursionError):
        return of_text(name, value)
    return field


def of_text(name: str, value: str) -> Field:
    """A text as a long string, or, where it is no UTF-8, as a byte array."""
    try:
        return Field(name, "S", value.encode())
    except UnicodeEncodeError:
        return Field(name, "x", raw(value))


def _parsed(kind: str, value: str) -> Any:
    if kind == "x":
        return raw(value)
    if kind in "fd":
        return float(value)
    if kind == "D":
        return Decimal(value)
    if kind in _NUMBERS:
        return int(value)
    if kind in ("V", "t", "A", "F"):
        return _typed("", json.loads(value), kind).value
    raise ValueError(f"no type {kind!r}")


def _typed(name: str, value: Any, wanted: str | None = None) -> Field:
    field = _guessed(name, value)
    if wanted is not None and field.kind != wanted:
        raise ValueError(f"{value!r} is not of the type {wanted!r}")
    return field


def _guessed(name: str, value: Any) -> Field:
    if isinstance(value, str):
        return of_text(name, value)
    if isinstance(value, dict):
        return Field(name, "F", [_typed(key, each) for key, each in value.items()])
    if isinstance(value, list):
        return Field(name, "A", [_typed("", each) for each in value])
    kinds = {bool: "t", int: "l", float: "d", type(None): "V"}
    return Field(name, kinds[type(value)], value)
