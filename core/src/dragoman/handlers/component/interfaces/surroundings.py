"""What components of wasmCloud import besides: `wasi:logging`, `wasi:config`, and the links of `wasmcloud:bus`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

from dragoman.handlers.component.generations.generation import Session
from dragoman.handlers.component.text import printable

_LEVELS: Final = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
#: Lines that reach the log, per message, as of what a guest prints.
_LINES: Final = 500


class Surroundings:
    """What the guests of one handler are told, and say, besides messages.

    Args:
        settings: what `wasi:config` gives.
        output: bytes that a guest may log for one message.
        link: the link of a guest that chooses none.
    """

    def __init__(self, settings: Mapping[str, str], output: int, link: str) -> None:
        self._settings = settings
        self._output = output
        self._link = link
        self._links: WeakKeyDictionary[Session, str] = WeakKeyDictionary()
        self._logged: WeakKeyDictionary[Session, tuple[int, int]] = WeakKeyDictionary()

    def log(self, session: Session | None, level: str, context: str, message: str) -> None:
        """`logging.log`: goes to the handler's log, as much as `limits.output` says."""
        if session is None:  # an instance that starts has no message yet, and so no bound
            return
        lines, size = self._logged.get(session, (0, 0))
        log = session.context.log
        for line in message.splitlines() or [""]:
            if lines > _LINES or size > self._output:
                break
            lines, size = lines + 1, size + len(context) + len(line)
            if lines > _LINES or size > self._output:
                log.warning("the rest of what the guest logs is left out, after %d lines (`limits.output`)", lines - 1)
            else:
                log.log(_LEVELS[level], "%s%s", f"{printable(context)}: " if context else "", printable(line))
        self._logged[session] = lines, size

    def get(self, _: Session, key: str) -> str | None:
        """`config.get`; none where the configuration has no such key."""
        return self._settings.get(key)

    def get_all(self, _: Session) -> Sequence[tuple[str, str]]:
        """`config.get-all`."""
        return list(self._settings.items())

    def new_target(self, _: Session, *_names: str) -> Any:
        """The constructor of `call-target-interface`: which interface does not matter, for there is one of each."""
        return _names

    def set_link(self, session: Session, name: str, _targets: Sequence[Any]) -> None:
        """`lattice.set-link-name`: for the rest of the call."""
        self._links[session] = name

    def link(self, session: Session) -> str:
        """The link that the guest has chosen."""
        return self._links.get(session, self._link)
