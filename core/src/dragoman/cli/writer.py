"""Writes to standard output in a thread, so that nobody waits for a reader who does not read.

A pipe that is full, or a terminal that stands still, blocks whoever writes to it. What a host prints goes through here:
into a queue with a bound, and from there out. What does not fit is dropped, counted, and told when there is room again.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

#: Bytes that wait at most.
_MOST: Final = 4 * 2**20
#: Seconds that the end waits for what is left to be read.
_FAREWELL: Final = 2.0


class Writer:
    """A way to standard output that never blocks. Texts come out in order, each as a whole.

    Args:
        told: gives the text that says how many were dropped.
        most: bytes that wait at most.
    """

    def __init__(self, told: Callable[[int], str], most: int = _MOST) -> None:
        self._told = told
        self._most = most
        self._file = sys.stdout.fileno()
        self._encoding = sys.stdout.encoding or "utf-8"
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._dropped = 0
        self._error: OSError | None = None
        self._closed = False
        self._changed = threading.Condition()
        # A daemon: whoever does not read must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="dragoman-output", daemon=True)
        self._thread.start()

    def write(self, text: str) -> None:
        """Let it be written. Never blocks.

        Raises:
            BrokenPipeError, OSError: what was written before found nobody.
        """
        data = text.encode(self._encoding, "backslashreplace")
        with self._changed:
            if self._error is not None:
                raise self._error
            if self._closed or self._bytes + len(data) > self._most:
                self._dropped += 1
                return
            self._waiting.append(data)
            self._bytes += len(data)
            self._changed.notify_all()

    def close(self, seconds: float = _FAREWELL) -> None:
        """Take no more, and wait until all is written, so long at most. Idempotent."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(seconds)

    def _run(self) -> None:
        while (data := self._next()) is not None:
            try:
                _write_all(self._file, data)
            except OSError as error:
                with self._changed:
                    self._error = error
                    self._waiting.clear()
                    self._changed.notify_all()
                return
            with self._changed:
                self._bytes -= len(data)
                self._changed.notify_all()

    def _next(self) -> bytes | None:
        with self._changed:
            while not self._waiting and not self._dropped and not self._closed:
                self._changed.wait()
            if self._waiting:
                return self._waiting.popleft()
            if not self._dropped:
                return None
            # What was dropped came after all that waited then.
            dropped, self._dropped = self._dropped, 0
            data = self._told(dropped).encode(self._encoding, "backslashreplace")
            self._bytes += len(data)
            return data


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
