"""The client library's errors, translated in one place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dragoman.errors import AuthenticationFailed, BrokerError, ConnectionLost, PayloadTooLarge, PublishFailed
from dragoman_template import broker

# Replace: one line for each error of your client library that says something that users can act on.
_MEANING: dict[type[Exception], type[BrokerError]] = {
    broker.Unreachable: ConnectionLost,
    broker.LoginRefused: AuthenticationFailed,
    broker.TooLarge: PayloadTooLarge,
    broker.Full: PublishFailed,
}


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise what the client library raises as the error from Dragoman's tree, with the original as its cause."""
    try:
        yield
    except tuple(_MEANING) as error:
        raise _MEANING[type(error)](str(error), where=where) from error
