"""A host in a process of its own that may kill itself: `python -m tests.faults.process CONFIG [STEP NUMBER]`.

With a step it kills itself, as `kill -9` would, when it has taken that step for the NUMBERth time:

    received    a batch has come from the broker
    called      a handler is about to be called
    confirmed   the broker has confirmed what a handler sent
    returned    a handler has returned, and nothing is settled
    settled     the broker has taken an outcome
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any, Final

from dragoman.client import Client
from dragoman.config.load import load
from dragoman.handlers.component.components import ComponentHandler
from dragoman.handlers.python import PythonHandler
from dragoman.host.host import Host
from dragoman.plugins import load_plugins
from dragoman.subscription import Subscription

STEPS: Final = ("received", "called", "confirmed", "returned", "settled")
#: What is called in each step, and whether the step is before the call or after it.
_CALLS: Final = {
    "received": ((Subscription,), "receive", "after"),
    "called": ((PythonHandler, ComponentHandler), "handle", "before"),
    "confirmed": ((Client,), "publish", "after"),
    "returned": ((PythonHandler, ComponentHandler), "handle", "after"),
    "settled": ((Subscription,), "settle", "after"),
}


def arm(step: str, number: int) -> None:
    """Let this process kill itself at that step."""
    owners, name, when = _CALLS[step]
    numbers = count(1)

    def die_if_due() -> None:
        if next(numbers) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def armed(call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def calling(*arguments: Any, **more: Any) -> Any:
            if when == "before":
                die_if_due()
            result = await call(*arguments, **more)
            if when == "after":
                die_if_due()
            return result

        return calling

    for owner in owners:
        setattr(owner, name, armed(getattr(owner, name)))


async def main(path: str, *step: str) -> None:
    """Run until something ends it."""
    file, plugins = Path(path), load_plugins()
    if step:
        arm(step[0], int(step[1]))
    async with Host(load(file, plugins), plugins=plugins, folder=file.parent) as host:
        print("ready", flush=True)
        await host.wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
