"""One worker process, as its supervisor sees it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from dragoman.host.counters import Counters
from dragoman.host.workers.reports import LONGEST, record_of

_log: Final = logging.getLogger("dragoman.worker")
#: Bytes of a line that a handler prints, before it is shown in pieces.
_LINE: Final = 64 * 2**10
#: Seconds in which the rest of what it said arrives, after its end.
_FAREWELL: Final = 1.0

Command = Callable[[int, int], Sequence[str]]


class Worker:
    """A process that was started, and what it has reported.

    Attributes:
        number: which of the workers it is, the first being 1.
        pid: of the process.
        handlers: the names of its handlers; None until every subscription of it is confirmed.
        ready_at: the loop's time of that moment.
        counters: what its handlers have done.
        failure: what it said of the reason why it ends; None where it said nothing.
        drained: whether it is to end, by the supervisor's word or by a signal of its own.
        code: its exit code, negative for a signal; None while it runs.
    """

    def __init__(
        self, number: int, process: asyncio.subprocess.Process, show: Callable[[logging.LogRecord], None]
    ) -> None:
        self.number = number
        self.pid = process.pid
        self.handlers: list[str] | None = None
        self.ready_at: float | None = None
        self.counters: Mapping[str, Counters] = {}
        self.failure: Mapping[str, Any] | None = None
        self.drained = False
        self.code: int | None = None
        self._process = process
        self._show = show
        self._reader = asyncio.StreamReader()
        self._writer: asyncio.StreamWriter | None = None

    @classmethod
    async def start(cls, number: int, command: Command, show: Callable[[logging.LogRecord], None]) -> Worker:
        """Start a worker.

        Args:
            number: see the class.
            command: what to run, for a number and the descriptor of the socket on which it reports.
            show: called with each record that it logs, and each line that it prints.

        Raises:
            OSError: there is no process to be had.
        """
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                *command(number, theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                # What the terminal sends to its programs is for the supervisor, which passes it on.
                start_new_session=True,
                env={**os.environ, "DRAGOMAN_WORKER": str(number), "PYTHONUNBUFFERED": "1"},
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        worker = cls(number, process, show)
        reader, worker._writer = await asyncio.open_connection(sock=ours, limit=LONGEST)
        worker._reader = reader
        return worker

    async def run(self, changed: Callable[[], None]) -> int:
        """Listen until it has ended; its exit code. Calls `changed` when it became ready. Cancelling it kills it."""
        reading = [asyncio.create_task(self._listen(changed)), asyncio.create_task(self._prints())]
        try:
            self.code = await self._process.wait()
            # What it said at last; a process that it has started may hold its output open for longer than it lived.
            await asyncio.wait(reading, timeout=_FAREWELL)
        finally:
            self.kill()
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)
            if self._writer is not None:
                self._writer.close()
        return self.code

    def drain(self, why: str) -> None:
        """Tell it to finish what is in hand and to end. Never blocks; idempotent."""
        if not self.drained and self._writer is not None and not self._writer.is_closing():
            self._writer.write(json.dumps({"drain": why}).encode() + b"\n")
        self.drained = True

    def kill(self) -> None:
        """End it now, if it has not ended."""
        with suppress(ProcessLookupError):
            if self._process.returncode is None:
                self._process.kill()

    @property
    def how(self) -> str:
        """How it ended, for people."""
        if self.failure is not None:
            return str(self.failure["text"])
        if self.code is not None and self.code < 0:
            return f"killed by {_signal(-self.code)}"
        return f"exit code {self.code}"

    async def _listen(self, changed: Callable[[], None]) -> None:
        with suppress(ConnectionError):
            while line := await self._reader.readline():
                report = json.loads(line)
                match report.pop("report"):
                    case "log":
                        self._show(record_of(report, self.number))
                    case "counters":
                        self.counters = {name: Counters.from_json(one) for name, one in report["handlers"].items()}
                    case "ready":
                        self.handlers = report["handlers"]
                        self.ready_at = asyncio.get_running_loop().time()
                        changed()
                    case "draining":
                        self.drained = True
                    case "failure":
                        self.failure = report

    async def _prints(self) -> None:
        """What it prints goes into the log, line by line: of several processes it could not be told apart."""
        stream = self._process.stdout
        assert stream is not None  # noqa: S101 - for mypy: it is a pipe
        rest = b""
        while chunk := await stream.read(_LINE):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) >= _LINE:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self._printed(line)
        if rest:
            self._printed(rest)

    def _printed(self, line: bytes) -> None:
        text = line.decode("utf-8", "backslashreplace").rstrip("\r")
        about = {"name": _log.name, "levelno": logging.INFO, "levelname": "INFO", "msg": text}
        if _log.isEnabledFor(logging.INFO):
            self._show(record_of(about, self.number))


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
