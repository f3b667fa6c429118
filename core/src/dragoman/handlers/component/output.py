"""What a guest prints: kept in memory while it runs, logged afterwards."""

from __future__ import annotations

import fcntl
import logging
import os
from typing import Final

from dragoman.handlers.component.text import printable

#: Bytes that an instance may print in its life; the engine refuses to write more. It is much more than what reaches the
#: log, and takes memory only as it is used.
_CAPACITY: Final = 16 * 2**20
#: Lines of each stream that reach the log, per message: a line costs the host more than its bytes.
_LINES: Final = 500
_PAGE: Final = os.sysconf("SC_PAGESIZE")
_LEVELS: Final = {"stdout": logging.INFO, "stderr": logging.WARNING}


class Stream:
    """One stream of one instance: an anonymous file, which the engine opens by its path.

    Attributes:
        path: for the engine.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._file = os.memfd_create(f"guest-{name}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self._start = 0
        self.path = f"/proc/self/fd/{self._file}".encode()

    def seal(self) -> None:
        """Fix its size. After the engine has opened it, because opening makes it empty."""
        os.ftruncate(self._file, _CAPACITY)
        fcntl.fcntl(self._file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)

    @property
    def worn(self) -> bool:
        """Whether it is half full."""
        return self._start > _CAPACITY // 2

    def take(self, limit: int) -> tuple[str, bool]:
        """What was printed since the last time, at most `limit` bytes, and whether there was more."""
        if not os.fstat(self._file).st_blocks:
            return "", False
        try:
            end = os.lseek(self._file, self._start, os.SEEK_HOLE)
        except OSError:  # the position is the end of the file
            end = _CAPACITY
        # The file is zeros from where the guest stopped to the end of the page.
        printed = os.pread(self._file, end - self._start, self._start).rstrip(b"\0")
        self._start += len(printed)
        return printed[:limit].decode("utf-8", "replace"), len(printed) > limit

    def close(self) -> None:
        """Drop it."""
        os.close(self._file)


class Output:
    """The standard output and standard error of one instance.

    Args:
        limit: bytes of each that reach the log, per message.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.stdout = Stream("stdout")
        self.stderr = Stream("stderr")

    @property
    def worn(self) -> bool:
        """Whether the instance has printed so much that it should be replaced."""
        return self.stdout.worn or self.stderr.worn

    def log(self, log: logging.LoggerAdapter[logging.Logger]) -> None:
        """Log what was printed since the last time, a record for each line."""
        for name, stream in (("stdout", self.stdout), ("stderr", self.stderr)):
            text, more = stream.take(self._limit)
            lines = text.splitlines()
            for line in lines[:_LINES]:
                log.log(_LEVELS[name], "%s: %s", name, printable(line))
            if len(lines) > _LINES:
                log.warning("%s: the rest is left out, after %d lines", name, _LINES)
            elif more:
                log.warning("%s: the rest is left out, after %d bytes (`limits.output`)", name, self._limit)

    def close(self) -> None:
        """Drop what was printed."""
        self.stdout.close()
        self.stderr.close()
