"""The format `mqtt`: its own names for metadata, and the portable ones that they stand for.

The names are those of the MQTT message model of the xRegistry message specification (1.0, section "protocoloptions
for MQTT"), with `mqtt.` in front. A plain name is a user property.
"""

from __future__ import annotations

from typing import Final

from dragoman.message import Metadata

#: Everything of ours begins with this.
PREFIX: Final = "mqtt."
#: 0, 1 or 2: as which a message came, or is to be published.
QOS: Final = "mqtt.qos"
#: `true` for a message that the broker is to keep for who subscribes later; an empty body deletes it.
RETAIN: Final = "mqtt.retain"
#: `true` on a message that came because the broker had kept it. Another name, so that passing it on keeps nothing.
RETAINED: Final = "mqtt.retained"
PAYLOAD_FORMAT: Final = "mqtt.payload_format"
MESSAGE_EXPIRY_INTERVAL: Final = "mqtt.message_expiry_interval"
RESPONSE_TOPIC: Final = "mqtt.response_topic"
CORRELATION_DATA: Final = "mqtt.correlation_data"
#: Before the name of a user property that would otherwise be read as something else.
USER_PROPERTY: Final = "mqtt.user_properties."

_TO_PORTABLE: Final = {
    MESSAGE_EXPIRY_INTERVAL: "ttl",
    RESPONSE_TOPIC: "reply-to",
    CORRELATION_DATA: "correlation-id",
}
_FROM_PORTABLE: Final = {portable: own for own, portable in _TO_PORTABLE.items()}


def to_portable(metadata: Metadata) -> Metadata:
    """MQTT's names as portable ones, where there are such; the others stay, so that the way back restores them."""
    return tuple((_TO_PORTABLE.get(name, name), value) for name, value in metadata)


def from_portable(metadata: Metadata) -> Metadata:
    """The portable names as MQTT's, where it has them; the others stay, and become user properties."""
    return tuple((_FROM_PORTABLE.get(name, name), value) for name, value in metadata)
