"""Requests and their replies: one inbox for all of a connection's requests.

A request to a channel with a stream is stored there, with the inbox in the header `reply-to`: the server uses the
protocol's own reply subject for its confirmation. Without a stream it is a request of core NATS.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from uuid import uuid4

from dragoman.errors import BrokerError, PayloadTooLarge, TimedOut
from dragoman.message import Channel, Message
from dragoman.replies import Replies
from dragoman_nats.boundary import boundary
from dragoman_nats.connection import Connection
from dragoman_nats.records import Subjects, decode, encode_headers, status_of


class Requests:
    """Sends requests, gathers replies, and answers."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._prefix = connection.wire.new_inbox()
        self._replies: Replies[bytes] = Replies()
        self._subjects = Subjects("queue")
        self._stop_listening = connection.listen(self._complained)

    async def open(self) -> None:
        """Subscribe the inbox."""
        await self._connection.wire.attach(f"{self._prefix}.*", self._answered)

    def close(self) -> None:
        """Stop listening."""
        self._stop_listening()

    def prepare(self, message: Message) -> tuple[str, Message]:
        """The subject for the replies, and the request with `reply-to` and a `correlation-id`."""
        inbox = f"{self._prefix}.{uuid4().hex}"
        correlation = message.get("correlation-id") or uuid4().hex
        return inbox, message.with_metadata(reply_to=inbox, correlation_id=correlation)

    async def gather(
        self,
        inbox: str,
        channel: Channel,
        send: Callable[[], Awaitable[None]],
        *,
        timeout: float | None,
        expected: int | None,
    ) -> Sequence[Message]:
        """Send, and wait as `dragoman.adapter.RequestReply.request` says."""
        key = inbox.encode()
        return await self._replies.gather(key, send, where=channel.name, timeout=timeout, expected=expected)

    async def core(self, channel: Channel, inbox: str, message: Message) -> None:
        """Send a request of core NATS."""
        self._connection.wire.send(channel.name, inbox, encode_headers(message), message.data)
        with boundary(channel.name):
            await self._connection.wire.read_by_server()

    async def reply(self, to: Message, replies: Sequence[Message]) -> None:
        """See `dragoman.adapter.RequestReply.reply`."""
        inbox = to.get("reply-to")
        if not inbox:
            return
        self._connection.check()
        correlation = to.get("correlation-id")
        for reply in replies:
            answer = reply.with_metadata(correlation_id=correlation) if correlation else reply
            headers = encode_headers(answer)
            if len(answer.data) + len(headers or b"") > self._connection.wire.max_payload:
                raise PayloadTooLarge(
                    f"a reply of {len(answer.data)} bytes",
                    where=inbox,
                    expected=f"at most {self._connection.wire.max_payload} bytes with its headers",
                )
            self._connection.wire.send(inbox, "", headers, answer.data)
        with boundary(inbox):
            await self._connection.wire.read_by_server()

    def _answered(self, subject: bytes, _reply: bytes, headers: bytes | None, data: bytes) -> None:
        if subject not in self._replies:
            return  # its request had enough
        if not data and (status := status_of(headers)) is not None:
            self._replies.failed(subject, TimedOut("nobody is there to answer", where=f"status {status.code}"))
        else:
            self._replies.came(subject, decode(data, headers, self._subjects.channel(subject)))

    def _complained(self, error: BrokerError) -> None:
        if not self._connection.wire.is_connected:
            self._replies.lost(error)
