"""Waking the waiting, here and in other processes, and knowing which of those are gone.

Every connection to a file that waits for something has a bell: a named pipe in the folder `FILE-wake`, which it holds
open for reading. Whoever committed something writes the numbers of the channels into all the other bells. A pipe that
nobody has open for reading says so when it is opened for writing (ENXIO): the kernel closes it whatever way
a process ends, so a bell is also the proof that its members live. It needs no port, no clock and no process id, works
at any length of path, and between users and containers that can share the file at all.
"""

from __future__ import annotations

import asyncio
import errno
import os
import struct
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final
from uuid import uuid4

#: As much as a pipe holds: a bell that is this full may have lost numbers, so it rings for all channels.
_FULL: Final = 65_536
SILENT: Final = "!"
_NUMBER: Final = struct.Struct("<q")
#: How many bells of other connections are kept open.
_OPEN: Final = 64


class Waiters:
    """What to call in this process when there may be work on a channel."""

    def __init__(self) -> None:
        self._calls: dict[int, set[Callable[[], None]]] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, channel: int, call: Callable[[], None]) -> None:
        """Call it from now on."""
        self._calls.setdefault(channel, set()).add(call)

    def remove(self, channel: int, call: Callable[[], None]) -> None:
        """Call it no more."""
        calls = self._calls.get(channel, set())
        calls.discard(call)
        if not calls:
            self._calls.pop(channel, None)

    def wake(self, channels: Iterable[int] | None) -> None:
        """Call for the channels; None is for all."""
        for channel in list(self._calls) if channels is None else channels:
            for call in tuple(self._calls.get(channel, ())):
                call()


class Bell:
    """One connection's pipe, and its way to those of others.

    Attributes:
        name: what the members of this connection are known by. One that begins with `SILENT` has no pipe, because the
            file system has none: only its signs of life tell that it lives.
    """

    def __init__(self, path: str, waiters: Waiters) -> None:
        self.name = uuid4().hex
        self._path = path
        self._folder = f"{path}-wake"
        self._waiters = waiters
        self._reader = -1
        self._others: dict[str, int] = {}

    @property
    def heard(self) -> bool:
        """Whether others can wake us."""
        return self._reader >= 0

    def listen(self) -> None:
        """Hang up the bell, also again after somebody removed it.

        Where the first try fails it stays silent for good, and `Upkeep` looks often instead.
        """
        if self.name.startswith(SILENT) or (self._reader >= 0 and os.path.exists(self._own)):
            return
        first = self._reader < 0
        self._unlisten()
        try:
            self._hang()
        except OSError:
            self.name = SILENT + self.name if first else self.name

    @property
    def _own(self) -> str:
        return os.path.join(self._folder, self.name)

    def _hang(self) -> None:
        mode = os.stat(self._path).st_mode & 0o666
        with suppress(FileExistsError):
            os.mkdir(self._folder)
            os.chmod(self._folder, mode | (mode & 0o444) >> 2)
        # Only a pipe that is open for reading gets its final name: one that isn't is a dead connection's.
        hidden = os.path.join(self._folder, f".{self.name}")
        os.mkfifo(hidden)
        try:
            os.chmod(hidden, mode)
            # For writing, too: with no writer at all, a pipe is always "readable".
            self._reader = os.open(hidden, os.O_RDWR | os.O_NONBLOCK)
            os.rename(hidden, self._own)
        except BaseException:
            os.unlink(hidden)
            raise
        asyncio.get_running_loop().add_reader(self._reader, self._heard)

    def _heard(self) -> None:
        try:
            numbers = os.read(self._reader, _FULL)
        except BlockingIOError:
            return
        complete = len(numbers) < _FULL and not len(numbers) % _NUMBER.size
        self._waiters.wake({number for (number,) in _NUMBER.iter_unpack(numbers)} if complete else None)

    def ring(self, channels: Iterable[int]) -> None:
        """Wake every other connection's waiters of the channels. Never blocks."""
        text = b"".join(map(_NUMBER.pack, channels))
        if text:
            for name in self.names():
                self._ring_one(name, text)

    def names(self) -> Sequence[str]:
        """The bells of all other connections, those of the dead included."""
        try:
            found = os.listdir(self._folder)
        except OSError:
            return ()
        return [name for name in found if name != self.name and not name.startswith(".")]

    def _ring_one(self, name: str, text: bytes) -> None:
        try:
            os.write(self._other(name), text)
        except BlockingIOError:
            pass  # full of numbers: it is awake anyway
        except OSError:
            self._let_go(name)

    def _other(self, name: str) -> int:
        bell = self._others.get(name)
        if bell is None:
            while len(self._others) >= _OPEN:
                self._let_go(next(iter(self._others)))
            bell = self._others[name] = self._open(name)
        return bell

    def _open(self, name: str) -> int:
        return os.open(os.path.join(self._folder, name), os.O_WRONLY | os.O_NONBLOCK)

    def _let_go(self, name: str) -> None:
        if (bell := self._others.pop(name, -1)) >= 0:
            os.close(bell)

    def lives(self, name: str) -> bool:
        """Whether the connection with that bell still exists."""
        if name == self.name or name.startswith(SILENT):
            return True
        try:
            os.close(self._open(name))
        except OSError as error:
            return error.errno not in {errno.ENXIO, errno.ENOENT}
        return True

    def remove(self, name: str) -> None:
        """Remove the bell of a dead connection."""
        self._let_go(name)
        with suppress(OSError):
            os.unlink(os.path.join(self._folder, name))

    def _unlisten(self) -> None:
        if self._reader >= 0:
            asyncio.get_running_loop().remove_reader(self._reader)
            os.close(self._reader)
            self._reader = -1

    def close(self) -> None:
        """Take the bell down, and the folder with the last one."""
        for name in list(self._others):
            self._let_go(name)
        if self._reader >= 0:
            self._unlisten()
            self.remove(self.name)
        with suppress(OSError):
            os.rmdir(self._folder)
