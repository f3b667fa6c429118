"""Keeps worker processes running: starts them, starts them again when they die, and ends them together.

A worker is a process with a host of the whole configuration. The workers are members of the same groups, so their
brokers share the messages among them; of a topic without a group each worker gets all. What a worker had in hand when
it died goes back to its broker, as with any host.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, Self

from dragoman import errors
from dragoman.backoff import Backoff
from dragoman.errors import ConfigError, DragomanError, Problem
from dragoman.host.counters import Counters
from dragoman.host.workers.worker import Command, Worker

#: Seconds after which a worker that is ready has proved itself.
STEADY: Final = 10.0
#: How often in a row one may end before it has proved itself.
MOST_FAILURES: Final = 5
_BACKOFF: Final = Backoff(first=0.2, longest=30.0)
#: Seconds beyond the grace that a worker gets to end by itself.
_MARGIN: Final = 5.0
_DRAINED: Final = 0


class Watcher(Protocol):
    """Who is told what happens to the workers. `dragoman.cli.view.View` is one."""

    def log(self, record: logging.LogRecord) -> None:
        """A worker has logged or printed this; the record's `worker` is its number."""
        ...

    def event(self, name: str, text: str, **about: str | float | list[str]) -> None:
        """A worker was started again, or has ended."""
        ...


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A worker at one moment.

    Attributes:
        number: which one it is, the first being 1.
        pid: of its process.
        ready: whether all of its subscriptions are confirmed.
        restarts: how often it was started again.
        counters: what the handlers of this process have done.
    """

    number: int
    pid: int
    ready: bool
    restarts: int
    counters: Mapping[str, Counters]


def command(config_file: Path, *, log_level: str = "info") -> Command:
    """What starts a worker of that configuration."""

    def of(number: int, descriptor: int) -> Sequence[str]:
        about = [str(number), str(config_file), log_level, str(descriptor), str(os.getpid())]
        return [sys.executable, "-m", "dragoman.cli.worker", *about]

    return of


class Workers:
    """Runs a configuration in several processes.

        async with Workers(command(Path("dragoman.toml")), 4, handlers=["billing"], watcher=watcher) as workers:
            await workers.wait()

    Inside the block all of them are ready. Leaving it ends all of them. None outlives this process, however it ends.
    """

    def __init__(
        self, command: Command, count: int, *, handlers: Sequence[str], watcher: Watcher, grace: float = 10.0
    ) -> None:
        """Workers that are not running yet.

        Args:
            command: what starts one; see the function of that name.
            count: how many.
            handlers: the names of the configuration's handlers.
            watcher: who is told what happens.
            grace: seconds that a worker has to finish what is in hand when it is to end; its own `host.grace`.
        """
        self._command = command
        self._count = count
        self._handlers = tuple(handlers)
        self._watcher = watcher
        self._grace = grace
        self._workers: dict[int, Worker] = {}
        self._restarts = dict.fromkeys(range(1, count + 1), 0)
        self._past: dict[str, Counters] = {name: Counters() for name in handlers}
        self._keeping: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()
        self._complete = False
        self._stopping = asyncio.Event()
        self._broken: DragomanError | None = None
        self._stopped = 0
        self._codes: list[int] = []

    @property
    def counters(self) -> Mapping[str, Counters]:
        """What each handler has done, in all processes together. It never goes back when one of them dies.

        What a killed worker did in its last quarter of a second is not in it.
        """
        live = [worker.counters for worker in self._workers.values()]
        return {
            name: Counters.sum([past, *(found[name] for found in live if name in found)])
            for name, past in self._past.items()
        }

    @property
    def states(self) -> Sequence[WorkerState]:
        """Each worker that runs."""
        return [
            WorkerState(number, one.pid, one.ready_at is not None, self._restarts[number], one.counters)
            for number, one in sorted(self._workers.items())
        ]

    async def __aenter__(self) -> Self:
        self._keeping = [
            asyncio.create_task(self._keep(number), name=f"worker {number}") for number in range(1, self._count + 1)
        ]
        try:
            await self._ready()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def wait(self) -> None:
        """Wait until the workers can't go on, or were drained.

        Raises:
            DragomanError: one can't be kept running, or each has stopped by itself: what a host would raise for the
                same reason. The others were drained first.
        """
        # Not `gather`, which would end what it waits for when this is cancelled.
        done, _ = await asyncio.wait(self._keeping, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
        if self._broken is not None:
            raise self._broken

    async def drain(self, grace: float) -> bool:
        """Let every worker finish what is in hand, and end.

        Returns:
            True: everything in hand was finished and settled. False: some of it went back to its broker, or a worker
            had to be killed.
        """
        self._stop()
        if self._keeping:
            await asyncio.wait(self._keeping, timeout=grace + _MARGIN)
        await self.close()
        return all(code == _DRAINED for code in self._codes)

    async def close(self) -> None:
        """Let the workers end within their grace, and kill the rest. Idempotent; kills at once when cancelled."""
        self._stop()
        try:
            if self._keeping:
                await asyncio.wait(self._keeping, timeout=self._grace + _MARGIN)
        finally:
            for worker in self._workers.values():
                worker.kill()
            for task in self._keeping:
                task.cancel()
            await asyncio.gather(*self._keeping, return_exceptions=True)

    def _stop(self) -> None:
        self._stopping.set()
        for worker in self._workers.values():
            worker.drain("the supervisor ends")

    async def _ready(self) -> None:
        await self._changed.wait()
        if self._broken is not None:
            raise self._broken

    # One worker

    async def _keep(self, number: int) -> None:
        failures = 0
        while not self._stopping.is_set():
            worker = await self._run(number)
            if worker is None or self._stopping.is_set() or self._for_good(worker):
                return
            failures = self._failures(worker, failures)
            if failures >= MOST_FAILURES:
                what = f"worker {number} ended {failures} times in a row soon after its start, at last {worker.how}"
                self._break(DragomanError(what, hint="it is not started again, and the others were drained"))
                return
            pause = _BACKOFF.after(max(failures, 1))
            self._say_ended(worker, f"{worker.how}; another one starts in {pause:.2g} s")
            await self._pause(pause)
            self._restarts[number] += 1

    async def _run(self, number: int) -> Worker | None:
        """Start one and listen to it until it has ended; None where there is no process to be had."""
        try:
            worker = await Worker.start(number, self._command, self._watcher.log)
        except OSError as error:
            self._break(DragomanError(f"worker {number} can't be started: {error.strerror}"))
            return None
        self._workers[number] = worker
        if self._stopping.is_set():
            worker.drain("the supervisor ends")
        try:
            await worker.run(self._one_ready)
        finally:
            del self._workers[number]
            for name, counters in worker.counters.items():
                self._past[name] = Counters.sum([self._past.get(name, Counters()), counters.ended()])
            if self._stopping.is_set():
                self._codes.append(1 if worker.code is None else worker.code)
        return worker

    def _for_good(self, worker: Worker) -> bool:
        """Whether it is not to be started again, because of what it said."""
        if worker.failure is None:
            return False
        if not self._complete:  # a mistake, which the others would find as well
            self._break(_error(worker.failure))
            return True
        if worker.failure["stopped"]:  # by `exhausted = "stop"`, which another process would only do again
            self._say_ended(worker, worker.how)
            self._stopped += 1
            if self._stopped == self._count:
                self._break(_error(worker.failure))
            return True
        return False

    def _say_ended(self, worker: Worker, how: str) -> None:
        code = 0 if worker.code is None else worker.code
        text = f"worker {worker.number} ended: {how}"
        self._watcher.event("worker-ended", text, worker=worker.number, pid=worker.pid, code=code)

    def _failures(self, worker: Worker, failures: int) -> int:
        """How often it has failed in a row by now."""
        if worker.drained:  # somebody has sent it SIGTERM, to have another one
            return 0
        lived = 0.0 if worker.ready_at is None else asyncio.get_running_loop().time() - worker.ready_at
        return 1 if lived >= STEADY else failures + 1

    def _one_ready(self) -> None:
        if len(self._workers) == self._count and all(one.ready_at is not None for one in self._workers.values()):
            self._complete = True
            self._changed.set()

    def _break(self, error: DragomanError) -> None:
        """End all of them, for that reason."""
        if self._broken is None and not self._stopping.is_set():
            self._broken = error
        self._stop()
        self._changed.set()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()


def _error(failure: Mapping[str, Any]) -> DragomanError:
    """What a worker's host has raised."""
    kind, text = getattr(errors, str(failure["kind"]), DragomanError), str(failure["text"])
    if kind is ConfigError:
        return ConfigError([Problem("", "", line) for line in text.splitlines()])
    found: DragomanError = kind(text)
    return found
