"""`dragoman dead-letters`, on the dead letters of a real host on the embedded broker's real file."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import dragoman as dragoman_library
from dragoman.dead_letters.letter import REPLAY_OF, Letter, bare
from dragoman.message import Message
from tests.cli.conftest import CONFIG, Run
from tests.cli.process import Running
from tests.dead_letters.letters import failed, received

Start = Callable[..., Running]

HANDLERS = """
import os

PRICES = {"tea": 5}

def price(sku):
    return PRICES[sku]

async def billing(message, context):
    price("tea" if os.path.exists("mended") else message.data.decode())
    await context.publish("done", message)

async def shipping(message, context):
    raise ValueError("no such street")
"""

CONFIGURED = """
[handlers.billing]
python = "app:billing"
client = "orders"
subscribe = ["in"]
publish = ["done"]
retry = { attempts = 2, backoff = "1ms" }
dead_letter = "dead"

[handlers.shipping]
python = "app:shipping"
client = "orders"
subscribe = ["parcels"]
retry = { attempts = 1 }
dead_letter = "dead"
"""


@pytest.fixture
def folder(folder: Path) -> Path:
    """With two handlers that fail, and send their dead letters to one place."""
    folder.joinpath("app.py").write_text(HANDLERS)
    folder.joinpath("dragoman.toml").write_text(CONFIG + CONFIGURED)
    return folder


@pytest.fixture
def letters(folder: Path) -> list[Letter]:
    """Four dead letters: three of one handler, and one of the other."""
    coffee = Message.of("coffee", key="k", content_type="text/plain", metadata={"message-id": "m1"})
    messages = [
        failed(coffee, client="orders", channel="in", reason="KeyError: 'coffee'"),
        failed(Message.of("cake"), client="orders", channel="in", reason="KeyError: 'cake'"),
        failed(Message.of("cocoa"), client="orders", channel="in", reason="KeyError: 'cocoa'"),
        failed(Message.of("a parcel"), handler="shipping", client="orders", channel="parcels", reason="no street"),
    ]
    asyncio.run(_publish(folder, "dead", *messages))
    return [Letter.of(message) for message in messages]


async def _publish(folder: Path, channel: str, *messages: Message) -> None:
    async with dragoman_library.connect(folder / "dragoman.toml") as client:
        await client.publish(channel, *messages)


async def _read(folder: Path, channel: str, count: int) -> list[Message]:
    async with (
        dragoman_library.connect(folder / "dragoman.toml") as client,
        client.subscribe(f"topic:{channel}", start=dragoman_library.Start()) as subscription,
    ):
        return list(await received(subscription, count))


def _listed(dragoman: Run, *options: str) -> list[dict[str, Any]]:
    done = dragoman("dead-letters", "list", *options)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert f"{len(found)} dead letter" in done.stderr
    return found


def test_list_and_show_say_all_and_take_nothing_away(dragoman: Run, letters: list[Letter], start: Start) -> None:
    """JSON in a pipe, a table on a terminal; each time that one looks it is the same."""
    listed = _listed(dragoman)
    assert [one["id"] for one in listed] == [letter.id for letter in letters]
    wanted = {"handler": "billing", "client": "orders", "channel": "in", "key": "k", "reason": "KeyError: 'coffee'"}
    assert wanted.items() <= listed[0].items()
    assert (listed[0]["message_id"], listed[0]["attempts"], listed[0]["replays"]) == ("m1", 3, 0)
    table = start("dead-letters", "list", terminal=True, env={"COLUMNS": "80"})
    shown = start("dead-letters", "show", "m1", terminal=True)
    assert (table.end(), shown.end()) == (0, 0)
    assert all(letter.short in table.text for letter in letters), "ids are never cut"
    for line in ("reason        KeyError: 'coffee'", "content type  text/plain", "metadata      key=k", "coffee"):
        assert line in shown.text
    whole = json.loads(dragoman("dead-letters", "show", letters[0].short).stdout)
    assert (whole["data"], whole["content_type"], whole["id"]) == ("coffee", "text/plain", letters[0].id)
    gone = dragoman("dead-letters", "show", "nope-nope")
    assert (gone.returncode, gone.stdout) == (1, "")
    assert "there is no dead letter 'nope-nope' (dragoman dead-letters list shows them)" in gone.stderr
    assert _listed(dragoman) == listed


def test_options_say_which_are_meant(dragoman: Run, letters: list[Letter]) -> None:
    """By handler, origin, reason and time; and where to look."""
    assert [one["id"] for one in _listed(dragoman, "--reason", "keyerror*CAKE", "--since", "1h")] == [letters[1].id]
    assert [one["id"] for one in _listed(dragoman, "--handler", "shipping", "--channel", "par*")] == [letters[3].id]
    assert _listed(dragoman, "--in", "embedded:orders.db", "dead", "--until", "2026-01-01 10:00") == []
    wrong = dragoman("dead-letters", "list", "--since", "soon")
    assert wrong.returncode == 2
    assert "'soon' is no time; expected such as 2026-01-31" in wrong.stderr


def test_what_a_host_dead_lettered_is_sent_back_once_it_is_mended(dragoman: Run, start: Start, folder: Path) -> None:
    """First it is said what would be sent, then it is sent; and a second time there is nothing left to send."""
    running = start("run")
    running.event("ready")
    coffee = Message.of("coffee", key="k", content_type="text/plain", metadata={"message-id": "m1"})
    asyncio.run(_publish(folder, "in", coffee, Message.of("cake")))
    letters = list(map(Letter.of, asyncio.run(_read(folder, "dead", 2))))
    running.signal(signal.SIGTERM)
    assert running.end() == 0
    assert {letter.backtrace for letter in letters} == {"price (app.py:7) < billing (app.py:10)"}
    plan = dragoman("dead-letters", "replay", "--handler", "billing", "--dry-run")
    assert plan.stderr.strip() == "would send 2 dead letters, 2 to in of orders"
    done = dragoman("dead-letters", "replay", "--handler", "billing")
    assert (done.returncode, done.stderr.strip()) == (0, "sent 2 dead letters, 2 to in of orders")
    assert [json.loads(line)["what"] for line in done.stdout.splitlines()] == ["sent", "sent"]
    assert dragoman("dead-letters", "replay", "--all").stderr.strip() == "sent 0 dead letters"
    folder.joinpath("mended").touch()
    running = start("run")
    found = {message.data: message for message in asyncio.run(_read(folder, "done", 2))}
    assert found.keys() == {b"coffee", b"cake"}
    again = found[b"coffee"]
    assert bare(again) == replace(coffee, channel=again.channel)
    assert again.get(REPLAY_OF) == next(letter.id for letter in letters if letter.message.id == "m1")
    running.event("ready")
    running.signal(signal.SIGTERM)
    assert running.end() == 0


def test_purge_asks_and_throws_away_what_is_meant(dragoman: Run, letters: list[Letter], start: Start) -> None:
    """In a pipe it needs --yes; on a terminal it says how many first."""
    unasked = dragoman("dead-letters", "purge", "--all")
    assert (unasked.returncode, "give --yes" in unasked.stderr) == (2, True)
    assert dragoman("dead-letters", "purge", "--all", "--dry-run").stderr.strip() == "would purge 4 dead letters"
    assert dragoman("dead-letters", "purge", "m1", "--yes").stderr.strip() == "purged 1 dead letter"
    asking = start("dead-letters", "purge", "--handler", "billing", terminal=True)
    asking.until("Purge 2 dead letters, for good? [y/N]")
    asking.type("y\n")
    assert asking.end() == 0
    assert [one["id"] for one in _listed(dragoman)] == [letters[3].id]


@pytest.mark.parametrize("command", ["replay", "purge"])
def test_that_all_are_meant_has_to_be_said(dragoman: Run, command: str) -> None:
    """A forgotten filter must not mean everything."""
    done = dragoman("dead-letters", command)
    assert (done.returncode, "Give IDs or filters, or --all" in done.stderr) == (2, True)
    done = dragoman("dead-letters", command, "--all", "--handler", "x")
    assert (done.returncode, "give one or the other" in done.stderr) == (2, True)


def test_a_configuration_without_dead_letters_says_so(dragoman: Run, folder: Path) -> None:
    """And how to name a place."""
    folder.joinpath("dragoman.toml").write_text(CONFIG)
    done = dragoman("dead-letters", "list")
    assert done.returncode == 2
    assert "no handler has dead letters" in done.stderr
    assert "--in CLIENT CHANNEL" in done.stderr
