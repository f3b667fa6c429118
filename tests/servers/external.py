"""A server that runs elsewhere, named in the environment where none can be started here."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

from tests.servers.ports import free_port
from tests.servers.proxy import Proxy
from tests.servers.server import ServerError


class External:
    """The server at `DRAGOMAN_TEST_<NAME>=host:port`: its network can be cut, but it can't be stopped.

    Kafka tells its clients its own address, so there `url` goes straight to it, and cutting is impossible too.
    """

    def __init__(self, name: str, scheme: str, address: str) -> None:
        self.name = name
        self.scheme = scheme
        self.direct = f"{scheme}://{address}"
        self._proxy = None if scheme == "kafka" else Proxy(free_port(), address)

    @classmethod
    def named(cls, name: str, scheme: str) -> Self | None:
        """The one that the environment names, or None."""
        address = os.environ.get(f"DRAGOMAN_TEST_{name.upper()}")
        return cls(name, scheme, address) if address else None

    @property
    def url(self) -> str:
        """Its address, through the proxy where there is one."""
        return self.direct if self._proxy is None else f"{self.scheme}://127.0.0.1:{self._proxy.port}"

    def cut(self) -> None:
        """Reset every connection, and refuse new ones."""
        self._tell("cut")

    def stall(self) -> None:
        """Let nothing through any more, but keep the connections."""
        self._tell("stall")

    def restore(self) -> None:
        """Undo `cut` and `stall`."""
        self._tell("restore")

    def stop(self) -> None:
        """Impossible: it is not ours."""
        raise self._not_ours()

    kill = stop
    start = stop
    restart = stop

    def close(self) -> None:
        """End the proxy. Idempotent."""
        if self._proxy is not None:
            self._proxy.close()

    def __enter__(self) -> Self:
        if self._proxy is not None:
            self._proxy.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _tell(self, word: str) -> None:
        if self._proxy is None:
            raise self._not_ours()
        self._proxy.tell(word)

    def _not_ours(self) -> ServerError:
        return ServerError(
            f"the {self.name} at {self.direct} is not ours to control; unset DRAGOMAN_TEST_{self.name.upper()} to run"
            " this test on a server of our own"
        )
