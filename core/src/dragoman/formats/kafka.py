"""The format `kafka`: its own names for metadata, and the portable ones that they stand for.

The names are those of the Kafka message model of the xRegistry message specification (1.0, section
"protocoloptions for Kafka"), with `kafka.` in front. A plain name is a record header. A partition together with an
offset says where a message was; a partition alone says where it is to go.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from dragoman.message import Metadata

#: Everything of ours begins with this.
PREFIX: Final = "kafka."
KEY: Final = "kafka.key"
TIMESTAMP: Final = "kafka.timestamp"
PARTITION: Final = "kafka.partition"
OFFSET: Final = "kafka.offset"
#: `true` for a record without a value: in a compacted topic it deletes its key.
TOMBSTONE: Final = "kafka.tombstone"
#: Before the name of a header that would otherwise be read as something else.
HEADER: Final = "kafka.headers."

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: The year 1 and the year 9999, in milliseconds: what `time` can say.
EARLIEST_TIME: Final = -62_135_596_800_000
LATEST_TIME: Final = 253_402_300_799_999


def time_of(timestamp: int) -> str:
    """The portable `time` of a timestamp in milliseconds since 1970: RFC 3339, UTC, with milliseconds.

    Raises:
        OverflowError: outside the years 1 to 9999.
    """
    moment = _EPOCH + timedelta(milliseconds=timestamp)
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def timestamp_of(time: str) -> int | None:
    """Milliseconds since 1970 for a portable `time`, or None where it is no RFC 3339 time with an offset.

    What is finer than a millisecond is cut off.
    """
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return None
    return None if moment.tzinfo is None else (moment - _EPOCH) // timedelta(milliseconds=1)


def _from_timestamp(value: str) -> tuple[str, str] | None:
    try:
        return "time", time_of(int(value))
    except (ValueError, OverflowError):
        return None


def _from_time(value: str) -> tuple[str, str] | None:
    timestamp = timestamp_of(value)
    # A time that milliseconds can't give back exactly stays what it is: nothing gets lost on the way.
    return (TIMESTAMP, str(timestamp)) if timestamp is not None and time_of(timestamp) == value else None


_TO_PORTABLE: Final[dict[str, Callable[[str], tuple[str, str] | None]]] = {
    KEY: lambda value: ("key", value),
    TIMESTAMP: _from_timestamp,
}
_FROM_PORTABLE: Final[dict[str, Callable[[str], tuple[str, str] | None]]] = {
    "key": lambda value: (KEY, value),
    "time": _from_time,
}


def _translated(metadata: Metadata, table: dict[str, Callable[[str], tuple[str, str] | None]]) -> Metadata:
    return tuple((name in table and table[name](value)) or (name, value) for name, value in metadata)


def to_portable(metadata: Metadata) -> Metadata:
    """Kafka's names as portable ones, where there are such; the others stay, so that the way back restores them."""
    return _translated(metadata, _TO_PORTABLE)


def from_portable(metadata: Metadata) -> Metadata:
    """The portable names as Kafka's, where it has them; the others stay, and become headers."""
    return _translated(metadata, _FROM_PORTABLE)
