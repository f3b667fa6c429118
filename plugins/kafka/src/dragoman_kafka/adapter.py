"""A connection to Kafka: one producer, and one consumer for each subscription."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Final
from weakref import WeakValueDictionary

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka import errors as theirs
from aiokafka.conn import create_conn
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from dragoman import tls
from dragoman.adapter import Start, SubscribeOptions
from dragoman.errors import AuthenticationFailed, BrokerError, Closed, ConnectionLost, Unsupported
from dragoman.message import Channel, Message
from dragoman_kafka import sockets, starts
from dragoman_kafka.errors import translate_connection
from dragoman_kafka.extensions import Extensions, parse
from dragoman_kafka.producer import Publisher
from dragoman_kafka.protocol import wait_for_transactions
from dragoman_kafka.rebalancing import Siblings
from dragoman_kafka.requests import Requests
from dragoman_kafka.settings import FOREVER_MS, KafkaSettings
from dragoman_kafka.subscription import KafkaSubscription
from dragoman_kafka.topics import Topics
from dragoman_kafka.transactions import Transactions

#: The broker answers a join only when all members have; aiokafka would give up before.
_JOIN_MARGIN: Final = 10.0


class KafkaAdapter:
    """See `dragoman.adapter.Adapter`. aiokafka keeps the connections alive, and says nothing about outages: we do."""

    def __init__(self, producer: AIOKafkaProducer, settings: KafkaSettings) -> None:
        self._producer = producer
        self._settings = settings
        self._topics = Topics(producer, settings)
        self._publisher = Publisher(producer, self._topics, settings)
        self._requests = Requests(self._publisher, self._topics, settings, lambda: self._consumer(None, Extensions()))
        self._subscriptions: set[KafkaSubscription] = set()
        self._siblings: WeakValueDictionary[str, Siblings] = WeakValueDictionary()
        self._closing: asyncio.Task[None] | None = None

    def publish(self, channel: Channel, messages: Sequence[Message]) -> Coroutine[Any, Any, None]:
        """See `dragoman.adapter.Adapter.publish`.

        All or a prefix arrives of what goes to each partition. Waits at most the setting `timeout`.
        """
        return self._publisher.publish(channel, messages)

    async def request(
        self, channel: Channel, message: Message, *, timeout: float | None, expected: int | None
    ) -> Sequence[Message]:
        """See `dragoman.adapter.RequestReply.request`. The replies come in the topic `reply_topic`."""
        self._check_open()
        return await self._requests.request(channel, message, timeout=timeout, expected=expected)

    async def reply(self, to: Message, replies: Sequence[Message]) -> None:
        """See `dragoman.adapter.RequestReply.reply`."""
        self._check_open()
        await self._requests.reply(to, replies)

    def subscribe(self, channel: Channel, options: SubscribeOptions) -> AbstractAsyncContextManager[KafkaSubscription]:
        """See `dragoman.adapter.Adapter.subscribe`."""
        return self._subscribed(channel, options)

    @asynccontextmanager
    async def _subscribed(self, channel: Channel, options: SubscribeOptions) -> AsyncGenerator[KafkaSubscription]:
        extensions = parse(options.extensions)
        if channel.kind == "queue" and not options.group:
            raise Unsupported("a queue needs a group", where=channel.name, expected="the name of a consumer group")
        group = options.group or f"{self._settings.client_id}-{uuid.uuid4().hex}"
        subscription = await self._opened(channel, group, options, extensions)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            await subscription.close()

    async def _opened(
        self, channel: Channel, group: str, options: SubscribeOptions, extensions: Extensions
    ) -> KafkaSubscription:
        self._check_open()
        consumer: AIOKafkaConsumer | None = None
        transactions = self._transactions(group) if options.transactions else None
        try:
            async with asyncio.timeout(self._settings.timeout + self._settings.rebalance_timeout):
                partitions = [TopicPartition(channel.name, each) for each in await self._topics.find(channel.name)]
                start, begun = options.start or (None if channel.kind == "topic" else Start()), True
                if channel.kind == "topic" or options.start is not None or extensions.offsets:
                    begun = await self._begun(group, partitions, start, extensions)
                if transactions is not None:
                    await transactions.start()
                consumer = self._consumer(group, extensions)
                siblings = self._siblings.setdefault(group, Siblings())
                subscription = KafkaSubscription(
                    consumer,
                    channel,
                    options.prefetch,
                    self._settings,
                    siblings=siblings,
                    shared=not extensions.partitions,
                    transactions=transactions,
                )
                _join(consumer, subscription, partitions, extensions)
                with siblings.joining():
                    await sockets.start(consumer)
                if not begun and not extensions.partitions:
                    await starts.begin_as_member(consumer, start, extensions.offsets)
            self._check_open()
        except BaseException as error:
            if transactions is not None:
                await transactions.close(None)
            if consumer is not None:
                await sockets.stop(consumer)
            if isinstance(error, BrokerError) or not isinstance(error, Exception):
                raise
            raise translate_connection(error, channel.name) from error
        subscription.start()
        return subscription

    async def _begun(
        self, group: str, partitions: list[TopicPartition], start: Start | None, extensions: Extensions
    ) -> bool:
        consumer = self._consumer(group, Extensions())
        try:
            await sockets.start(consumer)
            return await starts.begin(consumer, partitions, start, extensions.offsets)
        finally:
            await sockets.stop(consumer)

    def _consumer(self, group: str | None, extensions: Extensions) -> AIOKafkaConsumer:
        settings = self._settings
        session = int(settings.session_timeout * 1000)
        options: dict[str, Any] = {
            "group_id": group,
            "enable_auto_commit": False,
            # For a group that has begun nowhere, or somewhere that the broker has thrown away: nothing is left out.
            "auto_offset_reset": "earliest",
            "isolation_level": "read_committed",
            "session_timeout_ms": session,
            # It is by a heartbeat that a member hears that others have come or gone, and everybody waits for it.
            "heartbeat_interval_ms": min(1000, session // 3),
            # Who comes or goes for another channel moves no partition of this one, as aiokafka's "roundrobin" might;
            # most other clients begin with it, too. One only: with two aiokafka joins twice, and all join for ever.
            "partition_assignment_strategy": (RangePartitionAssignor,),
            "rebalance_timeout_ms": int(settings.rebalance_timeout * 1000),
            # A slow handler is no reason to leave the group: as long as the process lives, its deliveries are ours.
            "max_poll_interval_ms": FOREVER_MS,
            "max_partition_fetch_bytes": settings.fetch,
            "request_timeout_ms": int((settings.rebalance_timeout + _JOIN_MARGIN) * 1000),
        }
        consumer = AIOKafkaConsumer(**settings.connection(), **(options | dict(extensions.consumer)))
        wait_for_transactions(consumer)
        return consumer

    def _transactions(self, group: str) -> Transactions:
        settings = self._settings
        # Of this subscription alone: it is the group's generations that keep out who was given up, not the name.
        name = f"{settings.client_id}-{group}-{uuid.uuid4().hex}"
        return Transactions(partial(_transactional, settings), name, self._topics, settings)

    def _check_open(self) -> None:
        if self._closing is not None:
            raise Closed("the connection to Kafka was closed")

    async def close(self) -> None:
        """See `dragoman.adapter.Adapter.close`."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        await self._publisher.close()
        await self._topics.close()
        closing = [each.close() for each in self._subscriptions]
        await asyncio.gather(*closing, self._requests.close(), sockets.stop(self._producer), return_exceptions=True)


