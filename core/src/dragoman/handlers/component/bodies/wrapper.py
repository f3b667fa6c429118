"""Wraps a component so that bodies cross as text.

The C API holds a `list<u8>` as 32 bytes for each byte, and converts them one by one: 130 ms for a mebibyte, on the
event loop. A string is copied as it is. So the component is put into another one, beside adapters that have its
functions with bodies in their types, and themselves call functions with strings in their place: one adapter between the
guest and the host's functions that it imports, and one between the host and the guest's own. Between guest and adapter
the engine copies memory; between adapter and host the text is Latin-1, in which every byte is a character, so that any
body is valid text. Records and enumerations become cheaper types on the way, too; see `layout.thin`.

A component that is put together in a way that these functions do not know stays as it is, and works as before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dragoman.errors import ComponentError
from dragoman.handlers.component import capi
from dragoman.handlers.component.bodies import binary
from dragoman.handlers.component.bodies.binary import Section, Unusual
from dragoman.handlers.component.bodies.layout import (
    MOST_PARAMETERS,
    flat,
    function_has_bodies,
    has_bodies,
    thin_function,
)
from dragoman.handlers.component.bodies.spelling import EXPORTS, IMPORTS, NAMES, label, spelled
from dragoman.handlers.component.bodies.wat import Types, adapter
from dragoman.handlers.component.engine import Engine
from dragoman.handlers.component.shape import read_shape
from dragoman.handlers.component.types import FunctionType, Interface, Item, Shape, Type

_PACKAGES: Final = ("wasi:messaging/", "wasmcloud:messaging/", "wasi:keyvalue/")
#: Core values of a result for which an adapter has room.
_MOST: Final = 100


def wrapped(engine: Engine, data: bytes) -> bytes | None:
    """A component in its wrapper; None where there is nothing to gain, or it is put together in an unusual way."""
    try:
        return _wrapped(engine, data)
    except (Unusual, IndexError, UnicodeDecodeError, ComponentError):
        return None


def _wrapped(engine: Engine, data: bytes) -> bytes | None:
    parts = list(binary.sections(data))
    exported = [found for part in parts if part.id == binary.EXPORT for found in binary.exports(data, part)]
    if not any(name.startswith(_PACKAGES) for name, _ in exported):
        return None
    if any(sort != binary.INSTANCE_SORT for _, sort in exported):
        raise Unusual("exports of other things than instances")
    prefix = _prefix(parts)
    # What is imported, with all its types, is a component by itself, which is compiled in no time.
    head = b"".join(data[part.start : part.end] for part in prefix)
    shape = _shape(engine, binary.HEADER + head)
    if any(map(_has_records_with_bodies, shape.imports.values())):
        shape = _shape(engine, binary.gutted(data))  # what it exports may be about them
    calls, offers = _functions(shape.imports), _functions(shape.exports)
    if not calls and not offers:
        return None
    names = _to_respell(shape, calls)
    start, outer = _outer(data, prefix, _Wrapping(shape, [name for name, _ in exported], calls, offers, bool(names)))
    tail = _tail(start, outer, _respelled(data, parts, names))
    return binary.HEADER + _respelled(data, prefix, names).removeprefix(binary.HEADER) + tail


@dataclass(frozen=True, slots=True)
class _Wrapping:
    """What is wrapped, and what of it is replaced.

    Attributes:
        shape: of what the component imports, and of what it exports where that matters.
        exported: the names of what it exports.
        calls: the functions that it imports and that have bodies: interface, name and type, by their labels.
        offers: those that it exports.
        respelled: whether the functions of the interfaces in `calls` get other names.
    """

    shape: Shape
    exported: Sequence[str]
    calls: Mapping[str, tuple[str, str, FunctionType]]
    offers: Mapping[str, tuple[str, str, FunctionType]]
    respelled: bool


def _prefix(parts: Sequence[Section]) -> list[Section]:
    """Everything up to the last import: types, imports, and aliases of what is imported."""
    last = max((number for number, part in enumerate(parts) if part.id == binary.IMPORT), default=-1)
    prefix = [part for part in parts[: last + 1] if part.id != binary.CUSTOM]
    if any(part.id not in (binary.TYPE, binary.IMPORT, binary.ALIAS) for part in prefix):
        raise Unusual("imports after definitions")
    return prefix


def _shape(engine: Engine, data: bytes) -> Shape:
    component = engine.compile(data)
    try:
        return read_shape(engine.pointer, component)
    finally:
        engine.discard(component)


def _has_records_with_bodies(item: Item) -> bool:
    return isinstance(item, Interface) and any(map(has_bodies, item.types.values()))


def _functions(items: Mapping[str, Item]) -> dict[str, tuple[str, str, FunctionType]]:
    """The functions with bodies, by their labels."""
    found = {}
    for interface, item in items.items():
        if interface.startswith(_PACKAGES) and isinstance(item, Interface):
            for name, type_ in item.functions.items():
                if function_has_bodies(type_):
                    found[label(interface, name)] = interface, name, _checked(type_)
    return found


def _checked(function: FunctionType) -> FunctionType:
    """A function that an adapter can stand for."""
    parameters = [type_ for _, type_ in function.parameters]
    through_memory = len([value for type_ in parameters for value in flat(type_)]) > MOST_PARAMETERS
    if any(_lends(type_, through_memory=through_memory) for type_ in parameters):
        raise Unusual("a borrowed handle inside a value")
    if len(flat(function.result)) > _MOST:
        raise Unusual("a large result")
    return function


def _lends(type_: Type, *, through_memory: bool) -> bool:
    """Whether there are borrowed handles that an adapter would not find, to end the borrowing."""
    if type_.kind == "borrow":
        return through_memory
    return any(part is not None and _lends(part, through_memory=True) for part in type_.parts)


def _to_respell(shape: Shape, calls: Mapping[str, tuple[str, str, FunctionType]]) -> set[str]:
    """The names that a bag can't hold, of the interfaces of which functions are replaced."""
    interfaces = [shape.imports[interface] for interface, _, _ in calls.values()]
    functions = {name for item in interfaces if isinstance(item, Interface) for name in item.functions}
    names = {name for name in functions if name.startswith("[")}
    if not names <= set(NAMES):
        raise Unusual("functions of unknown resources")
    return names


