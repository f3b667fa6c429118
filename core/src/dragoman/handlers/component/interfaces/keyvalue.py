"""`wasi:keyvalue`, in both of its drafts: the buckets that a handler is granted, and nothing else.

A change takes effect at once, whatever becomes of the try: a try that is repeated makes it again. So a counter counts
tries; one that must not count a message twice is kept under what names the message, or swapped.

Numbers are kept as text, as other stores keep them: what `increment` has made, `get` can read.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from dragoman.config.model import KeyvalueConfig
from dragoman.errors import DragomanError, HandlerError
from dragoman.handlers.component.interfaces import buckets
from dragoman.handlers.component.interfaces.buckets import Bounds, Buckets, Entry
from dragoman.handlers.component.values import Err

T = TypeVar("T")
#: The bucket of a guest that opens one without a name, as long as it chooses no other link.
DEFAULT: Final = "default"
#: Bytes of a key.
_KEY: Final = 1_024
#: Keys, and bytes of values, that one call of `batch` gives or takes.
_KEYS: Final = 1_000
_BYTES: Final = 2**20

_WHOLE: Final = re.compile(rb"-?[0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket as a guest holds it."""

    name: str


@dataclass(frozen=True, slots=True)
class Cas:
    """A value that a guest wants to swap for another one, if it is still there then.

    Attributes:
        entry: what was there when it looked.
    """

    bucket: str
    key: str
    entry: Entry | None


