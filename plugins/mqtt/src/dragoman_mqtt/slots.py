"""Which of the sessions of one name is ours: the first that no other connection on this machine holds.

The broker knows a session by its client identifier, and gives it to whoever comes last. Worker processes share their
settings, so each takes a number: a lock on a file, which the system lets go of when a process dies. After a restart the
same numbers, and with them the sessions and their unsettled messages, are taken again.
"""

from __future__ import annotations

import os
import tempfile
from hashlib import blake2s
from pathlib import Path
from typing import Any, Final

from dragoman.errors import BrokerError

fcntl: Any
try:
    import fcntl
except ImportError:  # not on Windows: there each connection needs a `client_id` of its own
    fcntl = None

_MOST: Final = 4_096


class Slot:
    """A number that is ours until it is released.

    Attributes:
        number: 0 for the first.
    """

    def __init__(self, number: int, file: int | None) -> None:
        self.number = number
        self._file = file

    def release(self) -> None:
        """Let somebody else have it. Idempotent."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def take(name: str) -> Slot:
    """The first free number for a name. Does not block.

    Raises:
        BrokerError: all numbers are taken, or the folder for temporary files can't be written.
    """
    if fcntl is None:
        return Slot(0, None)
    folder = Path(tempfile.gettempdir()) / f"dragoman-mqtt-{os.getuid()}"
    stem = blake2s(name.encode(), digest_size=10).hexdigest()
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        for number in range(_MOST):
            file = os.open(folder / f"{stem}.{number}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if _locked(file):
                return Slot(number, file)
            os.close(file)
    except OSError as error:
        raise BrokerError(f"the lock of a session can't be taken: {error}", where=str(folder)) from error
    raise BrokerError(f"{_MOST} connections hold sessions of this name", where=name)


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
