"""Compiled components on disk, so that a large one is compiled once.

Loading compiled code means running it outside the sandbox, so only what this user's hosts have written is loaded: the
folder is for the user alone, and the name of each file carries a keyed hash of its content. A file that was cut off,
damaged or exchanged has another hash; it is removed and built again.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from dragoman.handlers.component.bodies import FORM
from dragoman.handlers.component.engine import Engine
from dragoman.version import __version__

#: How many compiled components are kept; the ones that were used longest ago go first.
_KEPT: Final = 64
_LOG: Final = logging.getLogger(__name__)
_SUFFIX: Final = ".compiled"
_KEY_BYTES: Final = 32
_CHUNK: Final = 1 << 20


def default_folder() -> Path:
    """The user's cache folder for this."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "dragoman" / "components"


class Cache:
    """Compiled code by the content of the component, the engine and its settings.

    Args:
        folder: where it is kept; made when it is first written to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._told = False

    def component(self, engine: Engine, data: bytes, build: Callable[[], int]) -> int:
        """A compiled component in the C API. Blocks, up to seconds where it has to be compiled.

        A folder that can't be used costs the time to compile, nothing else; it is told once.

        Args:
            engine: what it is for.
            data: the component.
            build: compiles it, where it is not in the cache.

        Raises:
            ComponentError: from `build`.
        """
        form = f"{engine.identity()}{__version__}/{FORM}"
        name = hashlib.sha256(form.encode() + data).hexdigest()
        if (found := self._load(engine, name)) is not None:
            return found
        component = build()
        try:
            self._store(name, engine.serialized(component))
        except OSError as error:
            self._tell(error)
        return component

    def _tell(self, error: OSError) -> None:
        if not self._told:
            self._told = True
            _LOG.warning(
                "compiled components can't be kept, so each start compiles them anew: %s (make %s a folder of this user"
                " alone, with the mode 700, or name another one in `host.cache`)",
                error.strerror or error,
                self._folder,
            )

    def _load(self, engine: Engine, name: str) -> int | None:
        try:
            key = self._key()
            paths = [*self._folder.glob(f"{name}.*{_SUFFIX}")]
        except OSError:
            return None
        for path in paths:
            with contextlib.suppress(OSError), path.open("rb") as file:
                if _seal(key, file.fileno()) != path.name.split(".")[1]:
                    path.unlink(missing_ok=True)
                # By the open file, so that it is the one that was checked.
                elif (component := engine.load(f"/proc/self/fd/{file.fileno()}")) is not None:
                    os.utime(path)
                    return component
        return None

    def _store(self, name: str, code: bytes) -> None:
        key = self._key()
        draft = self._folder / f"{name}.{secrets.token_hex(8)}.draft"
        try:
            draft.write_bytes(code)
            draft.replace(self._folder / f"{name}.{hashlib.blake2b(code, key=key).hexdigest()}{_SUFFIX}")
        finally:
            draft.unlink(missing_ok=True)
        self._prune()

    def _prune(self) -> None:
        by_use = sorted(self._folder.glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in by_use[_KEPT:]:
            path.unlink(missing_ok=True)

    def _key(self) -> bytes:
        """The user's key, made on first use.

        Raises:
            OSError: the folder, or the key, is not for this user alone.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _private(self._folder)
        path = self._folder / "key"
        if not path.exists():
            draft = self._folder / f"key.{secrets.token_hex(8)}"
            draft.touch(mode=0o600)
            draft.write_bytes(secrets.token_bytes(_KEY_BYTES))
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)  # unlike a rename, it leaves a key that another host made meanwhile
            draft.unlink()
        _private(path)
        if len(key := path.read_bytes()) != _KEY_BYTES:
            path.unlink()
            raise OSError(f"{path} is no key")
        return key


def _private(path: Path) -> None:
    found = path.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077 or stat.S_ISLNK(found.st_mode):
        raise PermissionError(f"{path} is not for this user alone")


def _seal(key: bytes, file: int) -> str:
    """The keyed hash of an open file."""
    seal = hashlib.blake2b(key=key)
    position = 0
    while chunk := os.pread(file, _CHUNK, position):
        seal.update(chunk)
        position += len(chunk)
    return seal.hexdigest()
