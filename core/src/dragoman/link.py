"""The live adapter behind a client: the one place that connects, gives a lost connection up, and says what failed.

Everything about reconnecting belongs here. Today a lost adapter is closed and the next call connects anew; nothing is
repeated, and nothing waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final

from dragoman.adapter import Adapter, AdapterType, Capability
from dragoman.errors import BrokerError, Closed, ConnectionLost, Unsupported

_CANNOT: Final = {
    Capability.QUEUE: "has no channels of kind `queue`",
    Capability.TOPIC: "has no channels of kind `topic`",
    Capability.REPLAY: "can't start a subscription in the past",
    Capability.REQUEST_REPLY: "can't send requests and replies",
    Capability.LAG: "does not know how many messages wait",
}


class Link:
    """At most one live adapter, connected when it is first needed.

    Attributes:
        name: the client's name; errors begin with it.
        type: what kind of adapter it is.
        closed: whether `close` was called.
    """

    def __init__(
        self,
        name: str,
        adapter_type: AdapterType,
        connect: Callable[[], Awaitable[Adapter]],
        known: Iterable[AdapterType] = (),
    ) -> None:
        """A link that is not connected yet.

        Args:
            name: see the class.
            adapter_type: see the class.
            connect: opens a connection, each time that one is needed.
            known: the installed adapters, to say which of them can do what this one can't.
        """
        self.name = name
        self.type = adapter_type
        self.closed = False
        self._connect = connect
        self._known = known
        self._adapter: Adapter | None = None
        self._connecting = asyncio.Lock()

    async def live(self) -> Adapter:
        """The adapter, connected now if it is not.

        Raises:
            Closed: the link was closed.
            ConnectionLost, AuthenticationFailed: as the adapter's `connect`.
        """
        if self._adapter is not None:
            return self._adapter
        async with self._connecting:
            self.refuse_if_closed()
            if self._adapter is None:
                self._adapter = await self._connected()
            return self._adapter

    async def _connected(self) -> Adapter:
        try:
            adapter = await self._connect()
        except BrokerError as error:
            raise self.named(error) from error.__cause__
        if self.closed:  # while it was being opened
            await adapter.close()
            self.refuse_if_closed()
        return adapter

    async def close(self) -> None:
        """Close the adapter. Idempotent; closes also when cancelled."""
        self.closed = True
        adapter, self._adapter = self._adapter, None
        if adapter is not None:
            await adapter.close()

    async def failed(self, error: BrokerError, adapter: Adapter, lost: BrokerError) -> BrokerError:
        """What the caller of the adapter is told; a connection that was lost is given up here.

        Args:
            error: what the adapter raised.
            adapter: which adapter that was.
            lost: what it means if the adapter had been given up meanwhile, so that it says `Closed`.
        """
        if isinstance(error, Closed) and not self.closed and adapter is not self._adapter:
            return self.named(lost)
        if isinstance(error, ConnectionLost) and adapter is self._adapter:
            self._adapter = None
            with suppress(BrokerError):  # it is lost already
                await adapter.close()
        return self.named(error)

    def named(self, error: BrokerError) -> BrokerError:
        """The error, saying which client it is about."""
        if error.where is None:
            error.where = self.name
        elif error.where != self.name and not error.where.startswith(f"{self.name}: "):
            error.where = f"{self.name}: {error.where}"
        return error

    def refuse_if_closed(self) -> None:
        """Raise `Closed` if it is."""
        if self.closed:
            raise Closed("the client is closed", where=self.name)

    def require(self, capability: Capability) -> None:
        """Raise `Unsupported`, saying which installed adapters could, unless this one can."""
        if capability in self.type.capabilities:
            return
        others = sorted(known.name for known in self._known if capability in known.capabilities)
        raise Unsupported(
            f"the adapter {self.type.name!r} {_CANNOT[capability]}",
            where=self.name,
            hint=f"of those installed, {', '.join(others)} could" if others else "no installed adapter could",
        )
