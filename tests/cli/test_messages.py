"""`send`, `tail` and `request`, on the embedded broker's real file."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dragoman.cli.bodies import _lines
from dragoman.config.model import ClientConfig
from dragoman.opening import connect
from tests.cli.conftest import Run
from tests.cli.process import Running

Start = Callable[..., Running]


def _sent(dragoman: Run, channel: str, count: int) -> list[dict[str, Any]]:
    done = dragoman("tail", "orders", channel, "--from-start", "--json", "--count", str(count))
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_an_argument_is_a_message(dragoman: Run) -> None:
    """With its metadata, key and content type."""
    done = dragoman(
        "send", "orders", "a", "zwölf", "--meta", "x=1", "--meta", "x=2=3", "--key", "k", "--content-type", "text/plain"
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "1 message confirmed on a\n"
    (message,) = _sent(dragoman, "a", 1)
    assert message["data"] == "zwölf"
    assert message["content_type"] == "text/plain"
    assert message["metadata"] == [["x", "1"], ["x", "2=3"], ["key", "k"]]


def test_a_file_is_a_message_as_often_as_wanted(dragoman: Run, folder: Path) -> None:
    """All of its bytes, whatever they are."""
    folder.joinpath("body").write_bytes(b"\xff\x00\n\x01")
    assert "250 messages confirmed" in dragoman("send", "orders", "a", "--file", "body", "--count", "250").stderr
    found = _sent(dragoman, "a", 250)
    assert {base64.b64decode(message["data_base64"]) for message in found} == {b"\xff\x00\n\x01"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\ntwo", ["one", "two"]),
        (b"\n\nthree\n", ["", "", "three"]),
        (b"one\r\n", ["one\r"]),
    ],
)
def test_each_line_is_a_message(dragoman: Run, text: bytes, expected: list[str]) -> None:
    """An empty one too; an end of line at the end begins no further one."""
    assert dragoman("send", "orders", "a", stdin=text).returncode == 0
    assert [message["data"] for message in _sent(dragoman, "a", len(expected))] == expected


def test_many_lines_all_arrive_in_their_order(dragoman: Run) -> None:
    """More than one batch, and more than one piece of input."""
    lines = [f"line {number} {'x' * (number % 50)}" for number in range(5000)]
    done = dragoman("send", "orders", "a", stdin="\n".join(lines))
    assert "5,000 messages confirmed on a" in done.stderr
    assert [message["data"] for message in _sent(dragoman, "a", 5000)] == lines


def test_no_more_lines_than_wanted(dragoman: Run) -> None:
    """`--count` bounds what is read."""
    assert "2 messages confirmed" in dragoman("send", "orders", "a", "--count", "2", stdin="1\n2\n3\n").stderr
    assert dragoman("send", "orders", "a", stdin="").stderr == "0 messages confirmed on a\n"


def test_an_empty_input_sends_nothing(dragoman: Run) -> None:
    """And that is no error."""
    done = dragoman("send", "orders", "a")
    assert (done.returncode, done.stderr) == (0, "0 messages confirmed on a\n")


async def test_lines_are_found_wherever_the_input_is_cut() -> None:
    """Pieces as a pipe gives them."""

    async def pieces(text: bytes, size: int) -> Any:
        for start in range(0, len(text), size):
            yield text[start : start + size]

    text = b"a\n\nbcd\nefghij\nk"
    for size in range(1, len(text) + 1):
        assert [line async for lines in _lines(pieces(text, size)) for line in lines] == text.split(b"\n")


def test_a_rate_is_kept(dragoman: Run) -> None:
    """The ninth of nine messages at twenty a second is sent no sooner than 0.4 s after the first."""
    import time

    began = time.monotonic()
    done = dragoman("send", "orders", "a", "x", "--count", "9", "--rate", "20")
    assert time.monotonic() - began >= 0.4
    assert "9 messages confirmed on a" in done.stderr


def test_ctrl_c_says_how_many_were_confirmed(start: Start, dragoman: Run) -> None:
    """And exactly those are there."""
    running = start("send", "orders", "a", "x", "--count", "1000000", "--rate", "50")
    tail = start("tail", "orders", "a", "--from-start", "--count", "3")
    assert tail.end() == 0
    running.signal(signal.SIGINT)
    assert running.end() == 130
    line = running.text.splitlines()[-1]
    assert line.startswith("stopped: ")
    confirmed = int(line.split()[1].replace(",", ""))
    assert confirmed >= 3
    # One more may have been under way, whose confirmation did not come any more.
    more = _sent(dragoman, "a", confirmed)
    assert len(more) == confirmed


def test_ctrl_c_ends_a_wait_for_input(folder: Path) -> None:
    """A read that never returns does not keep the command alive."""
    process = subprocess.Popen(
        [sys.executable, "-m", "dragoman", "send", "orders", "a"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin
    assert process.stderr
    process.stdin.write(b"one\n")
    process.stdin.flush()
    tail = subprocess.run(
        [sys.executable, "-m", "dragoman", "tail", "orders", "a", "--from-start", "--count", "1"],
        cwd=folder,
        capture_output=True,
        timeout=30,
        check=True,
    )
    assert tail.stdout == b"one\n"  # a line is sent when it comes, not when there are a hundred
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert process.stderr.read().startswith(b"stopped: 1 message confirmed on a")
    process.stdin.close()
    process.stderr.close()


def test_progress_is_shown_on_a_terminal(start: Start) -> None:
    """For what takes longer than a moment."""
    running = start("send", "orders", "a", "x", "--count", "60", "--rate", "40", terminal=True)
    assert running.end() == 0
    assert "sent" in running.text
    assert "60 messages confirmed on a in 1." in running.text


def test_tail_takes_nothing_away(dragoman: Run, start: Start, folder: Path) -> None:
    """A group gets every message, those that were shown too."""
    tail = start("tail", "orders", "a", "--count", "3")
    tail.until("listening to a on orders")
    dragoman("send", "orders", "a", stdin="1\n2\n3\n")
    assert tail.end() == 0
    assert tail.text.splitlines()[1:] == ["1", "2", "3"]

    async def receive() -> list[bytes]:
        found: list[bytes] = []
        url = ClientConfig.model_validate({"url": f"embedded:{folder / 'orders.db'}"})
        async with connect(url) as client, client.subscribe("a", group="g") as subscription:
            while len(found) < 3:
                found += [one.message.data for one in await subscription.receive(3)]
        return found

    assert asyncio.run(receive()) == [b"1", b"2", b"3"]


def test_tail_begins_now_unless_told_otherwise(dragoman: Run, start: Start) -> None:
    """What was there before is for `--from-start`."""
    dragoman("send", "orders", "a", "old")
    tail = start("tail", "orders", "a", "--count", "1")
    tail.until("listening to a on orders")
    dragoman("send", "orders", "a", "new")
    assert tail.end() == 0
    assert tail.text.splitlines()[1:] == ["new"]


def test_what_can_not_be_shown_is_escaped(dragoman: Run, folder: Path) -> None:
    """No message moves the cursor, rings the bell, or looks like two."""
    folder.joinpath("body").write_bytes(b"a\xffb\x1b[2Jc\nd\te\x07\xe2\x80\xae")
    dragoman("send", "orders", "a", "--file", "body", "--meta", "x=\x1b[31m")
    done = dragoman("tail", "orders", "a", "--from-start", "--count", "1")
    assert done.stdout == "a\\xffb\\x1b[2Jc\\nd\te\\x07\\u202e\n    x=\\x1b[31m\n"


def test_a_terminal_without_the_character_gets_an_escape(dragoman: Run) -> None:
    """Not an error."""
    dragoman("send", "orders", "a", "zwölf €")
    env = {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    done = dragoman("tail", "orders", "a", "--from-start", "--count", "1", env=env)
    assert done.stdout == "zw\\xf6lf \\u20ac\n"


def test_a_reader_of_tail_that_has_had_enough_is_no_error(dragoman: Run, folder: Path) -> None:
    """`dragoman tail … | head -1` ends quietly."""
    dragoman("send", "orders", "a", "x" * 1000, "--count", "1000")
    tail = subprocess.Popen(
        [sys.executable, "-m", "dragoman", "tail", "orders", "a", "--from-start"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert tail.stdout
    assert tail.stderr
    os.read(tail.stdout.fileno(), 10)
    tail.stdout.close()
    assert tail.wait(30) == 0
    assert tail.stderr.read() == b"listening to a on orders; Ctrl-C ends it\n"
    tail.stderr.close()


def test_ctrl_c_ends_tail_quietly(start: Start) -> None:
    """With the code of an interrupt, and no traceback."""
    tail = start("tail", "orders", "a")
    tail.until("listening")
    tail.signal(signal.SIGINT)
    assert tail.end() == 130
    assert tail.text == "listening to a on orders; Ctrl-C ends it\n"


def test_a_url_needs_no_configuration(dragoman: Run, folder: Path) -> None:
    """It is a client by itself."""
    folder.joinpath("dragoman.toml").unlink()
    assert dragoman("send", "embedded:other.db", "a", "x").returncode == 0
    assert dragoman("tail", "embedded:other.db", "a", "--from-start", "--count", "1").stdout == "x\n"


def test_a_mistake_elsewhere_in_the_file_does_not_matter(dragoman: Run, folder: Path) -> None:
    """Whoever sends a message does not need the component to be built yet."""
    with folder.joinpath("dragoman.toml").open("a") as file:
        file.write("[handlers.h]\ncomponent = 'missing.wasm'\nclient = 'nobody'\n")
    assert dragoman("send", "orders", "a", "x").returncode == 0
    folder.joinpath("dragoman.toml").write_text("[clients.orders]\nadapter = 'embedded'\npth = 'x'\n")
    done = dragoman("send", "orders", "a", "x")
    assert done.returncode == 2
    assert "did you mean 'path'?" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["send", "ordres", "a", "x"], 2, "there is no client 'ordres'; expected 'orders'; did you mean 'orders'?"),
        (["send", "pigeon://x", "a", "x"], 2, "there is no adapter for URLs that begin with 'pigeon'"),
        (["send", "orders", "topic:", "x"], 2, "a channel needs a name"),
        (["send", "orders", "a", "x", "--meta", "y"], 2, "'y' is not NAME=VALUE"),
        (["send", "orders", "a", "x", "--file", "dragoman.toml"], 2, "give one of the two"),
        (["send", "orders", "a", "x", "--rate", "0"], 2, "Invalid value for '--rate'"),
        (["request", "orders", "a", "x", "--timeout", "soon"], 2, "'soon' is no duration"),
        (["request", "orders", "a", "x", "--timeout", "50ms"], 1, "no reply"),
        (["tail", "embedded:no/such/folder/x.db", "a"], 1, "no/such/folder"),
    ],
)
def test_what_goes_wrong_is_a_line(dragoman: Run, arguments: list[str], code: int, expected: str) -> None:
    """That says what and where."""
    done = dragoman(*arguments)
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == code


def test_a_password_in_a_url_is_not_printed(dragoman: Run) -> None:
    """Neither by a usage error nor by a connection that fails."""
    done = dragoman("send", "pigeon://me:s3cr3t@host", "a", "x")
    assert done.returncode == 2
    assert "s3cr3t" not in done.stderr


async def test_request_shows_the_reply(folder: Path) -> None:
    """Of whoever answers on the channel."""
    url = f"embedded:{folder / 'orders.db'}"
    async with connect(url) as client, client.subscribe("prices", group="g") as subscription:
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "dragoman", "request", "orders", "prices", "how much?", "--timeout", "20s"],
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
        )
        (delivery,) = await subscription.receive(1)
        assert delivery.message.data == b"how much?"
        await client.reply(delivery.message, "seven")
        await subscription.accept(delivery)
        output, _ = await process.communicate()
    assert process.returncode == 0
    assert output.splitlines()[0] == b"seven"
