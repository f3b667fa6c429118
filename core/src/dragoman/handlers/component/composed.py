"""Tells whether a component is put together of several that have code of their own.

What such components hand to each other is copied by the engine itself, which counts no fuel for a text: a few
instructions copy as much as fits into a guest's memory, and the event loop stands still for all of a slice of them. So
they need to be trusted, unlike others.

What toolchains put into a component for the sake of its types has no code, and does not count.
"""

from __future__ import annotations

from typing import Final

from dragoman.handlers.component.bodies import binary
from dragoman.handlers.component.bodies.binary import Unusual

#: Deeper than any toolchain nests them; the engine has a limit of its own.
_DEEPEST: Final = 100


def is_composed(data: bytes) -> bool:
    """Whether components inside a component adapt functions of their own; False for what is no component."""
    try:
        return any(_adapts(_inside(data, part), 1) for part in binary.sections(data) if part.id == binary.COMPONENT)
    except (IndexError, Unusual):
        return False  # the engine says what is wrong with it


def _adapts(data: bytes, depth: int) -> bool:
    parts = list(binary.sections(data))
    if depth > _DEEPEST or any(part.id == binary.CANON for part in parts):
        return True
    return any(_adapts(_inside(data, part), depth + 1) for part in parts if part.id == binary.COMPONENT)


def _inside(data: bytes, part: binary.Section) -> bytes:
    return data[part.payload : part.end]