def _join(
    consumer: AIOKafkaConsumer,
    subscription: KafkaSubscription,
    partitions: list[TopicPartition],
    extensions: Extensions,
) -> None:
    """Say which partitions the consumer is to read: those that the group gives it, or those that were asked for."""
    if not extensions.partitions:
        consumer.subscribe([partitions[0].topic], listener=subscription.rebalancing)
        return
    chosen = [each for each in partitions if each.partition in extensions.partitions]
    if len(chosen) != len(extensions.partitions):
        raise Unsupported(
            f"the extension 'partitions' is {extensions.partitions}",
            where=partitions[0].topic,
            expected=f"some of {tuple(each.partition for each in partitions)}",
        )
    consumer.assign(chosen)


async def connect(settings: KafkaSettings) -> KafkaAdapter:
    """Connect to a cluster.

    Raises:
        ConnectionLost: none of the brokers can be reached.
        AuthenticationFailed: they don't accept the name, password or certificate.
    """
    try:
        connection = settings.connection()
    except OSError as error:  # ssl.SSLError is one
        raise AuthenticationFailed(f"a file of certificates can't be used: {error}", where=settings.url) from error
    producer = _producer(settings, connection)
    try:
        async with asyncio.timeout(settings.timeout):
            await sockets.start(producer)
    except BaseException as error:
        await sockets.stop(producer)
        if isinstance(error, Exception):
            raise await _reason(settings, connection, error) from error
        raise
    return KafkaAdapter(producer, settings)


def _transactional(settings: KafkaSettings, name: str) -> AIOKafkaProducer:
    return _producer(
        settings,
        settings.connection()
        | {"transactional_id": name, "transaction_timeout_ms": max(1000, int(settings.session_timeout * 1000))},
    )


def _producer(settings: KafkaSettings, connection: dict[str, Any]) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        **connection,
        acks="all",
        enable_idempotence=settings.idempotent or "transactional_id" in connection,
        compression_type=None if settings.compression == "none" else settings.compression,
        max_batch_size=settings.batch,
        max_request_size=settings.max_message,
        # Half of our patience: a broker that hangs is noticed, and there is time for another try.
        request_timeout_ms=max(1000, int(settings.timeout * 500)),
    )


async def _reason(settings: KafkaSettings, connection: dict[str, Any], error: Exception) -> BrokerError:
    """Why no broker let us in: aiokafka only logs it, so each is asked once more."""
    options = {name: value for name, value in connection.items() if name != "bootstrap_servers"}
    for server in settings.servers:
        host, _, port = server.rpartition(":")
        try:
            found = await create_conn(host.strip("[]"), int(port), request_timeout_ms=5000, **options)
            found.close()
        except (OSError, theirs.KafkaError, TimeoutError) as reason:
            translated = translate_connection(reason, settings.url)
            if not isinstance(translated, ConnectionLost):
                return translated
            error = reason
            if (context := connection["ssl_context"]) is not None and (
                refused := await tls.refusal(host.strip("[]"), int(port), context, where=settings.url)
            ):
                return refused
    lost = ConnectionLost(f"no broker can be reached: {error}", where=settings.url)
    lost.__cause__ = error
    return lost
