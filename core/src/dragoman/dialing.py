"""Getting a connection, and getting it again: one attempt at a time, however many wait for it.

Attempts are made while somebody waits. The pauses between them grow, and a part of each is random, so that those who
lost a broker together do not come back together. A connection that is lost soon after it was made counts as a failed
attempt: what breaks at once is not made again at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from copy import copy
from typing import Final

from dragoman.adapter import Adapter
from dragoman.backoff import Backoff
from dragoman.errors import BrokerError, Closed, ConnectionLost, TimedOut

_log: Final = logging.getLogger("dragoman.client")
_BACKOFF: Final = Backoff(first=0.1, longest=10.0)
#: Seconds after which a connection has proved itself: when it is lost then, the first attempt is made at once.
_STEADY: Final = 5.0
#: Seconds that an attempt may take, where the adapter has no bound of its own.
_ATTEMPT: Final = 60.0
#: Seconds that closing a lost connection may take, before another one is made.
_FAREWELL: Final = 2.0
#: What may pass while one waits. Everything else, such as a wrong password, is told at once to all who wait.
UNREACHABLE: Final = (ConnectionLost, TimedOut)


class Dialing:
    """The way to one broker.

    Attributes:
        adapter: the live connection; None while there is none.
    """

    def __init__(self, name: str, connect: Callable[[], Awaitable[Adapter]]) -> None:
        """Not connected yet; `name` is the client's, for the log, and `connect` opens a connection."""
        self.adapter: Adapter | None = None
        self._name = name
        self._connect = connect
        self._waiting: dict[asyncio.Future[Adapter], bool] = {}
        self._attempts: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._not_before = 0.0
        self._connected_at = 0.0
        self._away_since: float | None = None
        self._error: Exception | None = None
        self._reason = "the first attempt is still under way"
        self._said: type[Exception] | None = None

    async def wait(self, seconds: float) -> Adapter:
        """The connection, as soon as there is one.

        Args:
            seconds: how long to wait while the broker can't be reached; 0 fails with the first attempt that does.

        Raises:
            ConnectionLost: there was none in that time.
            BrokerError: the broker, or the adapter, does not want us.
        """
        loop = asyncio.get_running_loop()
        patient = seconds > 0
        if not patient and self._error is not None and loop.time() < self._not_before:
            raise _again(self._error)
        waiter: asyncio.Future[Adapter] = loop.create_future()
        self._waiting[waiter] = patient
        if self._attempts is None:
            self._attempts = asyncio.create_task(self._dial(), name=f"connecting {self._name}")
        try:
            async with asyncio.timeout(seconds if patient else None):
                return await waiter
        except TimeoutError:
            raise ConnectionLost(f"waited {seconds:.3g} s for the connection: {self._reason}") from self._error
        finally:
            del self._waiting[waiter]
            if waiter.done() and not waiter.cancelled():
                waiter.exception()  # seen, also where whoever waited was cancelled

    def lost(self, adapter: Adapter, error: Exception) -> None:
        """That connection is of no more use; it is closed. Never blocks."""
        if adapter is not self.adapter:
            return
        now = asyncio.get_running_loop().time()
        self.adapter = None
        self._failures = 0 if now - self._connected_at >= _STEADY else self._failures + 1
        self._not_before = now + (_BACKOFF.after(self._failures) if self._failures else 0.0)
        self._away_since = now
        self._error, self._reason = error, str(error)
        _log.warning("client %r lost its connection: %s", self._name, self._reason, extra={"client": self._name})
        ending = asyncio.create_task(_end(adapter))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    def hurry(self) -> None:
        """Tell everybody who waits that there is no connection. Never blocks."""
        self._tell(ConnectionLost(f"not connected: {self._reason}"))

    async def close(self) -> None:
        """End the attempts and close the connection. Idempotent; closes also when cancelled."""
        adapter, self.adapter = self.adapter, None
        self._tell(Closed("the client was closed"))
        under_way = [*self._ending]
        if self._attempts is not None:
            self._attempts.cancel()
            under_way.append(self._attempts)
        try:
            if adapter is not None:
                await adapter.close()
        finally:
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _dial(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(self._not_before - asyncio.get_running_loop().time())
                if self._waiting:
                    await self._attempt()
        finally:
            self._attempts = None

    async def _attempt(self) -> None:
        if self._ending:  # a broker may know us by a name that only one connection may have
            await asyncio.wait(self._ending)
        try:
            async with asyncio.timeout(_ATTEMPT):
                adapter = await self._connect()
        except TimeoutError:
            self._unreachable(ConnectionLost(f"no connection within {_ATTEMPT:g} s"))
        except UNREACHABLE as error:
            self._unreachable(error)
        except Exception as error:  # noqa: BLE001 - also a plugin's bug: whoever waits is told
            self._failed(error)
            self._tell(error)
        else:
            self._succeeded(adapter)

    def _unreachable(self, error: Exception) -> None:
        pause = self._failed(error)
        self._tell(error, patient=False)
        waited_for = any(self._waiting.values())
        news = waited_for and self._said is not type(error)
        if news:
            self._said = type(error)
        _log.log(
            logging.WARNING if news else logging.DEBUG,
            "waiting for client %r: %s; next try in %.2g s",
            self._name,
            self._reason,
            pause,
            extra={"client": self._name},
        )

    def _failed(self, error: Exception) -> float:
        """Seconds before the next attempt."""
        now = asyncio.get_running_loop().time()
        self._failures += 1
        pause = _BACKOFF.after(self._failures)
        self._not_before = now + pause
        self._error, self._reason = error, str(error)
        if self._away_since is None:
            self._away_since = now
        return pause

    def _succeeded(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self._connected_at = asyncio.get_running_loop().time()
        if self._away_since is not None:
            away = self._connected_at - self._away_since
            _log.info("client %r is connected, after %.3g s", self._name, away, extra={"client": self._name})
        self._away_since = self._error = self._said = None
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(adapter)

    def _tell(self, error: Exception, *, patient: bool = True) -> None:
        """Fail those who wait; without `patient` only those who wait for one attempt."""
        for waiter, is_patient in self._waiting.items():
            if not waiter.done() and (patient or not is_patient):
                waiter.set_exception(_again(error))


def _again(error: Exception) -> Exception:
    """One for each who is told: whoever passes it on says in it what it was for."""
    if not isinstance(error, BrokerError):
        return error
    other = copy(error)
    other.__cause__ = error.__cause__
    return other


async def _end(adapter: Adapter) -> None:
    with suppress(Exception):  # it is lost already, and whoever used it was told
        async with asyncio.timeout(_FAREWELL):
            await adapter.close()
