"""Requests and their replies. Kafka has none of its own: the replies to all clients come in one topic.

A request says where (`reply-to`) and which one it is (`dragoman-request`); a reply says it back. Every client that asks
reads the whole topic from the moment of its first request on, without a group, and picks its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, TopicPartition

from dragoman.errors import BrokerError, ChannelNotFound, Closed
from dragoman.message import Channel, Message
from dragoman.replies import Replies
from dragoman_kafka import sockets
from dragoman_kafka.errors import translate_connection
from dragoman_kafka.producer import Publisher
from dragoman_kafka.records import to_message
from dragoman_kafka.settings import KafkaSettings
from dragoman_kafka.topics import Topics

#: The header that tells a request, and comes back with its replies. A correlation-id would not do: it is the user's,
#: and two clients may use the same one.
REQUEST: Final = "dragoman-request"
_LOOK_MS: Final = 1000


class Requests:
    """Sends requests, gathers replies, and answers."""

    def __init__(
        self, publisher: Publisher, topics: Topics, settings: KafkaSettings, consumer: Callable[[], AIOKafkaConsumer]
    ) -> None:
        self._publisher = publisher
        self._topics = topics
        self._settings = settings
        self._new_consumer = consumer
        self._channel = Channel(settings.reply_topic, "topic")
        self._replies: Replies[str] = Replies()
        self._names: dict[str, list[str]] = {}
        self._turn = asyncio.Lock()
        self._reading: asyncio.Task[None] | None = None
        self._closed = False

    async def request(
        self, channel: Channel, message: Message, *, timeout: float | None, expected: int | None
    ) -> Sequence[Message]:
        """See `dragoman.adapter.RequestReply.request`."""
        name = uuid4().hex
        correlation = message.get("correlation-id") or name

        async def send() -> None:
            await self._listen()
            asking = {"reply-to": self._channel.name, "correlation-id": correlation, REQUEST: name}
            await self._publisher.publish(channel, [_with(message, asking)])

        self._names.setdefault(correlation, []).append(name)
        try:
            return await self._replies.gather(name, send, where=channel.name, timeout=timeout, expected=expected)
        finally:
            self._names[correlation].remove(name)
            if not self._names[correlation]:
                del self._names[correlation]

    async def reply(self, to: Message, replies: Sequence[Message]) -> None:
        """See `dragoman.adapter.RequestReply.reply`."""
        topic = to.get("reply-to")
        if not topic:
            return
        echoed = {name: value for name in ("correlation-id", REQUEST) if (value := to.get(name)) is not None}
        answers = [_with(reply, echoed) for reply in replies]
        await self._publisher.publish(Channel(topic, "topic"), answers)

    async def _listen(self) -> None:
        """Return when every reply that is published from now on will be read."""
        async with self._turn:
            if self._closed:
                raise Closed("the connection to Kafka was closed")
            if self._reading is None or self._reading.done():
                consumer = await self._open()
                self._reading = asyncio.create_task(self._read(consumer), name="read replies")

    async def _open(self) -> AIOKafkaConsumer:
        topic = self._channel.name
        consumer: AIOKafkaConsumer | None = None
        try:
            async with asyncio.timeout(self._settings.timeout):
                partitions = [TopicPartition(topic, each) for each in await self._topics.find(topic)]
                consumer = self._new_consumer()
                consumer.assign(partitions)
                await sockets.start(consumer)
                for partition, end in (await consumer.end_offsets(partitions)).items():
                    consumer.seek(partition, end)
        except BaseException as error:
            if consumer is not None:
                await sockets.stop(consumer)
            if isinstance(error, ChannelNotFound):
                error.hint = "replies come there: create it, or set `create_topics = true`, or another `reply_topic`"
            if isinstance(error, BrokerError) or not isinstance(error, Exception):
                raise
            raise translate_connection(error, topic) from error
        return consumer

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        try:
            while not self._closed:
                for records in (await consumer.getmany(timeout_ms=_LOOK_MS)).values():
                    for record in records:
                        self._came(record)
        except Exception as error:  # noqa: BLE001 - whatever it is, no reply will be read any more
            self._replies.lost(translate_connection(error, self._channel.name))
        finally:
            await sockets.stop(consumer)

    def _came(self, record: Any) -> None:
        # Most of them are for others: their headers are looked at, and nothing else.
        headers = {name: value.decode("utf-8", "replace") for name, value in record.headers if value}
        name = headers.get(REQUEST)
        if name is None:
            # Whoever answers without our header is understood where it is clear which request is meant.
            named = self._names.get(headers.get("correlation-id", ""), ())
            name = named[0] if len(named) == 1 else None
        if name is not None and name in self._replies:
            self._replies.came(name, to_message(record, self._channel, record.partition))

    async def close(self) -> None:
        """End the requests that wait with `Closed`, and the consumer. Idempotent."""
        self._closed = True
        self._replies.lost(Closed("the connection to Kafka was closed", where=self._channel.name))
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)


def _with(message: Message, given: Mapping[str, str]) -> Message:
    """With these names set once."""
    kept = tuple(pair for pair in message.metadata if pair[0] not in given)
    return replace(message, metadata=(*kept, *given.items()))
