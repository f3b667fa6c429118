"""What a subscription asks for, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dragoman.adapter import SubscribeOptions
from dragoman.errors import Unsupported, nearest
from dragoman.message import Channel
from dragoman_mqtt.settings import MqttSettings
from dragoman_mqtt.topics import filter_of

_QOS: Final = "qos"
_RETAIN_HANDLING: Final = "retain-handling"
#: The extensions of a subscription: MQTT 5.0, section 3.8.3.1.
_EXTENSIONS: Final = {_QOS: ("0", "1", "2"), _RETAIN_HANDLING: ("0", "1", "2")}


@dataclass(frozen=True, slots=True)
class Wanted:
    """One subscription.

    Attributes:
        channel: what to subscribe to.
        group: whose it is, or None.
        filter: the topic filter.
        kept: whether the broker keeps messages while nobody is there.
        qos: 0, 1 or 2.
        retain_handling: 0: kept messages come with each subscription, 1: only with a new one, 2: never.
        prefetch: unsettled deliveries at once.
    """

    channel: Channel
    group: str | None
    filter: str
    kept: bool
    qos: int
    retain_handling: int
    prefetch: int

    @property
    def shared(self) -> bool:
        """Whether subscriptions to it on one connection share its messages."""
        return self.channel.kind == "queue"


def wanted(settings: MqttSettings, channel: Channel, options: SubscribeOptions) -> Wanted:
    """What is asked for.

    Raises:
        Unsupported: something that MQTT does not have.
        ChannelNotFound: the channel's name is no filter.
    """
    if channel.kind == "queue" and not options.group:
        raise Unsupported("a queue is subscribed to as a member of a group", where=channel.name, expected="a group")
    if options.start is not None:
        raise Unsupported("MQTT can't start a subscription in the past", where=channel.name)
    if options.transactions:
        raise Unsupported("MQTT has no transactions", where=channel.name)
    for name, value in options.extensions.items():
        _check(name, value)
    return Wanted(
        channel,
        options.group,
        filter_of(channel, options.group),
        kept=options.group is not None,
        qos=int(options.extensions.get(_QOS, settings.qos)),
        retain_handling=int(options.extensions.get(_RETAIN_HANDLING, 1)),
        prefetch=options.prefetch,
    )


def _check(name: str, value: str) -> None:
    if name not in _EXTENSIONS:
        raise Unsupported(
            f"unknown extension {name!r}", expected=", ".join(_EXTENSIONS), nearest=nearest(name, _EXTENSIONS)
        )
    if value not in _EXTENSIONS[name]:
        raise Unsupported(f"the extension {name!r} is {value!r}", expected="0, 1 or 2")
