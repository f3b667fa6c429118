"""Tells whether a component is put together of several that have code of their own.

What such components hand to each other is copied by the engine itself, which counts no fuel for a text: a few
instructions copy as much as fits into a guest's memory, and the event loop stands still for all of a slice of them. So
they need to be trusted, unlike others.

What toolchains put into a component for the sake of its types has no code, and does not count. Nor does what
componentize-qjs puts beside every guest in JavaScript: an answer to the engine's question for further modules, all of
which are in the guest already. It is replaced by one of ours that traps, and so copies nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from dragoman.handlers.component import capi
from dragoman.handlers.component.bodies import binary
from dragoman.handlers.component.bodies.binary import Section, Unusual

#: Deeper than any toolchain nests them; the engine has a limit of its own.
_DEEPEST: Final = 100
_INSTANCE: Final = 5
#: What may stand in a component that only puts others together.
_SECTIONS: Final = frozenset(
    {binary.CUSTOM, binary.COMPONENT, _INSTANCE, binary.ALIAS, binary.TYPE, binary.IMPORT, binary.EXPORT}
)
_LOADER: Final = "local:init/module-loader"
_TRAPS: Final = f"""
(component
  (core module $traps
    (memory (export "memory") 0)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "resolve") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "load") (param i32 i32) (result i32) unreachable))
  (core instance $traps (instantiate $traps))
  (type $answer (result string (error string)))
  (func $resolve (param "referrer" string) (param "specifier" string) (result $answer)
    (canon lift (core func $traps "resolve") (memory (core memory $traps "memory"))
      (realloc (core func $traps "realloc"))))
  (func $load (param "path" string) (result $answer)
    (canon lift (core func $traps "load") (memory (core memory $traps "memory"))
      (realloc (core func $traps "realloc"))))
  (instance $loader (export "resolve" (func $resolve)) (export "load" (func $load)))
  (export "{_LOADER}" (instance $loader)))
"""


def is_composed(data: bytes) -> bool:
    """Whether components inside a component adapt functions of their own; False for what is no component."""
    try:
        return any(_adapts(_inside(data, part), 1) for part in binary.sections(data) if part.id == binary.COMPONENT)
    except (IndexError, Unusual):
        return False  # the engine says what is wrong with it


def sealed(data: bytes) -> bytes | None:
    """A composed component of which only one has code that can run; None where that can't be made of it."""
    try:
        return _sealed(data)
    except (IndexError, UnicodeDecodeError, Unusual):
        return None


def _sealed(data: bytes) -> bytes | None:
    parts = list(binary.sections(data))
    inner = [part for part in parts if part.id == binary.COMPONENT]
    loaders = [part for part in inner if _is_loader(_inside(data, part))]
    if len(inner) != 2 or len(loaders) != 1 or not {part.id for part in parts} <= _SECTIONS:
        return None
    (loader,) = loaders
    if any(is_composed(_inside(data, part)) for part in inner if part is not loader):
        return None
    # Instantiated twice, or given to another, a guest would be as good as two.
    if sorted(_instantiated(data, parts)) != [0, 1]:
        return None
    replaced = binary.section(binary.COMPONENT, capi.assembled(_TRAPS))
    return data[: loader.start] + replaced + data[loader.end :]


def _is_loader(data: bytes) -> bool:
    parts = list(binary.sections(data))
    exported = [found for part in parts if part.id == binary.EXPORT for found in binary.exports(data, part)]
    return exported == [(_LOADER, binary.INSTANCE_SORT)] and not any(part.id == binary.IMPORT for part in parts)


def _instantiated(data: bytes, parts: Sequence[Section]) -> Iterator[int]:
    """The numbers of the components that are instantiated, each as often as that."""
    for part in parts:
        if part.id == binary.ALIAS and binary.COMPONENT_SORT in binary.aliases(data, part):
            raise Unusual("a component of an instance")
        if part.id == binary.IMPORT and binary.COMPONENT_SORT in dict(binary.imports(data, part)).values():
            raise Unusual("an imported component")
        if part.id == _INSTANCE:
            cursor = binary.Cursor(data, part.payload)
            for _ in range(cursor.number()):
                if cursor.byte() != 0:
                    raise Unusual("a bag of exports")
                yield cursor.number()
                for _ in range(cursor.number()):
                    cursor.name()
                    if cursor.sort() != binary.INSTANCE_SORT:
                        raise Unusual("an argument that is no instance")
                    cursor.number()


def _adapts(data: bytes, depth: int) -> bool:
    parts = list(binary.sections(data))
    if depth > _DEEPEST or any(part.id == binary.CANON for part in parts):
        return True
    return any(_adapts(_inside(data, part), depth + 1) for part in parts if part.id == binary.COMPONENT)


def _inside(data: bytes, part: Section) -> bytes:
    return data[part.payload : part.end]
