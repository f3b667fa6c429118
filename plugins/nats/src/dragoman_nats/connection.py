"""One connection: opening it, noticing that it is gone, and what the server complains about meanwhile."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nats.errors import Error

from dragoman import tls
from dragoman.errors import BrokerError, ConnectionLost, PermissionDenied
from dragoman_nats.boundary import boundary, closed, translated
from dragoman_nats.identity import tls_context
from dragoman_nats.settings import CoreSettings
from dragoman_nats.wire import Wire


class Connection:
    """A `Wire` that never reconnects: once the server is gone everybody who waits is told, and the core opens another.

    Attributes:
        wire: the connection itself.
        url: the servers, for error messages; without a password.
    """

    def __init__(self, settings: CoreSettings) -> None:
        self.wire = Wire()
        self.url = ", ".join(server.rpartition("@")[2] for server in settings.servers)
        self._settings = settings
        self._listeners: set[Callable[[BrokerError], None]] = set()
        self._closing = False
        self._end: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect.

        Raises:
            ConnectionLost: no server can be reached within `connect_timeout`.
            AuthenticationFailed: the server does not accept us.
        """
        context = tls_context(self._settings, self.url)
        with boundary(self.url):
            try:
                await self._connect(context)
            except BaseException as error:
                await self.close()  # a failed handshake leaves nats-py with a socket that it forgets
                if isinstance(error, OSError) and (refused := await self._tls_refusal(context)):
                    raise refused from error
                if isinstance(error, TimeoutError):
                    what = f"no server answered within {self._settings.connect_timeout:g} s"
                    raise ConnectionLost(what, where=self.url) from error
                if type(error) is Error and "authorization" not in str(error).lower():  # whatever speaks no NATS
                    raise ConnectionLost(str(error).removeprefix("nats: "), where=self.url) from error
                raise

    async def _connect(self, context: ssl.SSLContext | None) -> None:
        settings = self._settings
        password, token = settings.password, settings.token
        async with asyncio.timeout(settings.connect_timeout):
            await self.wire.connect(
                servers=settings.servers,
                name=settings.name,
                allow_reconnect=False,
                max_reconnect_attempts=0,
                connect_timeout=max(1, round(settings.connect_timeout)),
                ping_interval=settings.ping_interval,  # type: ignore[arg-type] # slept, not counted
                user=settings.username,
                password=password.get_secret_value() if password else None,
                token=token.get_secret_value() if token else None,
                nkeys_seed=str(settings.nkey_seed_file) if settings.nkey_seed_file else None,
                user_credentials=str(settings.credentials_file) if settings.credentials_file else None,
                tls=context,
                error_cb=self._complained,
                closed_cb=self._ended,
            )

    async def _tls_refusal(self, context: ssl.SSLContext | None) -> BrokerError | None:
        if context is None:
            return None
        for host, port in self._settings.addresses:
            if refused := await tls.refusal(host, port, context, where=self.url, greeted=True):
                return refused
        return None

    def check(self) -> None:
        """See that the connection is of use.

        Raises:
            Closed: it was closed by us.
            ConnectionLost: the server is gone.
        """
        if self._closing:
            raise closed(self.url)
        if not self.wire.is_connected:
            raise self.lost()

    def lost(self) -> ConnectionLost:
        """The error for whoever needed the connection."""
        return ConnectionLost("the connection to the server is gone", where=self.url)

    def listen(self, listener: Callable[[BrokerError], None]) -> Callable[[], None]:
        """Call `listener` with what happens to the connection; returns what ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    @contextmanager
    def heeding(self, subject: str) -> Iterator[None]:
        """Raise what the server forbids about a subject meanwhile: it complains before it answers the next ping.

        Raises:
            PermissionDenied: it forbids it.
        """
        denials: list[PermissionDenied] = []

        def listener(error: BrokerError) -> None:
            if isinstance(error, PermissionDenied) and f'"{subject.lower()}"' in str(error).lower():
                denials.append(error)

        stop = self.listen(listener)
        try:
            yield
        finally:
            stop()
        if denials:
            raise denials[0]

    async def close(self) -> None:
        """Close. Idempotent; the socket is released also when this is cancelled."""
        self._closing = True
        self._tell(closed(self.url))
        transport = self.wire._transport  # noqa: SLF001 # nats-py has no public way to drop a socket
        try:
            async with asyncio.timeout(1.0):
                # Shielded: nats-py ends its tasks one after the other, and a cancellation would leave some running.
                await asyncio.shield(self._ending())
        except (TimeoutError, OSError):
            pass  # what could not be written any more comes again: the server never saw it settled
        finally:
            self.wire.abandon()
            if transport is not None:
                transport.close()  # type: ignore[no-untyped-call]

    def _ending(self) -> asyncio.Task[None]:
        if self._end is None:
            self._end = asyncio.create_task(self.wire.close(), name=f"close {self.url}")
        return self._end

    async def _complained(self, error: Exception) -> None:
        self._tell(translated(error, self.url))

    async def _ended(self) -> None:
        self.wire.abandon()
        self._tell(closed(self.url) if self._closing else self.lost())

    def _tell(self, error: BrokerError) -> None:
        for listener in tuple(self._listeners):
            listener(error)
