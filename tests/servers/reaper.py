"""Ends every server that this process started, even if the process is killed or the session interrupted.

A process of its own waits at the other end of a pipe: when the pipe closes, for whatever reason, it kills the process
groups that it was told of, and removes the folders. (PR_SET_PDEATHSIG would not do: it is tied to the *thread* that
started a child, and a child that changes its user loses it.)
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path


class Reaper:
    """Knows the groups and folders that must not outlive this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def watch(self, what: int | Path) -> None:
        """A process group to kill, or a folder to remove, when this process ends."""
        self._tell("+", what)

    def forget(self, what: int | Path) -> None:
        """It is gone already."""
        self._tell("-", what)

    def _tell(self, sign: str, what: int | Path) -> None:
        with self._lock:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-S", "-E", __file__], stdin=subprocess.PIPE, start_new_session=True
                )
            stdin = self._process.stdin
            assert stdin is not None
            stdin.write(f"{sign}{what}\n".encode())
            stdin.flush()


reaper = Reaper()


def main() -> None:
    """Read what to watch until the pipe closes; then end it."""
    watched: dict[str, None] = {}
    for line in sys.stdin:
        name = line[1:].rstrip("\n")
        if line[0] == "+":
            watched[name] = None
        else:
            watched.pop(name, None)
    for name in watched:
        if name.isdecimal():
            with suppress(ProcessLookupError):
                os.killpg(int(name), signal.SIGKILL)
        else:
            shutil.rmtree(name, ignore_errors=True)


if __name__ == "__main__":
    main()
