"""Finds the harness that `dragoman conform MODULE:HARNESS` names."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from dragoman.errors import PluginError, nearest
from dragoman.testing.harness import Harness, check_harness


def load(reference: str) -> Any:
    """What `MODULE:HARNESS` names: a `Harness` class, or a function that gives a harness or a context with one.

    Raises:
        PluginError: there is no such module or name in it.
    """
    module_name, colon, name = reference.partition(":")
    if not (colon and module_name and name):
        raise PluginError(
            f"{reference!r} names no harness", expected="MODULE:HARNESS, as in dragoman_kafka.harness:Local"
        )
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise PluginError(f"{module_name} can't be imported: {error}", hint="is it installed here?") from error
    if not hasattr(module, name):
        near = nearest(name, (key for key in vars(module) if not key.startswith("_")))
        raise PluginError(f"there is no {name!r} in {module_name}", nearest=near)
    return getattr(module, name)


@asynccontextmanager
async def opened(found: Any) -> AsyncIterator[Harness]:
    """The harness, for as long as its context is open, where it has one.

    Raises:
        PluginError: it is no harness, or one that leaves something out.
    """
    made = found() if callable(found) else found
    if hasattr(made, "__aenter__"):
        async with made as harness:
            yield _checked(harness)
    elif hasattr(made, "__enter__"):
        with made as harness:
            yield _checked(harness)
    else:
        yield _checked(made)


def _checked(harness: object) -> Harness:
    if not isinstance(harness, Harness):
        raise PluginError(f"{harness!r} is no harness", expected="a dragoman.testing.Harness")
    try:
        check_harness(harness)
    except TypeError as error:
        raise PluginError(str(error)) from error
    return harness
