"""The two adapters that this plugin provides: `nats` is JetStream, `nats-core` is NATS without it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from nats.js.errors import APIError
from nats.js.errors import Error as JetStreamError

from dragoman.adapter import SubscribeOptions, Subscription
from dragoman.errors import ChannelNotFound, PayloadTooLarge, PublishFailed, Unsupported
from dragoman.message import Channel, Message
from dragoman_nats.boundary import boundary
from dragoman_nats.confirms import Confirms
from dragoman_nats.connection import Connection
from dragoman_nats.core import CoreSubscription
from dragoman_nats.records import encode_headers
from dragoman_nats.requests import Requests
from dragoman_nats.settings import CoreSettings, NatsSettings
from dragoman_nats.subscription import StreamSubscription
from dragoman_nats.topology import Topology, check_subject


class NatsAdapter:
    """JetStream: at least once."""

    def __init__(self, connection: Connection, settings: NatsSettings) -> None:
        self._connection, self._settings = connection, settings
        self._topology = Topology(connection.wire.jsm(), settings)
        self._confirms = Confirms(connection, settings.publish_timeout)
        self._requests = Requests(connection)

    async def open(self) -> None:
        """Subscribe the inboxes, and see that the server has JetStream.

        Raises:
            Unsupported: it has none.
        """
        await self._confirms.open()
        await self._requests.open()
        try:
            with boundary(self._connection.url):
                await self._connection.wire.jsm().account_info()
        except Exception as error:
            if isinstance(error.__cause__, APIError | JetStreamError):
                raise Unsupported(
                    "this server, or this account, has no JetStream",
                    where=self._connection.url,
                    hint="start it with -js, or use adapter = 'nats-core', at most once",
                ) from error
            raise

    async def publish(self, channel: Channel, messages: Sequence[Message]) -> None:
        """See `dragoman.adapter.Adapter.publish`."""
        self._connection.check()
        await self._topology.ready_to_publish(channel)
        if messages:
            await self._publish(channel, messages)

    async def _publish(self, channel: Channel, messages: Sequence[Message]) -> None:
        try:
            await self._confirms.publish(channel.name, messages)
        except ChannelNotFound as error:
            if self._settings.streams == "leave":
                raise
            self._topology.forget(channel)
            # There was one a moment ago: a cluster that elects a leader answers as if there were none.
            what = "its stream does not answer: it has no leader now, or it was deleted"
            raise PublishFailed(what, where=channel.name) from error

    def subscribe(self, channel: Channel, options: SubscribeOptions) -> AbstractAsyncContextManager[Subscription]:
        """See `dragoman.adapter.Adapter.subscribe`."""
        return StreamSubscription(self._connection, self._topology, channel, options, self._settings.ack_wait)

    async def request(
        self, channel: Channel, message: Message, *, timeout: float | None, expected: int | None
    ) -> Sequence[Message]:
        """See `dragoman.adapter.RequestReply.request`."""
        self._connection.check()
        inbox, request = self._requests.prepare(message)

        async def send() -> None:
            if await self._topology.has_stream(channel):
                await self._confirms.publish(channel.name, [request])
            else:
                await self._requests.core(channel, inbox, request)

        return await self._requests.gather(inbox, channel, send, timeout=timeout, expected=expected)

    async def reply(self, to: Message, replies: Sequence[Message]) -> None:
        """See `dragoman.adapter.RequestReply.reply`."""
        await self._requests.reply(to, replies)

    async def close(self) -> None:
        """See `dragoman.adapter.Adapter.close`."""
        self._confirms.close()
        self._requests.close()
        await self._connection.close()


class NatsCoreAdapter:
    """NATS without JetStream: at most once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._requests = Requests(connection)

    async def open(self) -> None:
        """Subscribe the inbox."""
        await self._requests.open()

    async def publish(self, channel: Channel, messages: Sequence[Message]) -> None:
        """See `dragoman.adapter.Adapter.publish`; returns when the server has answered a ping sent after them."""
        self._connection.check()
        check_subject(channel, wildcards=False)
        wire = self._connection.wire
        encoded = [(encode_headers(message), message.data) for message in messages]
        for headers, data in encoded:
            if len(data) + len(headers or b"") > wire.max_payload:
                raise PayloadTooLarge(
                    f"a message of {len(data)} bytes", where=channel.name, expected=f"at most {wire.max_payload} bytes"
                )
        with self._connection.heeding(channel.name), boundary(channel.name):
            for headers, data in encoded:
                wire.send(channel.name, "", headers, data)
            await wire.read_by_server()

    def subscribe(self, channel: Channel, options: SubscribeOptions) -> AbstractAsyncContextManager[Subscription]:
        """See `dragoman.adapter.Adapter.subscribe`."""
        return CoreSubscription(self._connection, channel, options)

    async def request(
        self, channel: Channel, message: Message, *, timeout: float | None, expected: int | None
    ) -> Sequence[Message]:
        """See `dragoman.adapter.RequestReply.request`."""
        self._connection.check()
        check_subject(channel, wildcards=False)
        inbox, request = self._requests.prepare(message)

        async def send() -> None:
            await self._requests.core(channel, inbox, request)

        return await self._requests.gather(inbox, channel, send, timeout=timeout, expected=expected)

    async def reply(self, to: Message, replies: Sequence[Message]) -> None:
        """See `dragoman.adapter.RequestReply.reply`."""
        await self._requests.reply(to, replies)

    async def close(self) -> None:
        """See `dragoman.adapter.Adapter.close`."""
        self._requests.close()
        await self._connection.close()


async def connect(settings: NatsSettings) -> NatsAdapter:
    """Connect to JetStream. Raises ConnectionLost, AuthenticationFailed, Unsupported (no JetStream)."""
    connection = Connection(settings)
    await connection.open()
    adapter = NatsAdapter(connection, settings)
    try:
        await adapter.open()
    except BaseException:
        await adapter.close()
        raise
    return adapter


async def connect_core(settings: CoreSettings) -> NatsCoreAdapter:
    """Connect to NATS. Raises ConnectionLost, AuthenticationFailed."""
    connection = Connection(settings)
    await connection.open()
    adapter = NatsCoreAdapter(connection)
    await adapter.open()
    return adapter
