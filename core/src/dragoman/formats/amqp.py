"""The format `amqp`: its own names for metadata, and the portable ones that they stand for.

The names are those of the AMQP message model of the xRegistry message specification (1.0, "protocoloptions for
AMQP"), with `amqp.` in front: `amqp.subject`, `amqp.content-encoding`, `amqp.user-id`, … AMQP 0-9-1 has three more
properties: `amqp.type`, `amqp.app-id` and `amqp.cluster-id`. A plain name is an application property, which 0-9-1 calls
a header. The portable `ttl` counts seconds, and `amqp.ttl` milliseconds, as AMQP does.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final

from dragoman.message import Metadata

#: Everything of ours begins with this.
PREFIX: Final = "amqp."
MESSAGE_ID: Final = "amqp.message-id"
CORRELATION_ID: Final = "amqp.correlation-id"
REPLY_TO: Final = "amqp.reply-to"
PRIORITY: Final = "amqp.priority"
TTL: Final = "amqp.ttl"
CREATION_TIME: Final = "amqp.creation-time"
CONTENT_ENCODING: Final = "amqp.content-encoding"
USER_ID: Final = "amqp.user-id"
SUBJECT: Final = "amqp.subject"
#: `false` for a message that the broker keeps in memory only.
DURABLE: Final = "amqp.durable"
TYPE: Final = "amqp.type"
APP_ID: Final = "amqp.app-id"
CLUSTER_ID: Final = "amqp.cluster-id"
#: Before the name of a header that would otherwise be read as something else.
HEADER: Final = "amqp.headers."
#: Which headers are no text on the broker, so that they go back as what they were.
TYPES: Final = "amqp.header-types"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: The last second of the year 9999: what `time` can say.
LATEST_TIME: Final = 253_402_300_799


def time_of(seconds: int) -> str:
    """The portable `time` of seconds since 1970: RFC 3339, UTC, whole seconds.

    Raises:
        OverflowError: after the year 9999.
    """
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:-6] + "Z"


def seconds_of(time: str) -> int | None:
    """Seconds since 1970 for a portable `time`, or None where it is no RFC 3339 time with an offset, or older.

    What is finer than a second is cut off.
    """
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return None
    if moment.tzinfo is None or moment < _EPOCH:
        return None
    return (moment - _EPOCH) // timedelta(seconds=1)


def ttl_of(milliseconds: int) -> str:
    """The portable `ttl`, in seconds, of AMQP's."""
    whole, rest = divmod(milliseconds, 1000)
    return f"{whole}.{rest:03}".rstrip("0") if rest else str(whole)


def milliseconds_of(ttl: str) -> int | None:
    """AMQP's milliseconds for a portable `ttl`, or None where it is no number from 0 to 2**32 milliseconds.

    What is finer than a millisecond is cut off.
    """
    try:
        value = Decimal(ttl) * 1000
    except InvalidOperation:
        return None
    return int(value) if value.is_finite() and 0 <= value < 2**32 else None


def _from_creation_time(value: str) -> tuple[str, str] | None:
    try:
        return "time", time_of(int(value))
    except (ValueError, OverflowError):
        return None


def _from_time(value: str) -> tuple[str, str] | None:
    seconds = seconds_of(value)
    # A time that seconds can't give back exactly stays what it is: nothing gets lost on the way.
    return (CREATION_TIME, str(seconds)) if seconds is not None and time_of(seconds) == value else None


def _from_milliseconds(value: str) -> tuple[str, str] | None:
    return ("ttl", ttl_of(int(value))) if value.isascii() and value.isdigit() and len(value) < 16 else None


def _from_ttl(value: str) -> tuple[str, str] | None:
    milliseconds = milliseconds_of(value)
    return (TTL, str(milliseconds)) if milliseconds is not None and ttl_of(milliseconds) == value else None


def _renamed(name: str) -> Callable[[str], tuple[str, str] | None]:
    return lambda value: (name, value)


_Table = dict[str, Callable[[str], tuple[str, str] | None]]
_SAME: Final = ("message-id", "correlation-id", "reply-to", "priority")
_TO_PORTABLE: Final[_Table] = {
    **{PREFIX + name: _renamed(name) for name in _SAME},
    CREATION_TIME: _from_creation_time,
    TTL: _from_milliseconds,
}
_FROM_PORTABLE: Final[_Table] = {
    **{name: _renamed(PREFIX + name) for name in _SAME},
    "time": _from_time,
    "ttl": _from_ttl,
}


def _translated(metadata: Metadata, table: _Table) -> Metadata:
    return tuple((name in table and table[name](value)) or (name, value) for name, value in metadata)


def to_portable(metadata: Metadata) -> Metadata:
    """AMQP's names as portable ones, where there are such; the others stay, so that the way back restores them."""
    return _translated(metadata, _TO_PORTABLE)


def from_portable(metadata: Metadata) -> Metadata:
    """The portable names as AMQP's, where it has them; the others stay, and become headers."""
    return _translated(metadata, _FROM_PORTABLE)
