"""`dragoman check`."""

from __future__ import annotations

import asyncio
from collections.abc import Sized
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from dragoman.cli.examples import examples
from dragoman.cli.options import DurationType, config_option
from dragoman.cli.output import complain, note, warn
from dragoman.config.keys import dotted
from dragoman.config.load import Source, examine, read
from dragoman.config.model import Config, HandlerConfig
from dragoman.errors import ConfigError, DragomanError, Problem
from dragoman.handlers import python
from dragoman.opening import open_client
from dragoman.plugins import Plugins, load_plugins

if TYPE_CHECKING:
    from dragoman.handlers.component.components import Components

_MISTAKES: Final = 2
_UNREACHED: Final = 1


@examples("dragoman check", "dragoman check -c dragoman.toml --connect --timeout 5s")
@click.command("check")
@config_option
@click.option("--connect", is_flag=True, help="Connect to the brokers, too.")
@click.option("--timeout", type=DurationType(), default="10s", show_default=True, help="For each connection.")
def command(config_file: Path, timeout: float, *, connect: bool) -> int:
    """Find all mistakes in a configuration and its handlers.

    Reads the file, compiles the components and imports the functions, and says everything that is wrong at once. Ends
    with 2 where something is, and with 1 where only a broker can't be reached.
    """
    plugins = load_plugins()
    source = read(config_file)
    config, problems = examine(source, plugins)
    lost = asyncio.run(_try(source, config, plugins, problems, timeout if connect else None))
    for problem in plugins.problems:
        warn(str(problem))
    for line in (*source.located(problems), *lost):
        complain(str(line))
    if problems or lost:
        return _MISTAKES if problems else _UNREACHED
    what = f"{_count(config.clients, 'client')}, {_count(config.handlers, 'handler')}"
    note(f"{config_file}: {what}: no mistakes{', and every broker answers' if connect else ''}")
    return 0


def _count(things: Sized, name: str) -> str:
    return f"{len(things)} {name}{'s' if len(things) != 1 else ''}"


async def _try(
    source: Source, config: Config, plugins: Plugins, problems: list[Problem], timeout: float | None
) -> list[str]:
    """Adds what is wrong with the handlers to the problems; returns what is wrong with the brokers."""
    known = {problem.key for problem in problems}
    problems += await _handlers(config, source.path.absolute().parent, known)
    if timeout is None:
        return []
    usable = [name for name in config.clients if not _under(known, dotted(("clients", name)))]
    tried = await asyncio.gather(*(_connect(name, config, plugins, timeout) for name in usable))
    return [line for line in tried if line]


async def _handlers(config: Config, folder: Path, known: set[str]) -> list[Problem]:
    problems = []
    async with AsyncExitStack() as stack:
        opened = _Opener(stack, folder, config.host.cache)
        for name, handler in config.handlers.items():
            key = dotted(("handlers", name, "python" if handler.python else "component"))
            if key in known:
                continue
            try:
                await opened.open(name, handler)
            except ConfigError as error:
                problems += [replace(problem, key=problem.key or key) for problem in error.problems]
            except DragomanError as error:
                problems.append(Problem("", key, str(error)))
    return problems


class _Opener:
    """Opens handlers as the host does; the stack closes them."""

    def __init__(self, stack: AsyncExitStack, folder: Path, cache: Path | None) -> None:
        self._stack = stack
        self._folder = folder
        self._cache = cache
        self._components: Components | None = None

    async def open(self, name: str, config: HandlerConfig) -> None:
        if config.python is not None:
            python.load(config.python, self._folder, batch=config.batch is not None)
            return
        if self._components is None:
            from dragoman.handlers.component.components import Components  # noqa: PLC0415 - loads the engine

            self._components = Components(self._cache)
            self._stack.push_async_callback(self._components.close)
        handler = await self._components.open(name, config)
        self._stack.push_async_callback(handler.close)


async def _connect(name: str, config: Config, plugins: Plugins, timeout: float) -> str | None:
    try:
        async with asyncio.timeout(timeout), open_client(name, config.clients[name], plugins):
            return None
    except TimeoutError:
        return f"{dotted(('clients', name))}: no connection within {timeout:g} s"
    except DragomanError as error:
        return f"{dotted(('clients', name))}: {error}"


def _under(keys: set[str], key: str) -> bool:
    return any(one == key or one.startswith(f"{key}.") for one in keys)
