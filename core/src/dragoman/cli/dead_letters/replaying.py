"""`dragoman dead-letters replay`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from contextlib import aclosing
from typing import Final

import click

from dragoman.cli.dead_letters.text import say_what_is_left
from dragoman.cli.dead_letters.wanted import (
    Clients,
    Wanted,
    ids_argument,
    missing,
    place_of,
    refuse_everything,
    wanted_options,
)
from dragoman.cli.examples import examples
from dragoman.cli.output import note, warn
from dragoman.cli.progress import Progress
from dragoman.dead_letters.letter import Letter
from dragoman.dead_letters.replay import Outcome, Replay, What
from dragoman.dead_letters.shelf import Place

_LEFT: Final = 1
#: What is said of those that stay where they are.
_STAYS: Final[dict[What, str]] = {
    "doubtful": "may have been sent by a replay that was interrupted, and their broker can't be asked: look there, then"
    " send them with --doubtful, or purge them",
    "refused": "were refused by the broker",
    "of unknown origin": "do not say where they came from: say where to with --to",
}


@examples(
    "dragoman dead-letters replay 3f2a91bc",
    "dragoman dead-letters replay --handler billing --since 2h --dry-run",
    "dragoman dead-letters replay --all",
)
@click.command("replay")
@ids_argument(required=False)
@wanted_options
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.option("--to", nargs=2, metavar="CLIENT CHANNEL", callback=place_of, help="Send them there instead.")
@click.option("--doubtful", is_flag=True, help="Also those that an interrupted replay may have sent already.")
@click.option("--dry-run", is_flag=True, help="Only say what would be sent, and where.")
def command(*, wanted: Wanted, everything: bool, to: Place | None, doubtful: bool, dry_run: bool) -> int:
    """Send dead letters back to where they came from.

    In their order, with body, key and metadata as they were. Each is a dead letter until its copy is confirmed. When
    the command is interrupted and repeated, nothing is sent twice: a journal beside the configuration knows what was
    sent. Ends with 1 if some stay that were meant.
    """
    refuse_everything(wanted, everything=everything)
    replaying = _Replaying(wanted, to, doubtful=doubtful)
    if dry_run:
        with wanted.looking():
            asyncio.run(replaying.plan())
    else:
        asyncio.run(replaying.run())
    return replaying.said(dry_run=dry_run)


class _Replaying:
    def __init__(self, wanted: Wanted, to: Place | None, *, doubtful: bool) -> None:
        self._wanted = wanted
        self._to = to
        self._doubtful = doubtful
        self._outcome = Outcome()
        self._progress = Progress(None)
        self._lines = not sys.stdout.isatty()

    async def run(self) -> None:
        wanted = self._wanted
        with wanted.opened() as journal, self._progress:
            async with Clients(wanted.config_file) as clients, aclosing(wanted.shelves()) as shelves:
                async for shelf in shelves:
                    replay = Replay(shelf, journal, clients.get, to=self._to, doubtful=self._doubtful, told=self._told)
                    try:
                        await replay.run(wanted.selection)
                    finally:
                        self._add(replay.outcome)
                    say_what_is_left(shelf)

    async def plan(self) -> None:
        """Count what would be sent."""
        async with aclosing(self._wanted.shelves()) as shelves:
            async for shelf in shelves:
                async for batch in shelf.batches():
                    for letter in (one.letter for one in batch if one.letter in self._wanted.selection):
                        place = self._to or (
                            Place(letter.client, letter.channel) if letter.client and letter.channel else None
                        )
                        what: What = "sent" if place else "of unknown origin"
                        self._outcome.counts[what] += 1
                        if place:
                            self._outcome.places[place] += 1
                        self._told(letter, what, place)
                say_what_is_left(shelf)

    def _told(self, letter: Letter, what: What, place: Place | None) -> None:
        if self._lines:
            where = {"client": place.client, "channel": str(place.channel)} if place else None
            line = {"id": letter.id, "message_id": letter.message.id, "what": what, "to": where}
            click.echo(json.dumps(line))
        self._progress.show(self._outcome.counts.total())

    def _add(self, outcome: Outcome) -> None:
        self._outcome.counts += outcome.counts
        self._outcome.places += outcome.places
        self._outcome.refusals = outcome.refusals or self._outcome.refusals

    def said(self, *, dry_run: bool) -> int:
        """Say what became of them; the exit code."""
        counts, places = self._outcome.counts, self._outcome.places
        missing(self._wanted, counts.total())
        where = "".join(f", {count:,} to {place}" for place, count in _most_first(places))
        note(f"{'would send' if dry_run else 'sent'} {_letters(counts['sent'])}{where}")
        if counts["sent before"]:
            note(f"{_letters(counts['sent before'])} had been sent before, and are dead letters no more")
        if counts["came back"]:
            note(f"{_letters(counts['came back'])} failed again meanwhile, left for the next replay")
        for what, text in _STAYS.items():
            if counts[what]:
                why = f": {self._outcome.refusals}" if what == "refused" else ""
                warn(f"{_letters(counts[what])} {text}{why}")
        return _LEFT if any(counts[what] for what in _STAYS) else 0


def _most_first(places: Counter[Place]) -> list[tuple[Place, int]]:
    return places.most_common()


def _letters(count: int) -> str:
    return f"{count:,} dead letter{'s' if count != 1 else ''}"
