"""Whether a topic is there, which partitions it has, and its creation where that is asked for."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka import errors as theirs
from aiokafka.protocol.admin import CreateTopicsRequest
from aiokafka.protocol.metadata import MetadataRequest

from dragoman.errors import BrokerError, ChannelNotFound
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
        self._client.cluster.add_listener(self._refresh)

    def known(self, topic: str) -> tuple[int, ...] | None:
        """The partitions of a topic that was found before and is still there."""
        return self._partitions.get(topic)

    async def find(self, topic: str) -> tuple[int, ...]:
        """The partitions of a topic. Waits while no broker can be reached; the caller bounds it.

        Raises:
            ChannelNotFound: it is not there, and not ours to create.
            PermissionDenied: the broker does not show it to us, or does not let us create it.
        """
        while True:
            try:
                await self._check(topic)
                self._partitions[topic] = tuple(sorted(await self._producer.partitions_for(topic)))
                return self._partitions[topic]
            except theirs.KafkaError as error:
                if isinstance(error, theirs.UnknownTopicOrPartitionError) or not error.retriable:
                    raise translate_connection(error, topic) from error
            await asyncio.sleep(_BACKOFF)

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
