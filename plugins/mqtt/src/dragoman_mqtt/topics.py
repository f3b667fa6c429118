"""Channels as topics and filters.

Source: MQTT 5.0, sections 4.7 (topic names and filters) and 4.8.2 (shared subscriptions).
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from dragoman.errors import ChannelNotFound
from dragoman.message import Channel, ChannelKind

_LONGEST: Final = 65_535
_NAMES: Final = "names with slashes between them, such as orders/created"


def topic_problem(topic: str, *, wildcards: bool = False) -> str | None:
    """What is wrong with a topic, or with a filter where wildcards are allowed; None where nothing is."""
    try:
        size = len(topic.encode())
    except UnicodeEncodeError:
        return "a topic is UTF-8"
    if not topic or "\0" in topic or size > _LONGEST:
        return f"a topic has 1 to {_LONGEST} bytes, none of them 0"
    if topic.startswith("$"):
        return "topics that begin with $ are the broker's own"
    if not wildcards and ("+" in topic or "#" in topic):
        return "a wildcard can be subscribed to, not sent to"
    return _filter_problem(topic) if wildcards else None


def _filter_problem(topic: str) -> str | None:
    levels = topic.split("/")
    if any("+" in level and level != "+" for level in levels):
        return "the wildcard + stands for a whole level"
    if any("#" in level for level in levels[:-1]) or ("#" in levels[-1] and levels[-1] != "#"):
        return "the wildcard # is the whole last level"
    return None


def check_topic(name: str) -> bytes:
    """The bytes of a topic that can be published to.

    Raises:
        ChannelNotFound: it is none.
    """
    if problem := topic_problem(name):
        raise ChannelNotFound(problem, where=name, expected=_NAMES)
    return name.encode()


def filter_of(channel: Channel, group: str | None) -> str:
    """The filter to subscribe to: a shared one for a queue.

    Raises:
        ChannelNotFound: the channel's name is no filter.
    """
    if problem := topic_problem(channel.name, wildcards=True):
        raise ChannelNotFound(problem, where=channel.name, expected=_NAMES)
    if channel.kind == "topic":
        return channel.name
    # A group's name can't have slashes or wildcards in it: any other writes them with percent signs.
    return f"$share/{quote(group or '', safe=' :@!,;=()')}/{channel.name}"


class Channels:
    """Channels by topic, so that a delivery costs a comparison; the last one is kept."""

    def __init__(self, kind: ChannelKind) -> None:
        self._kind = kind
        self._topic = b""
        self._channel = Channel("", kind)

    def of(self, topic: bytes) -> Channel:
        """The channel of a topic."""
        if topic != self._topic:
            self._topic, self._channel = topic, Channel(topic.decode("utf-8", "surrogateescape"), self._kind)
        return self._channel
