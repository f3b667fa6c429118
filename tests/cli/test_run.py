"""`dragoman run` and `dragoman check`, with real handlers on the embedded broker's real file."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import CONFIG, Run
from tests.cli.process import Running
from tests.guests.build import guest

Start = Callable[..., Running]

HANDLERS = """
import asyncio

async def copy(message, context):
    if message.data == b"bad":
        raise ValueError("no good: t0ps3cr3t")
    await context.publish("out", message)

async def slow(message, context):
    context.log.info("began")
    await asyncio.sleep(3600)
"""

CONFIGURED = """
[handlers.copy]
python = "app:copy"
client = "orders"
subscribe = ["in"]
publish = ["out"]
retry = { attempts = 2, backoff = "1ms" }
dead_letter = "dead"
"""

SLOW = """
[handlers.slow]
python = "app:slow"
client = "orders"
subscribe = ["in"]

[host]
grace = "100ms"
"""


@pytest.fixture
def folder(folder: Path) -> Path:
    """With handlers, and one of them configured."""
    folder.joinpath("app.py").write_text(HANDLERS)
    folder.joinpath("dragoman.toml").write_text(CONFIG + CONFIGURED)
    return folder


def test_ready_means_that_messages_are_handled(start: Start, dragoman: Run) -> None:
    """In a pipe every line is an event; counters come at the end, too."""
    running = start("run", "--interval", "50ms")
    assert running.event("ready")["handlers"] == ["copy"]
    dragoman("send", "orders", "in", stdin="1\nbad\n2\n")
    done = dragoman("tail", "orders", "out", "--from-start", "--count", "2")
    assert sorted(done.stdout.split()) == ["1", "2"]
    dragoman("tail", "orders", "dead", "--from-start", "--count", "1")
    running.signal(signal.SIGTERM)
    assert running.end() == 0
    events = running.events()
    assert [event["event"] for event in events if event["event"] not in ("log", "counters")] == [
        "ready",
        "draining",
        "stopped",
    ]
    last = [event for event in events if event["event"] == "counters"][-1]["handlers"]["copy"]
    assert {name: last[name] for name in ("received", "handled", "sent", "retried", "dead_lettered", "in_hand")} == {
        "received": 3,
        "handled": 2,
        "sent": 2,
        "retried": 1,
        "dead_lettered": 1,
        "in_hand": 0,
    }
    assert last["p50"] <= last["p99"]
    assert "no good" in last["last_error"]
    log = [event for event in events if event["event"] == "log"]
    assert any(event["handler"] == "copy" and event["level"] == "warning" for event in log)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_work_that_does_not_end_goes_back_with_code_3(
    start: Start, dragoman: Run, folder: Path, number: signal.Signals
) -> None:
    """After the grace; and it is there for the next one."""
    folder.joinpath("dragoman.toml").write_text(CONFIG + SLOW)
    dragoman("send", "orders", "in", "x")
    for _ in range(2):
        running = start("run")
        running.event("log", message="began")
        running.signal(number)
        assert running.end() == 3
        assert running.event("stopped")["code"] == 3


def test_a_second_signal_ends_it_at_once(start: Start, dragoman: Run, folder: Path) -> None:
    """With 130, however long the grace is."""
    folder.joinpath("dragoman.toml").write_text(CONFIG + SLOW.replace("100ms", "1h"))
    dragoman("send", "orders", "in", "x")
    running = start("run")
    running.event("log", message="began")
    running.signal(signal.SIGINT)
    running.event("draining", signal="SIGINT")
    running.signal(signal.SIGINT)
    assert running.end() == 130


def test_on_a_terminal_there_is_a_live_table(start: Start, dragoman: Run) -> None:
    """The log above, the counters below, and the cursor is back in the end."""
    running = start("run", terminal=True)
    running.until("ready: copy")
    dragoman("send", "orders", "in", stdin="1\nbad\n2\n")
    dragoman("tail", "orders", "dead", "--from-start", "--count", "1")
    running.until("ValueError: no good")
    running.signal(signal.SIGINT)
    assert running.end() == 0
    assert "p99 ms" in running.text
    assert "SIGINT: finishing what is in hand" in running.text
    assert running.text.count("\x1b[?25h") >= running.text.count("\x1b[?25l") >= 1


def test_a_component_is_checked_and_run(start: Start, dragoman: Run, folder: Path) -> None:
    """From the folder of the configuration, wherever the command is typed."""
    home = folder / "home"
    home.mkdir()
    shutil.copy(guest("upper"), home / "upper.wasm")
    home.joinpath("dragoman.toml").write_text(
        CONFIG.replace("orders]", "default]")
        + "[handlers.upper]\ncomponent = 'upper.wasm'\nclient = 'default'\nsubscribe = ['in']\npublish = ['*']\n"
    )
    here = ("-c", "home/dragoman.toml")
    assert dragoman("check", *here).stderr == "home/dragoman.toml: 1 client, 1 handler: no mistakes\n"
    running = start("run", *here)
    running.event("ready")
    dragoman("send", "default", "in", "abc", *here)
    assert dragoman("tail", "default", "out", "--from-start", "--count", "1", *here).stdout.startswith("ABC\n")
    running.signal(signal.SIGTERM)
    assert running.end() == 0
    assert home.joinpath("orders.db").exists()
    assert not folder.joinpath("orders.db").exists()


def test_a_host_that_hears_nothing_says_so(dragoman: Run, folder: Path) -> None:
    """Instead of ending as if all were done."""
    shutil.copy(guest("upper"), folder / "upper.wasm")
    folder.joinpath("dragoman.toml").write_text(CONFIG + "[handlers.u]\ncomponent = 'upper.wasm'\nclient = 'orders'\n")
    done = dragoman("run")
    assert done.returncode == 2
    told = "handlers.u.component: it hears nothing: it has no `subscribe`, and does not say what it wants"
    assert told in done.stderr


def test_without_colour_a_terminal_has_none(start: Start, dragoman: Run) -> None:
    """NO_COLOR is for the live table as well."""
    running = start("run", terminal=True, env={"NO_COLOR": "1"})
    running.until("p99 ms")
    running.signal(signal.SIGTERM)
    assert running.end() == 0
    assert "\x1b[31m" not in running.text
    assert "\x1b[32m" not in running.text


def test_a_secret_is_not_in_the_log(start: Start, dragoman: Run, folder: Path) -> None:
    """Not even if a handler puts it into an error."""
    folder.joinpath("dragoman.toml").write_text(
        CONFIG + CONFIGURED + "[handlers.copy.wasi]\nenvironment = { TOKEN = '${TOKEN}' }\n"
    )
    running = start("run", env={"TOKEN": "t0ps3cr3t"})
    running.event("ready")
    dragoman("send", "orders", "in", "bad")
    running.event("log", level="error")
    running.signal(signal.SIGTERM)
    assert running.end() == 0
    assert "no good: ${TOKEN}" in running.text
    assert "t0ps3cr3t" not in running.text


def test_a_configuration_without_handlers_has_nothing_to_run(dragoman: Run, folder: Path) -> None:
    """And says so, instead of waiting for nothing."""
    folder.joinpath("dragoman.toml").write_text(CONFIG)
    done = dragoman("run")
    assert done.returncode == 2
    assert "there is nothing to run (write a table [handlers.NAME])" in done.stderr


def test_a_host_that_can_not_start_says_why(dragoman: Run, folder: Path) -> None:
    """The same line as `check`."""
    folder.joinpath("dragoman.toml").write_text(CONFIG + CONFIGURED.replace("app:copy", "app:cpy"))
    done = dragoman("run")
    assert done.returncode == 2
    assert "handlers.copy.python" in done.stderr
    assert "did you mean" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_finds_everything_at_once(dragoman: Run, folder: Path) -> None:
    """Mistakes in the file, in functions and in components."""
    folder.joinpath("module.wasm").write_bytes(b"\0asm\x01\0\0\0")
    folder.joinpath("dragoman.toml").write_text(
        CONFIG
        + CONFIGURED.replace("app:copy", "app:cpy")
        + "[handlers.guest]\ncomponent = 'module.wasm'\nclient = 'orders'\n"
        + "[handlers.none]\ncomponent = 'none.wasm'\nclient = 'orders'\n[host]\ngrace = 'x'\n"
    )
    done = dragoman("check")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    keys = ["handlers.copy.python", "handlers.guest.component", "handlers.none.component", "host.grace"]
    assert [next((key for key in keys if f" {key}: " in line), line) for line in lines] == keys


def test_check_of_a_good_configuration_is_one_line(dragoman: Run, folder: Path) -> None:
    """It makes nothing: not even the broker's file."""
    done = dragoman("check")
    assert (done.returncode, done.stderr) == (0, "dragoman.toml: 1 client, 1 handler: no mistakes\n")
    assert not folder.joinpath("orders.db").exists()
    assert "every broker answers" in dragoman("check", "--connect").stderr


def test_check_says_which_broker_does_not_answer(dragoman: Run, folder: Path) -> None:
    """With 1, as the configuration itself has no mistake."""
    folder.joinpath("dragoman.toml").write_text(CONFIG + "[clients.far]\nadapter = 'embedded'\npath = 'no/x.db'\n")
    done = dragoman("check", "--connect")
    assert done.returncode == 1
    assert done.stderr.startswith("error: clients.far: ")
    assert len(done.stderr.splitlines()) == 1
