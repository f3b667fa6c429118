"""Every generation of the interface on every broker: the same suite, and only the client's settings differ.

What a generation can't say is missing from its row of `GENERATIONS`, and from what is asked of it here.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import dragoman as library
from dragoman.client import Client
from tests.cli.conftest import start
from tests.cli.process import Running
from tests.end_to_end.cases import Extensions, does_all, hears_nothing_again, settles_a_batch
from tests.end_to_end.generations import GENERATIONS, OLDER, Guest, collecting
from tests.faults.killing import QUICK
from tests.guests.build import COMPILED, component, source

__all__ = ["start"]

#: Of each generation, for the host that is killed.
KILLED = 150
CONCURRENCY = 4
#: What a handler has in hand at most, in single messages and one batch of 128.
IN_HAND = CONCURRENCY + 128


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the host runs that is killed."""
    return tmp_path


def _capitals(folder: Path, settings: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Configure a host with a guest of each generation that sends capitals; between which channels each of them is.

    These guests have the names of channels in their text, with their lengths: what takes their place is as long.
    """
    lines = ["[host]", f'cache = "{COMPILED}"', "[clients.default]"]
    lines += [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    channels = {}
    for generation in GENERATIONS:
        mark = uuid4().hex
        into, out = channels[generation] = "k" + mark[:4], mark[:3]
        name = "upper" if generation == "core" else f"upper-{generation}"
        text = source(name).replace('"out"', f'"{out}"').replace("defaultout", f"default{out}")
        text = text.replace("inaudit", mark[4:6] + into).replace("firstsecond", into + mark[4:10])
        lines += [
            f"[handlers.{generation}]",
            f'component = "{component(f"{name}-{out}", text)}"',
            f'client = "default"\npublish = ["{out}"]\nconcurrency = {CONCURRENCY}',
            'listen = ["*"]' if GENERATIONS[generation].wants else f'subscribe = ["{into}"]',
        ]
    folder.joinpath("dragoman.toml").write_text("\n".join(lines))
    return channels


async def _publish(client: Client, channels: Iterable[str], bodies: Iterable[str]) -> None:
    for body in bodies:
        await asyncio.gather(*(client.publish(channel, body) for channel in channels))


class OnEachBroker:
    """The suite. What is in a class for a broker runs where its server runs."""

    #: Of the server, as in `QUICK`; None is the embedded broker.
    server: str | None = None
    #: Of a subscription.
    extensions = Extensions({}, {})

    @pytest.fixture
    def settings(self, request: pytest.FixtureRequest, tmp_path: Path) -> Mapping[str, Any]:
        """Of the client."""
        if self.server is None:
            return {"adapter": "embedded", "path": str(tmp_path / "log.db"), "poll": "100ms"}
        return {"url": request.getfixturevalue(self.server).url, **QUICK[self.server]}

    @pytest.mark.timeout(300)
    @pytest.mark.parametrize("generation", GENERATIONS)
    async def test_a_guest_does_all_that_its_generation_can_say(
        self, generation: str, settings: Mapping[str, Any]
    ) -> None:
        """See `cases`; one host and one guest do it all."""
        async with Guest(GENERATIONS[generation]).running(settings) as guest:
            await does_all(guest, self.extensions)

    async def batches(self, settings: Mapping[str, Any]) -> None:
        """See `cases`; for the brokers on which it is tested."""
        guest = Guest(GENERATIONS["formats"])
        batch = {"size": 5, "wait": "2s"}
        async with guest.running(settings, batch=batch):
            await settles_a_batch(guest)
            await guest.idle()  # an answer goes out before its message is settled
        async with guest.running(settings, batch=batch):
            await hears_nothing_again(guest)

    @pytest.mark.timeout(180)
    async def test_a_host_of_all_generations_is_killed_in_the_middle(
        self, settings: Mapping[str, Any], folder: Path, start: Callable[..., Running]
    ) -> None:
        """With kill -9: each message is handled by each of them, and what comes twice was in hand."""
        channels = _capitals(folder, settings)
        bodies = [f"order {number}" for number in range(KILLED)]
        wanted = [body.upper() for body in bodies]
        async with library.connect({**settings}, client="default") as client:
            outs = [out for _, out in channels.values()]
            async with collecting(client, *outs) as found:
                first = start("run")
                await asyncio.to_thread(first.event, "ready")
                async with asyncio.TaskGroup() as group:
                    group.create_task(_publish(client, [into for into, _ in channels.values()], bodies))
                    for out in outs:
                        await found.all(out, wanted[: KILLED // 3])
                    first.signal(signal.SIGKILL)
                    assert await asyncio.to_thread(first.end) == -signal.SIGKILL
                start("run")
                for out in outs:
                    await found.all(out, wanted, 90)
        for generation, (_, out) in channels.items():
            times = found.times(out)
            assert times.keys() == set(wanted), generation
            assert times.total() - KILLED <= IN_HAND, generation
            assert max(times.values()) <= 2, generation


class TestEmbedded(OnEachBroker):
    """On the embedded broker."""

    @pytest.mark.timeout(300)
    @pytest.mark.parametrize("form", OLDER)
    async def test_an_older_form_does_all_that_it_can_say(self, form: str, settings: Mapping[str, Any]) -> None:
        """See `cases`: what differs is how the form says it."""
        async with Guest(OLDER[form], marked=False).running(settings) as guest:
            await does_all(guest, self.extensions)

    @pytest.mark.timeout(180)
    async def test_a_batch_is_settled_message_by_message(self, settings: Mapping[str, Any]) -> None:
        """See `batches`."""
        await self.batches(settings)


@pytest.mark.usefixtures("kafka")
class TestKafka(OnEachBroker):
    """On Apache Kafka."""

    server = "kafka"
    extensions = Extensions({"offsets": "0:2,1:2,2:2,3:2"}, {"isolation.level": "none"}, skips=2)

    @pytest.mark.timeout(180)
    async def test_a_batch_is_settled_message_by_message(self, settings: Mapping[str, Any]) -> None:
        """See `batches`. A log has one place up to which all is accepted: it gets past the one that was abandoned."""
        await self.batches(settings)


@pytest.mark.usefixtures("rabbitmq")
class TestRabbitMQ(OnEachBroker):
    """On RabbitMQ, for AMQP."""

    server = "rabbitmq"
    extensions = Extensions({"priority": "5"}, {"priority": "high"})


@pytest.mark.usefixtures("mosquitto")
class TestMosquitto(OnEachBroker):
    """On mosquitto, for MQTT."""

    server = "mosquitto"
    extensions = Extensions({"qos": "1", "retain-handling": "2"}, {"qos": "7"})


@pytest.mark.usefixtures("nats")
class TestNats(OnEachBroker):
    """On JetStream of NATS."""

    server = "nats"
    extensions = Extensions({"ack-wait": "20"}, {"max-deliver": "often"})
