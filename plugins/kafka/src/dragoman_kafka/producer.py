"""Publishing: calls under way at once share batches, one batch at a time to each partition.

aiokafka's `send` makes a future for each message and hashes each key in Python; its `send_batch` does neither, but
leaves it to the caller to fill batches and to keep the order. That is what this module does.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, Final

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka import errors as theirs
from aiokafka.partitioner import murmur2
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from dragoman.errors import BrokerError, Closed, ConnectionLost, PayloadTooLarge, PublishFailed, UnsupportedFormat
from dragoman.message import Channel, Message
from dragoman_kafka.errors import translate
from dragoman_kafka.records import Outgoing, to_record
from dragoman_kafka.settings import KafkaSettings
from dragoman_kafka.topics import Topics

_TOO_LARGE: Final = (theirs.MessageSizeTooLargeError, theirs.RecordListTooLargeError)
#: After these the producer's sequence numbers fit no longer: only a new producer can go on.
_BROKEN: Final = (
    theirs.OutOfOrderSequenceNumber,
    theirs.UnknownProducerId,
    theirs.InvalidProducerIdMapping,
    theirs.InvalidProducerEpoch,
    theirs.ProducerFenced,
    theirs.ProducerClosed,
)

_size = DefaultRecordBatchBuilder.estimate_size_in_bytes
# The same keys come again and again, and hashing one costs more than everything else about a message.
_hash = lru_cache(maxsize=4096)(murmur2)


class _Call:
    """One `publish` under way."""

    __slots__ = ("deadline", "done", "left", "sent", "topic")

    def __init__(self, topic: str, left: int, loop: asyncio.AbstractEventLoop, deadline: float) -> None:
        self.topic = topic
        self.left = left
        self.sent = False
        self.done: asyncio.Future[None] = loop.create_future()
        self.deadline = deadline

    def fail(self, error: BrokerError) -> None:
        if not self.done.done():
            self.done.set_exception(error)

    def expire(self) -> None:
        self.fail(
            PublishFailed(
                "the broker did not confirm in time" if self.sent else "the broker took nothing in time",
                where=self.topic,
                outcome_unknown=self.sent,
                hint="it may still arrive" if self.sent else "nothing was sent",
            )
        )

    def cut(self) -> None:
        if self.sent:
            self.fail(PublishFailed("closed before the broker confirmed", where=self.topic, outcome_unknown=True))
        else:
            self.fail(Closed("closed; nothing was sent", where=self.topic))


class _Door:
    """Where calls to one topic queue while they can't go on at once."""

    __slots__ = ("lock", "waiting")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0


_Entry = tuple[Outgoing, int, _Call]


