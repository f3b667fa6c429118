"""Guests of each generation in a whole host, on the embedded broker: what they hear, receive, settle and answer."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dragoman
from dragoman.client import Client
from dragoman.config.model import Config
from dragoman.host.host import Host
from dragoman.plugins import load_plugins
from tests.guests.build import COMPILED, guest

#: Seconds in which a Python guest answers, on a busy machine.
SOON = 60


class Desk:
    """Gives a running guest its orders, and reads its answers."""

    def __init__(self, client: Client, answers: Any) -> None:
        self.client = client
        self._answers = answers

    async def order(self, channel: str, do: str, /, **arguments: Any) -> None:
        """Send an order."""
        await self.client.publish(channel, json.dumps({"do": do, **arguments}))

    async def answer(self) -> Any:
        """The next answer."""
        async with asyncio.timeout(SOON):
            delivery = (await self._answers.receive(1))[0]
        await self._answers.accept(delivery)
        return json.loads(delivery.message.data)

    async def ask(self, channel: str, do: str, /, **arguments: Any) -> Any:
        """Send an order, and read what comes of it."""
        await self.order(channel, do, **arguments)
        return await self.answer()


@asynccontextmanager
async def working(folder: Path, name: str, **settings: Any) -> AsyncIterator[Desk]:
    """A host with that guest."""
    broker = {"adapter": "embedded", "path": str(folder / "broker.db")}
    handler = {"component": str(guest(name)), "client": "default", "publish": ["*"], "instances": "reuse", **settings}
    config = Config.model_validate(
        {"clients": {"default": broker}, "handlers": {"work": handler}, "host": {"cache": str(COMPILED)}}
    )
    async with (
        Host(config, plugins=load_plugins(), folder=folder),
        dragoman.connect(f"embedded:{folder / 'broker.db'}") as client,
        client.subscribe("answers", group="test") as answers,
    ):
        yield Desk(client, answers)


async def test_formats(tmp_path: Path) -> None:
    """It says itself what it hears, changes that, receives in the middle, and settles by the record alone."""
    async with working(
        tmp_path, "formats", listen=["in", "a", "d"], dead_letter="dead", abandoned="dead-letter"
    ) as desk:
        assert (await desk.ask("in", "echo"))["metadata"][0] == ["channel", "in"]
        assert await desk.ask("in", "complete") is None
        again = await desk.ask("in", "complete", times=2, catch=True)
        assert again["text"].startswith("other: ")
        forged = await desk.ask("in", "complete", receipt="forged", catch=True)
        assert forged["text"].startswith("other: ")
        assert await desk.ask("in", "try_receive", channel="d", timeout_ms=1) is None
        await desk.client.publish("d", "x", "y")
        assert await desk.ask("in", "receive_and", channel="d", settle="complete") == ["x", "y"]
        assert (await desk.ask("in", "receive", channel="forbidden", catch=True))["text"].startswith(
            "permission-denied"
        )
        assert await desk.ask("in", "abandon") is None
        async with desk.client.subscribe("dead", group="test") as dead, asyncio.timeout(SOON):
            assert json.loads((await dead.receive(1))[0].message.data) == {"do": "abandon"}
        assert await desk.ask("in", "update", channels=["a"]) is None
        await desk.order("in", "echo")
        assert (await desk.ask("a", "echo"))["metadata"][0] == ["channel", "a"]
        denied = await desk.ask("a", "update", channels=["forbidden"], catch=True)
        assert denied["text"].startswith("permission-denied: ")


async def test_topics(tmp_path: Path) -> None:
    """It says what it hears at the start, and something else later."""
    async with working(tmp_path, "topics", listen=["in", "a"]) as desk:
        denied = await desk.ask("in", "set_subscriptions", topics=["forbidden"], catch=True)
        assert denied == {"case": "Unauthorized", "text": ""}
        assert await desk.ask("in", "set_subscriptions", topics=["a"]) is None
        await desk.order("in", "echo")
        assert (await desk.ask("a", "echo"))["topic"] == "a"


async def test_events(tmp_path: Path) -> None:
    """It hears one channel more, until it gives the token back."""
    async with working(tmp_path, "events", subscribe=["in"], listen=["a"]) as desk:
        token = await desk.ask("in", "subscribe", to="queue:a")
        assert ["channel", "queue:a"] in (await desk.ask("a", "echo"))["extensions"]
        denied = await desk.ask("in", "subscribe", to="queue:forbidden", catch=True)
        assert denied["case"] == "InsufficientPermissions"
        assert await desk.ask("in", "unsubscribe", token=token) is None
        await desk.order("a", "echo")
        assert (await desk.ask("in", "unsubscribe", token=token, catch=True))["case"] == "UnexpectedError"
        assert await desk.ask("in", "subscribe", to="queue:a") != token


async def test_wasmcloud(tmp_path: Path) -> None:
    """It answers requests, and asks itself."""
    async with working(tmp_path, "wasmcloud", subscribe=["in"]) as desk:
        question = json.dumps({"do": "answer", "texts": ["a", "b"]})
        replies = await desk.client.request("in", question, timeout=SOON, expected=2)
        assert [reply.data for reply in replies] == [b"a", b"b"]
        assert await desk.answer() is None
        asked = json.dumps({"do": "answer", "texts": ["c"]})
        async with desk.client.subscribe("questions", group="test") as questions, asyncio.timeout(SOON):
            await desk.order("in", "ask", to="questions", timeout_ms=1000 * SOON, body=asked)
            delivery = (await questions.receive(1))[0]
            await desk.client.reply(delivery.message, "the answer")
            await questions.accept(delivery)
        assert await desk.answer() == "the answer"
