"""Turns what pydantic found wrong into problems that a user can act on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, time
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dragoman.config.annotations import at, is_model, keys
from dragoman.config.keys import KeyPath, dotted
from dragoman.errors import Problem, nearest

_TYPES: Final = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozen_set": "a list",
    "dict": "a table",
    "model": "a table",
    "model_attributes": "a table",
    "path": "a path",
    "url": "a URL",
    "bytes": "text",
}
_BOUNDS: Final = {
    "greater_than": ("gt", "more than {}"),
    "greater_than_equal": ("ge", "at least {}"),
    "less_than": ("lt", "less than {}"),
    "less_than_equal": ("le", "at most {}"),
    "multiple_of": ("multiple_of", "a multiple of {}"),
    "string_pattern_mismatch": ("pattern", "text that matches {}"),
    "string_too_short": ("min_length", "at least {} characters"),
    "string_too_long": ("max_length", "at most {} characters"),
    "too_short": ("min_length", "at least {} of them"),
    "too_long": ("max_length", "at most {} of them"),
}
_TYPE_ERROR: Final = re.compile(r"(.+?)_(type|parsing|from_float|unicode|parsing_size)")
_QUOTED: Final = re.compile(r"'([^']*)'")
_LONGEST: Final = 60  # characters of a value in a message


def problems_of(error: ValidationError, model: type[BaseModel], data: Any, prefix: KeyPath = ()) -> list[Problem]:
    """One problem for each key that pydantic found wrong.

    Args:
        error: what validating raised.
        model: what the data was validated with.
        data: what was validated; values in it may appear in the problems, so mask what is secret.
        prefix: where the data is in the file.
    """
    by_key: dict[KeyPath, list[ErrorDetails]] = {}
    for details in _deepest(error.errors(include_url=False), data):
        by_key.setdefault(_key(details, data), []).append(details)
    return [_problem(prefix, key, found, model) for key, found in by_key.items()]


def kind_of(value: Any) -> str:
    """What a TOML value is, in words."""
    kinds: Sequence[tuple[type | tuple[type, ...], str]] = (
        (bool, "true or false"),
        (str, "text"),
        (int, "a whole number"),
        (float, "a number"),
        (Mapping, "a table"),
        ((list, tuple), "a list"),
        ((date, time), "a date or time"),
    )
    return next((name for types, name in kinds if isinstance(value, types)), "nothing")


def one_of(names: Iterable[str]) -> str:
    """The names as a list for a sentence; what to say where there are none is up to the caller."""
    ordered = [f"'{name}'" for name in sorted(names)]
    return ordered[0] if len(ordered) == 1 else f"one of {', '.join(ordered)}"


def _deepest(errors: Sequence[ErrorDetails], data: Any) -> list[ErrorDetails]:
    # Of a union pydantic reports every branch. The one that the user meant is the one that got furthest into the data.
    branches = [_branch(details, data) for details in errors]
    reached: dict[KeyPath, int] = {}
    for details, branch in zip(errors, branches, strict=True):
        if branch:
            for name in (branch, branch[:-1]):
                reached[name] = max(reached.get(name, 0), len(_key(details, data)))
    return [
        details
        for details, branch in zip(errors, branches, strict=True)
        if branch is None or reached[branch] == reached[branch[:-1]]
    ]


def _branch(details: ErrorDetails, data: Any) -> KeyPath | None:
    # Where the location first names something that is not in the data: the branch of a union.
    loc = details["loc"]
    for index, part in enumerate(loc):
        found, data = _step(data, part)
        if not found:
            only_missing = details["type"] == "missing" and index == len(loc) - 1
            return None if only_missing else loc[: index + 1]
    return None


def _step(data: Any, part: str | int) -> tuple[bool, Any]:
    if isinstance(data, Mapping) and part in data:
        return True, data[part]
    if isinstance(data, list | tuple) and isinstance(part, int) and part < len(data):
        return True, data[part]
    return False, data


def _key(details: ErrorDetails, data: Any) -> KeyPath:
    # A location also names the branches of unions and the like, which are nothing that the user wrote.
    key: list[str | int] = []
    for part in details["loc"]:
        found, data = _step(data, part)
        if found:
            key.append(part)
    if details["type"] == "missing":
        key.append(details["loc"][-1])
    return tuple(key)


def _problem(prefix: KeyPath, key: KeyPath, found: Sequence[ErrorDetails], model: type[BaseModel]) -> Problem:
    described = [_describe(details, key, model) for details in found]
    what, _, closest = described[0]
    expected = " or ".join(dict.fromkeys(text for _, text, _ in described if text))
    return Problem("", dotted(prefix + key), what, expected or None, closest)


Description = tuple[str, str | None, str | None]


def _describe(details: ErrorDetails, key: KeyPath, model: type[BaseModel]) -> Description:
    kind = details["type"]
    if kind in _SPECIAL:
        return _SPECIAL[kind](details, key, model)
    if kind in _BOUNDS:
        name, text = _BOUNDS[kind]
        return _value(details["input"]), text.format(details["ctx"][name]), None
    if (match := _TYPE_ERROR.fullmatch(kind)) and match[1] in _TYPES:
        same = kind_of(details["input"]) == _TYPES[match[1]] or match[2] != "type"
        return _value(details["input"]) if same else f"is {kind_of(details['input'])}", _TYPES[match[1]], None
    return _lower(details["msg"]), None, None


def _missing(details: ErrorDetails, key: KeyPath, model: type[BaseModel]) -> Description:  # noqa: ARG001 - one signature
    for owner in filter(is_model, at(model, key[:-1])):
        for name, field in owner.model_fields.items():
            if key[-1] in (name, field.alias):
                return "is missing", field.description, None
    return "is missing", None, None


def _unknown(details: ErrorDetails, key: KeyPath, model: type[BaseModel]) -> Description:  # noqa: ARG001 - one signature
    known = {name for owner in filter(is_model, at(model, key[:-1])) for name in keys(owner)}
    return "is no key that is known here", one_of(known) if known else "none", nearest(str(key[-1]), known)


def _choice(details: ErrorDetails, key: KeyPath, model: type[BaseModel]) -> Description:  # noqa: ARG001 - one signature
    expected = str(details["ctx"]["expected"])
    return _value(details["input"]), expected, nearest(str(details["input"]), _QUOTED.findall(expected))


def _from_validator(details: ErrorDetails, key: KeyPath, model: type[BaseModel]) -> Description:  # noqa: ARG001 - one signature
    raised = details.get("ctx", {}).get("error")
    what, _, expected = str(raised or details["msg"]).partition("; expected ")
    return what or "is not valid", expected or None, None


_SPECIAL: Final[Mapping[str, Callable[[ErrorDetails, KeyPath, type[BaseModel]], Description]]] = {
    "missing": _missing,
    "extra_forbidden": _unknown,
    "literal_error": _choice,
    "enum": _choice,
    "value_error": _from_validator,
    "assertion_error": _from_validator,
}


def _value(value: Any) -> str:
    if not isinstance(value, str | int | float):
        return f"is {kind_of(value)}"
    text = repr(value)
    # A long value could be cut inside a secret, which masking would then not find.
    return f"is {text}" if len(text) <= _LONGEST else "is a long value that does not fit"


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
