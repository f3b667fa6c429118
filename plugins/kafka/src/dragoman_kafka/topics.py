"""Whether a topic is there, which partitions it has, and its creation where that is asked for."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka import errors as theirs
from aiokafka.protocol.admin import CreateTopicsRequest
from aiokafka.protocol.metadata import MetadataRequest

from dragoman.errors import BrokerError, ChannelNotFound, Closed, ConnectionLost
from dragoman_kafka.errors import translate_connection
from dragoman_kafka.settings import KafkaSettings

_BACKOFF: Final = 0.1
_BROKERS_DEFAULT: Final = -1


class Topics:
    """What one connection knows of topics. Asking for one never makes the broker create it by itself."""

    def __init__(self, producer: AIOKafkaProducer, settings: KafkaSettings) -> None:
        self._producer = producer
        self._client: Any = producer.client
        self._settings = settings
        self._partitions: dict[str, tuple[int, ...]] = {}
        self._finding: dict[str, asyncio.Task[tuple[int, ...]]] = {}
        self._closed = False
        self._client.cluster.add_listener(self._refresh)

    def known(self, topic: str) -> tuple[int, ...] | None:
        """The partitions of a topic that was found before and is still there."""
        return self._partitions.get(topic)

    async def find(self, topic: str) -> tuple[int, ...]:
        """The partitions of a topic. While no broker can be reached it waits, at most the setting `timeout`.

        Raises:
            ChannelNotFound: it is not there, and not ours to create.
            PermissionDenied: the broker does not show it to us, or does not let us create it.
            ConnectionLost: no broker answered in time.
            Closed: the connection was closed.
        """
        if self._closed:
            raise Closed("the connection to Kafka was closed")
        finding = self._finding.get(topic)
        if finding is None:
            # A task of its own: a caller that is cancelled leaves it to the others, and `close` can end it.
            finding = self._finding[topic] = asyncio.create_task(self._find(topic), name=f"find {topic}")
            finding.add_done_callback(partial(self._found, topic))
        await asyncio.wait([finding])
        if finding.cancelled():
            raise Closed("the connection to Kafka was closed", where=topic)
        return finding.result()

    def _found(self, topic: str, finding: asyncio.Task[tuple[int, ...]]) -> None:
        del self._finding[topic]
        if not finding.cancelled() and finding.exception() is None:
            self._partitions[topic] = finding.result()

    async def _find(self, topic: str) -> tuple[int, ...]:
        try:
            async with asyncio.timeout(self._settings.timeout):
                while True:
                    try:
                        await self._check(topic)
                        return tuple(sorted(await self._producer.partitions_for(topic)))
                    except theirs.KafkaError as error:
                        if isinstance(error, theirs.UnknownTopicOrPartitionError) or not error.retriable:
                            raise translate_connection(error, topic) from error
                    await asyncio.sleep(_BACKOFF)
        except TimeoutError as error:
            raise ConnectionLost("no broker answers", where=topic) from error

    async def close(self) -> None:
        """End what is being looked for: those who wait hear that it is `Closed`."""
        self._closed = True
        tasks = list(self._finding.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _check(self, topic: str) -> None:
        request = MetadataRequest([topic], allow_auto_topic_creation=False)
        answer = await self._client.send(self._client.get_random_node(), request)
        failure = theirs.for_code(answer.topics[0][0])
        if failure is theirs.UnknownTopicOrPartitionError:
            await self._create(topic)
        elif failure is theirs.InvalidTopicError:
            raise ChannelNotFound("no topic can have that name", where=topic, expected="letters, digits, '.', '_', '-'")
        elif failure is not theirs.NoError:
            raise failure()

    async def _create(self, topic: str) -> None:
        if not self._settings.create_topics:
            raise self._missing(topic)
        shape = (self._settings.topic_partitions, self._settings.topic_replication)
        request = CreateTopicsRequest(
            [(topic, *(number or _BROKERS_DEFAULT for number in shape), [], [])],
            timeout=int(self._settings.timeout * 1000),
            validate_only=False,
        )
        answer = await self._client.send(self._controller(), request)
        failure, detail = theirs.for_code(answer.topic_errors[0][1]), answer.topic_errors[0][2]
        if failure is theirs.NotControllerError:
            await self._client.force_metadata_update()
        if failure not in (theirs.NoError, theirs.TopicAlreadyExistsError):
            raise failure(detail)

    def _controller(self) -> int:
        controller = self._client.cluster.controller
        node: int = self._client.get_random_node() if controller is None else controller.nodeId
        return node

    def _missing(self, topic: str) -> BrokerError:
        return translate_connection(theirs.UnknownTopicOrPartitionError(), topic)

    def _refresh(self, cluster: Any) -> None:
        for topic in list(self._partitions):
            partitions = cluster.partitions_for_topic(topic)
            if partitions is None:
                del self._partitions[topic]
            else:
                self._partitions[topic] = tuple(sorted(partitions))
