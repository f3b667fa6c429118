"""Requests and their replies: one reply channel for each connection that asks, gone with it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from dragoman.embedded import groups, log
from dragoman.embedded.groups import Membership
from dragoman.embedded.records import unpack
from dragoman.embedded.store import Store
from dragoman.errors import Closed, TimedOut
from dragoman.message import Channel, Message

#: What the names of reply channels begin with.
PREFIX: Final = "_replies/"
#: How many replies to one request are kept; it returns when it has so many.
MOST_REPLIES: Final = 10_000


@dataclass(slots=True, eq=False)
class _Request:
    enough: int
    replies: list[Message] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)
    failure: BaseException | None = None

    def add(self, reply: Message) -> None:
        if len(self.replies) < self.enough:
            self.replies.append(reply)
        if len(self.replies) >= self.enough:
            self.done.set()

    def fail(self, failure: BaseException) -> None:
        self.failure = failure
        self.done.set()


class Replies:
    """The reply channel of one connection and the requests that wait on it. Made by the first of them."""

    def __init__(self, store: Store) -> None:
        self.channel = Channel(PREFIX + uuid4().hex, "topic")
        self._store = store
        self._requests: dict[str, set[_Request]] = {}
        self._opening = asyncio.Lock()
        self._me: Membership | None = None

    async def ask(
        self, correlation: str, publish: Awaitable[None], timeout: float | None, enough: int
    ) -> list[Message]:
        """Publish a request and wait for its replies.

        Raises:
            TimedOut: none came in time.
        """
        request = _Request(enough)
        self._requests.setdefault(correlation, set()).add(request)
        try:
            async with asyncio.timeout(timeout):
                await publish
                await request.done.wait()
        except TimeoutError:
            if not request.replies:
                raise TimedOut(f"no reply within {timeout} s", hint="is anybody subscribed who answers?") from None
        finally:
            self._forget(correlation, request)
        if request.failure:
            raise request.failure
        return request.replies

    def _forget(self, correlation: str, request: _Request) -> None:
        requests = self._requests[correlation]
        requests.discard(request)
        if not requests:
            del self._requests[correlation]

    async def open(self) -> None:
        """Make the channel, if there is none yet."""
        async with self._opening:
            if self._me is None:
                await self._store.run(self._open_now, durable=False, then=self._opened)

    def _open_now(self, db: sqlite3.Connection) -> Membership:
        return groups.own_replies(db, self.channel.name, self._store.name)

    def _opened(self, me: Membership) -> None:
        self._me = me
        self._store.waiters.add(me.channel, self._look)

    def _look(self) -> None:
        if (me := self._me) is not None:
            drained = self._store.run(lambda db: self._drain_now(db, me), durable=False, then=self._came)
            drained.add_done_callback(self._looked)

    def _drain_now(self, db: sqlite3.Connection, me: Membership) -> list[Message]:
        return [unpack(*row, self.channel) for row in log.drain(db, me.channel)]

    def _came(self, replies: Sequence[Message]) -> None:
        for reply in replies:
            for request in self._requests.get(reply.get("correlation-id") or "", ()):
                request.add(reply)

    def _looked(self, drained: asyncio.Future[list[Message]]) -> None:
        if (failure := drained.exception()) is not None:
            self._fail(failure)

    def _fail(self, failure: BaseException) -> None:
        for requests in self._requests.values():
            for request in requests:
                request.fail(failure)

    def close(self) -> None:
        """Remove the channel, and whatever came too late; requests that still wait end with `Closed`."""
        self._fail(Closed("the connection was closed", where=self.channel.name))
        if (me := self._me) is not None:
            self._me = None
            self._store.waiters.remove(me.channel, self._look)
            leaving = self._store.run(lambda db: groups.leave(db, me.member), durable=False)
            # A failure needs no word: once the connection is gone, others remove the channel.
            leaving.add_done_callback(lambda left: left.cancelled() or left.exception())
