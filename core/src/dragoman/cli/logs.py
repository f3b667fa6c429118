"""Brings what is logged to a view."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from dragoman.cli.floods import Floods
from dragoman.cli.view import View


@contextmanager
def logged(view: View, level: str) -> Iterator[None]:
    """Inside the block every log record of the process goes to the view; of failed tries only as many as one can read.

    Of other libraries only warnings do, unless the level is `debug`.
    """
    root, ours = logging.getLogger(), logging.getLogger("dragoman")
    before = root.level, ours.level
    handler = _ToView(view)
    root.addHandler(handler)
    root.setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
    ours.setLevel(level.upper())
    try:
        yield
    finally:
        handler.close()
        root.removeHandler(handler)
        root.setLevel(before[0])
        ours.setLevel(before[1])


class _ToView(logging.Handler):
    def __init__(self, view: View) -> None:
        super().__init__()
        self._floods = Floods(view.log)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._floods.log(record)
        except BrokenPipeError:
            raise
        except Exception:  # noqa: BLE001 - a record that can't be written must not end what logged it
            self.handleError(record)

    def close(self) -> None:
        """Show what was only counted so far."""
        self._floods.close()
        super().close()
