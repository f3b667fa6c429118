"""What a handler chooses, receives and settles by itself, and batches, on each real broker.

Nothing is published before somebody has subscribed to it: not every broker has `backlog`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import pytest

from dragoman.config.model import ClientConfig, Config
from dragoman.errors import NotHeld, Unsupported
from dragoman.handlers.handler import Context, Wanted
from dragoman.host.host import Host
from dragoman.message import Message
from dragoman.opening import open_client
from dragoman.plugins import load_plugins
from tests.host.running import module_of, until

SERVERS = ["kafka", "rabbitmq", "mosquitto", "nats"]
pytestmark = pytest.mark.timeout(300)


class Scenario:
    """A handler that does what its messages say, and notes the others; and one that is given batches."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.seen: list[str] = []
        self.batches: list[list[str]] = []
        self.opened = asyncio.Event()
        self.token = ""
        self.received: list[str] = []

    async def work(self, message: Message, context: Context) -> None:
        """Obey."""
        text = message.data.decode()
        match text:
            case "hear more":
                self.token = await context.subscribe(f"{self.prefix}-more")
            case "hear less":
                await context.unsubscribe(self.token)
            case "set":
                with pytest.raises(Unsupported):
                    await context.set_subscriptions(Wanted((f"{self.prefix}-other",), {"no-such-extension": "1"}))
                await context.set_subscriptions(Wanted((f"{self.prefix}-in", f"{self.prefix}-set")))
            case "receive":
                await context.receive(f"{self.prefix}-pull", timeout=0)
                self.opened.set()
                while len(self.received) < 5:
                    got = await context.receive(f"{self.prefix}-pull", timeout=None, limit=5)
                    self.received += [one.data.decode() for one in got]
                    await context.complete(context.receipt(got[0]))
            case "settle":
                receipt = context.receipt(message)
                await context.complete(receipt)
                with pytest.raises(NotHeld):
                    await context.abandon(receipt)
        self.seen.append(text)

    async def bulk(self, messages: Sequence[Message], context: Context) -> None:
        """Note them; a batch with a bad one fails."""
        texts = [message.data.decode() for message in messages]
        if "bad" in texts and len(texts) > 1:
            raise RuntimeError("one of them is bad")
        self.batches.append(texts)
        if "bad" in texts:
            await context.abandon(context.receipt(messages[0]))


@pytest.mark.parametrize("server", SERVERS)
async def test_the_main_ways_of_a_handler_hold_on_every_broker(server: str, request: pytest.FixtureRequest) -> None:
    """It hears more and less, replaces its channels, receives, completes, and is given batches; nothing is lost."""
    prefix = f"own-{uuid4().hex[:8]}"
    scenario = Scenario(prefix)
    settings = {"url": request.getfixturevalue(server).url, **({"create_topics": True} if server == "kafka" else {})}
    with module_of(work=scenario.work, bulk=scenario.bulk) as module:
        common = {"client": "main", "listen": [f"{prefix}-*"], "deadline": "120s", "abandoned": "drop"}
        config = Config.model_validate(
            {
                "clients": {"main": settings},
                "handlers": {
                    f"{prefix}-work": {"python": f"{module}:work", "subscribe": [f"{prefix}-in"], **common},
                    f"{prefix}-bulk": {
                        "python": f"{module}:bulk",
                        "subscribe": [f"{prefix}-bulk"],
                        "batch": {"size": 20, "wait": "200ms"},
                        "retry": {"backoff": "10ms"},
                        **common,
                    },
                },
            }
        )
        plugins = load_plugins()
        async with (
            Host(config, plugins=plugins, folder=Path("/nonexistent")) as host,
            open_client("tests", ClientConfig.model_validate(settings), plugins) as client,
        ):
            seen = scenario.seen

            async def say(channel: str, *texts: str) -> None:
                await client.publish(f"{prefix}-{channel}", *texts)
                await until(lambda: set(texts) <= {*seen, *scenario.received}, 90)

            await say("in", "hear more")
            await say("more", "more 1", "more 2")
            await say("in", "settle", "hear less", "set")
            await say("set", "set 1")
            await client.publish(f"{prefix}-in", "receive")
            async with asyncio.timeout(90):
                await scenario.opened.wait()
            await say("pull", *(f"pull {number}" for number in range(5)))
            await until(lambda: "receive" in seen, 90)
            texts = [f"bulk {number}" for number in range(60)]
            await client.publish(f"{prefix}-bulk", *texts, "bad")
            flat = lambda: [text for batch in scenario.batches for text in batch]  # noqa: E731
            await until(lambda: len(flat()) >= 61, 90)
            assert await host.drain(30)
            counters = host.counters
            assert counters[f"{prefix}-bulk"].dropped == 1
            assert counters[f"{prefix}-work"].failed == 0
    assert sorted(flat()) == sorted([*texts, "bad"])
    assert max(map(len, scenario.batches)) > 1
    assert sorted(scenario.received) == [f"pull {number}" for number in range(5)]
    expected = ["hear more", "more 1", "more 2", "settle", "hear less", "set", "set 1", "receive"]
    assert sorted(seen) == sorted(expected)
