"""How values lie in memory between components: what decides whether one type can stand for another."""

from __future__ import annotations

from itertools import zip_longest
from typing import Final

from dragoman.handlers.component.types import FunctionType, Type

#: How many core values parameters and results may have before they go through memory.
MOST_PARAMETERS: Final = 16
MOST_RESULTS: Final = 1

_WIDE: Final = {"s64": "i64", "u64": "i64", "f32": "f32", "f64": "f64"}
_PAIRS: Final = ("string", "list")
_TEXT: Final = Type("string")
_BYTE: Final = Type("u8")


def is_body(type_: Type) -> bool:
    """Whether a type is `list<u8>`."""
    return type_.kind == "list" and type_.parts == (_BYTE,)


def has_bodies(type_: Type | None) -> bool:
    """Whether there is a `list<u8>` anywhere in a type."""
    return type_ is not None and (is_body(type_) or any(map(has_bodies, type_.parts)))


def function_has_bodies(function: FunctionType) -> bool:
    """Whether there is one among a function's parameters, or in its result."""
    return has_bodies(function.result) or any(has_bodies(type_) for _, type_ in function.parameters)


def thin(type_: Type) -> Type:
    """A type that lies in memory in the same way, and whose values cost the engine and the host less.

    A body is a text of Latin-1, a record the tuple of its fields, the case of an enumeration its number.
    """
    if is_body(type_):
        return _TEXT
    if type_.kind == "enum":
        return _BYTE
    parts = tuple(part and thin(part) for part in type_.parts)
    return Type("tuple", (), parts) if type_.kind == "record" else Type(type_.kind, type_.names, parts)


def thin_function(function: FunctionType) -> FunctionType:
    """The function with such types."""
    parameters = tuple((name, thin(type_)) for name, type_ in function.parameters)
    return FunctionType(parameters, thin(function.result) if function.result else None)


def flat(type_: Type | None) -> list[str]:
    """The core values that a value becomes, as the canonical ABI flattens it."""
    if type_ is None:
        return []
    if type_.kind in ("record", "tuple"):
        return [value for part in type_.parts for value in flat(part)]
    if type_.kind in ("option", "variant", "result"):
        return ["i32", *_joined([flat(part) for part in type_.parts])]
    return ["i32", "i32"] if type_.kind in _PAIRS else [_WIDE.get(type_.kind, "i32")]


def _joined(cases: list[list[str]]) -> list[str]:
    """Core values that hold any one of the cases."""
    return [_join({value for value in values if value}) for values in zip_longest(*cases, fillvalue="")]


def _join(values: set[str]) -> str:
    if len(values) == 1:
        return values.pop()
    return "i32" if values == {"i32", "f32"} else "i64"
