"""What a connection does by itself: it shows that it lives, notices who does not, and deletes what need not be kept."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import suppress
from functools import partial
from typing import Final

from dragoman.embedded import groups, log
from dragoman.embedded.groups import Sign
from dragoman.embedded.log import Retention
from dragoman.embedded.settings import EmbeddedConfig
from dragoman.embedded.store import Store
from dragoman.embedded.wake import SILENT
from dragoman.errors import BrokerError

#: Seconds between two looks where no wake-up can reach us: the file system has no pipes.
DEAF_POLL: Final = 0.01
#: Looks for members that are gone, signs of life and retention happen this many times in a lease.
ROUNDS: Final = 3


class Upkeep:
    """The connection's own task."""

    def __init__(self, store: Store, config: EmbeddedConfig) -> None:
        self._store = store
        self._config = config
        self._version: int | None = None
        #: For each member its last sign of life, and when, by our own clock, it was new.
        self._seen: dict[int, tuple[int, float]] = {}
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"dragoman upkeep {config}")

    async def _run(self) -> None:
        due = time.monotonic()
        while True:
            # Its own trouble with the file is that of every other call, too: there it is raised.
            with suppress(BrokerError):
                if time.monotonic() >= due:
                    due = time.monotonic() + self._config.lease / ROUNDS
                    await self.round()
                self._look()
                await self._bury_the_dead()
            await asyncio.sleep(self._pause())

    def _pause(self) -> float:
        bell = self._store.bell
        return DEAF_POLL if bell and self._store.waiters and not bell.heard else self._config.poll

    def _look(self) -> None:
        """Wake everybody here if another process wrote: its wake-up may not have reached us."""
        bell = self._store.bell
        if bell is None or not self._store.waiters:
            return
        bell.listen()
        version = self._store.data_version()
        if version is not None and version != self._version:
            self._version = version
            self._store.waiters.wake(None)

    async def _bury_the_dead(self) -> None:
        """Remove the bells of processes that are gone; with one go its members."""
        bell = self._store.bell
        dead = [name for name in bell.names() if not bell.lives(name)] if bell else []
        if bell and dead:
            await self.expire()
            for name in dead:
                bell.remove(name)

    def bury(self, db: sqlite3.Connection, group: int) -> None:
        """Within a transaction, end the memberships of a group's members whose process is surely gone.

        So that whoever joins after them gets what they held at once, and before what comes behind it.
        """
        if (bell := self._store.bell) is not None:
            self._leave_now(db, [sign for sign in groups.signs(db, group) if not bell.lives(sign.bell)])

    async def round(self) -> None:
        """One round of everything."""
        await self._store.run(lambda db: groups.beat(db, self._store.name), durable=False)
        await self.expire()
        if (age := self._config.forget_groups) is not None:
            await self._store.run(lambda db: groups.forget_unseen(db, age), durable=False)
        await self.trim()

    async def expire(self) -> None:
        """End the memberships of those who are gone, or have shown no sign of life for a lease."""
        signs = await self._store.run(groups.signs, durable=False)
        gone = [sign for sign in signs if self._is_gone(sign)]
        self._seen = {sign.member: self._seen[sign.member] for sign in signs}
        if gone:
            await self._store.run(lambda db: self._leave_now(db, gone), durable=False)

    def _is_gone(self, sign: Sign) -> bool:
        now = time.monotonic()
        beat, since = self._seen.get(sign.member, (None, now))
        if beat != sign.beat:
            since = now
        self._seen[sign.member] = (sign.beat, since)
        bell = self._store.bell
        if sign.bell == self._store.name or bell is None:
            return False
        # Nobody else waits for what an ephemeral group holds: while its process surely lives, it may take its time.
        patient = sign.ephemeral and not sign.bell.startswith(SILENT)
        return not bell.lives(sign.bell) or (now - since > self._config.lease and not patient)

    def _leave_now(self, db: sqlite3.Connection, gone: list[Sign]) -> None:
        for sign in gone:
            self._store.changed(groups.leave(db, sign.member))

    async def trim(self) -> None:
        """Delete what no rule keeps, step by step, so that nobody waits long for it."""
        config = self._config
        rules = Retention(config.keep, config.keep_size, config.discard_unread)
        for channel in await self._store.run(log.channels, durable=False):
            step = partial(log.trim, channel=channel, rules=rules)
            while await self._store.run(step, durable=False):
                pass  # each step is a transaction of its own: others get their turn in between

    async def close(self) -> None:
        """Stop. Idempotent."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
