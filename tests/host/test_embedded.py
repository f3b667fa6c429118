"""The host on the real embedded broker: a file, several hosts, faults, and every message counted."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import dragoman
from dragoman.config.model import Config
from dragoman.errors import Rejected
from dragoman.handlers.handler import Context
from dragoman.host.host import Host
from dragoman.message import Message
from dragoman.plugins import load_plugins
from tests.host.running import module_of, until

QUICK = {"attempts": 3, "backoff": "1ms", "max_backoff": "5ms"}


def host_of(path: Path, reference: str, **settings: Any) -> Host:
    """A host with one handler on the file."""
    section = {"python": reference, "client": "main", "subscribe": ["in"], "publish": ["out"], "retry": QUICK}
    config = Config.model_validate(
        {
            "clients": {"main": {"adapter": "embedded", "path": str(path)}},
            "handlers": {"work": {**section, "dead_letter": "dead", **settings}},
        }
    )
    return Host(config, plugins=load_plugins(), folder=path.parent)


async def contents(path: Path, channel: str, number: int) -> list[Message]:
    """Everything that was published to the channel, by a group of its own."""
    found: list[Message] = []
    async with (
        dragoman.connect(f"embedded:{path}") as client,
        client.subscribe(channel, group="look", start=dragoman.Start(), prefetch=number) as subscription,
    ):
        while len(found) < number:
            found += [delivery.message for delivery in await subscription.receive(number - len(found))]
    return found


async def test_a_thousand_messages_through_three_hosts_one_after_the_other(tmp_path: Path) -> None:
    """Each is drained in the middle. Sent and dead-lettered are counted by identity; lanes keep their order."""
    path = tmp_path / "log.db"
    tries: Counter[str] = Counter()
    done: defaultdict[str, list[int]] = defaultdict(list)

    async def work(message: Message, context: Context) -> None:
        key, number = message.data.decode().split(":")
        tries[message.data.decode()] += 1
        if int(number) % 50 == 7:
            raise Rejected("sevens are bad")
        if int(number) % 20 == 3 and context.attempt == 1:
            raise RuntimeError("not at first")
        await context.publish("out", Message.of(message.data, key=key))
        done[key].append(int(number))

    expected = [f"{key}:{number}" for number in range(100) for key in "abcdefghij"]
    async with dragoman.connect(f"embedded:{path}") as client:
        await client.publish("in", *(Message.of(text, key=text[0]) for text in expected))
    with module_of(work=work) as module:
        for wanted in (200, 500, 980):
            async with host_of(path, f"{module}:work") as host:
                await until(lambda wanted=wanted: sum(map(len, done.values())) >= wanted, 30)
                if wanted == 980:
                    counters = host.counters["work"]
                    await until(lambda counters=counters: not counters.in_hand)
                await host.drain(10)
    bad = [text for text in expected if int(text[2:]) % 50 == 7]
    sent = [message.data.decode() for message in await contents(path, "out", 980)]
    dead = await contents(path, "dead", 20)
    assert Counter(sent) == Counter(text for text in expected if text not in bad)
    assert sorted(message.data.decode() for message in dead) == sorted(bad)
    assert {message.get("dragoman-reason") for message in dead} == {"sevens are bad"}
    for key, numbers in done.items():
        assert numbers == sorted(numbers), key
    assert sum(tries.values()) <= 1_000 + 50 + 3 * 200


async def test_two_hosts_share_a_group(tmp_path: Path) -> None:
    """Each message is handled by one of them, and both have some."""
    path = tmp_path / "log.db"
    seen: dict[str, list[bytes]] = {"one": [], "two": []}

    def handler(name: str) -> Any:
        async def work(message: Message, context: Context) -> None:
            await asyncio.sleep(0.005)
            seen[name].append(message.data)

        return work

    bodies = [str(number).encode() for number in range(300)]
    with module_of(one=handler("one"), two=handler("two")) as module:
        async with host_of(path, f"{module}:one", concurrency=4), host_of(path, f"{module}:two", concurrency=4):
            async with dragoman.connect(f"embedded:{path}") as client:
                await client.publish("in", *bodies)
            await until(lambda: sum(map(len, seen.values())) >= 300, 30)
    assert Counter(seen["one"] + seen["two"]) == Counter(bodies)
    assert min(len(seen["one"]), len(seen["two"])) > 50
