"""What the host is told about this plugin: enough to check a configuration, without the client library."""

from __future__ import annotations

from collections.abc import Sequence

from dragoman.adapter import Adapter, AdapterType, Capability
from dragoman.hookspecs import hookimpl
from dragoman.message import FormatSpec
from dragoman_nats.settings import CoreSettings, NatsSettings


async def connect(settings: NatsSettings) -> Adapter:
    """Connect; imports the client library, which takes a while, only now. See `dragoman_nats.adapter.connect`."""
    from dragoman_nats.adapter import connect as open_connection  # noqa: PLC0415 - see above

    return await open_connection(settings)


async def connect_core(settings: CoreSettings) -> Adapter:
    """Connect; imports the client library, which takes a while, only now. See `dragoman_nats.adapter.connect_core`."""
    from dragoman_nats.adapter import connect_core as open_connection  # noqa: PLC0415 - see above

    return await open_connection(settings)


@hookimpl
def dragoman_adapters() -> Sequence[AdapterType]:
    """JetStream and core NATS."""
    common = {Capability.QUEUE, Capability.TOPIC, Capability.REQUEST_REPLY}
    stream = {
        Capability.BACKLOG,
        Capability.DURABLE,
        Capability.REDELIVERY,
        Capability.DELAY,
        Capability.DELIVERY_COUNT,
        Capability.REPLAY,
        Capability.LAG,
    }
    return (
        AdapterType(
            name="nats",
            format=FormatSpec.RAW,
            config=NatsSettings,
            capabilities=frozenset(common | stream),
            connect=connect,
            contract=1,
            schemes=("nats", "tls"),
        ),
        AdapterType(
            name="nats-core",
            format=FormatSpec.RAW,
            config=CoreSettings,
            capabilities=frozenset(common),
            connect=connect_core,
            contract=1,
            schemes=("nats-core",),
            system="nats",
        ),
    )
