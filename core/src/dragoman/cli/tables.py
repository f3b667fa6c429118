"""Tables: with lines and colours on a terminal, plain columns in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, whole: int = 0) -> None:
    """Print a table to standard output; the first `whole` columns are neither cut nor broken into lines."""
    if not sys.stdout.isatty():
        for row in ([name.upper() for name in columns], *rows):
            click.echo("\t".join(row))
        return
    # Takes a while to import, and only a terminal needs it.
    from rich import box  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(columns):
        widest = max(len(row[number]) for row in [columns, *rows]) if number < whole else None
        drawn.add_column(name, no_wrap=number < whole, min_width=widest)
    for row in rows:
        drawn.add_row(*map(Text, row))
    Console().print(drawn)
