"""The guest of seed 004, in three languages, does on each broker that keeps a queue what its comments say."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dragoman.adapter import Start
from dragoman.client import Client
from dragoman.config.model import Config
from dragoman.host.counters import Counters
from dragoman.host.host import Host
from dragoman.message import Message
from dragoman.plugins import load_plugins
from dragoman.subscription import Subscription
from tests.dead_letters.letters import connected, received
from tests.guests.build import COMPILED, ROOT
from tests.guests.projects import run
from tests.host.running import until

SEED = ROOT / "examples" / "guests" / "seed004"
LANGUAGES = ["c", "go", "rust"]
BROKERS = ["embedded", "kafka", "rabbitmq", "mosquitto", "nats"]
#: What differs between the languages is seen on the embedded broker; on each of the others one will do, and
#: `DRAGOMAN_SEED=all` runs them all.
ONE = {"kafka": "rust", "rabbitmq": "c", "mosquitto": "go", "nats": "rust"}
COMBINATIONS = [
    (broker, language)
    for broker in BROKERS
    for language in LANGUAGES
    if ONE.get(broker, language) == language or os.environ.get("DRAGOMAN_SEED") == "all"
]
QUICK: dict[str, dict[str, Any]] = {"kafka": {"create_topics": True}, "nats": {"ack_wait": "5s"}}


def _settings(request: pytest.FixtureRequest, name: str, folder: Path) -> dict[str, Any]:
    if name == "embedded":
        return {"url": f"embedded:{folder}/broker.db"}
    return {"url": request.getfixturevalue(name).url, **QUICK.get(name, {})}


@asynccontextmanager
async def _host(name: str, language: str, settings: dict[str, Any], dead: str, folder: Path) -> AsyncIterator[Host]:
    handler = {
        "component": SEED / language / "guest.wasm",
        "client": "some-broker",
        "listen": ["a", "b", "c", "d"],
        "publish": ["d"],
        "abandoned": "dead-letter",
        "dead_letter": dead,
    }
    config = Config.model_validate(
        {"clients": {"some-broker": settings}, "handlers": {name: handler}, "host": {"cache": COMPILED}}
    )
    async with Host(config, plugins=load_plugins(), folder=folder) as host:
        yield host


async def _bodies(subscription: Subscription, count: int) -> list[bytes]:
    return sorted(message.data for message in await received(subscription, count))


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("broker", "language"), COMBINATIONS)
async def test_the_guest_does_what_its_comments_say(
    request: pytest.FixtureRequest, tmp_path: Path, broker: str, language: str
) -> None:
    """A message on a unsubscribes and abandons, c sends to d and completes, b receives from d and completes."""
    # The document's channels have fixed names, so each test leaves them empty; but a session of MQTT keeps what it had.
    group = f"seed-{uuid4().hex[:8]}" if broker == "mosquitto" else "seed"
    dead = f"dead-{uuid4().hex[:8]}"
    async with AsyncExitStack() as stack:
        client: Client = await connected(stack, "test", **_settings(request, broker, tmp_path))
        letters = await stack.enter_async_context(client.subscribe(dead, group="test"))
        settings = _settings(request, broker, tmp_path)
        host = await stack.enter_async_context(_host(group, language, settings, dead, tmp_path))
        counters = host.counters[group]

        if broker == "mosquitto":  # it keeps nothing for d before somebody has asked for it, and says so
            await client.publish("b", Message(b"first"))
            await until(lambda: counters.handled == 1, 60)
        before = counters.handled
        await client.publish("c", Message(b"c1"))
        await until(lambda: counters.handled == before + 1, 60)
        assert counters.sent == 1
        await _receive_greeting(client, counters)
        if broker == "embedded":  # there what a queue's readers had is still to be seen
            async with client.subscribe("topic:d", start=Start()) as sent:
                assert await _bodies(sent, 1) == [b"hello from guest"]

        await client.publish("a", Message(b"a1"))
        assert await _bodies(letters, 1) == [b"a1"]
        later = [b"later %d" % number for number in range(10)]
        if broker == "mosquitto":  # the handler's session keeps them for later: nobody else gets them
            await client.publish("a", *map(Message, later))
        else:
            async with client.subscribe("a", group=group) as unheard:
                await client.publish("a", *map(Message, later))
                assert await _bodies(unheard, 10) == later

        before = counters.handled
        await client.publish("c", Message(b"c2"))  # b and c are still heard
        await until(lambda: counters.handled == before + 1, 60)
        assert counters.sent == 2
        await _receive_greeting(client, counters)
        assert (counters.dead_lettered, counters.retried) == (1, 0)  # of what was on a later it has heard nothing


async def _receive_greeting(client: Client, counters: Counters) -> None:
    """Publish to b until one of them has taken the greeting: each waits 100 ms for it."""
    start, sent = counters.handled, 0
    while counters.handled == start + sent and sent < 20:
        await client.publish("b", Message(b"b%d" % sent))
        sent += 1
        await until(lambda least=start + sent: counters.handled >= least, 60)
    await until(lambda: counters.handled == start + sent + 1, 60)


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_is_built_as_any_guest_of_its_language(language: str) -> None:
    """Its script is that of `examples/guests`, so that either folder can be copied by itself: all but the world."""
    scripts = [(folder / language / "build.py").read_text() for folder in (SEED.parent, SEED)]
    assert scripts[1] == scripts[0].replace('WORLD = "messaging-core"', 'WORLD = "messaging"')


@pytest.mark.timeout(900)
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_in_the_repository_is_what_its_sources_give(language: str, tmp_path: Path) -> None:
    """A component that is built now has the same imports and exports."""
    ignore = shutil.ignore_patterns("guest.wasm", "target", "Cargo.lock", "2024-*")
    shutil.copytree(SEED / language, tmp_path / "guest", ignore=ignore)
    run(tmp_path / "guest", language, sys.executable, "build.py")
    paths = (SEED / language / "guest.wasm", tmp_path / "guest" / "guest.wasm")
    shapes = [run(tmp_path, language, "wasm-tools", "component", "wit", path) for path in paths]
    assert shapes[0] == shapes[1]
