"""How long `dragoman run` takes to be ready, and how much memory it has then.

One guest in WAT on the embedded broker; its code is compiled and cached before. Beside it, in turns: the same with a
Python function, which needs no engine, and Python itself starting and ending.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.guests.build import guest

from benchmarks.report import Figure, report

ROUNDS = 7
CONFIG = """
[clients.default]
adapter = "embedded"
path = "start.db"

[handlers.one]
{handler}
client = "default"
subscribe = ["in"]
publish = ["out"]

[host]
cache = "cache"
"""
FUNCTION = "async def handle(message, context):\n    await context.publish('out', message)\n"


def measure(folder: Path) -> tuple[float, float]:
    """Seconds from the start of the process to ready, and its resident memory in MB once it has handled a message."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "dragoman", "run", "--json", "--interval", "20ms", "--log-level", "error"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while json.loads(process.stdout.readline())["event"] != "ready":
            pass
        seconds = time.perf_counter() - began
        send = [sys.executable, "-m", "dragoman", "send", "default", "in", "hello"]
        subprocess.run(send, cwd=folder, check=True, stderr=subprocess.DEVNULL)
        while json.loads(process.stdout.readline()).get("handlers", {}).get("one", {}).get("handled") != 1:
            pass
        megabytes = _resident(process.pid)
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
    return seconds, megabytes


def _resident(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _bare() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - began


def _folder(root: Path, name: str, handler: str) -> Path:
    folder = root / name
    folder.mkdir()
    folder.joinpath("dragoman.toml").write_text(CONFIG.format(handler=handler))
    folder.joinpath("app.py").write_text(FUNCTION)
    return folder


def main() -> None:
    """Measure and print."""
    component: list[tuple[float, float]] = []
    function: list[tuple[float, float]] = []
    bare: list[float] = []
    with tempfile.TemporaryDirectory() as root:
        wat = _folder(Path(root), "wat", f'component = "{guest("upper")}"')
        python = _folder(Path(root), "python", 'python = "app:handle"')
        measure(wat), measure(python)  # compiles and caches
        for _ in range(ROUNDS):
            component.append(measure(wat))
            function.append(measure(python))
            bare.append(_bare())
    report(
        "start",
        [
            Figure("python -c pass", median(bare), "s"),
            Figure("start to ready, a Python function", median(seconds for seconds, _ in function), "s"),
            Figure("start to ready, a WAT guest", median(seconds for seconds, _ in component), "s", target="<= 0.5"),
            Figure("memory, a Python function", median(size for _, size in function), "MB"),
            Figure("memory, a WAT guest", median(size for _, size in component), "MB", target="<= 90"),
        ],
    )


if __name__ == "__main__":
    main()
