"""Progress of what takes a while, on a terminal."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    import rich.progress

#: Seconds before there is anything to see: what is quick needs no bar.
_PATIENCE: Final = 0.5
_INTERVAL: Final = 0.1


class Progress:
    """A bar on standard error where the total is known, a count where it is not; nothing where that is no terminal."""

    def __init__(self, total: int | None, what: str = "sent") -> None:
        self._total = total
        self._what = what
        self._bar: rich.progress.Progress | None = None
        self._next = float("inf")

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._next = time.monotonic() + _PATIENCE
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, done: int) -> None:
        """Draw it anew, not too often. From the caller's thread: there is no other that could be in its way."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _INTERVAL
        if self._bar is None:
            self._bar = _bar()
            self._bar.start()
            self._bar.add_task(self._what, total=self._total)
        self._bar.update(self._bar.task_ids[0], completed=done)
        self._bar.refresh()


def _bar() -> rich.progress.Progress:
    from rich import progress  # noqa: PLC0415 - takes a while to import, and only a terminal needs it
    from rich.console import Console  # noqa: PLC0415

    columns = (
        progress.TextColumn("{task.description} {task.completed:,}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(show_speed=True),
        progress.TimeElapsedColumn(),
    )
    return progress.Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True)
