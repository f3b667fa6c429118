"""One error of every class of the tree, with the case of `core` that it is."""

from __future__ import annotations

from collections.abc import Iterator

from dragoman import errors
from dragoman.errors import ConfigError, DragomanError, Problem

_KINDS = {
    "timeout": ("TimedOut", "DeadlineExceeded"),
    "connection": ("ConnectionLost", "Closed", "AuthenticationFailed"),
    "permission-denied": ("NotGranted", "PermissionDenied"),
}


def _classes(root: type[DragomanError]) -> Iterator[type[DragomanError]]:
    yield root
    for below in root.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from _classes(below)


def _made(kind: type[DragomanError]) -> DragomanError:
    if kind is ConfigError:
        return ConfigError([Problem("dragoman.toml", "handlers.a", "is wrong")])
    return kind(f"the {kind.__name__}", where="somewhere", hint="do this")


#: By error: the case of `core`.
TREE = {
    _made(kind): next((case for case, names in _KINDS.items() if kind.__name__ in names), "other")
    for kind in _classes(DragomanError)
}
