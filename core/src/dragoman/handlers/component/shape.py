"""Reads what a component imports and exports from the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, get_args

from dragoman.handlers.component import capi
from dragoman.handlers.component.memory import WORDS, Words, text_at
from dragoman.handlers.component.types import FunctionType, Interface, Item, Kind, Shape, Type

#: `Kind` lists them in the order of the C API's numbers.
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
_COMPONENT, _INSTANCE, _MODULE, _FUNCTION, _RESOURCE, _CORE_FUNCTION, _TYPE = range(7)
_OTHER: Final = {_COMPONENT: "component", _MODULE: "core module", _CORE_FUNCTION: "core function"}


def read_shape(engine: int, component: int) -> Shape:
    """The imports and exports of a compiled component."""
    type_ = capi.component_type(component)
    resources = _Resources()
    try:
        imports = _items(type_, engine, capi.import_count, capi.import_nth, resources)
        exports = _items(type_, engine, capi.export_count, capi.export_nth, resources)
        return Shape(dict(imports), dict(exports))
    finally:
        resources.close()
        capi.component_type_delete(type_)


class _Resources:
    """The names of the resources met so far: a handle's type names its resource only by identity."""

    def __init__(self) -> None:
        self._known: list[tuple[int, str]] = []

    def add(self, pointer: int, name: str) -> None:
        if self.name(pointer) == "resource":
            self._known.append((capi.resource_type_clone(pointer), name))

    def name(self, pointer: int) -> str:
        found = (name for known, name in self._known if capi.resource_type_equal(known, pointer))
        return next(found, "resource")

    def close(self) -> None:
        for known, _ in self._known:
            capi.resource_type_delete(known)


def _named(count: int, nth: Callable[..., bool], *owners: int) -> Iterator[tuple[str, int]]:
    """Names, with the word after each: what `nth` gives as pointer, size and one more."""
    out = Words(3)
    for number in range(count):
        nth(*owners, number, out.address, out.address + 8, out.address + 16)
        yield text_at(WORDS[out.index], WORDS[out.index + 1]), WORDS[out.index + 2]


def _items(
    type_: int, engine: int, count: Callable[..., int], nth: Callable[..., bool], resources: _Resources
) -> Iterator[tuple[str, Item]]:
    for name, extern in list(_named(count(type_, engine), nth, type_, engine)):
        item = Words(3)
        capi.extern_type(extern, item.address)
        kind, of = WORDS[item.index] & 0xFF, WORDS[item.index + 1]
        if kind == _INSTANCE:
            yield name, _interface(of, engine, resources)
        elif kind == _FUNCTION:
            yield name, _function(of, resources)
        elif kind == _RESOURCE:
            resources.add(of, name)
            yield name, "resource"
        else:
            yield name, _OTHER.get(kind, "type")
        capi.item_delete(item.address)
        capi.extern_delete(extern)


def _interface(type_: int, engine: int, resources: _Resources) -> Interface:
    count = capi.instance_export_count(type_, engine)
    functions: dict[str, FunctionType] = {}
    types: dict[str, Type] = {}
    names: list[str] = []
    for name, extern in list(_named(count, capi.instance_export_nth, type_, engine)):
        item = Words(3)
        capi.extern_type(extern, item.address)
        kind, of = WORDS[item.index] & 0xFF, WORDS[item.index + 1]
        if kind == _FUNCTION:
            functions[name] = _function(of, resources)
        elif kind == _RESOURCE:
            resources.add(of, name)
            names.append(name)
        elif kind == _TYPE:
            types[name] = _type(item.index + 1, resources)
        capi.item_delete(item.address)
        capi.extern_delete(extern)
    return Interface(functions, types, tuple(names))


def _function(type_: int, resources: _Resources) -> FunctionType:
    out = Words(4)
    parameters = []
    for number in range(capi.function_parameter_count(type_)):
        capi.function_parameter_nth(type_, number, out.address, out.address + 8, out.address + 16)
        name = text_at(WORDS[out.index], WORDS[out.index + 1])
        parameters.append((name, _taken(out.index + 2, resources)))
    result = _taken(out.index, resources) if capi.function_result(type_, out.address) else None
    return FunctionType(tuple(parameters), result, capi.function_async(type_))


def _taken(index: int, resources: _Resources) -> Type:
    """The type there; the C API's own is deleted."""
    try:
        return _type(index, resources)
    finally:
        capi.valtype_delete(index << 3)


def _type(index: int, resources: _Resources) -> Type:
    kind, of = KINDS[WORDS[index] & 0xFF], WORDS[index + 1]
    out = Words(4)
    value = out.address + 16
    if kind in ("own", "borrow"):
        return Type(kind, (resources.name(of),))
    if kind == "result":
        ok = _taken(out.index, resources) if capi.result_ok(of, out.address) else None
        error = _taken(out.index, resources) if capi.result_error(of, out.address) else None
        return Type(kind, (), (ok, error) if ok or error else ())
    if kind in ("list", "option"):
        (capi.list_element if kind == "list" else capi.option_payload)(of, value)
        return Type(kind, (), (_taken(out.index + 2, resources),))
    if kind == "tuple":
        return Type(kind, (), tuple(_tuple_part(of, number, resources) for number in range(capi.tuple_count(of))))
    return _named_type(kind, of, resources)


def _named_type(kind: Kind, type_: int, resources: _Resources) -> Type:
    """A type whose members have names, or one that has no members."""
    if kind in ("record", "variant"):
        return _members(kind, type_, resources)
    return Type(kind, tuple(_member_names(kind, type_)) if kind in ("enum", "flags") else ())


def _tuple_part(type_: int, number: int, resources: _Resources) -> Type:
    out = Words(2)
    capi.tuple_nth(type_, number, out.address)
    return _taken(out.index, resources)


def _members(kind: Kind, type_: int, resources: _Resources) -> Type:
    """The fields of a record or the cases of a variant."""
    out = Words(5)
    names: list[str] = []
    parts: list[Type | None] = []
    for number in range((capi.record_count if kind == "record" else capi.variant_count)(type_)):
        name, value = (out.address, out.address + 8), out.address + 24
        WORDS[out.index + 2] = 1
        if kind == "record":
            capi.record_nth(type_, number, *name, value)
        else:
            capi.variant_nth(type_, number, *name, out.address + 16, value)
        names.append(text_at(WORDS[out.index], WORDS[out.index + 1]))
        parts.append(_taken(out.index + 3, resources) if WORDS[out.index + 2] & 0xFF else None)
    return Type(kind, tuple(names), tuple(parts))


def _member_names(kind: Kind, type_: int) -> Iterator[str]:
    count, nth = (capi.enum_count, capi.enum_nth) if kind == "enum" else (capi.flags_count, capi.flags_nth)
    out = Words(2)
    for number in range(count(type_)):
        nth(type_, number, out.address, out.address + 8)
        yield text_at(WORDS[out.index], WORDS[out.index + 1])
