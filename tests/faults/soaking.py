"""A hostile guest is given message after message: what that leaves in the process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import re
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from dragoman.errors import DragomanError
from dragoman.handlers.component.components import Components
from dragoman.message import Message
from tests.component.harness import Recorder, opened
from tests.guests.build import COMPILED, component, guest, source

#: What ends by itself, by guest and order; the rest ends by its deadline.
QUICK = {
    "hostile": "DGXZEJUYOKV",
    "hostile_system": "EFRSW",
}
ENDLESS = {"hostile": "LAHSFC", "hostile_system": "ONC"}
#: What takes long because it moves many bytes.
HEAVY = {"hostile": "BNWRPQMT"}
LIMITS = {"memory": "128MiB"}
#: The sizes and counts of `HEAVY` for a guest that does the same with a hundredth of them, and what it may use up.
SMALLER = {"100000000": "1000000", "5000000": "5000", "1000000": "10000", "10000": "100"}
SMALL_LIMITS = {"memory": "4MiB", "payload": "160KiB", "objects": 100}


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


def _smaller(name: str) -> Path:
    """The guest with smaller numbers."""
    numbers = re.compile(rf"(?<=i32\.const )({'|'.join(SMALLER)})(?=\))")
    return component(f"{name}-small", numbers.sub(lambda number: SMALLER[number[0]], source(name)))


async def soak(
    name: str, order: str, messages: int, *, seconds: float = 1e9, deadline: float = 30.0, small: bool = False
) -> Soaked:
    """Give a guest, or the smaller one, so many messages, one after another, in at most that time."""
    components = Components(COMPILED)
    context: Any = Recorder()  # as much of a context as a guest asks for
    path, limits = (_smaller(name), SMALL_LIMITS) if small else (guest(name), LIMITS)
    handler = await opened(components, path, limits=limits)

    async def one() -> None:
        with contextlib.suppress(DragomanError, TimeoutError):
            async with asyncio.timeout(deadline):
                await handler.handle([Message(order.encode() + b"out")], context)
        context.sent.clear()
        await asyncio.sleep(0)  # the loop forgets cancelled deadlines only when it runs

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
