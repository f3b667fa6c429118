"""Runs a host until it ends or is asked to, and shows how it is doing."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Final

from dragoman.cli.signals import Stop
from dragoman.cli.view import View
from dragoman.config.model import Config
from dragoman.errors import DragomanError
from dragoman.host.host import Host
from dragoman.plugins import Plugins

DONE: Final = 0
RELEASED: Final = 3


async def serve(config: Config, plugins: Plugins, folder: Path, view: View) -> int:
    """Run the handlers; the exit code of the command.

    Raises:
        DragomanError: the host could not start, or could not go on.
    """
    stop = Stop(view.close)
    with stop.listening():
        try:
            stop.starting()
            async with Host(config, plugins=plugins, folder=folder) as host:
                stop.started()
                return await _Serving(host, config, view, stop).run()
        except asyncio.CancelledError:
            if stop.signal is None:
                raise
            view.event("stopped", f"{stop.signal} before the host was ready", code=DONE)
            return DONE
        except DragomanError as error:
            view.event("failed", str(error))
            raise


class _Serving:
    def __init__(self, host: Host, config: Config, view: View, stop: Stop) -> None:
        self._host = host
        self._config = config
        self._view = view
        self._stop = stop

    async def run(self) -> int:
        names = list(self._config.handlers)
        self._view.event("ready", f"ready: {', '.join(names)}", handlers=names)
        showing = asyncio.create_task(self._show())
        try:
            code = await self._until_the_end()
        finally:
            showing.cancel()
            with suppress(asyncio.CancelledError):
                await showing
            self._view.counters(self._host.counters)
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
        grace = self._config.host.grace
        text = f"{self._stop.signal}: finishing what is in hand, for {grace:g} s at most; once more ends it at once"
        self._view.event("draining", text, signal=self._stop.signal or "", grace=grace)
        return DONE if await self._host.drain(grace) else RELEASED

    async def _show(self) -> None:
        while True:
            self._view.counters(self._host.counters)
            await asyncio.sleep(self._view.interval)
