"""Errors of aiomqtt and reason codes of brokers, as errors of our tree: one table.

Source: MQTT 5.0, section 2.4 (reason codes).
"""

from __future__ import annotations

import ssl
from typing import Final

from aiomqtt import MqttCodeError, MqttError

from dragoman.errors import (
    AuthenticationFailed,
    BrokerError,
    ChannelNotFound,
    Closed,
    ConnectionLost,
    PayloadTooLarge,
    PermissionDenied,
    PublishFailed,
    Unsupported,
)

#: The message was taken, and nobody is subscribed.
NOBODY: Final = 0x10
_REFUSED: Final = 0x80

#: What a refused connection means; any other reason is `ConnectionLost`.
_CONNECTING: Final[dict[int, type[BrokerError]]] = {
    0x84: Unsupported,  # protocol version
    0x85: BrokerError,  # client identifier
    0x86: AuthenticationFailed,
    0x87: AuthenticationFailed,
    0x8A: PermissionDenied,  # banned
    0x8C: AuthenticationFailed,  # method
    0x90: ChannelNotFound,  # the will's topic
    0x9A: Unsupported,  # retain
    0x9B: Unsupported,  # quality of service
}
#: What a refused message or subscription means; any other reason is `PublishFailed` or `BrokerError`.
_REASONS: Final[dict[int, tuple[type[BrokerError], str]]] = {
    0x87: (PermissionDenied, "the broker forbids it"),
    0x8F: (ChannelNotFound, "the broker takes no such filter"),
    0x90: (ChannelNotFound, "the broker takes no such topic"),
    0x95: (PayloadTooLarge, "larger than the broker takes"),
    0x9A: (Unsupported, "the broker keeps no messages for later subscribers"),
    0x9B: (Unsupported, "the broker does not have this quality of service"),
    0x9E: (Unsupported, "the broker has no shared subscriptions"),
    0xA2: (Unsupported, "the broker has no wildcards"),
}
_ENDS: Final = {
    0x8E: "another connection took the session over: is `client_id` used twice?",
    0x95: "a packet was larger than the broker takes",
}


def refused_connection(error: Exception, where: str) -> BrokerError:
    """Our error for a connection that was not opened; the caller chains it."""
    below = error.__context__  # aiomqtt keeps only the text of an error of the socket
    if isinstance(below, ssl.SSLCertVerificationError):
        return AuthenticationFailed(f"the broker's certificate is not trusted: {below.verify_message}", where=where)
    if isinstance(error, MqttCodeError) and (code := getattr(error.rc, "value", None)) is not None:
        kind = _CONNECTING.get(code, ConnectionLost)
        return kind(f"the broker refused the connection: {error.rc}", where=where)
    text = str(error) if isinstance(error, MqttError | OSError) else type(error).__name__
    return ConnectionLost(f"no connection: {text or type(error).__name__}", where=where)


def refusal(reason: int, where: str, *, publishing: bool) -> BrokerError | None:
    """The error of a reason code in an acknowledgement; None where all is well."""
    if reason < _REFUSED:
        return None
    kind, what = _REASONS.get(reason, (PublishFailed if publishing else BrokerError, "the broker refused"))
    return kind(f"{what} (reason 0x{reason:02X})", where=where)


def ended(reason: int, where: str) -> ConnectionLost:
    """The error for whoever used a connection that is gone."""
    what = _ENDS.get(reason) or "the connection to the broker is gone"
    return ConnectionLost(what, where=where)


def closed(where: str) -> Closed:
    """Used after close."""
    return Closed("this connection was closed", where=where)
