"""Wraps a component so that bodies cross as text.

The C API holds a `list<u8>` as 32 bytes for each byte, and converts them one by one: 130 ms for a mebibyte, on the
event loop. A string is copied as it is. So the component is put into another one, beside a small adapter that gives it
the functions with bodies in their types, and itself calls functions of the host that have strings in their place.
Between guest and adapter the engine copies memory; between adapter and host the text is Latin-1, in which every byte is
a character, so that any body is valid text.

A component that is put together in a way that these functions do not know stays as it is, and works as before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from dragoman.errors import ComponentError
from dragoman.handlers.component import capi
from dragoman.handlers.component.bodies import binary
from dragoman.handlers.component.bodies.binary import Section, Unusual
from dragoman.handlers.component.bodies.spelling import INTERFACE, NAMES, spelled
from dragoman.handlers.component.engine import Engine
from dragoman.handlers.component.shape import read_shape
from dragoman.handlers.component.types import Interface, Shape

_ADAPTER: Final = Path(__file__).with_name("adapter.wat")
#: The functions that the adapter replaces, and its names for them.
_REPLACED: Final = {
    "[constructor]message": "new",
    "[method]message.data": "get",
    "[method]message.set-data": "set",
}


def wrapped(engine: Engine, data: bytes) -> bytes | None:
    """A component in its wrapper; None where there is nothing to gain, or it is put together in an unusual way."""
    try:
        return _wrapped(engine, data)
    except (Unusual, IndexError, UnicodeDecodeError, ComponentError):
        return None


def _wrapped(engine: Engine, data: bytes) -> bytes | None:
    parts = list(binary.sections(data))
    prefix = _prefix(parts)
    head = b"".join(data[part.start : part.end] for part in prefix)
    # What is imported, with all its types, is a component by itself, which is compiled in no time.
    shape = _shape(engine, binary.HEADER + head)
    name = next((name for name, item in shape.imports.items() if _has_bodies(name, item)), None)
    exported = [found for part in parts if part.id == binary.EXPORT for found in binary.exports(data, part)]
    if name is None or any(sort != binary.INSTANCE_SORT for _, sort in exported):
        return None
    spaces = _spaces(data, prefix)
    imported = [name for part in prefix if part.id == binary.IMPORT for name, _ in binary.imports(data, part)]
    outer = _outer(spaces, imported, name, shape, [name for name, _ in exported])
    tail = _tail(capi.assembled(outer), _respelled(data, parts))
    return binary.HEADER + _respelled_prefix(data, prefix) + tail


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


def _has_bodies(name: str, item: object) -> bool:
    if not name.startswith("wasi:messaging/types") or not isinstance(item, Interface):
        return False
    known = set(item.functions) <= set(NAMES) and "message" in item.resources
    return known and any(function in item.functions for function in _REPLACED)


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


def _outer(spaces: Counter[int], imported: Sequence[str], types: str, shape: Shape, exported: Sequence[str]) -> str:
    """The wrapper in WAT. What fills the index spaces at its start, and `$guest`, are replaced by the real ones."""
    interface = shape.imports[types]
    assert isinstance(interface, Interface)  # noqa: S101 - that is how it was found
    number = imported.index(types)
    named = [*interface.resources, *interface.types]
    lines = ["(type (instance)) (type (func))", "(type u8)" * (spaces[binary.TYPE_SORT] - 2)]
    lines += [f'(import "i{number}" (instance (type 0)))' for number in range(spaces[binary.INSTANCE_SORT])]
    lines += [f'(import "f{number}" (func (type 1)))' for number in range(spaces[binary.FUNCTION_SORT])]
    lines += [f'(alias export {number} "{name}" (type ${name}))' for name in named]
    lines.append(_ADAPTER.read_text().replace("INTERFACE", INTERFACE))
    lines.append("(instance $types")
    lines += [f'(export "{name}" (type ${name}))' for name in named]
    for name in interface.functions:
        source = f'$bytes "{_REPLACED[name]}"' if name in _REPLACED else f'{number} "{spelled(name)}"'
        lines.append(f'(export "{spelled(name)}" (func {source}))')
    lines.append(") (component $guest) (instance $made (instantiate $guest")
    for at, name in enumerate(imported):
        lines.append(f'(with "{name}" (instance {"$types" if name == types else at}))')
    lines.append("))")
    lines += [f'(export "{name}" (instance $made "{name}"))' for name in exported]
    return f"(component {' '.join(lines)})"


def _tail(outer: bytes, guest: bytes) -> bytes:
    """What follows the prefix: all from the first alias on, with the guest in its place."""
    parts = list(binary.sections(outer))
    first = next(number for number, part in enumerate(parts) if part.id == binary.ALIAS)
    place = max(number for number, part in enumerate(parts) if part.id == binary.COMPONENT)
    before, after = outer[parts[first].start : parts[place].start], outer[parts[place].end :]
    return before + binary.section(binary.COMPONENT, guest) + after


def _respelled(data: bytes, parts: Iterable[Section]) -> bytes:
    """The same component with the plain names of `spelling`."""
    pieces = [binary.HEADER]
    pieces += [_respelled_section(data, part) for part in parts]
    return b"".join(pieces)


def _respelled_prefix(data: bytes, prefix: Iterable[Section]) -> bytes:
    return b"".join(_respelled_section(data, part) for part in prefix)


def _respelled_section(data: bytes, part: Section) -> bytes:
    content = data[part.start : part.end]
    if part.id not in (binary.TYPE, binary.ALIAS):
        return content
    for name in NAMES:
        size = bytes([len(name)])
        content = content.replace(size + name.encode(), size + spelled(name).encode())
    return content
