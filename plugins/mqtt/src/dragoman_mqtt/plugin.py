"""What the host is told about this plugin: enough to check a configuration, without the client library."""

from __future__ import annotations

from collections.abc import Sequence

from dragoman.adapter import Adapter, AdapterType, Capability
from dragoman.hookspecs import hookimpl
from dragoman.message import FormatSpec
from dragoman_mqtt.settings import MqttSettings


async def connect(settings: MqttSettings) -> Adapter:
    """Connect; imports the client library, which takes a while, only now. See `dragoman_mqtt.adapter.connect`."""
    from dragoman_mqtt.adapter import connect as open_connection  # noqa: PLC0415 - see above

    return await open_connection(settings)


@hookimpl
def dragoman_adapters() -> Sequence[AdapterType]:
    """MQTT."""
    return (
        AdapterType(
            name="mqtt",
            format=FormatSpec.MQTT,
            config=MqttSettings,
            capabilities=frozenset({Capability.QUEUE, Capability.TOPIC, Capability.DURABLE, Capability.REQUEST_REPLY}),
            connect=connect,
            contract=1,
            schemes=("mqtt", "mqtts"),
        ),
    )
