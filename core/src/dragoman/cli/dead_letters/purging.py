"""`dragoman dead-letters purge`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import aclosing

import click

from dragoman.cli.dead_letters.text import say_what_is_left
from dragoman.cli.dead_letters.wanted import Wanted, ids_argument, missing, refuse_everything, wanted_options
from dragoman.cli.examples import examples
from dragoman.cli.output import note
from dragoman.cli.progress import Progress
from dragoman.dead_letters.shelf import Found


@examples(
    "dragoman dead-letters purge 3f2a91bc",
    "dragoman dead-letters purge --reason 'is no article' --until 30d --yes",
)
@click.command("purge")
@ids_argument(required=False)
@wanted_options
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.option("--dry-run", is_flag=True, help="Only say how many it would be.")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
def command(*, wanted: Wanted, everything: bool, dry_run: bool, yes: bool) -> None:
    """Throw dead letters away, for good.

    It asks first, and says how many.
    """
    refuse_everything(wanted, everything=everything)
    if not yes or dry_run:
        if not dry_run and not sys.stdin.isatty():
            raise click.UsageError("nobody is there to be asked: give --yes, or --dry-run to count them")
        count = asyncio.run(_purge(wanted, for_good=False))
        missing(wanted, count)
        if dry_run:
            note(f"would purge {_letters(count)}")
            return
        click.confirm(f"Purge {_letters(count)}, for good?", abort=True, err=True)
    count = asyncio.run(_purge(wanted, for_good=True))
    missing(wanted, count)
    note(f"purged {_letters(count)}")


async def _purge(wanted: Wanted, *, for_good: bool) -> int:
    purged = 0
    with wanted.opened() as journal, Progress(None, "purged") as progress:
        async with aclosing(wanted.shelves()) as shelves:
            async for shelf in shelves:
                async for batch in shelf.batches():
                    meant = [one for one in batch if one.letter in wanted.selection]
                    if for_good and meant:
                        # Written down as well: a broker may not be told of one before those ahead of it are done with.
                        journal.finished(one.letter.id for one in meant if one.letter.unique)
                        await shelf.accept(meant)
                        _tell(meant)
                    purged += len(meant)
                    progress.show(purged)
                say_what_is_left(shelf)
    return purged


def _tell(purged: Sequence[Found]) -> None:
    if sys.stdout.isatty():
        return
    for one in purged:
        click.echo(json.dumps({"id": one.letter.id, "message_id": one.letter.message.id, "what": "purged"}))


def _letters(count: int) -> str:
    return f"{count:,} dead letter{'s' if count != 1 else ''}"
