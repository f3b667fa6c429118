"""Errors of nats-py and of the server, as errors of our tree: one table."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import nats.errors as client
import nats.js.errors as jetstream

from dragoman.errors import (
    AuthenticationFailed,
    BrokerError,
    ChannelNotFound,
    Closed,
    ConnectionLost,
    PayloadTooLarge,
    PermissionDenied,
    PublishFailed,
    TimedOut,
)

#: Looked through from the top; the first class that fits decides.
_BY_CLASS: Final[tuple[tuple[type[BaseException], type[BrokerError]], ...]] = (
    (client.AuthorizationError, AuthenticationFailed),
    (client.MaxPayloadError, PayloadTooLarge),
    (client.ConnectionClosedError, ConnectionLost),
    (client.StaleConnectionError, ConnectionLost),
    (client.NoServersError, ConnectionLost),
    (client.OutboundBufferLimitError, ConnectionLost),
    (client.NoRespondersError, ChannelNotFound),
    (client.TimeoutError, TimedOut),
    (ssl.SSLError, AuthenticationFailed),
    (jetstream.NotFoundError, ChannelNotFound),
    (jetstream.NoStreamResponseError, ChannelNotFound),
    (jetstream.ServiceUnavailableError, ConnectionLost),
    (asyncio.TimeoutError, TimedOut),
    (OSError, ConnectionLost),
    (client.Error, BrokerError),
)
#: JetStream's own error numbers, from the server's errors.json.
_BY_NUMBER: Final[dict[int, type[BrokerError]]] = {
    10054: PayloadTooLarge,  # message size exceeds maximum allowed
    10059: ChannelNotFound,  # stream not found
    10060: ChannelNotFound,  # stream does not match the expected one
    10014: ChannelNotFound,  # consumer not found
}


def refusal(error: dict[str, Any], where: str) -> BrokerError:
    """The error of a JetStream answer: `{"code": …, "err_code": …, "description": …}`."""
    kind = _BY_NUMBER.get(int(error.get("err_code") or 0), PublishFailed)
    return kind(f"the server refused: {error.get('description') or error.get('code')}", where=where)


def translated(error: BaseException, where: str) -> BrokerError:
    """Our error for one of nats-py's; the caller chains it."""
    if "permissions violation" in str(error).lower():
        return PermissionDenied(str(error).removeprefix("nats: "), where=where)
    if "authorization violation" in str(error).lower():
        return AuthenticationFailed("the server does not accept who we say we are", where=where)
    kind = next((ours for theirs, ours in _BY_CLASS if isinstance(error, theirs)), BrokerError)
    return kind(str(error).removeprefix("nats: ") or type(error).__name__, where=where)


@contextmanager
def boundary(where: str) -> Iterator[None]:
    """Let nothing but errors of our tree out."""
    try:
        yield
    except (client.Error, TimeoutError, OSError) as error:
        raise translated(error, where) from error


def closed(where: str) -> Closed:
    """Used after close."""
    return Closed("this connection was closed", where=where)
