"""Values of the component model ↔ Python, by converters that are built once for each type.

    bool, integers, floats   bool, int, float
    char, string             str; what is no Unicode (surrogate escapes, PEP 383) reaches a guest as U+FFFD
    list<u8>                 bytes
    list<T>, tuple, record   list, tuple, tuple of the fields
    variant                  (case, payload or None)
    enum, flags              str, frozenset of str
    option<T>                the value or None
    result<T, E>             the value (None where there is none), or `Err(payload)`
    own<R>, borrow<R>        the host's object that the handle stands for

A reader takes the table of objects and the place of a value; a writer also takes the value. A place is an index into
`memory.WORDS`: a value is four words, the first one its kind. Writers leave a valid value behind even when they raise.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from dragoman.errors import ComponentError
from dragoman.handlers.component import capi
from dragoman.handlers.component.memory import CHARS, PLACES, WORDS, Words
from dragoman.handlers.component.types import Type


@dataclass(frozen=True, slots=True)
class Err:
    """The error side of a result."""

    payload: Any = None


class Table(Protocol):
    """The host's objects that a guest holds handles of; one per store.

    Attributes:
        context: the store's context in the C API.
        objects: the objects by the number that stands for each in a handle.
    """

    context: int
    objects: dict[int, Any]

    def keep(self, value: Any) -> int:
        """Put an object in and return its number."""
        ...


Reader = Callable[[Table, int], Any]
Writer = Callable[[Table, int, Any], None]

#: The C API's numbers of the kinds of values.
_VALUE_KINDS: Final = (
    "bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char", "string", "list", "record",
    "tuple", "variant", "enum", "option", "result", "flags", "resource",
)  # fmt: skip
_NUMBER: Final = {kind: number for number, kind in enumerate(_VALUE_KINDS)}
_STRING, _LIST, _TUPLE, _RECORD = (_NUMBER[kind] for kind in ("string", "list", "tuple", "record"))
_OPTION, _RESULT, _RESOURCE = (_NUMBER[kind] for kind in ("option", "result", "resource"))
_SIZE: Final = 32  # bytes of one value
_FIELD: Final = 48  # bytes of a record's field: its name, then its value
#: Kinds whose payload is a plain number: the mask that cuts it out of its word, and the bits that make it negative.
_INTEGERS: Final = {"bool": 8, "s8": 8, "u8": 8, "s16": 16, "u16": 16, "s32": 32, "u32": 32, "s64": 64, "u64": 64}


def reader(type_: Type, resources: dict[str, int]) -> Reader:
    """A function that reads values of a type.

    Args:
        type_: the type.
        resources: the numbers of the resources that the host provides, by name.

    Raises:
        ComponentError: the type has values that the host can't hold.
    """
    build = _READERS.get(type_.kind)
    if build is None:
        raise _unknown(type_)
    return build(type_, resources)


def writer(type_: Type, resources: dict[str, int]) -> Writer:
    """A function that writes values of a type; see `reader`."""
    build = _WRITERS.get(type_.kind)
    if build is None:
        raise _unknown(type_)
    return build(type_, resources)


def _unknown(type_: Type) -> ComponentError:
    return ComponentError(f"values of the type {type_} can't cross between a guest and this host")


def _parts(type_: Type) -> list[Type]:
    return [part for part in type_.parts if part is not None]


def _option_payload(type_: Type) -> Type:
    (payload,) = _parts(type_)
    if payload.kind == "option":
        raise _unknown(type_)  # None could mean two things
    return payload


# --- numbers -------------------------------------------------------------------------------------------------------


def _read_integer(type_: Type, _: dict[str, int]) -> Reader:
    bits = _INTEGERS[type_.kind]
    mask, sign = (1 << bits) - 1, (1 << bits) >> 1
    if type_.kind == "bool":
        return lambda _table, place: bool(WORDS[place + 1] & mask)
    if type_.kind.startswith("u"):
        return lambda _table, place: WORDS[place + 1] & mask
    return lambda _table, place: ((WORDS[place + 1] & mask) ^ sign) - sign


def _write_integer(type_: Type, _: dict[str, int]) -> Writer:
    number, bits = _NUMBER[type_.kind], _INTEGERS[type_.kind]
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


def _read_float(type_: Type, _: dict[str, int]) -> Reader:
    unpack = _float_format(type_).unpack
    return lambda _table, place: unpack(WORDS[place + 1].to_bytes(8, "little"))[0]


def _write_float(type_: Type, _: dict[str, int]) -> Writer:
    number, pack = _NUMBER[type_.kind], _float_format(type_).pack

    def write(_: Table, place: int, value: float) -> None:
        WORDS[place + 1] = int.from_bytes(pack(value), "little")
        WORDS[place] = number

    return write


# --- text ----------------------------------------------------------------------------------------------------------


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        try:
            escaped = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:  # a surrogate that stands for no byte
            escaped = text.encode("utf-8", "surrogatepass")
        return escaped.decode("utf-8", "replace").encode()


def _text_at(place: int) -> str:
    data = WORDS[place + 1]
    text: str = CHARS[data : data + WORDS[place]].decode()
    return text


def _put_text(place: int, text: str) -> None:
    data = _utf8(text)
    capi.bytes_new(place << 3, len(data), data)


def _read_char(_type: Type, _: dict[str, int]) -> Reader:
    return lambda _table, place: chr(WORDS[place + 1] & 0xFFFFFFFF)


def _write_char(type_: Type, _: dict[str, int]) -> Writer:
    def write(_: Table, place: int, value: str) -> None:
        WORDS[place + 1] = ord(_utf8(value).decode())
        WORDS[place] = _NUMBER[type_.kind]

    return write


def _read_string(_type: Type, _: dict[str, int]) -> Reader:
    return lambda _table, place: _text_at(place + 1)


def _write_string(_type: Type, _: dict[str, int]) -> Writer:
    new = capi.bytes_new

    def write(_: Table, place: int, value: str) -> None:
        data = _utf8(value)
        new((place << 3) + 8, len(data), data)
        WORDS[place] = _STRING

    return write


# --- lists, tuples, records ----------------------------------------------------------------------------------------


def _read_list(type_: Type, resources: dict[str, int]) -> Reader:
    (element,) = _parts(type_)
    if element.kind == "u8":
        return _read_bytes
    read = reader(element, resources)

    def read_each(table: Table, place: int) -> list[Any]:
        first = WORDS[place + 2] >> 3
        return [read(table, at) for at in range(first, first + 4 * WORDS[place + 1], 4)]

    return read_each


def _read_bytes(_: Table, place: int) -> bytes:
    data = WORDS[place + 2] + 8
    copied: bytes = CHARS[data : data + _SIZE * WORDS[place + 1] : _SIZE]
    return copied


class _BytesTemplate:
    """A row of `u8` values whose kinds are set already: only the payloads are written, then all is copied at once."""

    #: Payloads up to this many bytes reuse one template; it takes 32 times as much memory.
    KEPT: Final = 64 * 1024

    def __init__(self) -> None:
        self._one = bytes([_NUMBER["u8"]]) + bytes(_SIZE - 1)
        self._kept = bytearray(self._one * 1024)

    def filled(self, data: bytes) -> memoryview:
        size = _SIZE * len(data)
        values = self._kept if size <= len(self._kept) else bytearray(self._one * len(data))
        values[8 : size + 8 : _SIZE] = data
        if len(data) <= self.KEPT:
            self._kept = values
        return memoryview(values)[:size]


def _write_list(type_: Type, resources: dict[str, int]) -> Writer:
    (element,) = _parts(type_)
    if element.kind == "u8":
        return _write_bytes(_BytesTemplate())
    write = writer(element, resources)

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


def _read_tuple(type_: Type, resources: dict[str, int]) -> Reader:
    if type_.kind == "tuple" and all(part.kind == "string" for part in _parts(type_)) and len(type_.parts) == 2:
        return _read_pair
    stride, skip = (6, 2) if type_.kind == "record" else (4, 0)
    parts = [(stride * number + skip, reader(part, resources)) for number, part in enumerate(_parts(type_))]

    def read(table: Table, place: int) -> tuple[Any, ...]:
        first = WORDS[place + 2] >> 3
        return tuple([read_part(table, first + offset) for offset, read_part in parts])

    return read


def _read_pair(_: Table, place: int) -> tuple[str, str]:
    first = WORDS[place + 2] >> 3
    return _text_at(first + 1), _text_at(first + 5)


def _write_tuple(type_: Type, resources: dict[str, int]) -> Writer:
    parts = [(4 * number, writer(part, resources)) for number, part in enumerate(_parts(type_))]

    def write(table: Table, place: int, values: Sequence[Any]) -> None:
        first = _new_row(capi.tuple_new, place, len(parts), _SIZE)
        WORDS[place] = _TUPLE
        for (offset, write_part), value in zip(parts, values, strict=True):
            write_part(table, first + offset, value)

    return write


def _write_record(type_: Type, resources: dict[str, int]) -> Writer:
    parts = [(name, writer(part, resources)) for name, part in zip(type_.names, _parts(type_), strict=True)]

    def write(table: Table, place: int, values: Sequence[Any]) -> None:
        first = _new_row(capi.record_new, place, len(parts), _FIELD)
        WORDS[place] = _RECORD
        for number, ((name, write_part), value) in enumerate(zip(parts, values, strict=True)):
            _put_text(first + 6 * number, name)
            write_part(table, first + 6 * number + 2, value)

    return write


# --- variants and their like ---------------------------------------------------------------------------------------


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


def _box_of(type_: Type | None, resources: dict[str, int]) -> Callable[[Table, Any], int]:
    return _boxed(writer(type_, resources)) if type_ is not None else lambda _table, _value: 0


def _unbox_of(type_: Type | None, resources: dict[str, int]) -> Callable[[Table, int], Any]:
    read = reader(type_, resources) if type_ is not None else None
    return lambda table, address: read(table, address >> 3) if read and address else None


def _read_option(type_: Type, resources: dict[str, int]) -> Reader:
    unbox = _unbox_of(_option_payload(type_), resources)
    return lambda table, place: unbox(table, WORDS[place + 1])


def _write_option(type_: Type, resources: dict[str, int]) -> Writer:
    box = _box_of(_option_payload(type_), resources)

    def write(table: Table, place: int, value: Any) -> None:
        WORDS[place + 1] = 0 if value is None else box(table, value)
        WORDS[place] = _OPTION

    return write


def _sides(type_: Type) -> tuple[Type | None, Type | None]:
    ok, error = type_.parts or (None, None)
    return ok, error


def _read_result(type_: Type, resources: dict[str, int]) -> Reader:
    ok, error = (_unbox_of(side, resources) for side in _sides(type_))

    def read(table: Table, place: int) -> Any:
        if WORDS[place + 1] & 0xFF:
            return ok(table, WORDS[place + 2])
        return Err(error(table, WORDS[place + 2]))

    return read


def _write_result(type_: Type, resources: dict[str, int]) -> Writer:
    ok, error = (_box_of(side, resources) for side in _sides(type_))

    def write(table: Table, place: int, value: Any) -> None:
        if isinstance(value, Err):
            WORDS[place + 2] = error(table, value.payload)
            WORDS[place + 1] = 0
        else:
            WORDS[place + 2] = ok(table, value)
            WORDS[place + 1] = 1
        WORDS[place] = _RESULT

    return write


def _read_variant(type_: Type, resources: dict[str, int]) -> Reader:
    cases = {name: _unbox_of(part, resources) for name, part in zip(type_.names, type_.parts, strict=True)}

    def read(table: Table, place: int) -> tuple[str, Any]:
        name = _text_at(place + 1)
        return name, cases[name](table, WORDS[place + 3])

    return read


def _write_variant(type_: Type, resources: dict[str, int]) -> Writer:
    cases = {name: _box_of(part, resources) for name, part in zip(type_.names, type_.parts, strict=True)}

    def write(table: Table, place: int, value: tuple[str, Any]) -> None:
        name, payload = value
        WORDS[place + 3] = cases[name](table, payload)
        _put_text(place + 1, name)
        WORDS[place] = _NUMBER[type_.kind]

    return write


def _read_enum(_type: Type, _: dict[str, int]) -> Reader:
    return lambda _table, place: _text_at(place + 1)


def _write_enum(type_: Type, _: dict[str, int]) -> Writer:
    def write(_: Table, place: int, value: str) -> None:
        if value not in type_.names:
            raise ValueError(f"{value!r} is no case of {type_}")
        _put_text(place + 1, value)
        WORDS[place] = _NUMBER[type_.kind]

    return write


def _read_flags(_type: Type, _: dict[str, int]) -> Reader:
    def read(_: Table, place: int) -> frozenset[str]:
        first = WORDS[place + 2] >> 3
        return frozenset(_text_at(at) for at in range(first, first + 2 * WORDS[place + 1], 2))

    return read


def _write_flags(type_: Type, _: dict[str, int]) -> Writer:
    def write(_: Table, place: int, value: frozenset[str]) -> None:
        if unknown := value - set(type_.names):
            raise ValueError(f"{sorted(unknown)} are not in {type_}")
        capi.flags_new((place << 3) + 8, len(value))
        WORDS[place] = _NUMBER[type_.kind]
        for number, name in enumerate(sorted(value)):
            _put_text((WORDS[place + 2] >> 3) + 2 * number, name)

    return write


# --- handles -------------------------------------------------------------------------------------------------------


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


def _read_borrow(_type: Type, _: dict[str, int]) -> Reader:
    representation = _representation(Words(1))
    return lambda table, place: table.objects[representation(table, place)]


def _read_own(_type: Type, _: dict[str, int]) -> Reader:
    representation = _representation(Words(1))
    return lambda table, place: table.objects.pop(representation(table, place))


def _write_own(type_: Type, resources: dict[str, int]) -> Writer:
    if (resource := resources.get(type_.names[0])) is None:
        raise _unknown(type_)
    new, to_any, delete = capi.host_new, capi.host_to_any, capi.host_delete

    def write(table: Table, place: int, value: Any) -> None:
        handle = new(True, table.keep(value), resource)  # noqa: FBT003 - owned, as the C API has it
        error = to_any(table.context, handle, (place << 3) + 8)
        delete(handle)
        capi.check(error)
        WORDS[place] = _RESOURCE

    return write


_READERS: Final[dict[str, Callable[[Type, dict[str, int]], Reader]]] = {
    **dict.fromkeys(_INTEGERS, _read_integer),
    "f32": _read_float, "f64": _read_float, "char": _read_char, "string": _read_string,
    "list": _read_list, "tuple": _read_tuple, "record": _read_tuple, "variant": _read_variant, "enum": _read_enum,
    "flags": _read_flags, "option": _read_option, "result": _read_result, "own": _read_own, "borrow": _read_borrow,
}  # fmt: skip
_WRITERS: Final[dict[str, Callable[[Type, dict[str, int]], Writer]]] = {
    **dict.fromkeys(_INTEGERS, _write_integer),
    "f32": _write_float, "f64": _write_float, "char": _write_char, "string": _write_string,
    "list": _write_list, "tuple": _write_tuple, "record": _write_record, "variant": _write_variant,
    "enum": _write_enum, "flags": _write_flags, "option": _write_option, "result": _write_result, "own": _write_own,
}  # fmt: skip
