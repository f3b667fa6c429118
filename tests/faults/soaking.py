"""A hostile guest is given message after message: what that leaves in the process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from dragoman.errors import DragomanError
from dragoman.handlers.component.components import Components
from dragoman.message import Message
from tests.component.harness import Recorder, opened
from tests.guests.build import COMPILED

#: What ends by itself, by guest and order; the rest ends by its deadline.
QUICK = {
    "hostile": "DGXZEJUYOKV",
    "hostile_system": "EFRSW",
}
ENDLESS = {"hostile": "LAHSFC", "hostile_system": "ONC"}
#: What takes long because it moves many bytes.
HEAVY = {"hostile": "BNWRPQMT"}


@dataclass(frozen=True, slots=True)
class Soaked:
    """What so many messages have left behind.

    Attributes:
        messages: how many.
        bytes: by how much the process has grown since the first of them.
        files: how many more file descriptors it has.
        instances: how many instances are left.
    """

    messages: int
    bytes: int
    files: int
    instances: int


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def _files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def soak(
    guest: str, order: str, messages: int, *, seconds: float = 1e9, deadline: float = 30.0, **config: Any
) -> Soaked:
    """Give a guest so many messages, one after another, in at most that time."""
    components = Components(COMPILED)
    context: Any = Recorder()  # as much of a context as a guest asks for
    handler = await opened(components, guest, limits={"memory": "128MiB"}, **config)

    async def one() -> None:
        with contextlib.suppress(DragomanError, TimeoutError):
            async with asyncio.timeout(deadline):
                await handler.handle([Message(order.encode() + b"out")], context)
        context.sent.clear()

    for _ in range(max(min(messages // 10, 100), 1)):  # until everything that is kept for good is there
        await one()
    gc.collect()
    resident, files, end, done = _resident(), _files(), monotonic() + seconds, 0
    while done < messages and monotonic() < end:
        await one()
        done += 1
    gc.collect()
    found = Soaked(done, _resident() - resident, _files() - files, len(components._engine.live))
    await handler.close()
    await components.close()
    return found
