"""What a dead letter says about the message that it was.

Data, content type, format and metadata (key and headers) are those of the message. These names are added; those of an
earlier dead-lettering are replaced:

* `dragoman-handler`: the handler that failed.
* `dragoman-client`, `dragoman-channel`: where the message came from, as `queue:name` or `topic:name` says.
* `dragoman-reason`: the last failure, in one line of at most 2,000 characters.
* `dragoman-attempts`: how many tries it got.
* `dragoman-first-time`, `dragoman-last-time`: when this host saw the first and the last of them fail (RFC 3339, UTC).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from dragoman.message import Channel, Message

_LONGEST_REASON: Final = 2_000


@dataclass(slots=True)
class Failure:
    """What is known of a delivery that failed.

    Attributes:
        tries: how many failed here, without those of `away`.
        first: when the first of them did.
        last: when the last of them did.
        reason: why it did, in one line.
        attempts: how many tries it got, those elsewhere included; 0 while another one is due.
        unsent: how often its dead letter could not be published.
        away: how many tries failed because a client had no connection.
    """

    tries: int
    first: datetime
    last: datetime
    reason: str
    attempts: int = 0
    unsent: int = 0
    away: int = 0

    @classmethod
    def next(cls, earlier: Failure | None, reason: str, *, away: bool = False) -> Failure:
        """What is known after one more failure, now; with `away` it was for want of a connection."""
        now = datetime.now(UTC)
        before = earlier or cls(0, now, now, reason)
        return cls(before.tries + (not away), before.first, now, reason, away=before.away + away)


def dead_letter(message: Message, failure: Failure, *, handler: str, client: str, channel: Channel) -> Message:
    """The message with its story, as the module says."""
    return message.with_metadata(
        dragoman_handler=handler,
        dragoman_client=client,
        dragoman_channel=f"{channel.kind}:{channel.name}",
        dragoman_reason=_short(failure.reason),
        dragoman_attempts=str(failure.attempts),
        dragoman_first_time=failure.first.isoformat(),
        dragoman_last_time=failure.last.isoformat(),
    )


def _short(reason: str) -> str:
    return reason if len(reason) <= _LONGEST_REASON else reason[: _LONGEST_REASON - 1] + "…"
