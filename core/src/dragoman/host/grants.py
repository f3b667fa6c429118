"""What a handler may send to, and what it may choose to hear.

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
#: And only those of at most so many characters.
_SHORT: Final = 500
#: What may stand for many channels where one subscribes, on one broker or another. A `?` grants none of them, or
#: `orders.?` would grant `orders.#`.
_WILD: Final = "*#>+"


class Grants:
    """The grants of one handler.

    Attributes:
        clients: the names of the clients that it may use.
    """

    def __init__(
        self,
        handler: str,
        publish: Mapping[str, Iterable[str]],
        listen: Mapping[str, Iterable[str]] | None = None,
        subscribed: Mapping[str, Iterable[Channel]] | None = None,
    ) -> None:
        """Grants of that handler.

        Args:
            handler: its name.
            publish: by the client's name, patterns of what it may send to. Nothing at all is granted of other clients.
            listen: the same, of what it may subscribe to by itself.
            subscribed: the same, channels that it may subscribe to in any case: those of its configuration.

        Raises:
            ConfigError: one of them is no pattern.
        """
        self._handler = handler
        self._publish = _Patterns(f"handlers.{handler}.publish", "publish to", publish)
        self._listen = _Patterns(f"handlers.{handler}.listen", "hear", listen or {}, one=f"[!{_WILD}]")
        self._subscribed = {client: frozenset(channels) for client, channels in (subscribed or {}).items()}

    @property
    def clients(self) -> frozenset[str]:
        """See the class."""
        return frozenset(self._publish.by_client)

    def connect(self, client: str) -> None:
        """Check that the handler may use the client.

        Raises:
            NotGranted: it may not.
        """
        clients = self._publish.by_client
        if client not in clients:
            raise NotGranted(
                f"no grant for the client {_short(client)}",
                where=f"handlers.{self._handler}",
                expected="one of " + ", ".join(sorted(clients)),
                nearest=nearest(client[:200], clients),
            )

    def publish(self, client: str, name: str) -> Channel:
        """The channel of that name, which the handler may send to.

        Raises:
            NotGranted: it may not, or the name is none.
        """
        granted = self._publish.granted.get((client, name))
        if granted is None:
            self.connect(client)
            granted = self._publish.check(client, name)
        return granted

    def listen(self, client: str, name: str) -> Channel:
        """The channel of that name, which the handler may hear.

        Raises:
            NotGranted: it may not, or the name is none.
        """
        self.connect(client)
        channel = _channel(name)
        if channel is not None and channel in self._subscribed.get(client, ()):
            return channel
        return self._listen.check(client, name)


class _Patterns:
    """What is granted for one purpose.

    Attributes:
        by_client: the patterns by the client's name.
        granted: what was found to be granted, by client and name.
    """

    def __init__(self, key: str, verb: str, by_client: Mapping[str, Iterable[str]], *, one: str = "?") -> None:
        """Patterns of that key; `one` is what fnmatch takes for a `?`."""
        self.by_client = {client: tuple(patterns) for client, patterns in by_client.items()}
        self.granted: dict[tuple[str, str], Channel] = {}
        self._key = key
        self._verb = verb
        try:
            self._compiled = {
                client: [_compile(pattern, one) for pattern in patterns] for client, patterns in self.by_client.items()
            }
        except ValueError as error:
            raise ConfigError([Problem("", key, str(error))]) from None

    def check(self, client: str, name: str) -> Channel:
        channel = _channel(name)
        if channel is None or not any(
            kind == channel.kind and pattern.match(channel.name) for kind, pattern in self._compiled.get(client, ())
        ):
            raise self._refusal(client, name)
        if len(name) <= _SHORT:
            if len(self.granted) >= _REMEMBERED:
                self.granted.clear()
            self.granted[client, name] = channel
        return channel

    def _refusal(self, client: str, name: str) -> NotGranted:
        patterns = self.by_client.get(client)
        key = self._key.rpartition(".")[2]
        return NotGranted(
            f"no grant to {self._verb} {_short(name)} of the client {client!r}",
            where=self._key,
            expected="a channel that matches " + " or ".join(map(repr, patterns)) if patterns else None,
            hint=None if patterns else f"it has no grants for that client; add a pattern to `{key}`",
        )


def _compile(pattern: str, one: str) -> tuple[str, re.Pattern[str]]:
    channel = Channel.parse(pattern)
    # A bracket is itself, not a set. fnmatch's expressions take no exponential time, whatever a guest asks for.
    return channel.kind, re.compile(translate(channel.name.replace("[", "[[]").replace("?", one)))


def _channel(name: str) -> Channel | None:
    try:
        return Channel.parse(name)
    except ValueError:
        return None


def _short(name: str) -> str:
    return repr(name if len(name) <= 100 else f"{name[:100]}…")