class Keyvalue:
    """The functions that the guests of one handler may call.

    Args:
        config: what the handler is granted.
        store: where its buckets are.
    """

    def __init__(self, config: KeyvalueConfig, store: Buckets) -> None:
        self._granted = frozenset(config.buckets)
        self._bounds = Bounds(config.max_entries, config.max_value, config.max_size)
        self._store = store

    def open(self, identifier: str) -> Bucket | Err:
        """`store.open`."""
        return Bucket(identifier) if identifier in self._granted else Err(("access-denied", None))

    async def get(self, bucket: Bucket, key: str) -> bytes | Err | None:
        """`bucket.get`."""
        return await self._told(self._read(lambda db: _value(buckets.get(db, bucket.name, key))))

    async def set(self, bucket: Bucket, key: str, value: bytes) -> Err | None:
        """`bucket.set`."""
        return await self.set_many(bucket, [(key, value)])

    async def delete(self, bucket: Bucket, key: str) -> Err | None:
        """`bucket.delete`."""
        return await self.delete_many(bucket, [key])

    async def exists(self, bucket: Bucket, key: str) -> bool | Err:
        """`bucket.exists`."""
        return await self._told(self._read(lambda db: buckets.get(db, bucket.name, key) is not None))

    async def list_keys(self, bucket: Bucket, cursor: int | None) -> Any:
        """`bucket.list-keys` of February 2024, whose cursor is a number."""
        return await self._told(self._read(lambda db: buckets.listed(db, bucket.name, _cursor(cursor or 0))))

    async def list_keys_later(self, bucket: Bucket, cursor: str | None) -> Any:
        """The same with a cursor that is a text."""
        page = await self._told(self._read(lambda db: buckets.listed(db, bucket.name, _cursor(cursor or "0"))))
        return page if isinstance(page, Err) or page[1] is None else (page[0], str(page[1]))

    async def increment(self, bucket: Bucket, key: str, delta: int) -> int | Err:
        """`atomics.increment` of February 2024, whose numbers have no sign."""
        return await self._increment(bucket, key, delta, 0, 2**64 - 1)

    async def increment_later(self, bucket: Bucket, key: str, delta: int) -> int | Err:
        """The same with numbers that have one."""
        return await self._increment(bucket, key, delta, -(2**63), 2**63 - 1)

    async def _increment(self, bucket: Bucket, key: str, delta: int, least: int, most: int) -> int | Err:
        def work(db: sqlite3.Connection) -> int:
            _checked(key)
            number = _number(key, buckets.get(db, bucket.name, key)) + delta
            if not least <= number <= most:
                raise HandlerError(f"the number in {key!r} would become {number}, which does not fit")
            buckets.put(db, bucket.name, key, b"%d" % number, self._bounds)
            return number

        return await self._told(self._store.run(work, changes=True))

    async def get_many(self, bucket: Bucket, keys: Sequence[str]) -> list[tuple[str, bytes] | None] | Err:
        """`batch.get-many`."""

        def work(db: sqlite3.Connection) -> list[tuple[str, bytes] | None]:
            found: list[tuple[str, bytes] | None] = []
            size = 0
            for key in _few(keys):
                value = _value(buckets.get(db, bucket.name, key))
                size += len(value or b"")
                if size > _BYTES:
                    raise HandlerError(f"the values have more than {_BYTES} bytes; ask for fewer at once")
                found.append(None if value is None else (key, value))
            return found

        return await self._told(self._read(work))

    async def set_many(self, bucket: Bucket, pairs: Sequence[tuple[str, bytes]]) -> Err | None:
        """`batch.set-many`: all of them or none."""

        def work(db: sqlite3.Connection) -> None:
            for key, _ in _few(pairs):
                _checked(key)
            buckets.put_all(db, bucket.name, pairs, self._bounds)

        return await self._told(self._store.run(work, changes=True))

    async def delete_many(self, bucket: Bucket, keys: Sequence[str]) -> Err | None:
        """`batch.delete-many`."""
        work = self._store.run(lambda db: buckets.remove(db, bucket.name, _few(keys)), changes=True)
        return await self._told(work)

    async def new_cas(self, bucket: Bucket, key: str) -> Cas | Err:
        """`cas.new`."""
        found = await self._told(self._read(lambda db: (buckets.get(db, bucket.name, key),)))
        return found if isinstance(found, Err) else Cas(bucket.name, key, found[0])

    async def current(self, cas: Cas) -> bytes | None:
        """`cas.current`: what was there when `cas.new` looked."""
        return _value(cas.entry)

    async def swap(self, cas: Cas, value: bytes) -> Err | None:
        """`atomics.swap`."""

        def work(db: sqlite3.Connection) -> Cas | None:
            _checked(cas.key)
            now = buckets.get(db, cas.bucket, cas.key)
            if _mark(now) != _mark(cas.entry):
                return Cas(cas.bucket, cas.key, now)
            buckets.put(db, cas.bucket, cas.key, value, self._bounds)
            return None

        changed = await self._told(self._store.run(work, changes=True))
        if isinstance(changed, Err):
            return Err(("store-error", changed.payload))
        return None if changed is None else Err(("cas-failed", changed))

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> Awaitable[T]:
        return self._store.run(work, changes=False)

    async def _told(self, work: Awaitable[T]) -> T | Err:
        """What comes of it; an error as the guest's interface has it."""
        try:
            return await work
        except DragomanError as error:
            return Err(("other", str(error)))


def _value(entry: Entry | None) -> bytes | None:
    return entry[2] if entry else None


def _mark(entry: Entry | None) -> tuple[int, int] | None:
    return entry[:2] if entry else None


def _checked(key: str) -> str:
    if len(key.encode()) > _KEY:
        raise HandlerError(f"a key has {len(key.encode())} bytes; expected at most {_KEY}")
    return key


def _few(items: Sequence[T]) -> Sequence[T]:
    if len(items) > _KEYS:
        raise HandlerError(f"a batch has {len(items)} keys; expected at most {_KEYS}")
    return items


def _number(key: str, entry: Entry | None) -> int:
    if entry is None:
        return 0
    if not _WHOLE.fullmatch(entry[2]):
        raise HandlerError(f"the value of {key!r} is no whole number")
    return int(entry[2])


def _cursor(cursor: int | str) -> int:
    try:
        return min(int(cursor), 2**63 - 1)
    except ValueError:
        raise HandlerError("the cursor is none that `list-keys` gave") from None
