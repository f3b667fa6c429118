"""`dragoman plugins`."""

from __future__ import annotations

import json
from typing import Any

import click

from dragoman.cli.examples import examples
from dragoman.cli.output import warn
from dragoman.cli.tables import table
from dragoman.plugins import Plugins, load_plugins


@examples("dragoman plugins --json")
@click.command("plugins")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, as_json: bool) -> None:
    """List the installed adapters.

    Shows the distribution that each comes from, the format of its messages and what it can do. A plugin that can't be
    used is a warning, with the reason.
    """
    plugins = load_plugins()
    if as_json:
        click.echo(json.dumps(_as_json(plugins), indent=2))
        return
    columns = ("adapter", "distribution", "version", "format", "schemes", "capabilities")
    table(columns, [[_text(row[name]) for name in columns] for row in _rows(plugins)])
    for problem in plugins.problems:
        warn(str(problem))


def _rows(plugins: Plugins) -> list[dict[str, Any]]:
    return [
        {
            "adapter": kind.name,
            "distribution": plugin.distribution,
            "version": plugin.version,
            "format": kind.format.value,
            "schemes": [scheme for scheme, owner in plugins.schemes.items() if owner is kind],
            "capabilities": sorted(capability.value for capability in kind.capabilities),
        }
        for plugin in plugins.installed
        for kind in plugin.adapters
        if plugins.adapters.get(kind.name) is kind
    ]


def _as_json(plugins: Plugins) -> dict[str, Any]:
    return {"adapters": _rows(plugins), "problems": [str(problem) for problem in plugins.problems]}


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else " ".join(value)
