"""Keeps the log readable when handlers fail thousands of times a second: the first few of a kind, then their number."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from time import monotonic
from typing import Final

#: Lines of one kind that are logged each second.
_SHOWN: Final = 5
_SECOND: Final = 1.0
#: Kinds that are told apart; more are one kind of each handler.
_KINDS: Final = 1_000
#: Characters that tell the kind of an error, where nothing ends it before.
_LONGEST: Final = 60


@dataclass(slots=True)
class _Kind:
    until: float
    last: logging.LogRecord
    shown: int = 0
    more: int = 0


class Floods:
    """Passes on what is logged about failed tries of handlers, within a bound; everything else as it is.

    A kind is a handler, what follows from the failure, and the beginning of its reason, such as `KeyError`. Counters
    count all of them.

    Args:
        show: is given each record that is to be seen.
    """

    def __init__(self, show: Callable[[logging.LogRecord], None]) -> None:
        self._show = show
        self._kinds: dict[Hashable, _Kind] = {}
        self._timer: asyncio.TimerHandle | None = None

    def log(self, record: logging.LogRecord) -> None:
        """Show it, or count it."""
        key = _key(record)
        if key is None:
            self._show(record)
            return
        kind, now = self._kinds.get(key), monotonic()
        if kind is None or now >= kind.until:
            if kind is not None:
                self._tell(kind)
            elif len(self._kinds) >= _KINDS:
                key = key[:2]
                kind = self._kinds.get(key)
            if kind is None or now >= kind.until:
                kind = self._kinds[key] = _Kind(now + _SECOND, record)
        kind.last = record
        if kind.shown < _SHOWN:
            kind.shown += 1
            self._show(record)
        else:
            kind.more += 1
            self._look_later()

    def _look_later(self) -> None:
        if self._timer is None:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:  # in another thread: the next one tells
                return
            self._timer = loop.call_later(_SECOND, self._look)

    def _look(self) -> None:
        self._timer = None
        now, open_ = monotonic(), False
        for key, kind in list(self._kinds.items()):
            if now >= kind.until:
                del self._kinds[key]
                self._tell(kind)
            else:
                open_ = open_ or kind.more > 0
        if open_:
            self._look_later()

    def close(self) -> None:
        """Tell what was not told yet. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        kinds, self._kinds = self._kinds, {}
        for kind in kinds.values():
            self._tell(kind)

    def _tell(self, kind: _Kind) -> None:
        """How many there were besides, with the last of them."""
        if not kind.more:
            return
        last, more = kind.last, kind.more
        kind.more = 0
        about = {name: value for name, value in vars(last).items() if name not in {"message_id", "attempt", "lane"}}
        text = f"{more:,} more like this within a second; the last: {last.getMessage()}"
        self._show(logging.makeLogRecord({**about, "msg": text, "args": (), "more": more}))


def _key(record: logging.LogRecord) -> tuple[Hashable, ...] | None:
    """What tells its kind, for a failed try; None for anything else."""
    if record.name != "dragoman.host" or not hasattr(record, "attempt") or not isinstance(record.args, tuple):
        return None
    reason = str(record.args[-1]) if record.args else ""
    kind, _, rest = reason.partition(":")
    return record.handler, record.msg, kind[:_LONGEST] if rest else reason[:_LONGEST]  # type: ignore[attr-defined]
