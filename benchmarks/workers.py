"""What a second worker process brings: messages a second of a component that computes, with one and with two workers.

The guest computes for a millisecond or so. Both sides are `dragoman run` on the embedded broker's file, as users run
it; what is measured is the time in which all messages of a round are handled, once everybody is ready. Both run all
the time and take turns, so that neighbours on the machine slow both down. Two cores that nobody else uses are needed.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final

from tests.guests.build import guest

import dragoman
from benchmarks.report import Figure, report

MESSAGES: Final = 2_000
ROUNDS: Final = 5
CONFIG: Final = """
[clients.main]
adapter = "embedded"
path = "work.db"
[handlers.work]
component = "{component}"
client = "main"
subscribe = ["in"]
"""


class Side:
    """`dragoman run` in a folder of its own."""

    def __init__(self, process: asyncio.subprocess.Process, client: dragoman.Client) -> None:
        self._process, self._client = process, client
        self._handled = 0

    async def event(self, name: str) -> dict[str, Any]:
        """The next event of that name."""
        assert self._process.stdout
        async for line in self._process.stdout:
            found: dict[str, Any] = json.loads(line)
            if found["event"] == name:
                return found
        raise RuntimeError(f"it ended without {name!r}")

    async def round(self) -> float:
        """Messages a second."""
        wanted = self._handled + MESSAGES
        await self._client.publish("in", *[b"x"] * MESSAGES)
        began = perf_counter()
        while self._handled < wanted:
            self._handled = (await self.event("counters"))["handlers"]["work"]["handled"]
        return MESSAGES / (perf_counter() - began)


@asynccontextmanager
async def running(workers: int) -> AsyncIterator[Side]:
    """A side that is ready."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "dragoman.toml"
        config.write_text(CONFIG.format(component=guest("computes")))
        arguments = ["-m", "dragoman", "run", "--workers", str(workers), "--interval", "20ms", "--log-level", "error"]
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, cwd=folder, stdout=asyncio.subprocess.PIPE, env=dict(os.environ)
        )
        try:
            async with dragoman.connect(config, client="main") as client:
                side = Side(process, client)
                await side.event("ready")
                yield side
        finally:
            process.send_signal(signal.SIGTERM)
            await process.communicate()


async def measure() -> list[Figure]:
    """Both, in turns."""
    async with running(1) as one, running(2) as two:
        rounds = [(await one.round(), await two.round()) for _ in range(ROUNDS + 1)][1:]
    alone, together = (median(each) for each in zip(*rounds, strict=True))
    ratio = median(two / one for one, two in rounds)
    return [
        Figure("a component that computes, one worker", alone, "messages/s"),
        Figure("the same, two workers", together, "messages/s", ratio, "one worker", ">= 1.7"),
    ]


def main() -> None:
    """Measure and print."""
    report("workers", asyncio.run(measure()))


if __name__ == "__main__":
    main()