def _spaces(data: bytes, prefix: Iterable[Section]) -> Counter[int]:
    """How many items of each sort the prefix defines."""
    spaces: Counter[int] = Counter()
    for part in prefix:
        if part.id == binary.TYPE:
            spaces[binary.TYPE_SORT] += binary.count(data, part)
        elif part.id == binary.ALIAS:
            spaces.update(binary.aliases(data, part))
        else:
            spaces.update(sort for _, sort in binary.imports(data, part))
    if spaces[binary.COMPONENT_SORT] or (spaces[binary.FUNCTION_SORT] and not spaces[binary.INSTANCE_SORT]):
        raise Unusual("imports of components or functions")
    return spaces


def _outer(data: bytes, prefix: Sequence[Section], what: _Wrapping) -> tuple[bytes, bytes]:
    """The wrapper, and how it begins.

    What fills the index spaces at its start, and `$guest`, are replaced by the real ones.
    """
    spaces = _spaces(data, prefix)
    lines = ["(type (instance)) (type (func))", "(type u8)" * (spaces[binary.TYPE_SORT] - 2)]
    lines += [f'(import "i{number}" (instance (type 0)))' for number in range(spaces[binary.INSTANCE_SORT])]
    lines += [f'(import "f{number}" (func (type 1)))' for number in range(spaces[binary.FUNCTION_SORT])]
    start = capi.assembled(f"(component {' '.join(lines)})")
    imported = [name for part in prefix if part.id == binary.IMPORT for name, _ in binary.imports(data, part)]
    resources = _resources(what.shape)
    lines += [f'(alias export {imported.index(owner)} "{name}" (type ${name}))' for name, owner in resources.items()]
    lines += _importer(what.calls, list(resources))
    bags = {interface: f"$bag{imported.index(interface)}" for interface, _, _ in what.calls.values()}
    for interface, bag in bags.items():
        lines += _bag(what, interface, bag, imported.index(interface))
    lines += _exporter(what.offers, list(resources))
    lines.append("(component $guest) (instance $made (instantiate $guest")
    lines += [f'(with "{name}" (instance {bags.get(name, at)}))' for at, name in enumerate(imported)]
    lines.append("))")
    if what.offers:
        lines.append(_exported(what.offers, list(resources)))
    lines += [f'(export "{name}" (instance $made "{name}"))' for name in what.exported]
    return start, capi.assembled(f"(component {' '.join(lines)})")


def _resources(shape: Shape) -> dict[str, str]:
    """The imported resources, each with the interface that defines it."""
    found: dict[str, str] = {}
    for name, item in shape.imports.items():
        if name.startswith(_PACKAGES) and isinstance(item, Interface):
            for resource in item.resources:
                found.setdefault(resource, name)
    return found


