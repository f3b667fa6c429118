"""`dragoman config`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from dragoman.cli.examples import examples
from dragoman.cli.options import config_option
from dragoman.config.load import read, validate
from dragoman.config.show import shown
from dragoman.plugins import load_plugins


@examples("dragoman config show")
@click.group("config")
def command() -> None:
    """Show a configuration as it is understood."""


@examples("dragoman config show --json -c dragoman.toml")
@command.command("show")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(config_file: Path, *, as_json: bool) -> None:
    """Print the configuration with all defaults, and every secret masked.

    A value that comes from the environment is shown by its variable's name.
    """
    source, plugins = read(config_file), load_plugins()
    table = shown(source, validate(source, plugins), plugins)
    if as_json:
        click.echo(json.dumps(table, indent=2))
        return
    import tomli_w  # noqa: PLC0415 - only here

    click.echo(tomli_w.dumps(table), nl=False)
