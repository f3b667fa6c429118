"""Which dead letters are meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from dragoman.dead_letters.letter import Letter


@dataclass(frozen=True, slots=True)
class Selection:
    """What a dead letter has to be to be meant. Without anything, each is.

    Attributes:
        ids: one of these, as `Letter.called` says.
        handlers: of one of these handlers.
        channels: from one of these channels, as `name` or `kind:name`, where `*` stands for any text.
        reason: with this text somewhere in its reason, in capitals or not; `*` stands for any text.
        since: that failed at this time or later (aware).
        until: that failed before this time (aware).
    """

    ids: Sequence[str] = ()
    handlers: Sequence[str] = ()
    channels: Sequence[str] = ()
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def __contains__(self, letter: Letter) -> bool:
        return (
            (not self.ids or any(map(letter.called, self.ids)))
            and (not self.handlers or letter.handler in self.handlers)
            and (not self.channels or self._from_channel(letter))
            and (self.reason is None or _says(letter.reason, self.reason))
            and (self.since is None or (letter.last is not None and letter.last >= self.since))
            and (self.until is None or (letter.last is not None and letter.last < self.until))
        )

    def __bool__(self) -> bool:
        """Whether it leaves any out."""
        return self != Selection()

    def _from_channel(self, letter: Letter) -> bool:
        found = letter.channel
        if found is None:
            return False
        names = {str(found), f"{found.kind}:{found.name}"}
        return any(fnmatchcase(name, _literal(pattern)) for pattern in self.channels for name in names)


def _literal(pattern: str) -> str:
    """With `*` for any text, and nothing else that `fnmatch` would take for more than itself."""
    return "".join(f"[{one}]" if one in "[?" else one for one in pattern)


def _says(reason: str | None, text: str) -> bool:
    pattern = ".*".join(map(re.escape, text.casefold().split("*")))
    return reason is not None and re.search(pattern, reason.casefold(), re.DOTALL) is not None
