"""A component's file: reads it, says what is wrong with it, and gets its compiled code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from dragoman.errors import ComponentError
from dragoman.handlers.component import apart
from dragoman.handlers.component.cache import Cache
from dragoman.handlers.component.engine import Engine

_MAGIC: Final = b"\0asm"
_MODULE: Final = b"\x01\0\0\0"
_COMPONENT: Final = b"\x0d\0\x01\0"
#: What the compiler says of a component that needs the asynchronous component model.
_ASYNCHRONOUS: Final = "component model async"
#: Bytes of a file: more than any toolchain makes.
_MOST: Final = 256 * 2**20


def read(path: Path) -> bytes:
    """The bytes of a component. Blocks.

    Raises:
        ComponentError: there is no such file, or it is something else.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST + 1)
    except FileNotFoundError:
        raise ComponentError("there is no such file") from None
    except OSError as error:
        raise ComponentError(f"the file can't be read: {error.strerror}") from error
    expected = "a WebAssembly component"
    if len(data) > _MOST:
        raise ComponentError("the file is too large", expected=f"at most {_MOST // 2**20} MiB")
    if data[:4] != _MAGIC:
        is_text = data.lstrip()[:1] in (b"(", b";")
        hint = "it looks like WebAssembly text; `wasm-tools parse` makes a binary of it" if is_text else None
        raise ComponentError("this is no WebAssembly file", expected=expected, hint=hint)
    if data[4:8] == _MODULE:
        hint = "`wasm-tools component new` makes a component of it"
        raise ComponentError("this is a core WebAssembly module", expected=expected, hint=hint)
    if data[4:8] != _COMPONENT:
        raise ComponentError(f"this is WebAssembly of an unknown version, {data[4:8].hex()}", expected=expected)
    return data


def compiled(engine: Engine, cache: Cache, data: bytes, compiling: Callable[[], None]) -> int:
    """The compiled code of a component, from the cache or new. Blocks, up to seconds.

    Raises:
        ComponentError: it is broken, or needs what this host has not.
    """

    def build() -> int:
        compiling()
        return apart.compile_here(engine, data) if apart.is_small(data) else apart.compiled(engine, data)

    try:
        return cache.component(engine, data, build)
    except ComponentError as error:
        text = " ".join(error.what.split())
        if _ASYNCHRONOUS in text:
            raise ComponentError(
                f"the component is asynchronous, as of WASI 0.3 ({text})", expected="a component for WASI 0.2"
            ) from None
        raise ComponentError(f"the component is broken: {text}") from None


def placed(error: ComponentError, path: Path) -> ComponentError:
    """The same error, with the path of the file."""
    where = f"{path}: {error.where}" if error.where else str(path)
    return ComponentError(error.what, where=where, expected=error.expected, nearest=error.nearest, hint=error.hint)
