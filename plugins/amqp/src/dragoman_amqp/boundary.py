"""What the broker and the libraries raise, as errors of our tree: one table for each."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

from aiormq import exceptions as theirs

from dragoman.errors import (
    AuthenticationFailed,
    BrokerError,
    ChannelNotFound,
    Closed,
    ConnectionLost,
    PayloadTooLarge,
    PermissionDenied,
    Unsupported,
)

#: AMQP 0-9-1, section 1.2, and what RabbitMQ says with each.
_BY_CODE: Final[dict[int, type[BrokerError]]] = {
    311: PayloadTooLarge,
    312: ChannelNotFound,  # no route
    313: ChannelNotFound,  # no consumers
    320: ConnectionLost,  # the server goes, or an operator closed the connection
    402: PermissionDenied,  # invalid path: the virtual host
    403: PermissionDenied,
    404: ChannelNotFound,
    405: PermissionDenied,  # locked: exclusive to another connection
    501: ConnectionLost,
    506: ConnectionLost,  # the server is short of something
    530: PermissionDenied,
    540: Unsupported,
    541: ConnectionLost,
}
_HINTS: Final = {
    405: "another connection has it for itself",
    406: 'it exists with other arguments: set `topology = "check"`, or `queue_type` and the others as they are there',
}
#: Looked through from the top; the first class that fits decides.
_BY_CLASS: Final[tuple[tuple[type[BaseException], type[BrokerError]], ...]] = (
    (theirs.AuthenticationError, AuthenticationFailed),
    (theirs.ProbableAuthenticationError, AuthenticationFailed),
    (theirs.ConnectionNotAllowed, PermissionDenied),
    (theirs.IncompatibleProtocolError, ConnectionLost),
    (theirs.AMQPConnectionError, ConnectionLost),
    (ssl.SSLCertVerificationError, AuthenticationFailed),
    (ssl.SSLError, AuthenticationFailed),
    (OSError, ConnectionLost),
    (TimeoutError, ConnectionLost),
    (asyncio.TimeoutError, ConnectionLost),
)


def refused(code: int | None, text: str | None, where: str | None) -> BrokerError:
    """The error for a reply code of the broker's and its text."""
    text = text or "no reason given"
    if code == 406 and "message size" in text:
        return PayloadTooLarge(text, where=where)
    if code == 406 and ("delivery acknowledgement" in text or "delivery tag" in text):
        return ConnectionLost(text, where=where, hint="the broker's `consumer_timeout`; it comes again")
    kind = _BY_CODE.get(code or 0, BrokerError)
    hint = _HINTS.get(code or 0) if code != 406 or "inequivalent" in text else None
    return kind(f"the broker says: {text}", where=where, hint=hint)


def translated(error: BaseException, where: str) -> BrokerError:
    """The error for one that connecting raised; the caller chains the cause."""
    if isinstance(error, BrokerError):
        return error
    if isinstance(error, theirs.ConnectionClosed) and error.args and isinstance(error.args[0], int):
        return refused(error.args[0], str(error.args[1]), where)
    kind = next((ours for cls, ours in _BY_CLASS if isinstance(error, cls)), BrokerError)
    return kind(f"can't connect: {_told(error)}", where=where)


def _told(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not error.args:
        return "no answer in time"
    return " ".join(str(error).split()) or type(error).__name__


def closed(where: str | None = None) -> Closed:
    """For whoever goes on after closing."""
    return Closed("the connection to the broker, or this subscription, was closed", where=where)
