"""Runs a host until it ends or is asked to, and shows how it is doing."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Final, Protocol, Self

from dragoman.cli.signals import Stop
from dragoman.cli.view import View
from dragoman.config.model import Config
from dragoman.errors import DragomanError
from dragoman.host.counters import Counters
from dragoman.host.workers.supervisor import Workers, WorkerState
from dragoman.observe.health import Health
from dragoman.observe.observing import observed

DONE: Final = 0
RELEASED: Final = 3


class Served(Protocol):
    """What runs handlers: a `Host`, or `Workers`."""

    @property
    def counters(self) -> Mapping[str, Counters]:
        """What each handler has done."""
        ...

    async def __aenter__(self) -> Self:
        """Start; returns when every subscription is confirmed."""
        ...

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        ...

    async def wait(self) -> None:
        """Wait until it can't go on."""
        ...

    async def drain(self, grace: float) -> bool:
        """Finish what is in hand; whether all of it was."""
        ...


async def serve(host: Served, config: Config, view: View, asked: Callable[[Stop], None] | None = None) -> int:
    """Run the handlers; the exit code of the command. `asked` gets what ends it as a signal would.

    Raises:
        DragomanError: the host could not start, or could not go on.
    """
    stop = Stop(view.close)
    if asked is not None:
        asked(stop)
    with stop.listening():
        try:
            stop.starting()
            async with _observed(host, config, view) as health, host:
                stop.started()
                # What is here by now stays: looking through it for garbage, again and again, takes 30 ms each time.
                gc.collect()
                gc.freeze()
                return await _Serving(host, config, view, stop, health).run()
        except asyncio.CancelledError:
            if stop.signal is None:
                raise
            view.event("stopped", f"{stop.signal} before the host was ready", code=DONE)
            return DONE
        except DragomanError as error:
            view.event("failed", str(error))
            raise


def _observed(host: Served, config: Config, view: View) -> AbstractAsyncContextManager[Health]:
    return observed(
        config.observe,
        lambda: host.counters,
        lambda: _workers(host),
        lambda url: view.event("observing", f"metrics and health: {url}/metrics, /live, /ready", url=url),
    )


def _workers(host: Served) -> Sequence[WorkerState]:
    return host.states if isinstance(host, Workers) else ()


class _Serving:
    def __init__(self, host: Served, config: Config, view: View, stop: Stop, health: Health) -> None:
        self._host = host
        self._health = health
        self._config = config
        self._view = view
        self._stop = stop

    async def run(self) -> int:
        names = list(self._config.handlers)
        workers = len(_workers(self._host))
        about: dict[str, float] = {"workers": workers} if workers else {}
        several = f", in {workers} workers" if workers else ""
        self._view.event("ready", f"ready: {', '.join(names)}{several}", handlers=names, **about)
        self._health.state = "ready"
        showing = asyncio.create_task(self._show())
        try:
            code = await self._until_the_end()
        finally:
            showing.cancel()
            with suppress(asyncio.CancelledError):
                await showing
            self._view.counters(self._host.counters, _workers(self._host))
        how = "everything in hand was finished" if code == DONE else "some of what was in hand went back to its broker"
        self._view.event("stopped", f"stopped: {how}", code=code)
        return code

    async def _until_the_end(self) -> int:
        ended = asyncio.create_task(self._host.wait())
        asked = asyncio.create_task(self._stop.asked.wait())
        try:
            await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                return await self._drain()
            ended.result()
            raise DragomanError("no handler hears anything", hint="give a handler a channel in `subscribe`")
        finally:
            for task in (ended, asked):
                task.cancel()
            await asyncio.gather(ended, asked, return_exceptions=True)

    async def _drain(self) -> int:
        self._health.state = "draining"
        grace = self._config.host.grace
        text = f"{self._stop.signal}: finishing what is in hand, for {grace:g} s at most; once more ends it at once"
        self._view.event("draining", text, signal=self._stop.signal or "", grace=grace)
        return DONE if await self._host.drain(grace) else RELEASED

    async def _show(self) -> None:
        while True:
            self._view.counters(self._host.counters, _workers(self._host))
            await asyncio.sleep(self._view.interval)
