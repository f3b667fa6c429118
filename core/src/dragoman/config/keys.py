"""Paths of keys, and the lines of the file that they are on."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Final

#: From the top of the file: names of keys, and indexes into arrays.
KeyPath = tuple[str | int, ...]

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_ARRAY_HEADER: Final = re.compile(r"\s*\[\[")


def dotted(path: KeyPath) -> str:
    """The path as it is written in TOML: `handlers.billing.subscribe[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        name = part if _BARE.fullmatch(part) else json.dumps(part, ensure_ascii=False)
        text += f".{name}" if text else name
    return text


def lines(text: str) -> dict[str, int]:
    """The first line of every table and key of a valid TOML text, by dotted path; the first line is 1."""
    found: dict[str, int] = {}
    table: KeyPath = ()
    arrays: dict[KeyPath, int] = {}
    for number, statement in _statements(text):
        path = _leading_keys(tomllib.loads(statement))
        if _ARRAY_HEADER.match(statement):
            array = path[:-1]
            arrays[array] = arrays.get(array, -1) + 1
            path = table = (*array, arrays[array])
        elif statement.lstrip().startswith("["):
            table = path
        else:
            path = table + path
        for end in range(1, len(path) + 1):
            found.setdefault(dotted(path[:end]), number)
    return found


def line_of(key: str, known: Mapping[str, int]) -> int | None:
    """The line of a dotted path, or of the nearest thing around it that the file has; None for the whole file."""
    around = [path for path in known if key == path or key.startswith((f"{path}.", f"{path}["))]
    return known[max(around, key=len)] if around else None


def _statements(text: str) -> Iterator[tuple[int, str]]:
    # A statement ends with the first line after which tomllib can read it: no second parser of strings and arrays.
    start, statement = 1, ""
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        if not statement and (not line.strip() or line.lstrip().startswith("#")):
            continue
        start = start if statement else number
        statement += line
        try:
            tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        yield start, statement
        statement = ""


def _leading_keys(table: Any) -> KeyPath:
    keys: list[str | int] = []
    while isinstance(table, dict | list) and len(table) == 1:
        key: str | int = 0 if isinstance(table, list) else next(iter(table))
        keys.append(key)
        table = table[key]  # type: ignore[index]
    return tuple(keys)
