"""One dead letter: what its story says, what it was before, and how it is known."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final

from dragoman.host.dead_letters import STORY
from dragoman.message import Channel, FormatSpec, Message

#: How often a message was sent back, and the id of the dead letter that it was sent back from. Both go with the copy.
REPLAYS: Final = "dragoman-replays"
REPLAY_OF: Final = "dragoman-replay-of"
#: What differs from one delivery of the same dead letter to the next.
_FLEETING: Final = frozenset({"delivery-count", "ttl"})
#: What is shown of an id, and the least that names a letter.
SHORT: Final = 10
_LEAST: Final = 6


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter.

    Attributes:
        id: 32 hexadecimal digits: those that it was given; if it was not written by a host, made of all that it says.
        unique: whether no other dead letter can have the same id.
        message: as it lies there, with its story.
        handler: which handler failed; None, as below, where the message does not say.
        client: the name of the client that it came from.
        channel: the channel that it came from.
        reason: the last failure.
        backtrace: where that happened.
        attempts: how many tries it got.
        first: when the first of them failed.
        last: when the last of them failed.
        replays: how often it was sent back before.
    """

    id: str
    unique: bool
    message: Message
    handler: str | None
    client: str | None
    channel: Channel | None
    reason: str | None
    backtrace: str | None
    attempts: int | None
    first: datetime | None
    last: datetime | None
    replays: int

    @classmethod
    def of(cls, message: Message) -> Letter:
        """What a message from a dead-letter channel says. It may be any message: what it does not say is None."""

        def said(name: str) -> str | None:
            return message.get(f"dragoman-{name}")

        channel, name = said("channel"), said("dead-letter-id")
        return cls(
            name or _digest(message),
            name is not None,
            message,
            said("handler"),
            said("client"),
            Channel.parse(channel) if channel else None,
            said("reason"),
            said("backtrace"),
            _number(said("attempts")),
            _time(said("first-time")),
            _time(said("last-time")),
            _number(message.get(REPLAYS)) or 0,
        )

    @property
    def short(self) -> str:
        """The id as it is shown."""
        return self.id[:SHORT]

    def called(self, name: str) -> bool:
        """Whether that is its id, the beginning of it, or the id of the message."""
        return self.message.id == name or (len(name) >= _LEAST and self.id.startswith(name.lower()))

    def original(self, *, without: str | None = None) -> Message:
        """The message that it was: body, key, content type, format and metadata, with the number of its replays.

        Args:
            without: leave out the names that begin with this, which the dead letters' broker has added.
        """
        gone = STORY | {REPLAYS, REPLAY_OF} | ({"time"} if self.message.get("dragoman-untimed") else set())
        kept = tuple(
            pair
            for pair in self.message.metadata
            if pair[0] not in gone and not (without and pair[0].startswith(without))
        )
        added = ((REPLAYS, str(self.replays + 1)), (REPLAY_OF, self.id))
        return replace(self.message, metadata=kept + added, format=self._format(), channel=None)

    def _format(self) -> FormatSpec:
        with suppress(ValueError):
            return FormatSpec(self.message.get("dragoman-format-spec") or self.message.format)
        return self.message.format


def bare(message: Message) -> Message:
    """The message without what `Letter.original` has added, for brokers that carry no metadata."""
    return replace(message, metadata=tuple(pair for pair in message.metadata if pair[0] not in {REPLAYS, REPLAY_OF}))


def _digest(message: Message) -> str:
    digest = blake2b(digest_size=16)
    pairs = [pair for pair in message.metadata if pair[0] not in _FLEETING]
    for name, value in [("", message.content_type or ""), *pairs]:
        for text in (name, value):
            part = text.encode("utf-8", "surrogateescape")
            digest.update(len(part).to_bytes(8, "big") + part)
    digest.update(message.data)
    return digest.hexdigest()


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else None


def _time(text: str | None) -> datetime | None:
    with suppress(ValueError, OverflowError):
        if text is not None:
            found = datetime.fromisoformat(text)
            return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None
