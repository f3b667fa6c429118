"""Opens clients: from a URL, a configuration file, or a section of one."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from dragoman.adapter import Adapter, AdapterType
from dragoman.client import Client
from dragoman.config.load import load
from dragoman.config.model import ClientConfig, Config
from dragoman.config.problems import problems_of
from dragoman.errors import ConfigError, PluginError, Problem, nearest
from dragoman.link import Link
from dragoman.observe.traces import Mode, found
from dragoman.plugins import Plugins, load_plugins

#: Two letters at least, so that `C:` is a drive.
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")

Source = str | os.PathLike[str] | ClientConfig | Mapping[str, Any]


@asynccontextmanager
async def connect(source: Source, *, client: str | None = None) -> AsyncIterator[Client]:
    """A connected client, open inside `async with`.

        async with dragoman.connect("embedded:orders.db") as client: ...
        async with dragoman.connect("dragoman.toml", client="orders") as client: ...

    Args:
        source: a URL, the path of a configuration file, or what stands in one client's section of such a file.
        client: which client of the file, where it has several; otherwise the name that errors shall begin with.

    Raises:
        ConfigError: a mistake in the configuration or the settings.
        PluginError: no such adapter is installed.
        ConnectionLost, AuthenticationFailed: as the adapter says.
    """
    plugins = load_plugins()
    name, config = _section(source, client, plugins)
    async with open_client(name, config, plugins) as opened:
        yield opened


def open_client(name: str, config: ClientConfig, plugins: Plugins, traces: Mode = "auto") -> Client:
    """The client of that section, not connected yet. What it sends is traced where OpenTelemetry is set up.

    Raises:
        ConfigError: a mistake in its settings.
        PluginError: its adapter is not installed.
    """
    adapter_type, settings = plugins.resolve(name, config)
    known = tuple(plugins.adapters.values())
    link = Link(name, adapter_type, lambda: _connected(adapter_type, settings), known, config.wait)
    return Client(link, found(traces))


async def _connected(adapter_type: AdapterType, settings: BaseModel) -> Adapter:
    try:
        return await adapter_type.connect(settings)
    except ImportError as error:  # plugins import their client libraries when they are needed
        what = f"what the adapter {adapter_type.name!r} needs can't be imported: {error}"
        raise PluginError(what, hint="install its plugin again", adapters=[adapter_type.name]) from error


def _section(source: Source, client: str | None, plugins: Plugins) -> tuple[str, ClientConfig]:
    if isinstance(source, ClientConfig):
        return client or source.adapter or "client", source
    if isinstance(source, Mapping):
        config = _validated(source)
        return client or config.adapter or "client", config
    scheme = _SCHEME.match(source) if isinstance(source, str) else None
    if scheme is not None:
        return client or scheme[1], _validated({"url": source})
    return _of_file(load(Path(source), plugins), source, client)


def _validated(section: Mapping[str, Any]) -> ClientConfig:
    try:
        return ClientConfig.model_validate(section)
    except ValidationError as error:
        raise ConfigError(problems_of(error, ClientConfig, section)) from None


def _of_file(config: Config, path: str | os.PathLike[str], client: str | None) -> tuple[str, ClientConfig]:
    names = list(config.clients)
    if client is None and len(names) == 1:
        client = names[0]
    if client in config.clients:
        return client, config.clients[client]
    what = f"it has {len(names)} clients: say which one" if client is None else f"there is no client {client!r}"
    expected = "one of " + ", ".join(names) if names else "a section such as [clients.orders]"
    raise ConfigError([Problem(os.fspath(path), "clients", what, expected, nearest(client or "", names))])
