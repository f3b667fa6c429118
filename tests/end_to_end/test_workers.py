"""Workers on every broker: they share the messages, and one that is killed loses none."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import dragoman as library
from tests.cli.conftest import dragoman, start
from tests.cli.process import Running
from tests.end_to_end.test_run import COUNT, IN_HAND, _done, _orders, _send, _wait_for

__all__ = ["dragoman", "start"]

Start = Callable[..., Running]

#: What a client needs besides its URL so that what a dead worker held comes to another one soon.
QUICK: Mapping[str, Mapping[str, Any]] = {
    "kafka": {"create_topics": True, "session_timeout": "6s", "rebalance_timeout": "5s"},
    "rabbitmq": {},
    "mosquitto": {},
    "nats": {"ack_wait": "2s"},
}
HANDLER = """
import asyncio, os

async def work(message, context):
    with open(f"handled-{os.getpid()}", "ab") as file:
        file.write(message.data + b"\\n")
    await asyncio.sleep(0.005)
"""


def _pids(running: Running) -> list[int]:
    """Of both workers, which are ready."""
    while True:
        last = [event for event in running.events() if event["event"] == "counters"][-1:]
        ready = [one["pid"] for event in last for one in event["workers"] if one["ready"]]
        if len(ready) == 2:
            return ready
        running.more()


async def test_a_worker_killed_in_the_middle_loses_nothing(dragoman: Any, start: Start, folder: Path) -> None:
    """Killed with -9 among 2,000 messages through a component and a function: all are handled, and few come twice.

    Those that come twice were in the hands of the one that died. Another one takes its place.
    """
    running = start("run", "--workers", "2", "--interval", "50ms")
    running.event("ready")
    killed = _pids(running)[0]
    orders = _orders()
    await asyncio.to_thread(_send, dragoman, orders)
    await asyncio.to_thread(_wait_for, dragoman, "done", 200)
    os.kill(killed, signal.SIGKILL)
    found = await _done(folder, set(orders))
    ended = running.event("worker-ended")
    assert (ended["pid"], ended["code"]) == (killed, -signal.SIGKILL)
    while killed in _pids(running):
        running.more()
    running.signal(signal.SIGTERM)
    assert running.end() == 0
    assert found.keys() == set(orders)
    assert found.total() - COUNT <= 2 * IN_HAND


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", ["kafka", "rabbitmq", "mosquitto", "nats"])
async def test_workers_share_a_queue_of_every_broker(
    request: pytest.FixtureRequest, start: Start, name: str, tmp_path: Path
) -> None:
    """Both get some, each message is handled, and what one held that was killed with -9 is handled by another."""
    server = request.getfixturevalue(name)
    channel = f"workers-{uuid4().hex[:8]}"
    settings = {"url": server.url, "wait": "60s", **QUICK[name]}
    if name == "mosquitto":
        settings["client_id"] = channel
    client = "\n".join(f"{key} = {json.dumps(value)}" for key, value in settings.items())
    tmp_path.joinpath("app.py").write_text(HANDLER)
    tmp_path.joinpath("dragoman.toml").write_text(
        f"[clients.main]\n{client}\n[handlers.work]\npython = 'app:work'\nclient = 'main'\nsubscribe = ['{channel}']\n"
    )
    running = start("run", "--workers", "2", "--interval", "50ms")
    await asyncio.to_thread(running.event, "ready")
    pids = _pids(running)
    async with library.connect(settings) as sender:
        wanted = {f"{name} {number}" for number in range(400)}
        for text in sorted(wanted):
            await sender.publish(channel, text, key=text)
        while not all((tmp_path / f"handled-{pid}").exists() for pid in pids):
            await asyncio.to_thread(running.more)
        os.kill(pids[0], signal.SIGKILL)
    while wanted - (handled := _handled(tmp_path)).keys():
        await asyncio.to_thread(running.more)
    assert handled.keys() == wanted
    assert handled.total() - len(wanted) <= IN_HAND
    running.signal(signal.SIGTERM)
    assert await asyncio.to_thread(running.end) in (0, 3)


def _handled(folder: Path) -> Counter[str]:
    return Counter(line for file in folder.glob("handled-*") for line in file.read_text().splitlines())
