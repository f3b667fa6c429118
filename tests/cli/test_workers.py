"""`dragoman run --workers`: real processes on the embedded broker's real file, killed, drained and counted."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import CONFIG, Run
from tests.cli.process import Running

Start = Callable[..., Running]

HANDLERS = """
import asyncio, os, time

async def copy(message, context):
    await context.publish("out", message.data + b" " + str(os.getpid()).encode())

async def stuck(message, context):
    context.log.info("stuck")
    time.sleep(3600)

async def slow(message, context):
    context.log.info("began")
    await asyncio.sleep(3600)

async def dies(message, context):
    print("about to die")
    os._exit(7)

async def fails(message, context):
    raise ValueError("no good")
"""


def _configured(handler: str, more: str = "", subscribe: str = "in") -> str:
    table = f"[handlers.work]\npython = 'app:{handler}'\nclient = 'orders'\nsubscribe = ['{subscribe}']\n"
    return CONFIG + table + "publish = ['*']\n" + more


@pytest.fixture
def folder(folder: Path) -> Path:
    """With handlers, one of them configured."""
    folder.joinpath("app.py").write_text(HANDLERS)
    folder.joinpath("dragoman.toml").write_text(_configured("copy"))
    return folder


def _pids(running: Running, count: int = 2) -> list[int]:
    """The workers that are ready, as soon as so many are."""
    while True:
        counters = [event for event in running.events() if event["event"] == "counters"]
        ready = [one["pid"] for one in (counters[-1].get("workers", []) if counters else []) if one["ready"]]
        if len(ready) == count:
            return ready
        running.more()


def _gone(pid: int) -> bool:
    """Whether that process has ended; also when nobody has asked for its exit code yet."""
    try:
        return " Z " in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True


def _until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 30
    while not all(map(_gone, pids)):
        assert time.monotonic() < deadline, pids
        time.sleep(0.01)


def test_workers_share_a_queue_and_all_of_them_hear_a_topic(start: Start, dragoman: Run, folder: Path) -> None:
    """`ready` comes once, when all are; counters are of all together, and of each."""
    folder.joinpath("dragoman.toml").write_text(_configured("copy") + "[host]\nworkers = 2\n")
    running = start("run", "--interval", "50ms")
    assert running.event("ready")["workers"] == 2
    assert len([event for event in running.events() if event["event"] == "ready"]) == 1
    pids = _pids(running)
    assert len(set(pids)) == 2
    dragoman("send", "orders", "in", stdin="".join(f"{number}\n" for number in range(500)))
    done = dragoman("tail", "orders", "out", "--from-start", "--count", "500").stdout.split("\n")
    pairs = [line.split() for line in done if line and line[0].isdigit()]
    assert sorted(int(number) for number, _ in pairs) == list(range(500))
    running.signal(signal.SIGTERM)
    assert running.end() == 0
    last = [event for event in running.events() if event["event"] == "counters"][-1]
    assert (last["handlers"]["work"]["handled"], last["handlers"]["work"]["in_hand"]) == (500, 0)
    _until_gone(pids)

    folder.joinpath("dragoman.toml").write_text(_configured("copy", subscribe="topic:news"))
    running = start("run", "--workers", "2", "--interval", "50ms")
    running.event("ready")
    pids = _pids(running)
    dragoman("send", "orders", "topic:news", "x", "--count", "1")
    done = dragoman("tail", "orders", "out", "--from-start", "--count", "502").stdout.split("\n")
    assert sorted(int(line.split()[1]) for line in done if line.startswith("x ")) == sorted(pids)
    running.signal(signal.SIGINT)
    assert running.end() == 0


def test_a_worker_that_is_told_to_end_is_replaced(start: Start, folder: Path) -> None:
    """By a SIGTERM of its own it drains, and that is no failure; the others work on."""
    running = start("run", "--workers", "2", "--interval", "50ms")
    running.event("ready")
    first, second = _pids(running)
    os.kill(first, signal.SIGTERM)
    ended = running.event("worker-ended")
    assert (ended["pid"], ended["code"]) == (first, 0)
    while first in (now := _pids(running)):
        running.more()
    assert second in now
    running.signal(signal.SIGTERM)
    assert running.end() == 0


@pytest.mark.parametrize("handler", ["stuck", "slow"])
def test_no_worker_outlives_its_supervisor(start: Start, dragoman: Run, folder: Path, handler: str) -> None:
    """Not even one that is stuck in a call that blocks, when the supervisor is killed with -9."""
    folder.joinpath("dragoman.toml").write_text(_configured(handler))
    running = start("run", "--workers", "2", "--interval", "50ms")
    running.event("ready")
    pids = _pids(running)
    dragoman("send", "orders", "in", "x")
    running.event("log", message="stuck" if handler == "stuck" else "began")
    running.signal(signal.SIGKILL)
    _until_gone(pids)


def test_a_second_signal_ends_all_of_them_at_once(start: Start, dragoman: Run, folder: Path) -> None:
    """With 130, however long the grace is."""
    folder.joinpath("dragoman.toml").write_text(_configured("slow", "[host]\ngrace = '1h'\n"))
    running = start("run", "--workers", "2", "--interval", "50ms")
    running.event("ready")
    pids = _pids(running)
    dragoman("send", "orders", "in", "x")
    running.event("log", message="began")
    running.signal(signal.SIGINT)
    running.event("draining")
    running.signal(signal.SIGINT)
    assert running.end() == 130
    _until_gone(pids)


def test_what_a_worker_can_not_finish_goes_back_with_code_3(start: Start, dragoman: Run, folder: Path) -> None:
    """After the grace, as without workers; and the next ones get it."""
    folder.joinpath("dragoman.toml").write_text(_configured("slow", "[host]\ngrace = '100ms'\n"))
    dragoman("send", "orders", "in", "x")
    for _ in range(2):
        running = start("run", "--workers", "2")
        running.event("log", message="began")
        running.event("ready")
        running.signal(signal.SIGTERM)
        assert running.end() == 3


def test_a_crash_loop_is_reported_and_ends_with_1(start: Start, dragoman: Run, folder: Path) -> None:
    """A message that kills whoever handles it: each is started again with growing pauses, but not for ever."""
    folder.joinpath("dragoman.toml").write_text(_configured("dies"))
    running = start("run", "--workers", "2")
    running.event("ready")
    dragoman("send", "orders", "in", "poison")
    assert running.end() == 1
    ends = [event for event in running.events() if event["event"] == "worker-ended"]
    assert 4 <= len(ends) <= 8
    assert all(event["code"] == 7 for event in ends)
    assert "ended 5 times in a row soon after its start, at last exit code 7" in running.text
    assert any(event.get("message") == "about to die" for event in running.events()), "what it printed is in the log"


def test_a_mistake_ends_all_at_once_with_2(dragoman: Run, folder: Path) -> None:
    """It is said once, as without workers, and nothing is started again."""
    folder.joinpath("dragoman.toml").write_text(_configured("cpy"))
    done = dragoman("run", "--workers", "3")
    assert done.returncode == 2
    assert done.stderr.count("handlers.work.python") == 1
    assert "did you mean 'copy'" in done.stderr
    assert "worker-ended" not in done.stdout


def test_a_handler_that_is_to_stop_stops_in_every_worker(start: Start, dragoman: Run, folder: Path) -> None:
    """`exhausted = "stop"`: no process is started again for it; the end has its reason, and the message is kept."""
    folder.joinpath("dragoman.toml").write_text(_configured("fails", "retry = { attempts = 1 }\nexhausted = 'stop'\n"))
    running = start("run", "--workers", "2")
    running.event("ready")
    dragoman("send", "orders", "in", "x")
    assert running.end() == 1
    assert " times, at last with: ValueError: no good" in running.event("failed")["message"]
    stopped = [event for event in running.events() if event["event"] == "worker-ended"]
    assert {event["worker"] for event in stopped} == {1, 2}


def test_on_a_terminal_the_table_is_of_all_workers(start: Start, dragoman: Run) -> None:
    """And says how many are at work."""
    running = start("run", "--workers", "2", terminal=True)
    running.until("ready: work, in 2 workers")
    running.until("2 of 2 workers at work")
    running.signal(signal.SIGINT)
    assert running.end() == 0
