"""The client that a command was given: by its name in the configuration, or as a URL."""

from __future__ import annotations

from pathlib import Path

from dragoman.cli.options import is_url
from dragoman.client import Client
from dragoman.config.load import load_client
from dragoman.config.model import ClientConfig
from dragoman.opening import open_client
from dragoman.plugins import load_plugins


def client_of(given: str, config_file: Path) -> Client:
    """The client, not connected yet.

    Raises:
        ConfigError: there is no such client, or there are mistakes in its settings.
    """
    plugins = load_plugins()
    if is_url(given):
        # Errors begin with the name, and a URL may have a password in it.
        return open_client(given.partition(":")[0], ClientConfig.model_validate({"url": given}), plugins)
    return open_client(given, load_client(config_file, given, plugins), plugins)
