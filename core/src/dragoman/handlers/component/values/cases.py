"""Variants and their like: one of several, with or without a value inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from dragoman.handlers.component import capi
from dragoman.handlers.component.memory import WORDS, Words
from dragoman.handlers.component.types import Type
from dragoman.handlers.component.values.place import (
    NUMBER,
    Converters,
    Err,
    Reader,
    Table,
    Writer,
    parts,
    put_text,
    text_in,
    unknown,
)

_OPTION, _RESULT = NUMBER["option"], NUMBER["result"]


def _option_payload(type_: Type) -> Type:
    (payload,) = parts(type_)
    if payload.kind == "option":
        raise unknown(type_)  # None could mean two things
    return payload


def _boxed(write: Writer) -> Callable[[Table, Any], int]:
    """A function that puts a value into memory of the C API's own and returns its address."""
    scratch = Words(4)
    place, address, new = scratch.index, scratch.address, capi.value_new

    def box(table: Table, value: Any, _alive: Words = scratch) -> int:
        WORDS[place] = 0
        try:
            write(table, place, value)
        except BaseException:
            capi.value_delete(address)
            raise
        moved: int = new(address)
        return moved

    return box


def _box_of(type_: Type | None, make: Converters) -> Callable[[Table, Any], int]:
    return _boxed(make.writer(type_)) if type_ is not None else lambda _table, _value: 0


def _unbox_of(type_: Type | None, make: Converters) -> Callable[[Table, int], Any]:
    read = make.reader(type_) if type_ is not None else None
    return lambda table, address: read(table, address >> 3) if read and address else None


def _read_option(type_: Type, make: Converters) -> Reader:
    unbox = _unbox_of(_option_payload(type_), make)
    return lambda table, place: unbox(table, WORDS[place + 1])


def _write_option(type_: Type, make: Converters) -> Writer:
    box = _box_of(_option_payload(type_), make)

    def write(table: Table, place: int, value: Any) -> None:
        WORDS[place + 1] = 0 if value is None else box(table, value)
        WORDS[place] = _OPTION

    return write


def _sides(type_: Type) -> tuple[Type | None, Type | None]:
    ok, error = type_.parts or (None, None)
    return ok, error


def _read_result(type_: Type, make: Converters) -> Reader:
    ok, error = (_unbox_of(side, make) for side in _sides(type_))

    def read(table: Table, place: int) -> Any:
        if WORDS[place + 1] & 0xFF:
            return ok(table, WORDS[place + 2])
        return Err(error(table, WORDS[place + 2]))

    return read


def _write_result(type_: Type, make: Converters) -> Writer:
    ok, error = (_box_of(side, make) for side in _sides(type_))

    def write(table: Table, place: int, value: Any) -> None:
        if isinstance(value, Err):
            WORDS[place + 2] = error(table, value.payload)
            WORDS[place + 1] = 0
        else:
            WORDS[place + 2] = ok(table, value)
            WORDS[place + 1] = 1
        WORDS[place] = _RESULT

    return write


def _read_variant(type_: Type, make: Converters) -> Reader:
    cases = {name: _unbox_of(part, make) for name, part in zip(type_.names, type_.parts, strict=True)}

    def read(table: Table, place: int) -> tuple[str, Any]:
        name = text_in(place + 1)
        return name, cases[name](table, WORDS[place + 3])

    return read


def _write_variant(type_: Type, make: Converters) -> Writer:
    cases = {name: _box_of(part, make) for name, part in zip(type_.names, type_.parts, strict=True)}

    def write(table: Table, place: int, value: tuple[str, Any]) -> None:
        name, payload = value
        WORDS[place + 3] = cases[name](table, payload)
        put_text(place + 1, name)
        WORDS[place] = NUMBER[type_.kind]

    return write


READERS: Final = {"option": _read_option, "result": _read_result, "variant": _read_variant}
WRITERS: Final = {"option": _write_option, "result": _write_result, "variant": _write_variant}
