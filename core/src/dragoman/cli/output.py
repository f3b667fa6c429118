"""What every command prints alike."""

from __future__ import annotations

import os
import sys
from typing import IO, Any

import click


def colour(stream: IO[Any]) -> bool:
    """Whether the stream is a terminal whose user wants colours (see https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def complain(text: str) -> None:
    """Print to standard error, each line with what went wrong marked as such."""
    mark = click.style("error:", fg="red", bold=True) if colour(sys.stderr) else "error:"
    for line in text.splitlines():
        click.echo(f"{mark} {line}", err=True, color=True)


def warn(text: str) -> None:
    """Print to standard error what did not stop the command."""
    mark = click.style("warning:", fg="yellow", bold=True) if colour(sys.stderr) else "warning:"
    click.echo(f"{mark} {text}", err=True, color=True)


def note(text: str) -> None:
    """Print to standard error what a person may like to know; standard output is for what was asked for."""
    click.echo(click.style(text, dim=True) if colour(sys.stderr) else text, err=True, color=True)


def silence() -> None:
    """Let nothing more reach standard output: the one who read it is gone, and Python flushes it once more at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
