"""The live adapter behind a client: gives a lost connection up, says what failed, and what the adapter can't do.

How a connection is made, and made again, is in `dialing.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from dragoman.adapter import Adapter, AdapterType, Capability
from dragoman.dialing import Dialing
from dragoman.errors import BrokerError, Closed, ConnectionLost, Unsupported

_CANNOT: Final = {
    Capability.QUEUE: "has no channels of kind `queue`",
    Capability.TOPIC: "has no channels of kind `topic`",
    Capability.REPLAY: "can't start a subscription in the past",
    Capability.REQUEST_REPLY: "can't send requests and replies",
    Capability.LAG: "does not know how many messages wait",
    Capability.TRANSACTIONS: "has no transactions",
}


#: Seconds that a call waits for the connection, unless the configuration says otherwise.
WAIT: Final = 30.0


class Link:
    """At most one live adapter, connected when it is first needed, and again when it was lost.

    Attributes:
        name: the client's name; errors begin with it.
        type: what kind of adapter it is.
        wait: seconds that a call waits for the connection.
        closed: whether `close` was called.
    """

    def __init__(
        self,
        name: str,
        adapter_type: AdapterType,
        connect: Callable[[], Awaitable[Adapter]],
        known: Iterable[AdapterType] = (),
        wait: float = WAIT,
    ) -> None:
        """A link that is not connected yet.

        Args:
            name: see the class.
            adapter_type: see the class.
            connect: opens a connection, each time that one is needed.
            known: the installed adapters, to say which of them can do what this one can't.
            wait: see the class.
        """
        self.name = name
        self.type = adapter_type
        self.wait = wait
        self.closed = False
        self._known = known
        self._dialing = Dialing(name, connect)

    @property
    def adapter(self) -> Adapter | None:
        """The connection, if there is one that is not known to be lost."""
        return self._dialing.adapter

    async def live(self, within: float | None = None) -> Adapter:
        """The adapter, connected now if it is not.

        Args:
            within: seconds to wait while the broker can't be reached; 0 fails with the first attempt that does. None is
                the link's own `wait`.

        Raises:
            Closed: the link was closed.
            ConnectionLost: there was no connection in that time.
            BrokerError: as the adapter's `connect`.
        """
        if (adapter := self._dialing.adapter) is not None:
            return adapter
        self.refuse_if_closed()
        try:
            return await self._dialing.wait(self.wait if within is None else within)
        except BrokerError as error:
            raise self.named(error) from error.__cause__

    def stop_waiting(self) -> None:
        """From now on a call that finds no connection fails at once, and those that wait do so now. Never blocks."""
        self.wait = 0.0
        self._dialing.hurry()

    async def close(self) -> None:
        """Close the adapter. Idempotent; closes also when cancelled."""
        self.closed = True
        await self._dialing.close()

    def failed(self, error: BrokerError, adapter: Adapter, lost: BrokerError) -> BrokerError:
        """What the caller of the adapter is told; a connection that was lost is given up here.

        Args:
            error: what the adapter raised.
            adapter: which adapter that was.
            lost: what it means if the adapter had been given up meanwhile, so that it says `Closed`.
        """
        if isinstance(error, Closed) and not self.closed and adapter is not self._dialing.adapter:
            return self.named(lost)
        if isinstance(error, ConnectionLost):
            self._dialing.lost(adapter, error)
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
