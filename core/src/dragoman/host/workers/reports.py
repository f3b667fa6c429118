"""What a worker and its supervisor say to each other: JSON lines, on a socket that only the two of them have.

A worker reports `counters`, `log`, the events of its host such as `ready`, and the `failure` that ends it. The
supervisor says `drain`. When the socket ends, the supervisor is gone, and the worker ends at once.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from dragoman.host.counters import Counters

#: Bytes of the longest line; what is logged is cut so that it fits.
LONGEST: Final = 4 * 2**20
_TEXT: Final = 200_000
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({})))
#: The exit code of a worker whose supervisor is gone.
ABANDONED: Final = 131


class Reports:
    """The worker's end: the view of its host, which shows everything to the supervisor.

    Attributes:
        interval: seconds between two reports of counters.
    """

    interval = 0.25

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def listen(self, drain: Callable[[str], None]) -> None:
        """Call `drain`, in a thread that only ever waits, with the reason when the supervisor says so.

        From now on the process ends when the supervisor does.
        """
        threading.Thread(target=self._listen, args=(drain,), daemon=True, name="supervisor").start()

    def _listen(self, drain: Callable[[str], None]) -> None:
        try:
            with self._connection.makefile("rb") as lines:
                for line in lines:
                    drain(str(json.loads(line)["drain"]))
        except OSError:
            pass
        os._exit(ABANDONED)

    def log(self, record: logging.LogRecord) -> None:
        """A line of the log."""
        about = {name: _plain(value) for name, value in vars(record).items() if name not in _STANDARD}
        trace = "".join(traceback.format_exception(record.exc_info[1])) if record.exc_info else None
        self.report(
            "log",
            name=record.name,
            levelno=record.levelno,
            levelname=record.levelname,
            created=record.created,
            msg=record.getMessage()[:_TEXT],
            exc_text=trace and trace[-_TEXT:],
            **about,
        )

    def event(self, name: str, text: str, **about: str | float | list[str]) -> None:
        """Something that happened to the worker's host as a whole."""
        self.report(name, text=text, **about)

    def counters(self, counters: Mapping[str, Counters], workers: Sequence[object] = ()) -> None:  # noqa: ARG002 - it has none
        """What the handlers have done so far."""
        self.report("counters", handlers={name: one.as_json() for name, one in counters.items()})

    def close(self) -> None:
        """Nothing to leave."""

    def report(self, report: str, **about: Any) -> None:
        """Say it. Blocks while the supervisor is slow to listen."""
        try:
            self._connection.sendall(json.dumps({"report": report, **about}).encode() + b"\n")
        except OSError:
            os._exit(ABANDONED)


def record_of(report: Mapping[str, Any], worker: int) -> logging.LogRecord:
    """The record that a worker has logged, with its number."""
    return logging.makeLogRecord({**report, "args": (), "worker": worker})


def _plain(value: object) -> object:
    return value if isinstance(value, int | float | None) else str(value)[:_TEXT]
