"""`dragoman dead-letters`."""

from __future__ import annotations

import click

from dragoman.cli.dead_letters import listing, purging, replaying, showing
from dragoman.cli.examples import examples


@examples(
    "dragoman dead-letters list --handler billing --since 2h",
    "dragoman dead-letters replay --all --dry-run",
)
@click.group("dead-letters")
def command() -> None:
    """Look at dead letters, and send them back.

    They are looked for where the handlers of the configuration send them, or at the place that --in names. Looking
    takes nothing away. What is sent back or purged is so for the group `dead-letters` only: other groups still get it.
    """


for each in (listing.command, showing.command, replaying.command, purging.command):
    command.add_command(each)
