"""The connection: what `dragoman.adapter.Adapter` asks for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from dragoman.adapter import SubscribeOptions, Subscription
from dragoman.errors import Closed, Unsupported
from dragoman.message import Channel, Message
from dragoman_template.broker import Broker, dial
from dragoman_template.config import Settings
from dragoman_template.failures import translated
from dragoman_template.records import to_record
from dragoman_template.subscription import Reader


async def connect(settings: Settings) -> Connection:
    """Open a connection.

    Replace: connect and log in. Don't retry: raise, and the core tries again.
    """
    with translated(settings.url):
        return Connection(settings.url, dial(settings.url, settings.password.get_secret_value()))


class Connection:
    """One live connection."""

    def __init__(self, url: str, broker: Broker) -> None:
        self._url = url
        self._broker = broker
        self._readers: set[Reader] = set()
        self._closed = False

    async def publish(self, channel: Channel, messages: Sequence[Message]) -> None:
        """Replace: send them all, then wait until the broker has confirmed each one."""
        self._check_open()
        with translated(f"{self._url}, {channel}"):
            self._broker.publish(channel.kind, channel.name, [to_record(message) for message in messages])

    @asynccontextmanager
    async def subscribe(self, channel: Channel, options: SubscribeOptions) -> AsyncIterator[Subscription]:
        """Replace: subscribe, and yield once the broker has confirmed it."""
        self._check_open()
        _check(channel, options)
        reader = Reader(self._broker.place(channel.kind, channel.name), channel, options)
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)
            reader.close()

    async def close(self) -> None:
        """Replace: close the socket, even if this is cancelled, even if something fails."""
        self._closed = True
        for reader in self._readers:
            reader.close()
        self._readers.clear()

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the connection was closed", where=self._url)


def _check(channel: Channel, options: SubscribeOptions) -> None:
    """Refuse what is not declared, before anything is opened. Replace: check your own extensions by name."""
    if channel.kind == "queue" and options.group is None:
        raise Unsupported("a queue needs a group", where=str(channel))
    if options.start is not None:
        raise Unsupported("this broker can't start in the past", where=str(channel))
    if options.transactions:
        raise Unsupported("this broker has no transactions", where=str(channel))
    if options.extensions:
        raise Unsupported(f"unknown extension {min(options.extensions)!r}", where=str(channel), expected="none")
