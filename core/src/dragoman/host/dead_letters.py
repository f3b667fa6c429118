"""What a dead letter says about the message that it was.

Data, content type, format and metadata (key and headers) are those of the message. These names are added; those of an
earlier dead-lettering are replaced:

* `dragoman-dead-letter-id`: what tells this dead letter from every other, also from another one of the same message.
* `dragoman-handler`: the handler that failed.
* `dragoman-client`, `dragoman-channel`: where the message came from, as `queue:name` or `topic:name` says.
* `dragoman-reason`: the last failure, in one line of at most 2,000 characters.
* `dragoman-attempts`: how many tries it got.
* `dragoman-backtrace`: where the last try failed, the innermost function first: the guest's functions for a trap, those
  of Python with file and line for an exception; at most 32, in one line of at most 4,000 characters. Not there for a
  failure that has none, such as an error that a guest returned.
* `dragoman-untimed`: `true` where the message has no `time`, for brokers that give it one.
* `dragoman-format-spec`: what the message's metadata means, for brokers that do not keep it.
* `dragoman-first-time`, `dragoman-last-time`: when this host saw the first and the last of them fail (RFC 3339, UTC).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath
from traceback import walk_tb
from typing import Final
from uuid import uuid4

from dragoman.errors import Trapped
from dragoman.message import Channel, Message

#: Every name that is added.
STORY: Final = frozenset(
    f"dragoman-{name}"
    for name in (
        "dead-letter-id",
        "handler",
        "client",
        "channel",
        "reason",
        "backtrace",
        "format-spec",
        "untimed",
        "attempts",
        "first-time",
        "last-time",
    )
)
_LONGEST_REASON: Final = 2_000
_LONGEST_BACKTRACE: Final = 4_000
_FRAMES: Final = 32


@dataclass(slots=True)
class Failure:
    """What is known of a delivery that failed.

    Attributes:
        tries: how many failed here, without those of `away`.
        first: when the first of them did.
        last: when the last of them did.
        reason: why it did, in one line.
        attempts: how many tries it got, those elsewhere included; 0 while another one is due.
        id: of the dead letter; empty while another try is due.
        backtrace: where the last of them failed; empty while another one is due, or where that can't be told.
        unsent: how often its dead letter could not be published.
        away: how many tries failed because a client had no connection.
    """

    tries: int
    first: datetime
    last: datetime
    reason: str
    attempts: int = 0
    id: str = ""
    backtrace: str = ""
    unsent: int = 0
    away: int = 0

    def final(self, error: BaseException, attempts: int) -> None:
        """It was the last of so many tries: a dead letter is due."""
        self.id, self.attempts, self.backtrace = uuid4().hex, attempts, backtrace(error)

    @classmethod
    def next(cls, earlier: Failure | None, reason: str, *, away: bool = False) -> Failure:
        """What is known after one more failure, now; with `away` it was for want of a connection."""
        now = datetime.now(UTC)
        before = earlier or cls(0, now, now, reason)
        return cls(before.tries + (not away), before.first, now, reason, away=before.away + away)


def dead_letter(message: Message, failure: Failure, *, handler: str, client: str, channel: Channel) -> Message:
    """The message with its story, as the module says."""
    return message.with_metadata(
        dragoman_dead_letter_id=failure.id,
        dragoman_handler=handler,
        dragoman_client=client,
        dragoman_channel=f"{channel.kind}:{channel.name}",
        dragoman_reason=_short(failure.reason, _LONGEST_REASON),
        dragoman_backtrace=failure.backtrace or None,
        dragoman_format_spec=message.format.value,
        dragoman_untimed=None if message.get("time") else "true",
        dragoman_attempts=str(failure.attempts),
        dragoman_first_time=failure.first.isoformat(),
        dragoman_last_time=failure.last.isoformat(),
    )


def backtrace(error: BaseException) -> str:
    """Where it was raised, as the module says; empty where that can't be told. Reads no file."""
    if isinstance(error, Trapped):
        frames = list(error.backtrace)
    else:
        # What a function raised is the cause of what says so; without one it is the handler's own word.
        raised = error.__cause__ or error
        frames = [
            f"{frame.f_code.co_name} ({PurePath(frame.f_code.co_filename).name}:{line})"
            for frame, line in walk_tb(raised.__traceback__)
            if not str(frame.f_globals.get("__name__")).startswith("dragoman.")
        ][::-1]
    return _short(" < ".join(frames[:_FRAMES]), _LONGEST_BACKTRACE)


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
