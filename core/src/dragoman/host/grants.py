"""What a handler may send to.

A grant is a pattern that reads like a channel: `invoices.*` means queues, `topic:alerts.*` means topics. It must match
the channel's whole name, its case included. `*` stands for any text, dots and slashes too, and none at all; `?` for any
one character; every other character for itself. So every name is a pattern that grants at least itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import translate
from typing import Final

from dragoman.errors import ConfigError, NotGranted, Problem, nearest
from dragoman.message import Channel

#: Names that were found to be granted are remembered up to this number: a guest may make up any number of them.
_REMEMBERED: Final = 1_000


class Grants:
    """The grants of one handler.

    Attributes:
        clients: the names of the clients that it may use.
    """

    def __init__(self, handler: str, by_client: Mapping[str, Iterable[str]]) -> None:
        """Grants of that handler: patterns by the client's name.

        Raises:
            ConfigError: one of them is no pattern.
        """
        self._handler = handler
        self._patterns = {client: tuple(patterns) for client, patterns in by_client.items()}
        try:
            self._compiled = {client: [_compile(p) for p in patterns] for client, patterns in self._patterns.items()}
        except ValueError as error:
            raise ConfigError([Problem("", f"handlers.{handler}.publish", str(error))]) from None
        self._granted: dict[tuple[str, str], Channel] = {}

    @property
    def clients(self) -> frozenset[str]:
        """See the class."""
        return frozenset(self._patterns)

    def connect(self, client: str) -> None:
        """Check that the handler may use the client.

        Raises:
            NotGranted: it may not.
        """
        if client not in self._patterns:
            raise NotGranted(
                f"no grant for the client {_short(client)}",
                where=f"handlers.{self._handler}",
                expected="one of " + ", ".join(sorted(self._patterns)),
                nearest=nearest(client[:200], self._patterns),
            )

    def publish(self, client: str, name: str) -> Channel:
        """The channel of that name, which the handler may send to.

        Raises:
            NotGranted: it may not, or the name is none.
        """
        granted = self._granted.get((client, name))
        return granted if granted is not None else self._check(client, name)

    def _check(self, client: str, name: str) -> Channel:
        self.connect(client)
        channel = _channel(name)
        if channel is None or not any(
            kind == channel.kind and pattern.match(channel.name) for kind, pattern in self._compiled[client]
        ):
            raise self._refusal(client, name)
        if len(self._granted) >= _REMEMBERED:
            self._granted.clear()
        self._granted[client, name] = channel
        return channel

    def _refusal(self, client: str, name: str) -> NotGranted:
        patterns = self._patterns[client]
        return NotGranted(
            f"no grant to publish to {_short(name)} of the client {client!r}",
            where=f"handlers.{self._handler}.publish",
            expected="a channel that matches " + " or ".join(map(repr, patterns)) if patterns else None,
            hint=None if patterns else "it has no grants for that client; add a pattern to `publish`",
        )


def _compile(pattern: str) -> tuple[str, re.Pattern[str]]:
    channel = Channel.parse(pattern)
    # A bracket is itself, not a set. fnmatch's expressions take no exponential time, whatever a guest asks for.
    return channel.kind, re.compile(translate(channel.name.replace("[", "[[]")))


def _channel(name: str) -> Channel | None:
    try:
        return Channel.parse(name)
    except ValueError:
        return None


def _short(name: str) -> str:
    return repr(name if len(name) <= 100 else f"{name[:100]}…")
