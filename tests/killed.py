"""Hosts in a process of their own, which are killed in the middle, and what they have sent."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import tomli_w

from dragoman.adapter import Start
from dragoman.client import Client

#: Answers each message, and fails after the answer to every tenth, the first time.
_WORK = """
import asyncio

async def work(message, context):
    await context.publish("OUT", message.data, key=message.key)
    await asyncio.sleep(SECONDS)
    if message.data.endswith(b"0") and context.attempt == 1:
        raise RuntimeError("not yet")
"""


def write_host(folder: Path, client: Mapping[str, object], into: str, out: str, *, seconds: float) -> None:
    """Write what a host is to do: it answers what comes on one channel on another one, each after a while."""
    (folder / "work.py").write_text(_WORK.replace("OUT", out).replace("SECONDS", str(seconds)))
    handler = {
        "python": "work:work",
        "client": "main",
        "subscribe": [into],
        "publish": [out],
        "sends": "outbox",
        "retry": {"backoff": "1ms"},
    }
    config = {"clients": {"main": dict(client)}, "handlers": {"work": handler}}
    (folder / "dragoman.toml").write_text(tomli_w.dumps(config))


@asynccontextmanager
async def host_process(folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`dragoman run` there, killed with -9 at the end of the block."""
    with (folder / "host.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "dragoman", "run", cwd=folder, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def answers(
    client: Client, out: str, count: int, *, all_of_it: bool = False, seconds: float = 60.0
) -> Counter[str]:
    """What is on the channel, from its beginning, until there are so many different ones; or all that comes then."""
    found: Counter[str] = Counter()
    async with asyncio.timeout(seconds), client.subscribe(f"topic:{out}", start=Start()) as subscription:
        while len(found) < count:
            deliveries = await subscription.receive(500)
            found.update(delivery.message.data.decode() for delivery in deliveries)
            await subscription.accept(*deliveries)
        with suppress(TimeoutError):
            while all_of_it:
                async with asyncio.timeout(1.0):
                    deliveries = await subscription.receive(500)
                found.update(delivery.message.data.decode() for delivery in deliveries)
    return found
