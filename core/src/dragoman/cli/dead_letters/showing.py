"""`dragoman dead-letters show`."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing

import click

from dragoman.cli.dead_letters.text import as_json, say_what_is_left, show
from dragoman.cli.dead_letters.wanted import Wanted, ids_argument, missing, wanted_options
from dragoman.cli.examples import examples


@examples("dragoman dead-letters show 3f2a91bc", "dragoman dead-letters show order-17 --json")
@click.command("show")
@ids_argument(required=True)
@wanted_options
@click.option("--json", "as_lines", is_flag=True, help="Print a JSON object for each, also on a terminal.")
def command(*, wanted: Wanted, as_lines: bool) -> None:
    """Show all of a dead letter: why it is one, where that happened, and its message.

    ID is what `list` shows, at least six characters of it, or the id of the message.
    """
    with wanted.looking():
        found = asyncio.run(_show(wanted, as_lines=as_lines or not sys.stdout.isatty()))
    missing(wanted, found)


async def _show(wanted: Wanted, *, as_lines: bool) -> int:
    found = 0
    async with aclosing(wanted.shelves()) as shelves:
        async for shelf in shelves:
            async for batch in shelf.batches():
                for letter in (one.letter for one in batch if one.letter in wanted.selection):
                    if as_lines:
                        click.echo(as_json(letter, shelf.place, whole=True))
                    else:
                        if found:
                            click.echo()
                        show(letter, shelf.place)
                    found += 1
            say_what_is_left(shelf)
    return found
