"""The extensions of a subscription to Kafka: the settings of one consumer, by the names that Kafka gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from dragoman.errors import Unsupported, nearest


@dataclass(frozen=True, slots=True)
class Extensions:
    """What the extensions of a subscription ask for.

    Attributes:
        partitions: read these, whatever other members of the group read; empty lets the group share them out.
        offsets: where a new group begins in each of these partitions.
        consumer: settings of aiokafka's consumer.
    """

    partitions: tuple[int, ...] = ()
    offsets: Mapping[int, int] = field(default_factory=dict)
    consumer: Mapping[str, Any] = field(default_factory=dict)


def _partitions(text: str) -> tuple[int, ...]:
    return tuple(sorted({_count(part) for part in text.split(",")}))


def _offsets(text: str) -> dict[int, int]:
    pairs = [part.partition(":") for part in text.split(",")]
    return {_count(partition): _count(offset) for partition, _, offset in pairs}


def _count(text: str) -> int:
    text = text.strip()
    if not text.isascii() or not text.isdigit():
        raise ValueError(text)
    return int(text)


def _isolation(text: str) -> str:
    if text not in ("read_committed", "read_uncommitted"):
        raise ValueError(text)
    return text


_OWN: Final[Mapping[str, tuple[Callable[[str], Any], str]]] = {
    "partitions": (_partitions, "numbers of partitions, such as '0,3'"),
    "offsets": (_offsets, "partitions and offsets, such as '0:1500,3:20'"),
}
_CONSUMER: Final[Mapping[str, tuple[Callable[[str], Any], str]]] = {
    "client.rack": (str, "a text"),
    "fetch.max.wait.ms": (_count, "milliseconds"),
    "fetch.min.bytes": (_count, "bytes"),
    "group.instance.id": (str, "a text, another one for each member of the group"),
    "isolation.level": (_isolation, "'read_committed' or 'read_uncommitted'"),
}
NAMES: Final = (*_OWN, *_CONSUMER)


def parse(extensions: Mapping[str, str]) -> Extensions:
    """Read the extensions of a subscription.

    Raises:
        Unsupported: one is unknown, or its value is none.
    """
    own: dict[str, Any] = {}
    consumer: dict[str, Any] = {}
    for name, text in extensions.items():
        if name in _OWN:
            own[name] = _read(name, text, _OWN)
        elif name in _CONSUMER:
            consumer[name.replace(".", "_")] = _read(name, text, _CONSUMER)
        else:
            raise Unsupported(
                f"a subscription to Kafka has no extension {name!r}",
                expected="one of " + ", ".join(NAMES),
                nearest=nearest(name, NAMES),
            )
    return Extensions(consumer=consumer, **own)


def _read(name: str, text: str, readers: Mapping[str, tuple[Callable[[str], Any], str]]) -> Any:
    read, expected = readers[name]
    try:
        return read(text)
    except ValueError as error:
        raise Unsupported(f"the extension {name!r} is {text!r}", expected=expected) from error
