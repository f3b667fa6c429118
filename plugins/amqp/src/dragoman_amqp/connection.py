"""Opening and ending a connection: the hosts one after the other, who we are, and what aiormq leaves behind."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from importlib.metadata import version
from typing import Any, Final

import aiormq.connection
from yarl import URL

from dragoman import tls
from dragoman.errors import AuthenticationFailed, BrokerError, ConnectionLost
from dragoman_amqp import boundary
from dragoman_amqp.settings import AmqpSettings, Server
from dragoman_amqp.wire import Wire, dial, shake_hands

_CLOSE_SECONDS: Final = 3.0


class Connection:
    """An open connection.

    Attributes:
        wire: what our channels are on.
        server: what the broker says about itself.
    """

    def __init__(self, wire: Wire, theirs: aiormq.connection.Connection) -> None:
        self.wire = wire
        self.server: dict[str, Any] = dict(theirs.server_properties or {})
        self._theirs = theirs
        # Or aiormq's tasks would outlive a connection that was lost.
        self._watch = asyncio.create_task(self._watched(), name="amqp ends what is left of a lost connection")

    async def _watched(self) -> None:
        await self.wire.gone
        await self._theirs.close(ConnectionLost("the connection was lost"))

    async def close(self) -> None:
        """Say goodbye and close the socket. Closes it also when cancelled, or when the broker does not answer."""
        self.wire.lose(boundary.closed())
        self.wire.flush()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await self._theirs.close(None)
        finally:
            self.wire.abort(boundary.closed())
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._watch


async def connected(settings: AmqpSettings) -> Connection:
    """Connect to the first host that takes us.

    Raises:
        ConnectionLost: none can be reached.
        AuthenticationFailed, PermissionDenied: as the first that answers says.
    """
    try:
        context = settings.tls()
    except OSError as error:  # ssl.SSLError is one
        raise AuthenticationFailed(f"a file of certificates can't be used: {error}", where=settings.place) from error
    lost: BrokerError | None = None
    for server in settings.servers:
        try:
            return await _connected(settings, server, context)
        except ConnectionLost as error:
            lost = error
    raise lost or ConnectionLost("no host is given", where=settings.place)


async def _connected(settings: AmqpSettings, server: Server, context: ssl.SSLContext | None) -> Connection:
    try:
        async with asyncio.timeout(settings.connect_timeout):
            wire = await dial(server.host, server.port, context, settings.place)
            theirs = await shake_hands(wire, _url(settings, server), settings.virtual_host, _about_us(settings))
    except Exception as error:
        where = f"{settings.place} ({server})"
        found = boundary.translated(error, where)
        if context is not None and isinstance(found, ConnectionLost):
            found = await tls.refusal(server.host, server.port, context, where=where) or found
        raise found from error
    return Connection(wire, theirs)


def _about_us(settings: AmqpSettings) -> dict[str, Any]:
    return {
        "product": "dragoman-amqp",
        "version": version("dragoman-amqp"),
        "connection_name": settings.name,
    }


def _url(settings: AmqpSettings, server: Server) -> URL:
    return URL.build(
        scheme="amqps" if settings.secure else "amqp",
        host=server.host,
        port=server.port,
        user=settings.user,
        password=settings.secret,
        query={"heartbeat": str(settings.heartbeat), "auth": settings.auth.upper()},
    )
