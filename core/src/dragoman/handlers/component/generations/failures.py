"""Our errors as guests are told them, and the errors of guests as ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from dragoman.errors import (
    AuthenticationFailed,
    Closed,
    ConnectionLost,
    DeadlineExceeded,
    DragomanError,
    HandlerError,
    HandlerFailed,
    NotGranted,
    PermissionDenied,
    Rejected,
    TimedOut,
)
from dragoman.handlers.component.text import printable
from dragoman.handlers.component.values import Err

#: With this begins the text of a guest's error that wants no further try, in every generation whose errors have texts.
REJECTED: Final = "rejected:"
#: Characters of a guest's error that are kept.
_TEXT: Final = 2000


class Cases:
    """The cases by which a generation tells errors apart.

    Args:
        cases: the case for an error and for those below it in the tree, unless they have one of their own. It has one
            for `DragomanError`.
        textless: the cases that carry no text.
    """

    def __init__(self, cases: Mapping[type[DragomanError], str], textless: frozenset[str] = frozenset()) -> None:
        self._cases = cases
        self._textless = textless

    def but(self, cases: Mapping[type[DragomanError], str], textless: Iterable[str] = ()) -> Cases:
        """The same with some other cases."""
        return Cases({**self._cases, **cases}, self._textless.union(textless))

    def name(self, error: DragomanError) -> str:
        """The case of an error."""
        return next(self._cases[kind] for kind in type(error).__mro__ if kind in self._cases)

    def of(self, error: DragomanError) -> Err:
        """The error as a guest gets it."""
        name = self.name(error)
        return Err((name, None if name in self._textless else str(error)))


#: The cases of `core`; they also begin the texts of generations that have nothing but texts.
CORE: Final = Cases(
    {
        DragomanError: "other",
        TimedOut: "timeout",
        DeadlineExceeded: "timeout",
        ConnectionLost: "connection",
        Closed: "connection",
        AuthenticationFailed: "connection",
        NotGranted: "permission-denied",
        PermissionDenied: "permission-denied",
    },
    frozenset({"timeout"}),
)


def told(error: DragomanError) -> str:
    """The error as a text by which a guest can tell what kind it is: `timeout: …`, `permission-denied: …`."""
    return f"{CORE.name(error)}: {error}"


def failed(text: str | None, case: str | None = None) -> HandlerError:
    """What a guest's error means to the host.

    Args:
        text: what the guest says.
        case: the case of its generation's errors, where there are cases.
    """
    said = printable((text or "")[:_TEXT]).strip()
    if said.startswith(REJECTED):
        return Rejected(said.removeprefix(REJECTED).strip() or "the guest gave no reason")
    what = f"the guest returned {case or 'an error'}"
    return HandlerFailed(f"{what}: {said}" if said else what)
