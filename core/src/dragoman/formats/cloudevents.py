"""The format `cloudevents`: an event's attributes as names of metadata, and the portable ones beside them.

Every attribute is there under its own name with `cloudevents.` in front: `cloudevents.id`, `cloudevents.source`,
`cloudevents.type`, an extension's as well. The media type is the message's content type. Beside them are portable names
with the same values, which brokers understand: `message-id` for `id`, `time` for `time`, `key` for the extension
`partitionkey` (which is what CloudEvents' own extension for partitioning means).

What other programs sent in the binary modes of the CloudEvents bindings is understood too: `ce_id` as on Kafka, `ce-id`
as on HTTP and NATS, `cloudEvents:id` and `cloudEvents_id` as on AMQP; and so is the structured mode, in JSON.

Source: CloudEvents 1.0.2 and its protocol bindings.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any, Final

from dragoman.message import FormatSpec, Message, Metadata

#: Everything of ours begins with this.
PREFIX: Final = "cloudevents."
VERSION: Final = "1.0"
#: The media type of an event that is JSON as a whole.
STRUCTURED: Final = "application/cloudevents+json"
#: The attributes that make an event.
REQUIRED: Final = ("specversion", "id", "source", "type")

#: What CloudEvents allows as the name of an attribute.
NAME: Final = re.compile("[a-z0-9]+")

_BINDINGS: Final = (PREFIX, "ce_", "ce-", "cloudEvents:", "cloudEvents_")
_PORTABLE: Final = {"id": "message-id", "time": "time", "partitionkey": "key"}


def to_message(attributes: Metadata, data: bytes, rest: Metadata = ()) -> Message:
    """The message of an event.

    Args:
        attributes: by their names in CloudEvents; `datacontenttype` among them, if there is one.
        data: the body.
        rest: other metadata.
    """
    content_type = next((value for name, value in attributes if name == "datacontenttype"), None)
    own = tuple((PREFIX + name, value) for name, value in attributes if name != "datacontenttype")
    portable = tuple((_PORTABLE[name], value) for name, value in attributes if name in _PORTABLE)
    return Message(data, own + portable + rest, content_type, FormatSpec.CLOUDEVENTS)


def event_of(message: Message) -> tuple[dict[str, str], bytes, Metadata] | None:
    """The attributes, the body and the rest of the metadata of a message that is an event; None where it is none."""
    if message.content_type is not None and _media_type(message.content_type) == STRUCTURED:
        return _structured(message)
    attributes: dict[str, str] = {}
    rest: list[tuple[str, str]] = []
    for name, value in message.metadata:
        attribute = _attribute(name)
        if attribute is None:
            rest.append((name, value))
        else:
            attributes.setdefault(attribute, value)
    if any(name not in attributes for name in REQUIRED):
        return None
    if message.content_type is not None:
        attributes["datacontenttype"] = message.content_type
    return attributes, message.data, _without_copies(rest, attributes)


def _without_copies(rest: list[tuple[str, str]], attributes: dict[str, str]) -> Metadata:
    """Without the portable names that say again what the attributes say."""
    copies = {(portable, attributes[name]) for name, portable in _PORTABLE.items() if name in attributes}
    return tuple(pair for pair in rest if pair not in copies)


def _attribute(name: str) -> str | None:
    for prefix in _BINDINGS:
        if name.startswith(prefix):
            return name[len(prefix) :]
    return None


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _structured(message: Message) -> tuple[dict[str, str], bytes, Metadata] | None:
    try:
        event = json.loads(message.data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or not all(isinstance(event.get(name), str) for name in REQUIRED):
        return None
    try:
        data = _data(event)
    except (ValueError, TypeError, RecursionError):
        return None
    attributes = dict(_attributes(event))
    if "data" in event:
        attributes.setdefault("datacontenttype", "application/json")
    return attributes, data, _without_copies(list(message.metadata), attributes)


def _data(event: dict[str, Any]) -> bytes:
    if (encoded := event.get("data_base64")) is not None:
        return base64.b64decode(encoded, validate=True)
    data = event.get("data")
    if data is None:
        return b""
    is_text = isinstance(data, str) and not _is_json(event.get("datacontenttype"))
    return data.encode() if is_text else json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def _is_json(content_type: object) -> bool:
    """Whether a body of that media type is JSON; without one it is."""
    if not isinstance(content_type, str):
        return True
    media_type = _media_type(content_type)
    return media_type.endswith(("/json", "+json"))


def _attributes(event: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in event.items():
        if name in ("data", "data_base64") or value is None:
            continue
        if isinstance(value, str):
            yield name, value
        elif isinstance(value, bool | int):
            yield name, str(value).lower()
