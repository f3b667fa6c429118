"""`dragoman tail`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from dragoman.adapter import Start
from dragoman.cli.clients import client_of
from dragoman.cli.examples import examples
from dragoman.cli.messages import show
from dragoman.cli.options import channel_argument, client_argument, config_option
from dragoman.cli.output import note
from dragoman.client import Client
from dragoman.message import Channel


@examples(
    "dragoman tail orders orders.created",
    "dragoman tail orders orders.dead --from-start --json --count 10",
    "dragoman tail embedded:dragoman.db topic:news",
)
@click.command("tail")
@client_argument
@channel_argument
@click.option("--count", type=click.IntRange(min=1), help="End after so many messages.", metavar="N")
@click.option("--from-start", is_flag=True, help="Begin with the oldest message that the broker has.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each message.")
@config_option
def command(
    client: str, channel: Channel, count: int | None, config_file: Path, *, from_start: bool, as_json: bool
) -> None:
    """Show the messages of a channel, and take none away.

    CLIENT is a name in the configuration, or a URL. The command listens as a subscriber of its own, as to a topic:
    every group still gets every message. Bytes that can't be shown are escaped; in JSON such a body is in base64.
    """
    start = Start() if from_start else None
    asyncio.run(_tail(client_of(client, config_file), channel, start, count, as_json=as_json))


async def _tail(client: Client, channel: Channel, start: Start | None, count: int | None, *, as_json: bool) -> None:
    async with client, client.subscribe(Channel(channel.name, "topic"), start=start) as subscription:
        note(f"listening to {channel.name} on {client.name}; Ctrl-C ends it")
        left = count
        while left is None or left > 0:
            deliveries = await subscription.receive(100 if left is None else min(left, 100))
            show([delivery.message for delivery in deliveries], as_json=as_json)
            await subscription.accept(*deliveries)
            left = None if left is None else left - len(deliveries)
