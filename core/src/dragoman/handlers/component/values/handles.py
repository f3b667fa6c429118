"""Handles of the host's objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from dragoman.handlers.component import capi
from dragoman.handlers.component.memory import WORDS, Words
from dragoman.handlers.component.types import Type
from dragoman.handlers.component.values.place import NUMBER, Converters, Reader, Table, Writer, unknown

_RESOURCE: Final = NUMBER["resource"]


def _representation(out: Words) -> Callable[[Table, int], int]:
    """A function that gives the number in a handle, and ends a borrow."""
    to_host, number_of, delete = capi.any_to_host, capi.host_representation, capi.host_delete
    address, index = out.address, out.index

    def representation(table: Table, place: int, _alive: Words = out) -> int:
        if error := to_host(table.context, WORDS[place + 1], address):
            raise LookupError(capi.message_of(error))
        handle = WORDS[index]
        number: int = number_of(handle)
        delete(handle)
        return number

    return representation


def _read_borrow(_type: Type, _: Converters) -> Reader:
    representation = _representation(Words(1))
    return lambda table, place: table.objects[representation(table, place)]


def _read_own(_type: Type, _: Converters) -> Reader:
    representation = _representation(Words(1))
    return lambda table, place: table.objects.pop(representation(table, place))


def _write_own(type_: Type, make: Converters) -> Writer:
    if (resource := make.resources.get(type_.names[0])) is None:
        raise unknown(type_)
    new, to_any, delete = capi.host_new, capi.host_to_any, capi.host_delete

    def write(table: Table, place: int, value: Any) -> None:
        handle = new(True, table.keep(value), resource)
        error = to_any(table.context, handle, (place << 3) + 8)
        delete(handle)
        capi.check(error)
        WORDS[place] = _RESOURCE

    return write


READERS: Final = {"own": _read_own, "borrow": _read_borrow}
WRITERS: Final = {"own": _write_own}
