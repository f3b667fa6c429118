"""Requests that wait for their replies: what every adapter with `Capability.REQUEST_REPLY` would write by itself.

The adapter finds out to which request a reply belongs; this waits, counts and bounds, as
`dragoman.adapter.RequestReply.request` says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Final, Generic, TypeVar

from dragoman.errors import BrokerError, TimedOut
from dragoman.message import Message

#: Replies kept for one request; it returns when it has so many.
MOST: Final = 10_000

K = TypeVar("K", bound=Hashable)


class _Request:
    """One that waits, and its replies so far."""

    __slots__ = ("changed", "error", "replies", "wanted")

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.replies: list[Message] = []
        self.error: BrokerError | None = None
        self.changed = asyncio.Event()


class Replies(Generic[K]):
    """The open requests of one connection, by a key of the adapter's: an inbox, a correlation-id."""

    def __init__(self) -> None:
        self._open: dict[K, _Request] = {}

    def __contains__(self, key: object) -> bool:
        """Whether a request with that key waits."""
        return key in self._open

    def __len__(self) -> int:
        """How many requests wait."""
        return len(self._open)

    async def gather(
        self,
        key: K,
        send: Callable[[], Awaitable[None]],
        *,
        where: str,
        timeout: float | None,
        expected: int | None,
    ) -> Sequence[Message]:
        """Send a request and wait for its replies. Cancelling it forgets the request.

        Args:
            key: what its replies are known by; no other open request may have it.
            send: sends it. The time that it takes counts.
            where: the channel, for the error.
            timeout: seconds; None waits until cancelled.
            expected: how many replies; None means one without a timeout, and with one all that come within it.

        Returns:
            At least one reply, and at most as many as were expected.

        Raises:
            TimedOut: no reply came in time.
            BrokerError: `failed` or `lost` was called meanwhile and no reply had come; or what `send` raised.
        """
        wanted = expected if expected is not None else (1 if timeout is None else MOST)
        request = self._open[key] = _Request(min(wanted, MOST))
        try:
            async with asyncio.timeout(timeout) as limit:
                await send()
                while len(request.replies) < request.wanted and request.error is None:
                    request.changed.clear()
                    await request.changed.wait()
        except (TimeoutError, BrokerError):  # a client whose call is cancelled may say that its channel was closed
            if not limit.expired():
                raise
        finally:
            del self._open[key]
        if request.replies:
            return request.replies
        raise request.error or TimedOut(f"no reply within {timeout or 0:g} s", where=where)

    def came(self, key: K, reply: Message) -> None:
        """A reply, perhaps to a request that has had enough or was given up. Never blocks."""
        request = self._open.get(key)
        if request is not None and len(request.replies) < request.wanted:
            request.replies.append(reply)
            request.changed.set()

    def failed(self, key: K, error: BrokerError) -> None:
        """No more replies will come to that request. Never blocks."""
        request = self._open.get(key)
        if request is not None:
            request.error = error
            request.changed.set()

    def lost(self, error: BrokerError) -> None:
        """No more replies will come to any request. Never blocks."""
        for key in self._open:
            self.failed(key, error)
