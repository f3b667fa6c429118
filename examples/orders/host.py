"""`dragoman run` as a process, and what it says of itself in JSON lines."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

#: The counters of each handler, by the names that `dragoman run --json` gives them.
Counters = dict[str, dict[str, Any]]
#: Seconds without any progress after which something is wrong.
_PATIENCE: Final = 120.0


class HostProcess:
    """Inside `async with` the host is ready: connected, and its subscriptions confirmed.

    Attributes:
        seconds_to_ready: from the start of the process.
        counters: as it last said.
    """

    def __init__(self, process: Process) -> None:
        self.seconds_to_ready = 0.0
        self.counters: Counters = {}
        self._process = process

    @classmethod
    async def start(cls, config: Path) -> Self:
        """Run the handlers of a configuration."""
        command = (str(Path(sys.executable).with_name("dragoman")), "run", "-c", str(config), "--json")
        options = ("--interval", "200ms", "--log-level", "error")
        return cls(await asyncio.create_subprocess_exec(*command, *options, stdout=PIPE, limit=2**20))

    async def __aenter__(self) -> Self:
        began = time.perf_counter()
        while await self._event() != "ready":
            pass
        self.seconds_to_ready = time.perf_counter() - began
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def until(self, reached: Callable[[Counters], bool]) -> None:
        """Wait until the counters are as asked."""
        changed = time.monotonic()
        while not (self.counters and reached(self.counters)):
            before = self.counters
            await self._event()
            if self.counters != before:
                changed = time.monotonic()
            elif time.monotonic() - changed > _PATIENCE:
                raise SystemExit(f"the host makes no progress: {self.counters}")

    async def drain(self) -> None:
        """Ask it to finish, as an orchestrator does; it must end with 0."""
        self._process.send_signal(signal.SIGTERM)
        while await self._event() != "stopped":
            pass
        if code := await self._process.wait():
            raise SystemExit(f"the host did not finish well: it ended with {code}")

    async def _event(self) -> str:
        """The name of the next thing that it says."""
        assert self._process.stdout is not None
        async with asyncio.timeout(_PATIENCE):
            line = await self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the host has ended with {await self._process.wait()}")
        event = json.loads(line)
        if event["event"] == "counters":
            self.counters = event["handlers"]
        return str(event["event"])
