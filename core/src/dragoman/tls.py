"""TLS for adapters: the context that their settings mean, and why a server refused us."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from pydantic import SecretStr

from dragoman.errors import AuthenticationFailed

#: Seconds that a server gets to say why.
_PATIENCE: Final = 2.0


class Settings(Protocol):
    """What the settings of an adapter with TLS have, by these names."""

    @property
    def tls_ca(self) -> Path | None:
        """The authorities to trust, PEM; the system's without it."""

    @property
    def tls_cert(self) -> Path | None:
        """Our certificate, PEM."""

    @property
    def tls_key(self) -> Path | None:
        """Its key, PEM; in the file of `tls_cert` without it."""

    @property
    def tls_key_password(self) -> SecretStr | None:
        """The password of the key."""

    @property
    def tls_check_hostname(self) -> bool:
        """Whether the server's certificate must be for its host name."""


def given(settings: Settings) -> str | None:
    """The first of the settings for TLS that is set, or None."""
    names = ("tls_ca", "tls_cert", "tls_key", "tls_key_password")
    return next((name for name in names if getattr(settings, name) is not None), None)


def check(settings: Settings) -> None:
    """See that the settings fit together.

    Raises:
        ValueError: a key, or its password, without the certificate that it is for.
    """
    if (settings.tls_key or settings.tls_key_password) and not settings.tls_cert:
        raise ValueError("`tls_key` and `tls_key_password` need `tls_cert`")


def context(settings: Settings) -> ssl.SSLContext:
    """The context for connections. Reads the files, and blocks while it does.

    Raises:
        OSError: a file can't be read, or is not what it should be (`ssl.SSLError`).
    """
    made = ssl.create_default_context(cafile=settings.tls_ca)
    made.check_hostname = settings.tls_check_hostname
    if settings.tls_cert is not None:
        password = settings.tls_key_password
        made.load_cert_chain(settings.tls_cert, settings.tls_key, password.get_secret_value() if password else None)
    return made


async def refusal(
    host: str, port: int, with_context: ssl.SSLContext, *, where: str, greeted: bool = False
) -> AuthenticationFailed | None:
    """Why the server ends our connections, if TLS is the reason: it connects once more, and listens.

    With TLS 1.3 a server looks at our certificate after the handshake, when many client libraries take its refusal for
    a connection that was lost: an outage, which another try would cure. Takes two seconds at most.

    Args:
        host: where the server is.
        port: where it listens.
        with_context: what we show it.
        where: what the error is to call it.
        greeted: whether the server says a line before TLS begins, as NATS servers do.
    """
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            try:
                await _listen(host, port, with_context, greeted=greeted)
            except ssl.SSLCertVerificationError as error:
                return _failed(f"the server's certificate is not trusted: {error.verify_message}", where, error)
            except ssl.SSLError as error:
                reason = (error.reason or str(error)).lower().replace("_", " ")
                return _failed(f"the server refuses our certificate, or TLS with us: {reason}", where, error)
    return None


def _failed(what: str, where: str, cause: Exception) -> AuthenticationFailed:
    error = AuthenticationFailed(what, where=where, hint="see the settings `tls_…`")
    error.__cause__ = cause
    return error


async def _listen(host: str, port: int, with_context: ssl.SSLContext, *, greeted: bool) -> None:
    reader, writer = await asyncio.open_connection(host, port, ssl=None if greeted else with_context)
    try:
        if greeted:
            await reader.readline()
            await writer.start_tls(with_context, server_hostname=host)
        # We say nothing: a server that closes with something unread resets the connection, and its reason is lost.
        await reader.read(1)
    finally:
        writer.transport.abort()
