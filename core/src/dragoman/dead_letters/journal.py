"""What was sent back already, in a file, so that a replay that was interrupted can be repeated.

Before dead letters are sent their ids are written down as `sending`, and when the broker has confirmed the copies as
`done`; each time the disk is waited for. Only then are they accepted where they were. After an interruption what is
`done` is not sent again, and what is only `sending` is in doubt: the broker may have it or not.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from dragoman.errors import DragomanError

fcntl: Any
try:
    import fcntl
except ImportError:  # not on Windows: there nothing keeps two replays apart
    fcntl = None

#: How long it is remembered what is done. A broker that is told so only in part (Kafka) may show it again until then.
_KEPT: Final = timedelta(days=90)
#: Seconds between two looks whether another command has let go of the lock, and until it is told that it has not.
_LOOK: Final = 0.05
_SILENT: Final = 1.0


class Doubt(NamedTuple):
    """A letter that may have been sent.

    Attributes:
        since: when that was begun.
        to: the place.
    """

    since: datetime
    to: str


@dataclass(slots=True)
class Journal:
    """The file's content, kept up to date. Made by `opened`, or by `read` to look only.

    Attributes:
        path: the file.
        done: the ids of those that were sent back or thrown away, and when.
        doubtful: the ids of those of which it is not known whether they were sent.
    """

    path: Path
    done: dict[str, datetime]
    doubtful: dict[str, Doubt]
    _file: int = -1

    @classmethod
    def read(cls, path: Path) -> Journal:
        """What the file says; nothing where there is none. Blocks.

        Raises:
            DragomanError: it can't be read.
        """
        journal = cls(path, {}, {})
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return journal
        except OSError as error:
            raise _unusable(path, error) from error
        # What stands after the last end of a line was never finished, so nothing was done after it.
        for line in text.split(b"\n")[:-1]:
            with suppress(ValueError, KeyError, TypeError):
                journal._apply(json.loads(line))
        return journal

    def _apply(self, line: dict[str, Any]) -> None:
        when = datetime.fromisoformat(line["time"])
        for name in line["ids"]:
            self.doubtful.pop(name, None)
            if line["what"] == "sending":
                self.doubtful[name] = Doubt(when, str(line["to"]))
            elif line["what"] == "done":
                self.done[name] = when

    def sending(self, ids: Iterable[str], to: object) -> None:
        """These will be sent there now. Returns when that is on the disk. Blocks.

        Raises:
            DragomanError: it can't be written.
        """
        self._write("sending", ids, to=str(to))

    def finished(self, ids: Iterable[str]) -> None:
        """These are sent, or thrown away. Blocks and raises as `sending`."""
        self._write("done", ids)

    def unsent(self, ids: Iterable[str]) -> None:
        """Nothing of these was sent. Blocks and raises as `sending`."""
        self._write("unsent", ids)

    def _write(self, what: str, ids: Iterable[str], **more: str) -> None:
        line = {"what": what, "time": datetime.now(UTC).isoformat(), "ids": list(ids), **more}
        if not line["ids"]:
            return
        try:
            _write_all(self._file, json.dumps(line).encode() + b"\n")
            os.fsync(self._file)
        except OSError as error:
            raise _unusable(self.path, error) from error
        self._apply(line)


@contextmanager
def opened(path: Path, patience: float = 0.0, told: Callable[[], None] = lambda: None) -> Iterator[Journal]:
    """The journal, which nobody else can open meanwhile. Blocks; makes the file and its folder.

    Args:
        path: the file.
        patience: seconds to wait for another command that has it open.
        told: called once if that takes a while.

    Raises:
        DragomanError: another command has it open, or it can't be written.
    """
    with ExitStack() as stack:
        try:
            lock = _lock_file(path)
            stack.callback(os.close, lock)
            if not _lock(lock, patience, told):
                hint = "wait until it has ended"
                raise DragomanError("another command has the dead letters in hand", where=str(path), hint=hint)
            journal = Journal.read(path)
            _forget(journal)
            journal._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)  # noqa: SLF001 - its own class
            stack.callback(os.close, journal._file)  # noqa: SLF001 - the same
            # After a line that was never finished the next one would be lost with it.
            _write_all(journal._file, b"\n")  # noqa: SLF001 - the same
            _sync(path.parent)
        except OSError as error:
            raise _unusable(path, error) from error
        yield journal


@contextmanager
def looking(path: Path, patience: float, told: Callable[[], None]) -> Iterator[None]:
    """Keep other commands from the dead letters, which would miss what this one has in hand. Blocks, as `opened`.

    After `patience` seconds, or where no lock can be made, it goes on without: looking does no harm.
    """
    with ExitStack() as stack:
        with suppress(OSError):
            lock = _lock_file(path)
            stack.callback(os.close, lock)
            _lock(lock, patience, told)
        yield


def _lock_file(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _lock(file: int, patience: float, told: Callable[[], None]) -> bool:
    """Whether it is ours now; the system lets go of it however a process ends."""
    began, said = time.monotonic(), False
    while fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = time.monotonic() - began
            if waited >= patience:
                return False
            if waited >= _SILENT and not said:
                told()
                said = True
            time.sleep(min(_LOOK, patience - waited))
        else:
            break
    return True


def _forget(journal: Journal) -> None:
    """Write the file anew without what is too old, if there is any."""
    oldest = datetime.now(UTC) - _KEPT
    old = [name for name, when in journal.done.items() if when < oldest]
    if not old:
        return
    for name in old:
        del journal.done[name]
    lines = [{"what": "done", "time": when.isoformat(), "ids": [name]} for name, when in journal.done.items()]
    for name, doubt in journal.doubtful.items():
        lines.append({"what": "sending", "time": doubt.since.isoformat(), "ids": [name], "to": doubt.to})
    draft = journal.path.with_suffix(".draft")
    draft.write_text("".join(json.dumps(line) + "\n" for line in lines))
    _sync(draft)
    draft.replace(journal.path)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _write_all(file: int, text: bytes) -> None:
    while text:
        text = text[os.write(file, text) :]


def _unusable(path: Path, error: OSError) -> DragomanError:
    hint = "it remembers what was sent back; name another file with --journal"
    return DragomanError(f"the journal can't be used: {error.strerror}", where=str(path), hint=hint)
