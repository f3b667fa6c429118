"""Every error that Dragoman raises.

    DragomanError
    ├── ConfigError              a mistake in a configuration; holds all of them
    ├── PluginError              a plugin that can't be used
    ├── ComponentError           a file that is no component that we can run
    ├── BrokerError              what a broker, or the way to it, refused
    │   ├── ConnectionLost       not reachable, or no longer; worth another try
    │   ├── AuthenticationFailed wrong name, password or certificate
    │   ├── PermissionDenied     the broker forbids this channel to us
    │   ├── ChannelNotFound      there is no such channel
    │   ├── PayloadTooLarge      larger than the broker takes
    │   ├── PublishFailed        not taken by the broker, or not known to be
    │   ├── StorageFailed        the embedded broker's file: full, locked or corrupt
    │   ├── TimedOut             no answer within the time given
    │   ├── UnsupportedFormat    a message that can't be carried without loss
    │   ├── Unsupported          a capability that the adapter does not declare
    │   └── Closed               used after close
    └── HandlerError             what went wrong in, or around, a handler
        ├── HandlerFailed        it returned an error or raised
        ├── Rejected             it says that another try is useless
        ├── Trapped              the guest trapped; its instance is gone
        ├── DeadlineExceeded     it took longer than its deadline
        ├── NotGranted           it asked for what its configuration does not grant
        └── NotHeld              it named a receipt or a token that is not its own, or no longer

A message says in one line what was wrong, where, what was expected, the nearest valid choice and what to do.

Ground floor: imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The choice that `name` was most likely meant to be, or None."""
    by_folded = {choice.casefold(): choice for choice in choices}
    found = get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


class DragomanError(Exception):
    """The root of the tree.

    Attributes:
        what: what was wrong.
        where: the file, key, client or channel; None where the message needs none.
        expected: what would have been right.
        nearest: the valid choice that was probably meant.
        hint: what to do about it.
        retryable: whether the same call may succeed later without anybody changing anything.
    """

    retryable: bool = False

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        expected: str | None = None,
        nearest: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.expected = expected
        self.nearest = nearest
        self.hint = hint

    def __str__(self) -> str:
        """One line, for a user."""
        text = f"{self.where}: {self.what}" if self.where else self.what
        if self.expected:
            text += f"; expected {self.expected}"
        if self.nearest:
            text += f"; did you mean {self.nearest!r}?"
        if self.hint:
            text += f" ({self.hint})"
        return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a configuration.

    Attributes:
        file: the file's path as the user wrote it.
        key: the dotted path of the key, as in `handlers.billing.retry.attempts`.
        what: what is wrong.
        expected: what would have been right.
        nearest: the valid name that was probably meant.
        hint: what to do about it.
        line: where the key is in the file, the first line being 1; None where that can't be told.
    """

    file: str
    key: str
    what: str
    expected: str | None = None
    nearest: str | None = None
    hint: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        """One line, for a user."""
        file = f"{self.file}:{self.line}" if self.file and self.line else self.file
        where = ": ".join(part for part in (file, self.key) if part)
        return str(DragomanError(self.what, where=where, expected=self.expected, nearest=self.nearest, hint=self.hint))


class ConfigError(DragomanError):
    """A configuration with mistakes: all of them, in `problems`."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(f"{len(problems)} mistake{'s' if len(problems) != 1 else ''} in the configuration")
        self.problems = tuple(problems)

    def __str__(self) -> str:
        """A line for each mistake."""
        return "\n".join(str(problem) for problem in self.problems)


class PluginError(DragomanError):
    """A plugin that can't be used; the message names its distribution.

    Attributes:
        adapters: the names, of adapters or of the entry point, that can't be used because of it.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        expected: str | None = None,
        nearest: str | None = None,
        hint: str | None = None,
        adapters: Iterable[str] = (),
    ) -> None:
        super().__init__(what, where=where, expected=expected, nearest=nearest, hint=hint)
        self.adapters = frozenset(adapters)


class ComponentError(DragomanError):
    """A file that is no component, or none that this host can run."""


class BrokerError(DragomanError):
    """What a broker, or the way to it, refused. The client library's error is the cause."""


class ConnectionLost(BrokerError):
    """The broker can't be reached, or no longer."""

    retryable = True


class AuthenticationFailed(BrokerError):
    """The broker does not accept the name, password or certificate."""


class PermissionDenied(BrokerError):
    """The broker forbids this client what it asked for."""


class ChannelNotFound(BrokerError):
    """There is no such channel, and it is not ours to create."""


class PayloadTooLarge(BrokerError):
    """The message is larger than the broker takes."""


class PublishFailed(BrokerError):
    """The broker did not confirm a message.

    Attributes:
        outcome_unknown: True where the broker may have it all the same (a connection lost before the
            confirmation); a second try may then make a duplicate.
    """

    retryable = True

    def __init__(
        self,
        what: str,
        *,
        outcome_unknown: bool = False,
        where: str | None = None,
        expected: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what, where=where, expected=expected, hint=hint)
        self.outcome_unknown = outcome_unknown


class StorageFailed(BrokerError):
    """The embedded broker's file is full, locked, corrupt or not ours to write.

    Attributes:
        retryable: False where the file itself is wrong: corrupt, no database, somebody else's, of a newer version.
    """

    retryable = True

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None, retryable: bool = True) -> None:
        super().__init__(what, where=where, hint=hint)
        self.retryable = retryable


class TimedOut(BrokerError):
    """No answer within the time given."""

    retryable = True


class UnsupportedFormat(BrokerError):
    """A message that the broker can't carry without losing a part of it."""


class Unsupported(BrokerError):
    """A capability that the adapter does not declare."""


class Closed(BrokerError):
    """A client, subscription or adapter was used after it was closed."""


class HandlerError(DragomanError):
    """What went wrong in, or around, a handler. Its message is retried, then dead-lettered."""

    retryable = True


class HandlerFailed(HandlerError):
    """The handler returned an error, or raised; the exception is the cause."""


class Rejected(HandlerError):
    """Raised by a handler for a message that no further try will help: it is dead-lettered at once."""

    retryable = False


class Trapped(HandlerError):
    """The guest trapped. Its instance is gone; the host and every other handler go on.

    Attributes:
        backtrace: the guest's functions that were running, as `module!function`, the innermost first; 32 at most.
    """

    backtrace: tuple[str, ...] = ()


class DeadlineExceeded(HandlerError):
    """The handler took longer than its deadline and was cancelled."""


class NotGranted(HandlerError):
    """The handler asked for a client or channel that its configuration does not grant."""


class NotHeld(HandlerError):
    """The handler named a receipt or a token that is not its own, or that was used before. Nothing was done."""