class Publisher:
    """The sending half of a connection. Messages of one partition keep the order in which their calls began."""

    def __init__(self, producer: AIOKafkaProducer, topics: Topics, settings: KafkaSettings) -> None:
        self._producer = producer
        self._topics = topics
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._turn = 0
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._calls: dict[_Call, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._doors: dict[str, _Door] = {}
        self._space = asyncio.Event()
        self.buffered = 0
        self._failure: Callable[[], BrokerError] | None = None

    async def publish(self, channel: Channel, messages: Sequence[Message]) -> None:
        """See `dragoman.adapter.Adapter.publish`. Waits at most the setting `timeout`."""
        if self._failure is not None:
            raise self._failure()
        if not messages:
            return
        topic, deadline = channel.name, self._loop.time() + self._settings.timeout
        entries = self._prepared(topic, messages)
        partitions = self._topics.known(topic)
        if partitions is None or topic in self._doors or self.buffered >= self._settings.buffer:
            partitions = await self._admitted(topic, deadline)
        call = self._begin(_Call(topic, len(entries), self._loop, deadline), entries, partitions)
        try:
            await call.done
        finally:
            del self._calls[call]

    def _prepared(self, topic: str, messages: Sequence[Message]) -> list[tuple[Outgoing, int]]:
        entries, most = [], self._settings.max_message
        for message in messages:
            record = to_record(message)
            size = _size(record.key, record.value, record.headers)
            entries.append((record, size))
            if size > most:
                raise PayloadTooLarge(
                    f"a message of {size} bytes",
                    where=topic,
                    expected=f"at most {most} bytes, headers included",
                    hint="the setting is `max_message`; the topic's own limit is `max.message.bytes`",
                )
        return entries

    async def _admitted(self, topic: str, deadline: float) -> tuple[int, ...]:
        """Wait, in the order of the topic's calls, until it is known and there is room."""
        door = self._doors.setdefault(topic, _Door())
        door.waiting += 1
        try:
            async with asyncio.timeout_at(deadline), door.lock:
                while self.buffered >= self._settings.buffer and self._failure is None:
                    self._space.clear()
                    await self._space.wait()
                return self._topics.known(topic) or await self._topics.find(topic)
        except TimeoutError as error:
            raise ConnectionLost("the broker takes nothing; nothing was sent", where=topic) from error
        finally:
            door.waiting -= 1
            if not door.waiting:
                del self._doors[topic]

    def _begin(self, call: _Call, entries: list[tuple[Outgoing, int]], partitions: tuple[int, ...]) -> _Call:
        """Put the records of one call into their partitions' queues. All or none: nothing here waits."""
        if self._failure is not None:
            raise self._failure()
        chosen = [self._chosen(call.topic, record, partitions) for record, _ in entries]
        self._calls[call] = None
        if self._timer is None or call.deadline < self._timer.when():
            self._wake_at(call.deadline)
        buffered = self.buffered
        for (record, size), lane in zip(entries, chosen, strict=True):
            lane.put((record, size, call))
            buffered += size
        self.buffered = buffered
        return call

    def _chosen(self, topic: str, record: Outgoing, partitions: tuple[int, ...]) -> _Lane:
        if record.partition is not None:
            chosen = record.partition
        elif record.key is not None:
            chosen = partitions[(_hash(record.key) & 0x7FFFFFFF) % len(partitions)]
        else:
            chosen = partitions[self._turn % len(partitions)]
        lane = self._lanes.get((topic, chosen))
        if lane is None:
            if chosen not in partitions:
                raise UnsupportedFormat(
                    f"the topic has no partition {chosen}", where=topic, expected=f"one of {partitions}"
                )
            lane = self._lanes[topic, chosen] = _Lane(self, self._producer, TopicPartition(topic, chosen))
        return lane

    def release(self, size: int) -> None:
        """Room for others: a batch of so many bytes is on its way, or given up."""
        self.buffered -= size
        # Messages without a key go to one partition until a batch is made, then to the next: few, large batches.
        self._turn += 1
        if self.buffered < self._settings.buffer:
            self._space.set()

    def _wake_at(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        for call in self._calls:
            if call.deadline <= now:
                call.expire()
        left = [call.deadline for call in self._calls if call.deadline > now]
        if left:
            self._wake_at(min(left))

    def end(self, failure: Callable[[], BrokerError]) -> None:
        """Let nothing more through; the first reason is what later calls hear."""
        self._failure = self._failure or failure

    async def close(self) -> None:
        """End every call, and the tasks that serve them."""
        self.end(partial(Closed, "the connection to Kafka was closed"))
        for call in self._calls:
            call.cut()
        if self._timer is not None:
            self._timer.cancel()
        self._space.set()
        tasks = [lane.task for lane in self._lanes.values() if lane.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Lane:
    """What waits for one partition."""

    def __init__(self, publisher: Publisher, producer: Any, partition: TopicPartition) -> None:
        self._publisher = publisher
        self._producer = producer
        self._partition = partition
        self._waiting: deque[_Entry] = deque()
        self._limit: int | None = None
        self.task: asyncio.Task[None] | None = None

    def put(self, entry: _Entry) -> None:
        self._waiting.append(entry)
        if self.task is None:
            # It starts with the next tick, when every call of this one has put in its messages.
            self.task = asyncio.create_task(self._run(), name=f"publish to {self._partition}")

    async def _run(self) -> None:
        try:
            while self._waiting:
                builder, taken = self._fill()
                if taken:
                    await self._send(builder, taken)
        finally:
            self.task = None

    def _fill(self) -> tuple[Any, list[_Entry]]:
        builder = self._producer.create_batch()
        append, waiting = builder.append, self._waiting
        taken: list[_Entry] = []
        left = 0
        while waiting and (self._limit is None or len(taken) < self._limit):
            entry = waiting[0]
            record, size, call = entry
            if not call.done.done():  # else it was given up, and the rest of it is not sent
                added = append(timestamp=record.timestamp, key=record.key, value=record.value, headers=record.headers)
                if added is None:
                    break
                call.sent = True
                taken.append(entry)
            waiting.popleft()
            left += size
        self._publisher.release(left)
        return builder, taken

    async def _send(self, builder: Any, taken: list[_Entry]) -> None:
        builder.close()
        topic, partition = self._partition
        try:
            await (await self._producer.send_batch(builder, topic, partition=partition))
        except _TOO_LARGE as error:
            self._rewind(len(taken))
            self._split(taken, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the callers must hear of it
            self._fail(taken, error)
        else:
            self._limit = None
            for _, _, call in taken:
                call.left -= 1
                if not call.left and not call.done.done():
                    call.done.set_result(None)

    def _rewind(self, records: int) -> None:
        """Number the next batch like the one that was refused: the broker expects no gap.

        The Java client does the same; aiokafka goes on counting, and the partition would be stuck.
        """
        numbers = self._producer._txn_manager  # noqa: SLF001 - there is no public way, and a test watches it
        if numbers is not None:
            numbers.increment_sequence_number(self._partition, -records)

    def _split(self, taken: list[_Entry], error: Exception) -> None:
        """Try halves, until it is clear which message is too large."""
        if len(taken) == 1:
            self._fail(taken, error)
            return
        self._limit = len(taken) // 2
        self._waiting.extendleft(reversed(taken))
        self._publisher.buffered += sum(size for _, size, _ in taken)

    def _fail(self, taken: list[_Entry], error: Exception) -> None:
        self._limit = None
        found = translate(error, self._partition.topic)
        if isinstance(error, _BROKEN) or not isinstance(error, theirs.KafkaError):
            self._publisher.end(partial(ConnectionLost, f"the producer can't go on after: {found.what}"))
        for call in {call: None for _, _, call in taken}:
            call.fail(found)
