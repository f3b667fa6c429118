"""Numbers, which sit in one word."""

from __future__ import annotations

import struct
from typing import Final

from dragoman.handlers.component.memory import WORDS
from dragoman.handlers.component.types import Type
from dragoman.handlers.component.values.place import NUMBER, Converters, Reader, Table, Writer

#: Kinds whose payload is a plain number: the mask that cuts it out of its word, and the bits that make it negative.
_INTEGERS: Final = {"bool": 8, "s8": 8, "u8": 8, "s16": 16, "u16": 16, "s32": 32, "u32": 32, "s64": 64, "u64": 64}


def _read_integer(type_: Type, _: Converters) -> Reader:
    bits = _INTEGERS[type_.kind]
    mask, sign = (1 << bits) - 1, (1 << bits) >> 1
    if type_.kind == "bool":
        return lambda _table, place: bool(WORDS[place + 1] & mask)
    if type_.kind.startswith("u"):
        return lambda _table, place: WORDS[place + 1] & mask
    return lambda _table, place: ((WORDS[place + 1] & mask) ^ sign) - sign


def _write_integer(type_: Type, _: Converters) -> Writer:
    number, bits = NUMBER[type_.kind], _INTEGERS[type_.kind]
    low = -(1 << bits >> 1) if type_.kind.startswith("s") else 0
    high = 1 if type_.kind == "bool" else low + (1 << bits) - 1

    def write(_: Table, place: int, value: int) -> None:
        if not low <= value <= high:
            raise ValueError(f"{value} is no {type_}; expected {low} to {high}")
        WORDS[place + 1] = value & 0xFFFFFFFFFFFFFFFF
        WORDS[place] = number

    return write


def _float_format(type_: Type) -> struct.Struct:
    return struct.Struct("<f4x" if type_.kind == "f32" else "<d")


def _read_float(type_: Type, _: Converters) -> Reader:
    unpack = _float_format(type_).unpack
    return lambda _table, place: unpack(WORDS[place + 1].to_bytes(8, "little"))[0]


def _write_float(type_: Type, _: Converters) -> Writer:
    number, pack = NUMBER[type_.kind], _float_format(type_).pack

    def write(_: Table, place: int, value: float) -> None:
        WORDS[place + 1] = int.from_bytes(pack(value), "little")
        WORDS[place] = number

    return write


READERS: Final = {**dict.fromkeys(_INTEGERS, _read_integer), "f32": _read_float, "f64": _read_float}
WRITERS: Final = {**dict.fromkeys(_INTEGERS, _write_integer), "f32": _write_float, "f64": _write_float}
