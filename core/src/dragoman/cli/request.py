"""`dragoman request`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from dragoman.cli.clients import client_of
from dragoman.cli.examples import examples
from dragoman.cli.messages import show
from dragoman.cli.options import DurationType, channel_argument, client_argument, config_option, metadata_options
from dragoman.client import Client
from dragoman.message import Channel, Message


@examples(
    "dragoman request orders prices '{\"sku\": 7}' --timeout 2s",
    "dragoman request orders stock --file question.json --expected 3 --json",
)
@click.command("request")
@client_argument
@channel_argument
@click.argument("data", required=False)
@click.option("--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Send what is in this file.")
@metadata_options
@click.option("--timeout", type=DurationType(), default="10s", show_default=True, help="How long to wait.")
@click.option("--expected", type=click.IntRange(min=1), default=1, show_default=True, help="How many replies.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each reply.")
@config_option
def command(
    *,
    client: str,
    channel: Channel,
    data: str | None,
    file: Path | None,
    template: Message,
    timeout: float,
    expected: int,
    config_file: Path,
    as_json: bool,
) -> None:
    """Send a request and show its replies.

    CLIENT is a name in the configuration, or a URL. The request is DATA, or what is in a file, or all of standard
    input. It ends with the last of the expected replies, or with those that came in time; none is an error.
    """
    if data is not None and file is not None:
        raise click.UsageError("DATA and --file both say what to send: give one of the two")
    if data is not None:
        body = data.encode("utf-8", "surrogateescape")
    else:
        body = file.read_bytes() if file else sys.stdin.buffer.read()
    asked = _ask(client_of(client, config_file), channel, replace(template, data=body), timeout, expected)
    show(asyncio.run(asked), as_json=as_json)


async def _ask(client: Client, channel: Channel, message: Message, timeout: float, expected: int) -> Sequence[Message]:
    async with client:
        return await client.request(channel, message, timeout=timeout, expected=expected)
