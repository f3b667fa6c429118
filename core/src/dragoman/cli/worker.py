"""A worker of `dragoman run --workers`: a host that reports to its supervisor, and never outlives it.

No command of the command line: `dragoman.host.workers.supervisor.command` says how it is started.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Final

from dragoman.cli.logs import logged
from dragoman.cli.serving import serve
from dragoman.cli.signals import Stop
from dragoman.config.load import load
from dragoman.config.model import Config, ObserveConfig
from dragoman.errors import ComponentError, ConfigError, DragomanError, HandlerFailed, PluginError
from dragoman.host.host import Host
from dragoman.host.workers.reports import ABANDONED, Reports
from dragoman.observe import traces
from dragoman.plugins import load_plugins

#: From <linux/prctl.h>.
_PR_SET_PDEATHSIG: Final = 1
_FAILED: Final = 1
_MISUSED: Final = 2


def main(config_file: Path, log_level: str, descriptor: int, supervisor: int) -> int:
    """Run the configuration's handlers until the supervisor says otherwise; the exit code."""
    os.set_inheritable(descriptor, False)
    _die_with(supervisor)
    reports = Reports(socket.socket(fileno=descriptor))
    try:
        config = load(config_file, plugins := load_plugins())
        traces.configure(config.observe.traces)
        # Whoever watches asks the supervisor.
        config = config.model_copy(update={"observe": ObserveConfig(traces=config.observe.traces)})
        host = Host(config, plugins=plugins, folder=config_file.absolute().parent)
        with logged(reports, log_level):
            return asyncio.run(_serve(host, config, reports))
    except DragomanError as error:
        misused = isinstance(error, ConfigError | PluginError | ComponentError)
        code = _MISUSED if misused else _FAILED
        kind, stopped = type(error).__name__, isinstance(error, HandlerFailed)
        reports.report("failure", text=str(error), kind=kind, stopped=stopped)
        return code


async def _serve(host: Host, config: Config, reports: Reports) -> int:
    loop = asyncio.get_running_loop()

    def listen(stop: Stop) -> None:
        def drain(why: str) -> None:
            loop.call_soon_threadsafe(stop.ask, why)

        reports.listen(drain)

    return await serve(host, config, reports, listen)


def _die_with(supervisor: int) -> None:
    """Ask the system to kill us when the supervisor dies, where it can: a host that is stuck must not outlive it."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:  # it has died already
        sys.exit(ABANDONED)


if __name__ == "__main__":
    _number, _file, _level, _descriptor, _supervisor = sys.argv[1:]
    sys.exit(main(Path(_file), _level, int(_descriptor), int(_supervisor)))
