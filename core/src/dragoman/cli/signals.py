"""SIGINT and SIGTERM: the first asks the host to end, the second ends the process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
INTERRUPTED: Final = 130


class Stop:
    """Whether, and by which signal, the process was asked to end.

    Attributes:
        asked: set by the first signal.
        signal: its name, or why else it was asked; None before.
    """

    def __init__(self, at_once: Callable[[], None]) -> None:
        """Nothing was asked yet; `at_once` is called before a second signal ends the process."""
        self.asked = asyncio.Event()
        self.signal: str | None = None
        self._at_once = at_once
        self._signalled = False
        self._starting: asyncio.Task[object] | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Inside the block the signals come here."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._received, number)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    def starting(self) -> None:
        """Until `started`, the first signal cancels the current task: there is nothing in hand yet to be finished."""
        self._starting = asyncio.current_task()

    def started(self) -> None:
        """See `starting`."""
        self._starting = None

    def ask(self, why: str) -> None:
        """What the first signal does; nothing after it."""
        if self.signal is not None:
            return
        self.signal = why
        self.asked.set()
        if self._starting is not None:
            self._starting.cancel()

    def _received(self, number: signal.Signals) -> None:
        if self._signalled:
            self._at_once()
            sys.stdout.flush()
            # Not `sys.exit`: whatever hangs must not keep the process from ending now.
            os._exit(INTERRUPTED)
        self._signalled = True
        self.ask(number.name)
