"""Durations and sizes as people write them: `"200ms"`, `"64MiB"`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_SECONDS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES: Final = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_MOST: Final = 1e300  # what is more can't be multiplied
_DURATION: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(us|ms|s|m|h|d)\s*")
_SIZE: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(B|kB|MB|GB|KiB|MiB|GiB)\s*")


def duration(value: Any) -> float:
    """Seconds from `"1.5s"`, `"200ms"`, or a bare number of seconds.

    Raises:
        ValueError: anything else, negative or not finite.
    """
    if isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        seconds = float(match[1]) * _SECONDS[match[2]]
    elif isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MOST:
        seconds = float(value)
    else:
        seconds = math.inf
    if seconds < math.inf:
        return seconds
    raise ValueError(f"{value!r} is no duration; expected a number with us, ms, s, m, h or d, such as '200ms' or '30s'")


def size(value: Any) -> int:
    """Bytes from `"64MiB"`, `"1MB"`, or a bare number of bytes.

    Raises:
        ValueError: anything else, or negative.
    """
    if isinstance(value, str) and (match := _SIZE.fullmatch(value)) and float(match[1]) < _MOST:
        return int(float(match[1]) * _BYTES[match[2]])
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(f"{value!r} is no size; expected a number with B, kB, MB, GB, KiB, MiB or GiB, such as '64MiB'")


def duration_text(seconds: float) -> str:
    """The seconds as `duration` reads them back, in the largest unit that needs no fraction."""
    for unit, factor in reversed(_SECONDS.items()):
        count = round(seconds / factor)
        if count and float(count) * factor == seconds:
            return f"{count}{unit}"
    return f"{Decimal(repr(seconds)):f}s"


def size_text(count: int) -> str:
    """The bytes as `size` reads them back, in the largest unit that needs no fraction."""
    for unit in ("GiB", "MiB", "KiB", "GB", "MB", "kB"):
        if count and count % _BYTES[unit] == 0:
            return f"{count // _BYTES[unit]}{unit}"
    return f"{count}B"


def _schema(pattern: re.Pattern[str], bare: str) -> WithJsonSchema:
    text = {"type": "string", "pattern": f"^{pattern.pattern}$"}
    return WithJsonSchema({"anyOf": [text, {"type": bare, "minimum": 0}]})


def _written(text: Callable[[Any], str]) -> PlainSerializer:
    return PlainSerializer(text, return_type=str, when_used="json-unless-none")


#: Seconds.
Duration = Annotated[float, BeforeValidator(duration), _written(duration_text), _schema(_DURATION, "number")]
#: Bytes.
Size = Annotated[int, BeforeValidator(size), _written(size_text), _schema(_SIZE, "integer")]
