"""`dragoman dead-letters list`."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing

import click

from dragoman.cli.dead_letters.text import COLUMNS, as_json, row, say_what_is_left
from dragoman.cli.dead_letters.wanted import Wanted, wanted_options
from dragoman.cli.examples import examples
from dragoman.cli.output import note
from dragoman.cli.progress import Progress
from dragoman.cli.tables import table
from dragoman.dead_letters.journal import Journal
from dragoman.dead_letters.letter import Letter
from dragoman.dead_letters.shelf import Place


@examples(
    "dragoman dead-letters list",
    "dragoman dead-letters list --handler billing --reason timeout --since 2h",
    "dragoman dead-letters list --in shop orders.dead --json | jq .reason",
)
@click.command("list")
@wanted_options
@click.option("--json", "as_lines", is_flag=True, help="Print a JSON object for each, also on a terminal.")
def command(*, wanted: Wanted, as_lines: bool) -> None:
    """List dead letters, and take none away.

    A table on a terminal, a JSON object for each in a pipe.
    """
    with wanted.looking():
        found = asyncio.run(_list(wanted))
    if as_lines or not sys.stdout.isatty():
        for letter, place in found:
            click.echo(as_json(letter, place))
    elif found:
        table(COLUMNS, [row(letter) for letter, _ in found], whole=1)
    note(f"{len(found):,} dead letter{'s' if len(found) != 1 else ''}")


async def _list(wanted: Wanted) -> list[tuple[Letter, Place]]:
    known = Journal.read(wanted.journal).done
    found: list[tuple[Letter, Place]] = []
    seen = hidden = 0
    with Progress(None, "looked at") as progress:
        async with aclosing(wanted.shelves()) as shelves:
            async for shelf in shelves:
                async for batch in shelf.batches():
                    seen += len(batch)
                    hidden += sum(one.letter.unique and one.letter.id in known for one in batch)
                    found += [
                        (one.letter, shelf.place)
                        for one in batch
                        if one.letter in wanted.selection and not (one.letter.unique and one.letter.id in known)
                    ]
                    progress.show(seen)
                say_what_is_left(shelf)
    if hidden:
        note(f"{hidden:,} that were sent back or purged before are not shown: their broker has not been told it yet")
    return found
