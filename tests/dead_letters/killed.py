"""A replay that is killed with -9 at one of its steps: `python -m tests.dead_letters.killed SETTINGS STEP ...`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from dragoman.client import Client
from dragoman.dead_letters.journal import Journal, opened
from dragoman.dead_letters.replay import Replay
from dragoman.dead_letters.selection import Selection
from dragoman.dead_letters.shelf import Place, Shelf
from dragoman.dead_letters.shelf import opened as shelf_opened
from dragoman.message import Channel
from tests.dead_letters.letters import connected, known

#: The steps of sending some letters: before and after each of these calls.
STEPS = {"sending": Journal, "publish": Client, "finished": Journal, "accept": Shelf}


def kill_at(step: str, count: int) -> None:
    """End this process at that step, `before` or `after` it, when it comes for the `count`-th time."""
    moment, name = step.split("-")
    kind = STEPS[name]
    original: Callable[..., Any] = getattr(kind, name)
    left = [count]

    def die() -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    async def waited(result: Any) -> None:
        await result
        die()

    def call(*args: Any, **options: Any) -> Any:
        if moment == "before":
            die()
            return original(*args, **options)
        result = original(*args, **options)
        if asyncio.iscoroutine(result):
            return waited(result)
        die()
        return result

    setattr(kind, name, call)


async def main(settings: dict[str, Any], dead: str, journal: Path) -> None:
    """Send everything back, and say what became of it."""
    async with AsyncExitStack() as stack:
        client = await connected(stack, "origin", **settings)
        held = stack.enter_context(opened(journal))
        place = Place("origin", Channel(dead))
        shelf = await stack.enter_async_context(shelf_opened(place, client))
        outcome = await Replay(shelf, held, known(client)).run(Selection())
    sys.stdout.write(json.dumps(outcome.counts))


if __name__ == "__main__":
    _settings, _dead, _journal, _step, _count = sys.argv[1:]
    if _step:
        kill_at(_step, int(_count))
    asyncio.run(main(json.loads(_settings), _dead, Path(_journal)))
