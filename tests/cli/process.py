"""A command that runs, in a pipe or on a real terminal."""

from __future__ import annotations

import json
import os
import pty
import selectors
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_PATIENCE = 30.0


class Running:
    """A process whose output can be waited for."""

    def __init__(self, arguments: Sequence[str], folder: Path, *, terminal: bool, env: Mapping[str, str]) -> None:
        self._output, inside = pty.openpty() if terminal else os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dragoman", *arguments],
            cwd=folder,
            stdin=inside if terminal else subprocess.DEVNULL,
            stdout=inside,
            stderr=inside,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "160", "LINES": "40", **env},
        )
        os.close(inside)
        self.text = ""

    def until(self, wanted: str) -> str:
        """Wait until the text was printed; everything that was printed so far."""
        while wanted not in self.text:
            if not self._more():
                raise AssertionError(f"ended without {wanted!r}:\n{self.text}")
        return self.text

    def event(self, name: str, **about: Any) -> dict[str, Any]:
        """Wait for a JSON line of that event, with these values."""
        while True:
            for event in self.events():
                if event["event"] == name and all(event.get(key) == value for key, value in about.items()):
                    return event
            if not self._more():
                raise AssertionError(f"ended without the event {name!r}:\n{self.text}")

    def more(self) -> None:
        """Wait until it has printed something more."""
        if not self._more():
            raise AssertionError(f"ended:\n{self.text}")

    def counted(self, handler: str, **figures: int) -> dict[str, Any]:
        """Wait for counters in which that handler has at least these figures."""
        while True:
            for event in reversed(self.events()):
                found = event["handlers"][handler] if event["event"] == "counters" else {}
                if found and all(found[name] >= least for name, least in figures.items()):
                    return dict(found)
            if not self._more():
                raise AssertionError(f"ended before {handler} had {figures}:\n{self.text}")

    def events(self) -> list[dict[str, Any]]:
        """The JSON lines so far."""
        return [
            json.loads(line) for line in self.text.splitlines(keepends=True) if line.endswith("\n") and line[0] == "{"
        ]

    def type(self, text: str) -> None:
        """Type it, on a terminal."""
        os.write(self._output, text.encode())

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def end(self) -> int:
        """Read until it ends; its exit code."""
        while self._more():
            pass
        return self.process.wait(_PATIENCE)

    def kill(self) -> None:
        """End it now."""
        self.process.kill()
        self.process.wait()
        os.close(self._output)

    def _more(self) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            if not selector.select(_PATIENCE):
                raise AssertionError(f"nothing more within {_PATIENCE:g} s:\n{self.text}")
        try:
            data = os.read(self._output, 65536)
        except OSError:  # a terminal whose other end is closed
            return False
        self.text += data.decode("utf-8", "replace")
        return bool(data)
