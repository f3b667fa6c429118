"""Text, and what is told by names."""

from __future__ import annotations

from typing import Final

from dragoman.handlers.component import capi
from dragoman.handlers.component.memory import CHARS, WORDS
from dragoman.handlers.component.types import Type
from dragoman.handlers.component.values.place import NUMBER, Converters, Reader, Table, Writer, put_text, text_in, utf8

_STRING: Final = NUMBER["string"]


def _read_char(_type: Type, _: Converters) -> Reader:
    return lambda _table, place: chr(WORDS[place + 1] & 0xFFFFFFFF)


def _write_char(type_: Type, _: Converters) -> Writer:
    def write(_: Table, place: int, value: str) -> None:
        WORDS[place + 1] = ord(utf8(value).decode())
        WORDS[place] = NUMBER[type_.kind]

    return write


def _read_string(_type: Type, _: Converters) -> Reader:
    def read(table: Table, place: int) -> str:
        size = WORDS[place + 1]
        table.charge(size)
        data = WORDS[place + 2]
        text: str = CHARS[data : data + size].decode()
        return text

    return read


def _write_string(_type: Type, _: Converters) -> Writer:
    new = capi.bytes_new

    def write(_: Table, place: int, value: str) -> None:
        data = utf8(value)
        new((place << 3) + 8, len(data), data)
        WORDS[place] = _STRING

    return write


def _read_enum(_type: Type, _: Converters) -> Reader:
    return lambda _table, place: text_in(place + 1)


def _write_enum(type_: Type, _: Converters) -> Writer:
    def write(_: Table, place: int, value: str) -> None:
        if value not in type_.names:
            raise ValueError(f"{value!r} is no case of {type_}")
        put_text(place + 1, value)
        WORDS[place] = NUMBER[type_.kind]

    return write


def _read_flags(_type: Type, _: Converters) -> Reader:
    def read(_: Table, place: int) -> frozenset[str]:
        first = WORDS[place + 2] >> 3
        return frozenset(text_in(at) for at in range(first, first + 2 * WORDS[place + 1], 2))

    return read


def _write_flags(type_: Type, _: Converters) -> Writer:
    def write(_: Table, place: int, value: frozenset[str]) -> None:
        if unknown := value - set(type_.names):
            raise ValueError(f"{sorted(unknown)} are not in {type_}")
        capi.flags_new((place << 3) + 8, len(value))
        WORDS[place] = NUMBER[type_.kind]
        for number, name in enumerate(sorted(value)):
            put_text((WORDS[place + 2] >> 3) + 2 * number, name)

    return write


READERS: Final = {"char": _read_char, "string": _read_string, "enum": _read_enum, "flags": _read_flags}
WRITERS: Final = {"char": _write_char, "string": _write_string, "enum": _write_enum, "flags": _write_flags}
