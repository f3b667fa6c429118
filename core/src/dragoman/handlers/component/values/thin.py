"""Values on their way through the adapters of `bodies`: bodies as texts, records as tuples, cases of enums as numbers.

The Python values are the same as without.
"""

from __future__ import annotations

from typing import Final

from dragoman.handlers.component import capi
from dragoman.handlers.component.memory import CHARS, WORDS
from dragoman.handlers.component.types import Type
from dragoman.handlers.component.values import rows
from dragoman.handlers.component.values.place import NUMBER, Converters, Reader, Table, Writer, parts

_STRING, _U8 = NUMBER["string"], NUMBER["u8"]


def _read_list(type_: Type, make: Converters) -> Reader:
    (element,) = parts(type_)
    return _read_body if element.kind == "u8" else rows.READERS["list"](type_, make)


def _read_body(table: Table, place: int) -> bytes:
    size = WORDS[place + 1]
    table.charge(size)
    data = WORDS[place + 2]
    text: bytes = CHARS[data : data + size]
    return text if text.isascii() else text.decode().encode("latin-1")


def _write_list(type_: Type, make: Converters) -> Writer:
    (element,) = parts(type_)
    return _write_body if element.kind == "u8" else rows.WRITERS["list"](type_, make)


def _write_body(_: Table, place: int, value: bytes) -> None:
    text = value if value.isascii() else str(value, "latin-1").encode()
    capi.bytes_new((place << 3) + 8, len(text), text)
    WORDS[place] = _STRING


def _read_enum(type_: Type, _: Converters) -> Reader:
    names = type_.names
    return lambda _table, place: names[WORDS[place + 1] & 0xFF]


def _write_enum(type_: Type, _: Converters) -> Writer:
    numbers = {name: number for number, name in enumerate(type_.names)}

    def write(_: Table, place: int, value: str) -> None:
        if (number := numbers.get(value)) is None:
            raise ValueError(f"{value!r} is no case of {type_}")
        WORDS[place + 1] = number
        WORDS[place] = _U8

    return write


def _read_record(type_: Type, make: Converters) -> Reader:
    return rows.READERS["tuple"](_tuple(type_), make)


def _write_record(type_: Type, make: Converters) -> Writer:
    return rows.WRITERS["tuple"](_tuple(type_), make)


def _tuple(type_: Type) -> Type:
    return Type("tuple", (), type_.parts)


READERS: Final = {"list": _read_list, "record": _read_record, "enum": _read_enum}
WRITERS: Final = {"list": _write_list, "record": _write_record, "enum": _write_enum}
