"""Putting messages into channels: checked, packed, appended. Shared by connections and their subscriptions."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from dragoman.embedded import log, records
from dragoman.embedded.records import Packed
from dragoman.embedded.requests import PREFIX
from dragoman.embedded.settings import EmbeddedConfig
from dragoman.embedded.store import Store
from dragoman.errors import PayloadTooLarge
from dragoman.message import Channel, Message

#: What goes to one channel.
Load = tuple[Channel, Sequence[Packed]]


class Publishing:
    """What publishing needs of one connection."""

    def __init__(self, store: Store, config: EmbeddedConfig) -> None:
        self._store = store
        self._config = config

    def pack(self, messages: Sequence[Message]) -> list[Packed]:
        """The messages as they are stored.

        Raises:
            PayloadTooLarge: one is larger than `max_message`.
        """
        packed = [records.pack(message) for message in messages]
        largest = max(map(records.size, packed), default=0)
        if largest > self._config.max_message:
            raise PayloadTooLarge(
                f"a message of {largest:,} bytes",
                where=self._config.path,
                expected=f"at most {self._config.max_message:,}",
                hint="raise max_message",
            )
        return packed

    def append(self, db: sqlite3.Connection, channel: Channel, packed: Sequence[Packed]) -> bool:
        """Store them, inside a transaction; False where the channel is one for replies and nobody waits there."""
        if channel.name.startswith(PREFIX):
            number = log.append_reply(db, channel.name, packed)
        else:
            number = log.append(db, channel.name, packed, queued=channel.kind == "queue")
        self._store.changed(number)
        return number is not None
