"""The types of the component model as plain values, and their text as WIT writes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "bool", "s8", "s16", "s32", "s64", "u8", "u16", "u32", "u64", "f32", "f64", "char", "string", "list", "record",
    "tuple", "variant", "enum", "option", "result", "flags", "own", "borrow", "future", "stream", "error-context",
    "map", "fixed-list",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Type:
    """A type of a value.

    Attributes:
        kind: which one.
        names: of a record's fields, a variant's cases, an enum's or a flags' members; the resource's name of a handle.
        parts: the types inside: the element, the payload, the fields, the cases, ok and error. None where a case or a
            side of a result carries nothing.
    """

    kind: Kind
    names: tuple[str, ...] = ()
    parts: tuple[Type | None, ...] = ()

    def __str__(self) -> str:
        """The text in WIT."""
        parts = ["_" if part is None else str(part) for part in self.parts]
        if self.kind in ("own", "borrow"):
            return f"{self.kind}<{self.names[0]}>"
        if self.kind == "record":
            return _block(self.kind, [f"{name}: {part}" for name, part in zip(self.names, parts, strict=True)])
        if self.kind == "variant":
            cases = zip(self.names, parts, strict=True)
            return _block(self.kind, [name if part == "_" else f"{name}({part})" for name, part in cases])
        if self.kind in ("enum", "flags"):
            return _block(self.kind, list(self.names))
        return f"{self.kind}<{', '.join(parts)}>" if parts else self.kind


def _block(kind: str, members: list[str]) -> str:
    return f"{kind} {{ {', '.join(members)} }}"


@dataclass(frozen=True, slots=True)
class FunctionType:
    """The type of a function.

    Attributes:
        parameters: names and types.
        result: None where it returns nothing.
        is_async: whether it is one of WASI 0.3's asynchronous functions.
    """

    parameters: tuple[tuple[str, Type], ...]
    result: Type | None
    is_async: bool = False

    def __str__(self) -> str:
        """The text in WIT."""
        parameters = ", ".join(f"{name}: {type_}" for name, type_ in self.parameters)
        return f"{'async ' if self.is_async else ''}func({parameters})" + (f" -> {self.result}" if self.result else "")

    @property
    def signature(self) -> str:
        """The types alone: what decides whether two functions fit, whatever their parameters are called."""
        parameters = ", ".join(str(type_) for _, type_ in self.parameters)
        return f"({parameters})" + (f" -> {self.result}" if self.result else "")


@dataclass(frozen=True, slots=True)
class Interface:
    """What an instance imports or exports under one name.

    Attributes:
        functions: their types, by name.
        types: the named types, by name.
        resources: the names of the resources.
    """

    functions: dict[str, FunctionType]
    types: dict[str, Type]
    resources: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The text in WIT, one item a line; a type that has a name goes by it."""
        named = sorted(
            ((str(type_), name) for name, type_ in self.types.items() if type_.names), key=_length, reverse=True
        )
        lines = [f"resource {name};" for name in self.resources]
        lines += [f"type {name} = {type_};" for name, type_ in self.types.items()]
        for name, function in self.functions.items():
            text = str(function)
            for type_text, type_name in named:
                text = text.replace(type_text, type_name)
            lines.append(f"{name}: {text};")
        return "\n".join(lines)


def _length(named: tuple[str, str]) -> int:
    return len(named[0])


Item = Interface | FunctionType | str


@dataclass(frozen=True, slots=True)
class Shape:
    """What a component imports and exports, by name. What is neither interface nor function is its kind's name."""

    imports: dict[str, Item]
    exports: dict[str, Item]
