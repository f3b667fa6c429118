"""The embedded broker's connection, and its registration."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Final
from uuid import uuid4

from dragoman.adapter import CONTRACT, AdapterType, Capability, SubscribeOptions
from dragoman.embedded import groups
from dragoman.embedded.groups import Membership
from dragoman.embedded.publishing import Publishing
from dragoman.embedded.requests import MOST_REPLIES, Replies
from dragoman.embedded.schema import real_path
from dragoman.embedded.settings import EmbeddedConfig
from dragoman.embedded.store import Store
from dragoman.embedded.subscription import EmbeddedSubscription, left
from dragoman.embedded.upkeep import Upkeep
from dragoman.errors import ChannelNotFound, Closed, Unsupported
from dragoman.hookspecs import hookimpl
from dragoman.message import Channel, FormatSpec, Message


class EmbeddedAdapter:
    """An `Adapter` that is also a `RequestReply`. Made by `connect`."""

    def __init__(self, store: Store, config: EmbeddedConfig) -> None:
        self._store = store
        self._config = config
        self._upkeep = Upkeep(store, config)
        self._publishing = Publishing(store, config)
        self._replies = Replies(store)
        self._subscriptions: set[EmbeddedSubscription] = set()
        self._closed = False

    async def publish(self, channel: Channel, messages: Sequence[Message]) -> None:
        """See `Adapter.publish`. All of the messages are stored, or none.

        Raises:
            PayloadTooLarge: one is larger than `max_message`.
            ChannelNotFound: a reply channel whose connection is gone.
            StorageFailed: nothing was stored.
            Closed: the adapter was closed.
        """
        self._check_open()
        packed = self._publishing.pack(messages)
        if not packed:
            return
        append = self._publishing.append
        if not await self._store.run(lambda db: append(db, channel, packed), durable=True):
            raise ChannelNotFound("nobody waits for replies there any more", where=channel.name)

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the connection was closed", where=self._config.path)

    @asynccontextmanager
    async def subscribe(self, channel: Channel, options: SubscribeOptions) -> AsyncIterator[EmbeddedSubscription]:
        """See `Adapter.subscribe`.

        A queue needs a group. A topic without one is read by this subscription alone and forgotten with it; members
        that name the same group share its messages, on a topic, too.
        """
        self._check_open()
        _check_options(channel, options)
        subscription = await self._join(channel, options)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            await left(subscription.close())

    async def _join(self, channel: Channel, options: SubscribeOptions) -> EmbeddedSubscription:
        if self._store.bell:
            self._store.bell.listen()
        made: list[EmbeddedSubscription] = []

        def joined(membership: Membership) -> None:
            subscription = EmbeddedSubscription(self._store, self._publishing, channel, membership, options.prefetch)
            self._subscriptions.add(subscription)
            made.append(subscription)

        def join_now(db: sqlite3.Connection) -> Membership:
            me = groups.join(
                db, channel.name, options.group, options.start, self._store.name, queue=channel.kind == "queue"
            )
            self._upkeep.bury(db, me.group)
            return me

        try:
            await self._store.run(join_now, durable=True, then=joined)
        except BaseException:
            # Cancelled while it was being written down: nobody will ever close it.
            for subscription in made:
                self._subscriptions.discard(subscription)
                subscription.close()
            raise
        return made[0]

    async def request(
        self, channel: Channel, message: Message, *, timeout: float | None, expected: int | None
    ) -> Sequence[Message]:
        """See `RequestReply.request`."""
        self._check_open()
        if expected is not None and expected < 1:
            raise ValueError(f"expected={expected}: a request waits for at least one reply")
        if self._store.bell:
            self._store.bell.listen()
        await self._replies.open()
        correlation = message.get("correlation-id") or uuid4().hex
        names = {"reply_to": self._replies.channel.name, "correlation_id": correlation}
        enough = min(expected or (1 if timeout is None else MOST_REPLIES), MOST_REPLIES)
        publish = self.publish(channel, [message.with_metadata(**names)])
        return await self._replies.ask(correlation, publish, timeout, enough)

    async def reply(self, to: Message, replies: Sequence[Message]) -> None:
        """See `RequestReply.reply`. Where nobody waits for it any more, a reply is dropped."""
        self._check_open()
        target = to.get("reply-to")
        if not target:
            return
        with suppress(ChannelNotFound):
            await self.publish(Channel.parse(target), [_answering(to, reply) for reply in replies])

    async def close(self) -> None:
        """See `Adapter.close`."""
        if self._closed:
            return
        self._closed = True
        try:
            for subscription in tuple(self._subscriptions):
                subscription.close()
            self._replies.close()
            await self._upkeep.close()
        finally:
            await self._store.close()


def _answering(to: Message, reply: Message) -> Message:
    correlation = to.get("correlation-id") or to.get("message-id")
    if correlation is None or reply.get("correlation-id") is not None:
        return reply
    return replace(reply, metadata=(*reply.metadata, ("correlation-id", correlation)))


def _check_options(channel: Channel, options: SubscribeOptions) -> None:
    if channel.kind == "queue" and not options.group:
        raise Unsupported("a queue subscription without a group", where=str(channel), expected="a group's name")
    if options.prefetch < 1:
        raise ValueError(f"prefetch={options.prefetch}: at least one delivery must fit")
    if options.start and options.start.time and options.start.time.tzinfo is None:
        raise ValueError("a start time needs a time zone, such as datetime.now(UTC)")
    if options.extensions:
        names = ", ".join(sorted(options.extensions))
        raise Unsupported(
            f"unknown settings: {names}", where=str(channel), expected="none: this broker has no own ones"
        )


async def connect(config: EmbeddedConfig) -> EmbeddedAdapter:
    """Open the file, or make it; a path of ':memory:' is a broker of this connection alone.

    Raises:
        StorageFailed: the file is locked, corrupt, not ours, or can't be opened.
    """
    settings = config if config.in_memory else config.at(real_path(config.path))
    return EmbeddedAdapter(await Store.open(settings), settings)


EMBEDDED: Final = AdapterType(
    name="embedded",
    format=FormatSpec.RAW,
    config=EmbeddedConfig,
    capabilities=frozenset(Capability) - {Capability.DEAD_LETTER},
    connect=connect,
    contract=CONTRACT,
    schemes=("embedded",),
)


@hookimpl
def dragoman_adapters() -> Sequence[AdapterType]:
    """The embedded broker."""
    return (EMBEDDED,)
