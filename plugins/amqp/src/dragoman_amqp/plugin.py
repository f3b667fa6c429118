"""What the host is told about this plugin: enough to check a configuration, without the client library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dragoman.adapter import CONTRACT, Adapter, AdapterType, Capability
from dragoman.hookspecs import hookimpl
from dragoman.message import FormatSpec
from dragoman_amqp.settings import AmqpSettings


async def connect(settings: AmqpSettings) -> Adapter:
    """Connect; imports the client library, which takes a while, only now. See `dragoman_amqp.adapter.connect`."""
    from dragoman_amqp.adapter import connect as open_connection  # noqa: PLC0415 - see above

    return await open_connection(settings)


AMQP: Final = AdapterType(
    name="amqp",
    format=FormatSpec.AMQP,
    config=AmqpSettings,
    capabilities=frozenset(
        {
            Capability.QUEUE,
            Capability.TOPIC,
            Capability.DURABLE,
            Capability.BACKLOG,
            Capability.REDELIVERY,
            Capability.DELIVERY_COUNT,
            Capability.REQUEST_REPLY,
            Capability.LAG,
        }
    ),
    connect=connect,
    widening=frozenset({"binding-keys"}),
    contract=CONTRACT,
    schemes=("amqp", "amqps"),
    system="rabbitmq",
)


@hookimpl
def dragoman_adapters() -> Sequence[AdapterType]:
    """The adapter for AMQP."""
    return [AMQP]
