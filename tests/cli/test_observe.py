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
    running = start("run", "--interval", "50ms", "--workers", workers)
    url = str(running.event("observing")["url"])
    running.event("ready")
    dragoman("send", "orders", "in", stdin="1\nbad\n2\n")
    dragoman("tail", "orders", "dead", "--from-start", "--count", "1")
    dragoman("tail", "orders", "out", "--from-start", "--count", "2")
    # What is shown is no older than the counters that are printed, and after these nothing more happens.
    while [e for e in running.events() if e["event"] == "counters"][-1]["handlers"]["copy"]["dead_lettered"] < 1:
        running.event("counters")
        running.until(f"{len([e for e in running.events() if e['event'] == 'counters'])}") if False else running._more()
    assert value(url, "dragoman_messages_handled_total", handler="copy") == 2
    assert value(url, "dragoman_messages_sent_total", handler="copy") == 2
    assert value(url, "dragoman_messages_dead_lettered_total", handler="copy") == 1
    assert value(url, "dragoman_handling_seconds_count", handler="copy") == 2
    if workers == "2":
        assert [value(url, "dragoman_worker_ready", worker=number) for number in ("1", "2")] == [1, 1]
    running.signal(signal.SIGTERM)
    assert running.end() == 0