def _importer(calls: Mapping[str, tuple[str, str, FunctionType]], resources: Sequence[str]) -> list[str]:
    """The adapter before the guest, with the host's functions that it calls."""
    if not calls:
        return []
    thin = {label: thin_function(type_) for label, (_, _, type_) in calls.items()}
    text, names = adapter(
        "importer", {label: (thin[label], type_) for label, (_, _, type_) in calls.items()}, resources
    )
    types = Types("t", '(export "NAME" (type $NAME (eq TYPE)))')
    functions = [f'(export "{label}" (func {types.function(type_)}))' for label, type_ in thin.items()]
    shared = [
        f'(alias outer 1 ${name} (type $outer-{name})) (export "{name}" (type ${name} (eq $outer-{name})))'
        for name in resources
    ]
    given = [f'(with "{name}" (type ${name}))' for name in resources]
    given += [f'(with "{inner}" (type $host "{outer}"))' for inner, outer in zip(names, types.names, strict=True)]
    given += [f'(with "{label}" (func $host "{label}"))' for label in thin]
    return [
        f'(import "{IMPORTS}" (instance $host {" ".join([*shared, *types.lines, *functions])}))',
        text,
        f"(instance $calls (instantiate $importer {' '.join(given)}))",
    ]


def _bag(what: _Wrapping, interface: str, bag: str, number: int) -> Iterator[str]:
    """An interface for the guest: the imported one, with functions of the adapter in the place of some."""
    item = what.shape.imports[interface]
    assert isinstance(item, Interface)  # noqa: S101 - it has functions
    named = [*item.resources, *item.types]
    yield from (f'(alias export {number} "{name}" (type {bag}-{name}))' for name in named)
    yield f"(instance {bag}"
    yield from (f'(export "{name}" (type {bag}-{name}))' for name in named)
    for name in item.functions:
        shown = spelled(name) if what.respelled else name
        is_replaced = label(interface, name) in what.calls
        source = f'$calls "{label(interface, name)}"' if is_replaced else f'{number} "{shown}"'
        yield f'(export "{shown}" (func {source}))'
    yield ")"


def _exporter(offers: Mapping[str, tuple[str, str, FunctionType]], resources: Sequence[str]) -> list[str]:
    """The adapter behind the guest."""
    if not offers:
        return []
    functions = {label: (type_, thin_function(type_)) for label, (_, _, type_) in offers.items()}
    text, names = adapter("exporter", functions, resources)
    types = Types("g", "")
    for type_ in names.values():
        types.text(type_)
    return [text, *types.lines]


def _exported(offers: Mapping[str, tuple[str, str, FunctionType]], resources: Sequence[str]) -> str:
    """The instance of that adapter, with the guest's functions that it calls; and its export."""
    functions = {label: (type_, thin_function(type_)) for label, (_, _, type_) in offers.items()}
    _, names = adapter("exporter", functions, resources)
    given = [f'(with "{name}" (type ${name}))' for name in resources]
    given += [f'(with "{name}" (type $g{number}))' for number, name in enumerate(names)]
    given += [f'(with "{label}" (func $made "{interface}" "{name}"))' for label, (interface, name, _) in offers.items()]
    return f'(instance $offers (instantiate $exporter {" ".join(given)})) (export "{EXPORTS}" (instance $offers))'


def _tail(start: bytes, outer: bytes, guest: bytes) -> bytes:
    """What follows the beginning, with the guest in its place."""
    if not outer.startswith(start):
        raise Unusual("a wrapper that begins otherwise")
    parts = list(binary.sections(outer))
    place = max(number for number, part in enumerate(parts) if part.id == binary.COMPONENT)
    before, after = outer[len(start) : parts[place].start], outer[parts[place].end :]
    return before + binary.section(binary.COMPONENT, guest) + after


def _respelled(data: bytes, parts: Iterable[Section], names: Iterable[str]) -> bytes:
    """A component of these sections, with the plain names of `spelling`."""
    return b"".join([binary.HEADER, *(_respelled_section(data, part, names) for part in parts)])


def _respelled_section(data: bytes, part: Section, names: Iterable[str]) -> bytes:
    content = data[part.start : part.end]
    if part.id not in (binary.TYPE, binary.ALIAS):
        return content
    for name in names:
        size = bytes([len(name)])
        content = content.replace(size + name.encode(), size + spelled(name).encode())
    return content
