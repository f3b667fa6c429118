"""What travels: a message, the channel it is on, and what its metadata means.

Ground floor: imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Literal

ChannelKind = Literal["queue", "topic"]

#: Names in metadata that every adapter understands and translates to its broker's own. `ttl` is in seconds, `time` is
#: RFC 3339; docs/reference/adapter-contract.md says what each means.
PORTABLE_NAMES: Final = (
    "content-type",
    "message-id",
    "correlation-id",
    "reply-to",
    "key",
    "time",
    "ttl",
    "priority",
    "delivery-count",
)


class FormatSpec(StrEnum):
    """What a message's metadata means: the `format-spec` of `wasi:messaging` (2023-06 draft)."""

    CLOUDEVENTS = "cloudevents"
    HTTP = "http"
    AMQP = "amqp"
    MQTT = "mqtt"
    KAFKA = "kafka"
    RAW = "raw"


@dataclass(frozen=True, slots=True)
class Channel:
    """A place on a broker that messages are sent to and come from.

    Of a `queue` each message goes to one member of each group; of a `topic` every subscriber gets every
    message. Written `name` or `queue:name` and `topic:name` in configuration and on the command line.
    """

    name: str
    kind: ChannelKind = "queue"

    @classmethod
    def parse(cls, text: str) -> Channel:
        """Read `name`, `queue:name` or `topic:name`. Any other text before a colon belongs to the name.

        Raises:
            ValueError: the name is empty.
        """
        kind, colon, name = text.partition(":")
        if colon and kind == "topic":
            channel = cls(name, "topic")
        elif colon and kind == "queue":
            channel = cls(name, "queue")
        else:
            channel = cls(text)
        if not channel.name:
            raise ValueError(f"a channel needs a name: got {text!r}, expected 'name', 'queue:name' or 'topic:name'")
        return channel

    def __str__(self) -> str:
        """The text that `parse` reads back."""
        # A queue whose name itself begins like a kind is spelt out, so that parsing gives the same channel.
        ambiguous = self.name.startswith(("queue:", "topic:"))
        return self.name if self.kind == "queue" and not ambiguous else f"{self.kind}:{self.name}"


Metadata = tuple[tuple[str, str], ...]
MetadataLike = Mapping[str, str] | Iterable[tuple[str, str]]


def as_metadata(pairs: MetadataLike) -> Metadata:
    """Metadata from a mapping or from pairs, in their order; keys may repeat."""
    items = pairs.items() if isinstance(pairs, Mapping) else pairs
    return tuple((str(key), str(value)) for key, value in items)


@dataclass(frozen=True, slots=True, init=False)
class Message:
    """One message: immutable, cheap, the same for every broker and every handler.

    Attributes:
        data: the body, in bytes.
        metadata: names and values in order; names may repeat. A value that is no UTF-8 on the broker is kept
            as Python keeps such file names, with surrogate escapes (PEP 383): `value.encode("utf-8",
            "surrogateescape")` gives the broker's bytes back.
        content_type: the media type of `data`, or None.
        format: what the names in `metadata` mean.
        channel: where the message arrived; None for one that was made here.
    """

    data: bytes = b""
    metadata: Metadata = ()
    content_type: str | None = None
    format: FormatSpec = FormatSpec.RAW
    channel: Channel | None = None

    def __init__(
        self,
        data: bytes = b"",
        metadata: Metadata = (),
        content_type: str | None = None,
        format: FormatSpec = FormatSpec.RAW,  # noqa: A002 - the attribute's name
        channel: Channel | None = None,
    ) -> None:
        # Made for every message that comes. What a frozen dataclass would do here takes twice as long.
        _set_data(self, data)
        _set_metadata(self, metadata)
        _set_content_type(self, content_type)
        _set_format(self, format)
        _set_channel(self, channel)

    @classmethod
    def of(
        cls, data: bytes | str, *, key: str | None = None, content_type: str | None = None, metadata: MetadataLike = ()
    ) -> Message:
        """A message from what users have at hand: text is encoded as UTF-8, `key` becomes metadata."""
        pairs = as_metadata(metadata)
        if key is not None:
            pairs = (*(pair for pair in pairs if pair[0] != "key"), ("key", key))
        return cls(data.encode() if isinstance(data, str) else bytes(data), pairs, content_type)

    @property
    def key(self) -> str | None:
        """The portable `key`: messages of one key stay in order."""
        return self.get("key")

    @property
    def id(self) -> str | None:
        """The portable `message-id`."""
        return self.get("message-id")

    def get(self, name: str) -> str | None:
        """The first value of that name in the metadata, or None."""
        for key, value in self.metadata:
            if key == name:
                return value
        return None

    def get_all(self, name: str) -> Iterator[str]:
        """Every value of that name, in order."""
        return (value for key, value in self.metadata if key == name)

    def with_metadata(self, **changes: str | None) -> Message:
        """A copy with these names set once, or removed where the value is None; `_` in a name stands for `-`."""
        names = {name.replace("_", "-"): value for name, value in changes.items()}
        kept = tuple(pair for pair in self.metadata if pair[0] not in names)
        added = tuple((name, value) for name, value in names.items() if value is not None)
        return replace(self, metadata=kept + added)


_set_data, _set_metadata, _set_content_type, _set_format, _set_channel = (
    vars(Message)[name].__set__ for name in Message.__slots__
)

#: What users may pass where a message is sent: text is sent as UTF-8.
MessageLike = Message | bytes | str
