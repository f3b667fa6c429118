"""`dragoman schema`."""

from __future__ import annotations

import json

import click

from dragoman.cli.examples import examples
from dragoman.config.schema import schema
from dragoman.plugins import load_plugins


@examples("dragoman schema > dragoman.schema.json")
@click.command("schema")
def command() -> None:
    """Print the JSON Schema of a configuration.

    It has the settings of the installed plugins in it. An editor with TOML support checks and completes dragoman.toml
    when the file's first line names the schema: #:schema ./dragoman.schema.json
    """
    click.echo(json.dumps(schema(load_plugins()), indent=2))
