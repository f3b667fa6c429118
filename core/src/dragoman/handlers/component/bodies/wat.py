"""Writes the adapters of `wrapper.py` in WAT.

An adapter is a component between two others. It offers functions and calls others whose values lie in memory in the
same way, under other types: so its code only passes on what it is given. Texts are Latin-1 in it, where a body's bytes
are characters; `latin1+utf16` keeps every character below U+0100 in one byte. Other texts may be UTF-16 in it,
which the engine converts on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from dragoman.handlers.component.bodies.layout import MOST_PARAMETERS, MOST_RESULTS, flat
from dragoman.handlers.component.types import FunctionType, Type

_HEAP: Final = Path(__file__).with_name("heap.wat")
#: Where a call leaves its result, and how much there is room for. The heap begins after it.
_RESULT: Final = 16
_ROOM: Final = 1008
_ENCODING: Final = "string-encoding=latin1+utf16"


class Types:
    """The types that functions speak of, in one scope of WAT.

    There records and their like must have names, which the scope imports or exports.

    Attributes:
        lines: what defines them, in order.
        names: the names of those that have one, with their types.
    """

    def __init__(self, prefix: str, declaration: str) -> None:
        """Types of a scope.

        Args:
            prefix: with what their names begin.
            declaration: how the scope names a type: a text with NAME, and TYPE for what it is; empty where types need
                no names.
        """
        self._prefix = prefix
        self._declaration = declaration
        self._known: dict[Type, str] = {}
        self.lines: list[str] = []
        self.names: dict[str, Type] = {}

    def text(self, type_: Type) -> str:
        """A type, after `lines` has been extended by what it needs."""
        if type_.kind in ("own", "borrow"):
            return f"({type_.kind} ${type_.names[0]})"
        if type_.kind in ("record", "variant", "enum", "flags"):
            return self._named(type_)
        if type_.kind == "result":
            ok, error = type_.parts or (None, None)
            failure = f"(error {self.text(error)})" if error else ""
            return f"(result {self.text(ok) if ok else ''} {failure})"
        inner = " ".join(self.text(part) for part in type_.parts if part is not None)
        return f"({type_.kind} {inner})" if inner else type_.kind

    def function(self, function: FunctionType) -> str:
        """The parameters and the result of a function."""
        parameters = " ".join(f'(param "{name}" {self.text(type_)})' for name, type_ in function.parameters)
        return f"{parameters} (result {self.text(function.result)})" if function.result else parameters

    def _named(self, type_: Type) -> str:
        if type_ not in self._known:
            definition = self._definition(type_)
            name = f"{self._prefix}{len(self._known)}"
            self._known[type_], self.names[name] = f"${name}", type_
            own = f"$is-{name}" if self._declaration else f"${name}"
            self.lines.append(f"(type {own} {definition})")
            self.lines.append(self._declaration.replace("NAME", name).replace("TYPE", own))
        return self._known[type_]

    def _definition(self, type_: Type) -> str:
        if not any(type_.parts):
            members = [f'"{name}"' for name in type_.names]
            if type_.kind == "variant":
                members = [f"(case {name})" for name in members]
            return f"({type_.kind} {' '.join(members)})"
        word = "field" if type_.kind == "record" else "case"
        texts = [self.text(part) if part else "" for part in type_.parts]
        members = [f'({word} "{name}" {text})' for name, text in zip(type_.names, texts, strict=True)]
        return f"({type_.kind} {' '.join(members)})"


def adapter(
    name: str, functions: Mapping[str, tuple[FunctionType, FunctionType]], resources: Sequence[str]
) -> tuple[str, Mapping[str, Type]]:
    """A component that offers functions, and imports those that it calls.

    Args:
        name: its name in the text.
        functions: by name, the function that it calls and the one that it offers.
        resources: the names of the resources that they speak of; it imports them, too.

    Returns:
        The text, and the types that it imports by name besides.
    """
    called = Types("i", '(import "NAME" (type $NAME (eq TYPE)))')
    offered = Types("e", '(export $NAME "NAME" (type TYPE))')
    imports = [
        f'(import "{label}" (func ${label} {called.function(inner)}))' for label, (inner, _) in functions.items()
    ]
    lifts = [_lift(label, offered.function(outer)) for label, (_, outer) in functions.items()]
    lines = [f'(import "{resource}" (type ${resource} (sub resource)))' for resource in resources]
    lines += [*called.lines, *imports, *offered.lines, _HEAP.read_text()]
    lines += [f"(core func $drop-{resource} (canon resource.drop ${resource}))" for resource in resources]
    lines += [
        f"(core func $call-{label} (canon lower (func ${label}) (memory $memory) (realloc $realloc) {_ENCODING}))"
        for label in functions
    ]
    lines += [_program({label: outer for label, (_, outer) in functions.items()}, resources), *lifts]
    return f"(component ${name} {' '.join(lines)})", called.names


def _lift(label: str, text: str) -> str:
    after = f'(post-return (core func $program "after-{label}"))'
    return (
        f'(func $offer-{label} {text} (canon lift (core func $program "{label}") (memory $memory) (realloc $realloc)'
        f' {after} {_ENCODING})) (export "{label}" (func $offer-{label}))'
    )


def _program(functions: Mapping[str, FunctionType], resources: Sequence[str]) -> str:
    """The core module that passes on what it is given, and its instance."""
    imports = [f'(import "host" "drop-{resource}" (func $drop-{resource} (param i32)))' for resource in resources]
    given = [f'(export "drop-{resource}" (func $drop-{resource}))' for resource in resources]
    bodies = []
    for label, function in functions.items():
        parameters, result = _core(function)
        through = [*parameters, "i32"] if len(result) > MOST_RESULTS else parameters
        direct = result if len(result) <= MOST_RESULTS else []
        imports.append(f'(import "host" "call-{label}" (func $call-{label} {_signature(through, direct)}))')
        given.append(f'(export "call-{label}" (func $call-{label}))')
        bodies.append(_body(label, function, parameters, result))
    return (
        f'(core module $program-code (import "heap" "reset" (func $reset)) {" ".join(imports + bodies)})'
        f'(core instance $program (instantiate $program-code (with "heap" (instance $heap))'
        f' (with "host" (instance {" ".join(given)}))))'
    )


def _core(function: FunctionType) -> tuple[list[str], list[str]]:
    """The core values of the parameters, which may be but a place in memory, and of the result."""
    parameters = [value for _, type_ in function.parameters for value in flat(type_)]
    return (["i32"] if len(parameters) > MOST_PARAMETERS else parameters), flat(function.result)


def _signature(parameters: Sequence[str], result: Sequence[str]) -> str:
    return " ".join([*(f"(param {value})" for value in parameters), *(f"(result {value})" for value in result)])


def _body(label: str, function: FunctionType, parameters: Sequence[str], result: Sequence[str]) -> str:
    """Two functions: the one that passes on, and the one that the engine calls when it has read the result."""
    returned = result if len(result) <= MOST_RESULTS else ["i32"]
    arguments = [f"(local.get {number})" for number in range(len(parameters))]
    place = [f"(i32.const {_RESULT})"] if len(result) > MOST_RESULTS else []
    drops = [f"(call $drop-{resource} (local.get {number}))" for number, resource in _borrowed(function)]
    code = " ".join([f"(call $call-{label} {' '.join(arguments + place)})", *drops, *place])
    return (
        f'(func (export "{label}") {_signature(parameters, returned)} {code})'
        f'(func (export "after-{label}") {_signature(returned, [])} (call $reset))'
    )


def _borrowed(function: FunctionType) -> list[tuple[int, str]]:
    """The parameters that are borrowed: where, and of which resource. They end with the call."""
    found, at = [], 0
    for _, type_ in function.parameters:
        if type_.kind == "borrow":
            found.append((at, type_.names[0]))
        at += len(flat(type_))
    return found
