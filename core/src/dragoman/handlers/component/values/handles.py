"""Handles of the host's objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from operator import getitem
from typing import Any, Final

from dragoman.handlers.component import capi
from dragoman.handlers.component.memory import WORDS, Words
from dragoman.handlers.component.types import Type
from dragoman.handlers.component.values.place import NUMBER, Converters, Reader, Table, Writer, unknown

_RESOURCE: Final = NUMBER["resource"]


#: Handles for objects of these numbers are made once: what the engine is given is a copy.
_MADE_ONCE: Final = 64


def _reader(take: Callable[[dict[int, Any], int], Any]) -> Reader:
    """A function that takes the object of a handle out of the table; it ends a borrow."""
    to_host, number_of, delete, prepared = capi.any_to_host, capi.host_representation, capi.host_delete, capi.prepared
    out = Words(1)
    index, address = out.index, prepared(out.address)

    def read(table: Table, place: int, _alive: Words = out) -> Any:
        if error := to_host(table.prepared, prepared(WORDS[place + 1]), address):
            raise LookupError(capi.message_of(error))
        handle = WORDS[index]
        number = number_of(handle)
        delete(handle)
        return take(table.objects, number)

    return read


def _read_borrow(_type: Type, _: Converters) -> Reader:
    return _reader(getitem)


def _read_own(_type: Type, _: Converters) -> Reader:
    return _reader(dict.pop)


def _write_own(type_: Type, make: Converters) -> Writer:
    if (resource := make.resources.get(type_.names[0])) is None:
        raise unknown(type_)
    to_any, prepared, made = capi.host_to_any, capi.prepared, _made(resource)

    def write(table: Table, place: int, value: Any) -> None:
        number = table.keep(value)
        if number < _MADE_ONCE:
            error = to_any(table.prepared, made[number], prepared((place << 3) + 8))
        else:
            handle = capi.host_new(1, number, resource)
            error = to_any(table.prepared, prepared(handle), prepared((place << 3) + 8))
            capi.host_delete(handle)
        capi.check(error)
        WORDS[place] = _RESOURCE

    return write


@cache
def _made(resource: int) -> Sequence[Any]:
    """Handles for objects of the first numbers, of a resource with that number; they last as long as the process."""
    return [capi.prepared(capi.host_new(1, number, resource)) for number in range(_MADE_ONCE)]


READERS: Final = {"own": _read_own, "borrow": _read_borrow}
WRITERS: Final = {"own": _write_own}
