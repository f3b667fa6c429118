"""`dragoman inspect`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from dragoman.cli.examples import examples
from dragoman.cli.output import colour, complain
from dragoman.handlers.component.inspection import Inspection, inspect


@examples("dragoman inspect guests/billing.wasm", "dragoman inspect guests/billing.wasm --json")
@click.command("inspect")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="GUEST.WASM")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(file: Path, *, as_json: bool) -> int:
    """Show what a component is, and what it needs.

    Prints the generation of wasi:messaging that it was written for, its imports and exports, what of the system it
    needs granted, and its size. Ends with 2 where it can't run here.
    """
    found = inspect(file)
    if as_json:
        click.echo(json.dumps({**asdict(found), "path": str(found.path)}, indent=2))
    else:
        _print(found)
    for problem in found.problems:
        complain(f"{file}: {problem}")
    return 2 if found.problems else 0


def _print(found: Inspection) -> None:
    generation = found.generation or "none that is known here"
    version = f" ({found.version})" if found.version else ""
    _section("file", [f"{found.path}, {found.size:,} bytes"])
    _section("generation", [f"{generation}{version}"])
    _section("imports", _items(found.imports))
    _section("exports", _items(found.exports))
    _section("needs", found.needs)


def _items(items: Mapping[str, str]) -> list[str]:
    return [line for name, text in items.items() for line in (name, *(f"  {part}" for part in text.splitlines()))]


def _section(title: str, lines: Sequence[str]) -> None:
    click.echo(click.style(title, bold=True) if colour(sys.stdout) else title, color=True)
    for line in lines or ["nothing"]:
        click.echo(f"  {line}")
