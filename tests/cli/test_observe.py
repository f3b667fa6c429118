"""A running host as Prometheus, an orchestrator and a person on call see it."""

from __future__ import annotations

import json
import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.conftest import CONFIG, Run
from tests.cli.process import Running

Start = Callable[..., Running]

APP = """
import asyncio

async def copy(message, context):
    if message.data == b"bad":
        raise ValueError("no good")
    await context.publish("out", message)

async def slow(message, context):
    context.log.info("began")
    await asyncio.Event().wait()
"""

CONFIGURED = """
[handlers.copy]
python = "app:copy"
client = "orders"
subscribe = ["in"]
publish = ["out"]
retry = { attempts = 2, backoff = "1ms" }
dead_letter = "dead"

[handlers.slow]
python = "app:slow"
client = "orders"
subscribe = ["endless"]
concurrency = 1

[host]
grace = "1h"

[observe]
address = "127.0.0.1:0"
"""


@pytest.fixture
def folder(folder: Path) -> Path:
    """With two handlers, and an address for whoever watches."""
    folder.joinpath("app.py").write_text(APP)
    folder.joinpath("dragoman.toml").write_text(CONFIG + CONFIGURED)
    return folder


def get(url: str) -> tuple[int, str]:
    """The status and the text."""
    try:
        with urllib.request.urlopen(url) as answer:  # noqa: S310 - an address of the test's own
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def value(url: str, name: str, **labels: str) -> float:
    """One value of the metrics."""
    status, text = get(f"{url}/metrics")
    assert status == 200
    (found,) = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return found


@pytest.mark.parametrize("workers", ["1", "2"])
def test_metrics_count_what_the_handlers_do(start: Start, dragoman: Run, workers: str) -> None:
    """The same numbers as the counters that `run` prints; of several workers they are added up."""
    running = start("run", "--interval", "1s", "--workers", workers)
    url = str(running.event("observing")["url"])
    running.event("ready")
    dragoman("send", "orders", "in", stdin="1\nbad\n2\n")
    dragoman("tail", "orders", "dead", "--from-start", "--count", "1")
    dragoman("tail", "orders", "out", "--from-start", "--count", "2")
    # What is answered is no older than the counters that are printed, and after these nothing more happens.
    running.counted("copy", handled=2, dead_lettered=1)
    assert value(url, "dragoman_messages_handled_total", handler="copy") == 2
    assert value(url, "dragoman_messages_sent_total", handler="copy") == 2
    assert value(url, "dragoman_messages_dead_lettered_total", handler="copy") == 1
    assert value(url, "dragoman_handling_seconds_count", handler="copy") == 2
    if workers == "2":
        assert [value(url, "dragoman_worker_ready", worker=number) for number in ("1", "2")] == [1, 1]
    running.signal(signal.SIGTERM)
    assert running.end() == 0


def test_ready_says_when_messages_are_handled(start: Start, dragoman: Run) -> None:
    """Not while it drains; and it lives all the time, with what it is doing."""
    running = start("run")
    url = str(running.event("observing")["url"])
    running.event("ready")
    assert get(f"{url}/ready")[0] == 200
    dragoman("send", "orders", "endless", "x")
    running.event("log", message="began")
    running.signal(signal.SIGTERM)
    running.event("draining")
    status, text = get(f"{url}/ready")
    assert (status, json.loads(text)["state"]) == (503, "draining")
    status, text = get(f"{url}/live")
    assert (status, json.loads(text)["state"]) == (200, "draining")


def test_what_waits_on_the_broker_is_counted(start: Start, dragoman: Run) -> None:
    """By the broker, where it knows: what the handler is not even told of yet."""
    dragoman("send", "orders", "endless", stdin="".join(f"{number}\n" for number in range(500)))
    running = start("run", "--interval", "500ms")
    url = str(running.event("observing")["url"])
    while (found := running.counted("slow", lag=1))["lag"] + found["in_hand"] != 500:
        running.more()  # it is asked for now and then
    assert value(url, "dragoman_lag", handler="slow", channel="endless") == found["lag"]


def test_an_address_that_is_taken_is_told_in_one_line(start: Start, dragoman: Run, folder: Path) -> None:
    """Before anything is handled, with 2 as any mistake of the configuration."""
    running = start("run")
    address = str(running.event("observing")["url"]).removeprefix("http://")
    running.event("ready")
    folder.joinpath("dragoman.toml").write_text(CONFIG + CONFIGURED.replace("127.0.0.1:0", address))
    done = dragoman("run")
    assert done.returncode == 2
    assert f"observe.address: can't listen on {address}: Address already in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_is_a_host_and_a_port(dragoman: Run, folder: Path) -> None:
    """Anything else is found by `check`."""
    folder.joinpath("dragoman.toml").write_text(CONFIG + CONFIGURED.replace("127.0.0.1:0", "9464"))
    done = dragoman("check")
    assert done.returncode == 2
    assert "observe.address" in done.stderr
    folder.joinpath("dragoman.toml").write_text(CONFIG + CONFIGURED.replace("127.0.0.1:0", "localhost:99999"))
    assert "observe.address" in dragoman("check").stderr
