"""What the host is told about this plugin: enough to check a configuration, without the client library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dragoman.adapter import CONTRACT, Adapter, AdapterType, Capability
from dragoman.hookspecs import hookimpl
from dragoman.message import FormatSpec
from dragoman_kafka.settings import KafkaSettings


async def connect(settings: KafkaSettings) -> Adapter:
    """Connect; imports the client library, which takes a while, only now. See `dragoman_kafka.adapter.connect`."""
    from dragoman_kafka.adapter import connect as open_connection  # noqa: PLC0415 - see above

    return await open_connection(settings)


KAFKA: Final = AdapterType(
    name="kafka",
    format=FormatSpec.KAFKA,
    config=KafkaSettings,
    capabilities=frozenset(
        {
            Capability.QUEUE,
            Capability.TOPIC,
            Capability.DURABLE,
            Capability.BACKLOG,
            Capability.ORDER,
            Capability.REDELIVERY,
            Capability.REPLAY,
            Capability.REQUEST_REPLY,
            Capability.LAG,
            Capability.TRANSACTIONS,
        }
    ),
    connect=connect,
    contract=CONTRACT,
    schemes=("kafka",),
)


@hookimpl
def dragoman_adapters() -> Sequence[AdapterType]:
    """The adapter for Kafka."""
    return [KAFKA]
