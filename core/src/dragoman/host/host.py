"""The host: every handler of a configuration, connected and at work, until it is drained."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from dragoman.client import Client
from dragoman.config.model import ClientConfig, Config, HandlerConfig
from dragoman.errors import ComponentError, ConfigError, PluginError, Problem, nearest
from dragoman.handlers import python
from dragoman.handlers.handler import Handler
from dragoman.host.batches import BatchRunner
from dragoman.host.context import Outlet
from dragoman.host.counters import Counters
from dragoman.host.ephemeral import Ephemeral
from dragoman.host.grants import Grants
from dragoman.host.runner import Runner
from dragoman.host.source import Source
from dragoman.host.wishes import Wishes, ask
from dragoman.observe.traces import TracedHandler, found
from dragoman.opening import open_client
from dragoman.plugins import Plugins

if TYPE_CHECKING:
    from dragoman.handlers.component.components import Components

_log: Final = logging.getLogger("dragoman.host")
#: Seconds that what was cancelled gets to end, and what it left to be settled.
_LAST: Final = 2.0


class Host:
    """Runs the handlers of a configuration.

        async with Host(config, plugins=load_plugins(), folder=Path.cwd()) as host:
            await host.wait()

    Inside the block everything is connected, the handlers are loaded and every subscription is confirmed. Entering it
    waits for brokers that can't be reached, and the log says for which. Leaving it
    closes all of it at once; `drain` first finishes what is in hand. Whatever way it ends, a message that was not
    accepted goes back to its broker.
    """

    def __init__(self, config: Config, *, plugins: Plugins, folder: Path) -> None:
        """A host that is not running yet.

        Args:
            config: what to run.
            plugins: the installed adapters.
            folder: where Python handlers are looked for first.
        """
        self._config = config
        self._plugins = plugins
        self._folder = folder
        self._counters = {name: Counters() for name in config.handlers}
        self._connections: dict[str, Client] = {}
        self._runners: list[Runner] = []
        self._serving: set[asyncio.Task[None]] = set()
        self._open = AsyncExitStack()
        self._ended = asyncio.Event()
        self._broken: BaseException | None = None
        self._engine: Components | None = None

    @property
    def counters(self) -> Mapping[str, Counters]:
        """What each handler has done; they go on counting."""
        return self._counters

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def wait(self) -> None:
        """Wait until the host can't go on, or was drained.

        Raises:
            HandlerFailed: every handler has stopped, this one because of `exhausted = "stop"`.
        """
        await self._ended.wait()
        if self._broken is not None:
            raise self._broken
        for runner in self._runners:
            if runner.policy.gave_up is not None:
                raise runner.policy.gave_up

    async def drain(self, grace: float) -> bool:
        """Receive no more, finish what is in hand, settle it and close.

        What waits for another try goes back at once, and what fails meanwhile too: nothing is retried or dead-lettered.
        Nothing waits any more for a broker that is away.
        After `grace` seconds the rest is cancelled and goes back. Cancelling the drain does the same at once.

        Returns:
            True: everything in hand was finished and settled. False: some of it went back to its broker.
        """
        before = self._released()
        for runner in self._runners:
            runner.stop()
        for client in self._connections.values():
            client.stop_waiting()
        await self._idle(grace)
        unfinished = bool(self._busy())
        await self.close()
        return not unfinished and self._released() == before

    async def close(self) -> None:
        """Cancel what is under way, let it go back, and close everything. Idempotent; closes also when cancelled."""
        try:
            for runner in self._runners:
                runner.abort()
            await self._idle(_LAST)
        finally:
            await self._cut()

    async def _cut(self) -> None:
        serving = list(self._serving)
        for task in serving:
            task.cancel()
        try:
            await asyncio.gather(*serving, return_exceptions=True)
        finally:
            for runner in self._runners:
                if runner.tasks:
                    _log.error(
                        "%d tries did not end when they were cancelled",
                        len(runner.tasks),
                        extra={"handler": runner.name},
                    )
            await self._open.aclose()
            self._ended.set()

    async def _idle(self, seconds: float) -> None:
        """Wait until nothing is in hand, at most that long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while busy := self._busy():
                    await asyncio.wait(busy)

    def _busy(self) -> set[asyncio.Task[None]]:
        return self._serving.union(*(runner.tasks for runner in self._runners))

    def _released(self) -> int:
        return sum(counters.released for counters in self._counters.values())

    # The start

    async def _start(self) -> None:
        clients = self._connections = self._clients()
        for client in clients.values():
            self._open.push_async_callback(client.close)
        # Before anything is waited for: a mistake in a handler is told at once, also while a broker is away.
        handlers = await self._handlers()
        outlets = {name: self._outlet(name, clients) for name in handlers}
        hears = await self._wishes(handlers, outlets)
        await asyncio.gather(*(client.ready() for client in clients.values()))
        for name, handler in handlers.items():
            called = self._traced(handler, clients[self._config.handlers[name].client])
            config = self._config.handlers[name]
            kind = Runner if config.batch is None else BatchRunner
            self._runners.append(kind(name, config, called, outlets[name], hears[name]))
        for runner in self._runners:
            runner.ephemerals.serve(self._serve)
        confirmed = [runner.subscriptions.serve(self._serve) for runner in self._runners]
        await asyncio.gather(*itertools.chain(*confirmed))
        if not self._serving:
            self._ended.set()

    def _clients(self) -> dict[str, Client]:
        """Those that the handlers use, not connected yet."""
        names: dict[str, None] = {}
        for config in self._config.handlers.values():
            target = config.dead_letters
            names |= dict.fromkeys([*config.grants, *([target[0]] if target else [])])
        problems: list[Problem] = []
        clients = {}
        for name in names:
            with _noted(problems, f"clients.{name}"):
                clients[name] = open_client(name, self._section(name), self._plugins, self._config.observe.traces)
        _refuse(problems)
        return clients

    def _section(self, name: str) -> ClientConfig:
        known = self._config.clients
        if name not in known:
            expected = "one of " + ", ".join(sorted(known)) if known else f"a section [clients.{name}]"
            raise ConfigError([Problem("", "", "there is no such client", expected, nearest(name, known))])
        return known[name]

    async def _handlers(self) -> dict[str, Handler]:
        """Ready to be called."""
        problems: list[Problem] = []
        handlers = {}
        for name, config in self._config.handlers.items():
            kind = "python" if config.python else "component"
            with _noted(problems, f"handlers.{name}.{kind}"):
                handlers[name] = handler = await self._handler(name, config)
                self._open.push_async_callback(handler.close)
        _refuse(problems)
        return handlers

    async def _handler(self, name: str, config: HandlerConfig) -> Handler:
        if config.python is not None:
            return python.load(config.python, self._folder, batch=config.batch is not None)
        return await self._components().open(name, config)

    def _traced(self, handler: Handler, client: Client) -> Handler:
        traces = found(self._config.observe.traces)
        return handler if traces is None else TracedHandler(handler, traces, client.type)

    def _components(self) -> Components:
        """The engine, made when the first component is opened: a host without any does not even import it."""
        if self._engine is None:
            from dragoman.handlers.component.components import Components  # noqa: PLC0415 - see above

            self._engine = Components(self._config.host.cache)
            self._open.push_async_callback(self._engine.close)
        return self._engine

    def _outlet(self, name: str, clients: Mapping[str, Client]) -> Outlet:
        config = self._config.handlers[name]
        grants = Grants(name, config.grants, config.listens, {config.client: config.channels})
        return Outlet(name, config.client, grants, clients, self._counters[name])

    async def _wishes(self, handlers: Mapping[str, Handler], outlets: Mapping[str, Outlet]) -> dict[str, Wishes]:
        """What each handler hears from the start."""
        problems: list[Problem] = []
        wishes: dict[str, Wishes] = {}
        for name, handler in handlers.items():
            with _noted(problems, f"handlers.{name}"):
                wishes[name] = await ask(self._config.handlers[name], handler, outlets[name])
        _refuse(problems)
        return wishes

    def _serve(self, source: Source | Ephemeral) -> asyncio.Task[None]:
        task = asyncio.create_task(source.run(), name=f"source {source.address.channel}")
        self._serving.add(task)
        task.add_done_callback(self._served)
        return task

    def _served(self, task: asyncio.Task[None]) -> None:
        self._serving.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broken = error
            self._ended.set()
        if not self._serving:
            self._ended.set()


@contextmanager
def _noted(problems: list[Problem], key: str) -> Iterator[None]:
    """Collect what is wrong with the value of that key, so that all of it is said at once."""
    try:
        yield
    except ConfigError as error:
        problems += [replace(problem, key=problem.key or key) for problem in error.problems]
    except (ComponentError, PluginError) as error:
        problems.append(Problem("", key, str(error)))


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise ConfigError(problems)
