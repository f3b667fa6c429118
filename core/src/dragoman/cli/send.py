"""`dragoman send`."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final

import click

from dragoman.cli.bodies import lines_of_stdin, repeated
from dragoman.cli.clients import client_of
from dragoman.cli.examples import examples
from dragoman.cli.options import channel_argument, client_argument, config_option, metadata_options
from dragoman.cli.output import note
from dragoman.cli.progress import Progress
from dragoman.client import Client
from dragoman.message import Channel, Message

#: Messages and bytes that are sent in one call.
_BATCH: Final = 100
_BATCH_BYTES: Final = 4 * 2**20


@examples(
    "dragoman send orders orders.created '{\"id\": 1}' --key 1 --content-type application/json",
    "dragoman send orders orders.created --file order.json --count 1000 --rate 100",
    "dragoman send embedded:dragoman.db topic:news --meta source=wire < headlines.txt",
)
@click.command("send")
@client_argument
@channel_argument
@click.argument("data", required=False)
@click.option("--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Send what is in this file.")
@metadata_options
@click.option(
    "--count", type=click.IntRange(min=1), help="Send it so many times; of lines, send so many at most.", metavar="N"
)
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="At most so many a second.", metavar="N")
@config_option
def command(
    *,
    client: str,
    channel: Channel,
    data: str | None,
    file: Path | None,
    template: Message,
    count: int | None,
    rate: float | None,
    config_file: Path,
) -> None:
    """Send messages to a channel.

    CLIENT is a name in the configuration, or a URL. A message is DATA, or what is in a file, or each line of standard
    input. The command ends when the broker has confirmed all of them; Ctrl-C says how many it had.
    """
    if data is not None and file is not None:
        raise click.UsageError("DATA and --file both say what to send: give one of the two")
    sending = _Sending(client_of(client, config_file), channel, template, rate, Progress(count))
    if data is not None:
        bodies = repeated(data.encode("utf-8", "surrogateescape"), count)
    elif file is not None:
        bodies = repeated(file.read_bytes(), count)
    else:
        if sys.stdin.isatty():
            note("one message a line; Ctrl-D ends it")
        bodies = lines_of_stdin(count)
    asyncio.run(sending.run(bodies))


class _Sending:
    def __init__(
        self, client: Client, channel: Channel, template: Message, rate: float | None, progress: Progress
    ) -> None:
        self._client = client
        self._channel = channel
        self._template = template
        self._rate = rate
        self._progress = progress
        self._began = 0.0
        self._confirmed = 0

    async def run(self, bodies: AsyncIterator[list[bytes]]) -> None:
        try:
            async with self._client:
                self._began = time.monotonic()
                with self._progress:
                    await self._all(bodies)
        except BaseException:
            note(f"stopped: {self._said()}")
            raise
        note(self._said())

    async def _all(self, bodies: AsyncIterator[list[bytes]]) -> None:
        async with aclosing(bodies) as open_bodies:  # type: ignore[type-var]
            async for some in open_bodies:
                for batch in _batches(some, self._most()):
                    await self._send(batch)

    async def _send(self, bodies: Sequence[bytes]) -> None:
        if self._rate:
            await asyncio.sleep(self._began + self._confirmed / self._rate - time.monotonic())
        about = self._template
        messages = [Message(body, about.metadata, about.content_type) for body in bodies]
        await self._client.publish(self._channel, *messages)
        self._confirmed += len(messages)
        self._progress.show(self._confirmed)

    def _most(self) -> int:
        # A slow rate is kept message by message, not by a hundred every now and then.
        return _BATCH if self._rate is None else max(1, min(_BATCH, int(self._rate / 20)))

    def _said(self) -> str:
        seconds = max(time.monotonic() - self._began, 1e-9) if self._began else 0
        count = f"{self._confirmed:,} message{'s' if self._confirmed != 1 else ''}"
        speed = f" in {seconds:.1f} s, {self._confirmed / seconds:,.0f} a second" if seconds > 0.5 else ""
        return f"{count} confirmed on {self._channel}{speed}"


def _batches(bodies: Sequence[bytes], most: int) -> Iterator[Sequence[bytes]]:
    start = 0
    while start < len(bodies):
        end, held = start, 0
        while end < len(bodies) and end - start < most and (end == start or held + len(bodies[end]) <= _BATCH_BYTES):
            held += len(bodies[end])
            end += 1
        yield bodies[start:end]
        start = end
