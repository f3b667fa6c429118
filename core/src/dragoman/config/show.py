"""A configuration as it is understood, to be printed: with the defaults, and without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from dragoman.config.load import Source
from dragoman.config.model import Config
from dragoman.config.secrets import MASK, mask, secret_settings, without_passwords
from dragoman.config.units import duration_text

if TYPE_CHECKING:
    from dragoman.plugins import Plugins


def shown(source: Source, config: Config, plugins: Plugins) -> dict[str, Any]:
    """The tables of a valid configuration, in values that TOML and JSON have.

    A secret is masked, and what comes from the environment is as it was written.
    """
    clients = {name: _client(name, config, plugins) for name in config.clients}
    handlers = {name: _plain(handler) for name, handler in config.handlers.items()}
    found = {"clients": clients, "handlers": handlers, "host": _plain(config.host)}
    return {name: _as_written(table, source.raw.get(name), source) for name, table in found.items()}


def _client(name: str, config: Config, plugins: Plugins) -> dict[str, Any]:
    client = config.clients[name]
    adapter, settings = plugins.resolve(name, client)
    hidden = {key: MASK for key in client.settings if secret_settings(adapter.config, {key: client.settings[key]})}
    return {"adapter": adapter.name, "wait": duration_text(client.wait), **_plain(settings), **hidden}


def _plain(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(mode="json", exclude_none=True)


def _as_written(value: Any, raw: Any, source: Source) -> Any:
    if isinstance(value, dict):
        table = raw if isinstance(raw, Mapping) else {}
        return {key: _as_written(item, table.get(key), source) for key, item in value.items()}
    if isinstance(value, list):
        items = raw if isinstance(raw, list) and len(raw) == len(value) else [None] * len(value)
        return [_as_written(item, part, source) for item, part in zip(value, items, strict=True)]
    if value == MASK:
        return value
    if isinstance(raw, str) and "${" in raw:
        return without_passwords(raw)
    # A setting that was made from another one, such as a path from a URL, holds its secrets too.
    return mask(value, source.secrets) if isinstance(value, str) else value
