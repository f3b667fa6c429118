"""Lists, tuples and records: values side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from dragoman.handlers.component import capi
from dragoman.handlers.component.memory import CHARS, PLACES, WORDS
from dragoman.handlers.component.types import Type
from dragoman.handlers.component.values.place import (
    NUMBER,
    Converters,
    Reader,
    Table,
    Writer,
    parts,
    put_text,
    text_in,
    utf8,
)

_LIST, _TUPLE, _RECORD, _STRING = (NUMBER[kind] for kind in ("list", "tuple", "record", "string"))
_SIZE: Final = 32  # bytes of one value
_FIELD: Final = 48  # bytes of a record's field: its name, then its value


def _read_list(type_: Type, make: Converters) -> Reader:
    (element,) = parts(type_)
    if element.kind == "u8":
        return _read_bytes
    read = make.reader(element)

    def read_each(table: Table, place: int) -> list[Any]:
        table.charge_list(WORDS[place + 1])
        first = WORDS[place + 2] >> 3
        return [read(table, at) for at in range(first, first + 4 * WORDS[place + 1], 4)]

    return read_each


def _read_bytes(table: Table, place: int) -> bytes:
    table.charge(WORDS[place + 1])
    data = WORDS[place + 2] + 8
    copied: bytes = CHARS[data : data + _SIZE * WORDS[place + 1] : _SIZE]
    return copied


class _BytesTemplate:
    """A row of `u8` values whose kinds are set already: only the payloads are written, then all is copied at once."""

    #: Payloads up to this many bytes reuse one template; it takes 32 times as much memory.
    KEPT: Final = 64 * 1024

    def __init__(self) -> None:
        self._one = bytes([NUMBER["u8"]]) + bytes(_SIZE - 1)
        self._kept = bytearray(self._one * 1024)

    def filled(self, data: bytes) -> memoryview:
        size = _SIZE * len(data)
        values = self._kept if size <= len(self._kept) else bytearray(self._one * len(data))
        values[8 : size + 8 : _SIZE] = data
        if len(data) <= self.KEPT:
            self._kept = values
        return memoryview(values)[:size]


def _write_list(type_: Type, make: Converters) -> Writer:
    (element,) = parts(type_)
    if element.kind == "u8":
        return _write_bytes(_BytesTemplate())
    write = make.writer(element)

    def write_each(table: Table, place: int, values: Sequence[Any]) -> None:
        first = _new_row(capi.list_new, place, len(values), _SIZE)
        WORDS[place] = _LIST
        for number, value in enumerate(values):
            write(table, first + 4 * number, value)

    return write_each


def _write_bytes(template: _BytesTemplate) -> Writer:
    new = capi.list_new

    def write(_: Table, place: int, value: bytes) -> None:
        size = len(value)
        new((place << 3) + 8, size)
        if size:
            data = WORDS[place + 2]
            PLACES[data : data + _SIZE * size] = template.filled(value)
        WORDS[place] = _LIST

    return write


def _new_row(new: Callable[[int, int], None], place: int, count: int, size: int) -> int:
    """Room for that many values; each is a bool at first, so that a half-written row can be deleted."""
    new((place << 3) + 8, count)
    data: int = WORDS[place + 2]
    PLACES[data : data + size * count] = bytes(size * count)
    return data >> 3


def _is_pair(type_: Type) -> bool:
    """Whether it is what metadata is made of: there is more of it than of anything else."""
    return type_.kind == "tuple" and [part.kind for part in parts(type_)] == ["string", "string"]


def _read_tuple(type_: Type, make: Converters) -> Reader:
    if _is_pair(type_):
        return _read_pair
    stride, skip = (6, 2) if type_.kind == "record" else (4, 0)
    members = [(stride * number + skip, make.reader(part)) for number, part in enumerate(parts(type_))]

    def read(table: Table, place: int) -> tuple[Any, ...]:
        first = WORDS[place + 2] >> 3
        return tuple([read_part(table, first + offset) for offset, read_part in members])

    return read


def _read_pair(table: Table, place: int) -> tuple[str, str]:
    first = WORDS[place + 2] >> 3
    table.charge(WORDS[first + 1])
    table.charge(WORDS[first + 5])
    return text_in(first + 1), text_in(first + 5)


def _write_pair(_: Table, place: int, pair: tuple[str, str]) -> None:
    name, value = pair
    first_text, second_text = utf8(name), utf8(value)
    capi.tuple_new((place << 3) + 8, 2)
    address = WORDS[place + 2]
    first = address >> 3
    capi.bytes_new(address + 8, len(first_text), first_text)
    capi.bytes_new(address + 40, len(second_text), second_text)
    WORDS[first] = WORDS[first + 4] = _STRING
    WORDS[place] = _TUPLE


def _write_tuple(type_: Type, make: Converters) -> Writer:
    if _is_pair(type_):
        return _write_pair
    members = [(4 * number, make.writer(part)) for number, part in enumerate(parts(type_))]

    def write(table: Table, place: int, values: Sequence[Any]) -> None:
        first = _new_row(capi.tuple_new, place, len(members), _SIZE)
        WORDS[place] = _TUPLE
        for (offset, write_part), value in zip(members, values, strict=True):
            write_part(table, first + offset, value)

    return write


def _write_record(type_: Type, make: Converters) -> Writer:
    members = [(name, make.writer(part)) for name, part in zip(type_.names, parts(type_), strict=True)]

    def write(table: Table, place: int, values: Sequence[Any]) -> None:
        first = _new_row(capi.record_new, place, len(members), _FIELD)
        WORDS[place] = _RECORD
        for number, ((name, write_part), value) in enumerate(zip(members, values, strict=True)):
            put_text(first + 6 * number, name)
            write_part(table, first + 6 * number + 2, value)

    return write


READERS: Final = {"list": _read_list, "tuple": _read_tuple, "record": _read_tuple}
WRITERS: Final = {"list": _write_list, "tuple": _write_tuple, "record": _write_record}
