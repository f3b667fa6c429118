"""What a table alone can't tell: whether the parts of a configuration fit each other, the plugins and the files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dragoman.adapter import AdapterType, Capability
from dragoman.config.keys import KeyPath, dotted
from dragoman.config.model import Config, HandlerConfig
from dragoman.config.problems import one_of
from dragoman.errors import ConfigError, Problem, nearest
from dragoman.message import Channel

if TYPE_CHECKING:
    from dragoman.plugins import Plugins


def check(config: Config, plugins: Plugins, table: Mapping[str, Any]) -> list[Problem]:
    """Every mistake in what is valid by itself.

    Args:
        config: the tables that are valid.
        plugins: the installed ones.
        table: the whole file, with the names of clients that are not valid too.
    """
    problems: list[Problem] = []
    adapters: dict[str, AdapterType] = {}
    for name, client in config.clients.items():
        try:
            adapters[name], _ = plugins.resolve(name, client)
        except ConfigError as error:
            problems += error.problems
    clients = table.get("clients")
    names = set(clients) if isinstance(clients, Mapping) else set[str]()
    for name, handler in config.handlers.items():
        problems += _HandlerCheck(name, handler, names, adapters).problems()
    return problems


class _HandlerCheck:
    def __init__(
        self, name: str, handler: HandlerConfig, clients: set[str], adapters: Mapping[str, AdapterType]
    ) -> None:
        self._path: KeyPath = ("handlers", name)
        self._handler = handler
        self._clients = clients
        self._adapters = adapters

    def problems(self) -> Iterator[Problem]:
        yield from self._clients_exist()
        yield from self._component_exists()
        yield from self._subscriptions()
        yield from self._dead_letters()
        yield from self._grants()

    def _problem(self, *key: str | int, what: str, expected: str | None = None, closest: str | None = None) -> Problem:
        return Problem("", dotted((*self._path, *key)), what, expected, closest)

    def _clients_exist(self) -> Iterator[Problem]:
        handler = self._handler
        used: list[tuple[KeyPath, str]] = [(("client",), handler.client)]
        if handler.dead_letter and not isinstance(handler.dead_letter, str) and handler.dead_letter.client:
            used.append((("dead_letter", "client"), handler.dead_letter.client))
        for field, patterns in self._patterns():
            if isinstance(patterns, dict):
                used += [((field, name), name) for name in patterns]
        for key, name in used:
            if name not in self._clients:
                expected = one_of(self._clients) if self._clients else "a client in a table [clients.NAME]"
                closest = nearest(name, self._clients)
                yield self._problem(*key, what=f"there is no client {name!r}", expected=expected, closest=closest)

    def _component_exists(self) -> Iterator[Problem]:
        path = self._handler.component
        try:
            if path is not None and not path.is_file():
                what = f"{path} is no file" if path.exists() else f"there is no file {path}"
                siblings = [item.name for item in path.parent.glob("*.wasm")] if path.parent.is_dir() else []
                closest = nearest(path.name, siblings)
                yield self._problem("component", what=what, expected="a WebAssembly component", closest=closest)
        except (OSError, ValueError) as error:
            yield self._problem("component", what=f"the file can't be read: {getattr(error, 'strerror', error)}")

    def _subscriptions(self) -> Iterator[Problem]:
        handler = self._handler
        for index, channel in enumerate(channels := handler.channels):
            if channel in channels[:index]:
                yield self._problem("subscribe", index, what=f"{str(channel)!r} is there twice", expected="each once")
            yield from self._can(handler.client, channel, "subscribe", index)
        if handler.python and not channels and not handler.listen:
            # Some components say themselves what they hear, and which ones do is seen when they are loaded.
            expected = "at least one channel, or `listen` for a function that says itself what it hears"
            yield self._problem("subscribe", what="the function hears nothing", expected=expected)

    def _dead_letters(self) -> Iterator[Problem]:
        handler = self._handler
        if handler.dead_letters is None:
            if handler.abandoned == "dead-letter":
                what = "there is no `dead_letter` where abandoned messages could go"
                yield self._problem("abandoned", what=what, expected="'retry' or 'drop', or a `dead_letter`")
            return
        client, channel = handler.dead_letters
        key = ("dead_letter",) if isinstance(handler.dead_letter, str) else ("dead_letter", "channel")
        if client == handler.client and channel in handler.channels:
            what = f"{str(channel)!r} is a channel that the handler subscribes to: its dead letters would come back"
            yield self._problem(*key, what=what, expected="another channel")
        yield from self._can(client, channel, *key)

    def _patterns(self) -> Iterator[tuple[str, tuple[str, ...] | dict[str, tuple[str, ...]]]]:
        yield "publish", self._handler.publish
        yield "listen", self._handler.listen

    def _grants(self) -> Iterator[Problem]:
        for field, given in self._patterns():
            by_client = given if isinstance(given, dict) else {self._handler.client: given}
            for client, patterns in by_client.items():
                yield from self._grant(client, patterns, (field, client) if isinstance(given, dict) else (field,))

    def _grant(self, client: str, patterns: tuple[str, ...], prefix: KeyPath) -> Iterator[Problem]:
        for index, pattern in enumerate(patterns):
            if not pattern:
                yield self._problem(*prefix, index, what="the pattern is empty", expected="such as 'orders.*'")
            elif pattern.startswith("topic:"):
                yield from self._can(client, Channel(pattern, "topic"), *prefix, index)

    def _can(self, client: str, channel: Channel, *key: str | int) -> Iterator[Problem]:
        needed = Capability.TOPIC if channel.kind == "topic" else Capability.QUEUE
        adapter = self._adapters.get(client)
        if adapter and needed not in adapter.capabilities:
            kinds = [kind for kind in (Capability.QUEUE, Capability.TOPIC) if kind in adapter.capabilities]
            what = f"client {client!r} has no channels of kind {needed.value!r}: adapter {adapter.name!r} can't"
            yield self._problem(*key, what=what, expected=f"kind {one_of(kinds)}" if kinds else None)
