"""Whatever a handler raises or ignores: its message is safe, and the others go on."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from dragoman.handlers.handler import Context
from dragoman.message import Message
from tests.dictionary.broker import Broker
from tests.host.running import put, running, until

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("bad\norder"), "ValueError: bad order"),
        (ValueError(), "ValueError"),
        (SystemExit(3), "SystemExit: 3"),
        (GeneratorExit(), "GeneratorExit"),
        (asyncio.CancelledError(), "it cancelled itself"),
        (StopIteration(), "RuntimeError: coroutine raised StopIteration"),
        (TimeoutError(), "TimeoutError"),
        (BaseException("base"), "BaseException: base"),
    ],
)
async def test_whatever_is_raised_is_a_failure_of_that_message(error: BaseException, reason: str) -> None:
    """The host goes on with the next one."""
    broker = Broker()
    put(broker, b"bad", b"good", key="k")

    async def work(message: Message, context: Context) -> None:
        if message.data == b"bad":
            raise error

    async with running(broker, work, retry={"attempts": 1}, dead_letter="dead") as host:
        await until(lambda: len(broker.accepted("in")) == 2)
        assert (host.counters["work"].handled, host.counters["work"].dead_lettered) == (1, 1)
    assert broker.messages("dead")[0].get("dragoman-reason") == reason


async def test_a_handler_that_swallows_its_deadline_is_still_too_late() -> None:
    """Returning as if nothing had been is a failure."""
    broker = Broker()
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            return

    async with running(broker, work, deadline="20ms", retry={"attempts": 1}, exhausted="drop") as host:
        await until(lambda: host.counters["work"].dropped == 1)
        assert host.counters["work"].last_error == "it took longer than its deadline of 0.02 s"


async def test_a_handler_that_goes_on_is_cancelled_again_and_keeps_its_place(caplog: pytest.LogCaptureFixture) -> None:
    """Its lane and its place stay taken, so that nothing overtakes it and no more run than may; others go on."""
    broker, swallowed, seen = Broker(), 0, []
    put(broker, b"stuck", b"behind", key="a")
    put(broker, *(str(number).encode() for number in range(20)), key="b")

    async def work(message: Message, context: Context) -> None:
        nonlocal swallowed
        if message.data != b"stuck" or swallowed >= 2:
            seen.append(message.data)
            return
        while swallowed < 2:
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                swallowed += 1

    settings = {"deadline": "50ms", "concurrency": 2, "retry": {"attempts": 2, "backoff": "1ms"}}
    async with running(broker, work, **settings):
        await until(lambda: len(seen) == 20)
        assert b"behind" not in seen
        await until(lambda: len(broker.accepted("in")) == 22)
    assert seen[20:] == [b"stuck", b"behind"]
    assert swallowed == 2
    assert "goes on in spite of its cancellation" in caplog.text


async def test_a_handler_may_use_timeouts_of_its_own() -> None:
    """Its own cancellation is not the host's."""
    broker = Broker()
    put(broker, b"1")

    async def work(message: Message, context: Context) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.sleep(30)

    async with running(broker, work):
        await until(lambda: broker.accepted("in"))


SCRIPT = """
import asyncio
from tests.dictionary.broker import Broker
from tests.host.running import put, running

broker = Broker()

async def work(message, context):
    if message.data == b"1":
        raise KeyboardInterrupt
    await asyncio.sleep(30)

async def main():
    put(broker, b"0", b"1", b"2")
    async with running(broker, work) as host:
        await host.wait()

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted", broker.left("in", "work"), broker.settled and "settled", len(broker.connections))
"""


def test_ctrl_c_in_a_handler_ends_the_host_and_gives_everything_back() -> None:
    """It is the user's, not the handler's."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.startswith("interrupted [b'0', b'1', b'2']")
    assert done.stdout.strip().endswith(" 0")
    assert done.stderr == ""
