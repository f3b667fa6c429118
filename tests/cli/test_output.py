"""What a host prints while nobody reads it, and while its handlers fail thousands of times a second."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest

import dragoman as dragoman_library
from dragoman.cli.floods import Floods
from dragoman.cli.writer import Writer
from tests.cli.conftest import CONFIG
from tests.cli.process import Running
from tests.killed import answers

HANDLERS = """
async def talks(message, context):
    context.log.info("x" * 2000)
    await context.publish("out", message.data)

async def fails(message, context):
    {"KeyError": {}, "ValueError": int}[message.data.decode()]("no number")
"""
TALKS = """
[handlers.talks]
python = "app:talks"
client = "orders"
subscribe = ["in"]
publish = ["out"]
"""
FAILS = """
[handlers.fails]
python = "app:fails"
client = "orders"
subscribe = ["in"]
retry = { attempts = 1 }
exhausted = "drop"
"""


def _written(folder: Path, handlers: str) -> None:
    folder.joinpath("app.py").write_text(HANDLERS)
    folder.joinpath("dragoman.toml").write_text(CONFIG + handlers)


async def _publish(folder: Path, *bodies: str) -> None:
    async with dragoman_library.connect(folder / "dragoman.toml") as client:
        await client.publish("in", *bodies)


async def _answered(folder: Path, count: int) -> Counter[str]:
    async with dragoman_library.connect(folder / "dragoman.toml") as client:
        return await answers(client, "out", count)


def test_a_pipe_that_nobody_reads_holds_up_no_message_and_no_end(folder: Path) -> None:
    """A megabyte of log, of which a pipe takes a sixteenth: all is handled, and SIGTERM ends the process as ever."""
    _written(folder, TALKS)
    bodies = [str(number) for number in range(500)]
    asyncio.run(_publish(folder, *bodies))
    reading, writing = os.pipe()
    process = subprocess.Popen([sys.executable, "-m", "dragoman", "run"], cwd=folder, stdout=writing)
    os.close(writing)
    try:
        assert asyncio.run(_answered(folder, 500)) == Counter(bodies)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        with os.fdopen(reading, "rb") as rest:
            lines = rest.read().splitlines()
        assert json.loads(lines[0])["event"] == "ready"
        assert len(lines) < 500, "the rest was never written"
    finally:
        process.kill()
        process.wait()


def test_what_does_not_fit_is_counted_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """When there is room again; what was written before comes first, as it was."""
    reading, standard = _pipe(monkeypatch)
    writer = Writer(lambda count: f"{count} left out\n", most=200_000)
    line = "x" * 999 + "\n"
    for _ in range(1_000):
        writer.write(line)
    text = b""
    while b"left out" not in text:
        text += os.read(reading, 65_536)
    lines = text.decode().splitlines()
    assert set(lines[:-1]) == {line.strip()}
    assert len(lines) - 1 + int(lines[-1].split()[0]) == 1_000
    assert 200 <= len(lines) - 1 < 400
    writer.write("after\n")
    writer.close()
    assert os.read(reading, 100) == b"after\n"
    os.close(reading)
    standard.close()


def _pipe(monkeypatch: pytest.MonkeyPatch) -> tuple[int, IO[str]]:
    """Standard output leads there; the end to read from, and the other one."""
    reading, writing = os.pipe()
    standard = os.fdopen(writing, "w")
    monkeypatch.setattr(sys, "stdout", standard)
    return reading, standard


def test_a_reader_that_is_gone_is_told_to_the_next_one_who_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As without a thread."""
    reading, standard = _pipe(monkeypatch)
    writer = Writer(str)
    os.close(reading)
    writer.write("x\n")
    writer._thread.join(10)
    with pytest.raises(BrokenPipeError):
        writer.write("y\n")
    writer.close()
    standard.close()


def test_failures_by_the_thousand_are_counted_not_listed(start: Callable[..., Running], folder: Path) -> None:
    """A few lines of each kind of error each second, and how many more; the counters have all of them."""
    _written(folder, FAILS)
    running = start("run", "--interval", "100ms")
    running.event("ready")
    asyncio.run(_publish(folder, *["KeyError", "ValueError"] * 1_500))
    running.counted("fails", dropped=3_000)
    running.signal(signal.SIGTERM)
    assert running.end() == 0
    lines = [one for one in running.events() if one["event"] == "log" and one.get("handler") == "fails"]
    more = [one for one in lines if "more" in one]
    assert len(lines) < 500
    assert sum(int(one["more"]) for one in more) + len(lines) - len(more) == 3_000
    for kind in ("TypeError", "ValueError"):
        assert any(kind in one["message"] and "more like this" in one["message"] for one in more)
        assert any(kind in one["message"] and "attempt" in one for one in lines if one not in more)


def _record(handler: str, reason: str, **extra: Any) -> logging.LogRecord:
    about = {"name": "dragoman.host", "levelno": logging.WARNING, "levelname": "WARNING", "msg": "failed: %s"}
    return logging.makeLogRecord({**about, "args": (reason,), "handler": handler, "attempt": 1, **extra})


def test_kinds_are_told_apart_within_a_bound() -> None:
    """By handler and the beginning of the reason; other lines of the log pass as they are."""
    shown: list[logging.LogRecord] = []
    floods = Floods(shown.append)
    for number in range(20):
        floods.log(_record("a", f"KeyError: {number}"))
        floods.log(_record("b", f"KeyError: {number}"))
        floods.log(_record("a", f"the guest says {number}"))
        floods.log(logging.makeLogRecord({"name": "dragoman.host", "msg": "something else"}))
    floods.close()
    found = Counter((getattr(one, "handler", None), hasattr(one, "more")) for one in shown)
    assert found == {("a", False): 25, ("b", False): 5, ("a", True): 1, ("b", True): 1, (None, False): 20}
    for number in range(10_000):
        floods.log(_record("a", f"kind {number}: x"))
    assert len(floods._kinds) <= 1_001
