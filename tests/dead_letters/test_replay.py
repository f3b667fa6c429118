"""Sending dead letters back: in order, each once, whatever interrupts it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dragoman.adapter import Start
from dragoman.client import Client
from dragoman.dead_letters.journal import opened as journal_opened
from dragoman.dead_letters.letter import REPLAY_OF
from dragoman.dead_letters.replay import Outcome, Replay
from dragoman.dead_letters.selection import Selection
from dragoman.dead_letters.shelf import GROUP, Place, opened
from dragoman.errors import ConnectionLost, PayloadTooLarge, PublishFailed
from dragoman.message import Channel, Message
from tests.dead_letters.killed import STEPS
from tests.dead_letters.letters import connected, failed, known, received
from tests.servers import Server

DEAD = Place("origin", Channel("orders.dead"))


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """Of the embedded broker, on a file."""
    async with AsyncExitStack() as stack:
        yield await connected(stack, "origin", url=f"embedded:{tmp_path}/broker.db")


async def _replay(client: Client, folder: Path, selection: Selection | None = None, **options: Any) -> Outcome:
    with journal_opened(folder / "journal") as journal:
        async with opened(DEAD, client) as shelf:
            return await Replay(shelf, journal, known(client), **options).run(selection or Selection())


async def _bodies(client: Client, channel: str) -> list[str]:
    """All that was ever sent to a channel."""
    async with client.subscribe(f"topic:{channel}", start=Start()) as subscription:
        return [one.data.decode() for one in await received(subscription, await subscription.lag())]


async def _left(client: Client) -> list[str]:
    async with opened(DEAD, client) as shelf:
        return [one.letter.message.data.decode() async for batch in shelf.batches() for one in batch]


async def test_some_are_sent_back_and_the_others_stay(client: Client, tmp_path: Path) -> None:
    """In the order in which they lie there, to where each came from."""
    for number in range(6):
        letter = failed(Message.of(str(number), key="k"), handler=f"h{number % 2}", channel=f"in{number % 3}")
        await client.publish(DEAD.channel, letter)
    outcome = await _replay(client, tmp_path, Selection(handlers=["h0"]))
    assert (outcome.counts, outcome.places.total()) == ({"sent": 3}, 3)
    assert [await _bodies(client, f"in{number}") for number in range(3)] == [["0"], ["4"], ["2"]]
    assert await _left(client) == ["1", "3", "5"]
    outcome = await _replay(client, tmp_path, to=Place("origin", Channel("elsewhere")))
    assert await _bodies(client, "elsewhere") == ["1", "3", "5"]


async def test_what_fails_again_meanwhile_is_sent_once(client: Client, tmp_path: Path) -> None:
    """A handler that is not mended makes no endless round of it."""
    await client.publish(DEAD.channel, *(failed(Message.of(str(number))) for number in range(3)))

    async def fails() -> None:
        async with client.subscribe("orders", group="work") as subscription:
            async for delivery in subscription:
                await client.publish(DEAD.channel, failed(delivery.message))
                await subscription.accept(delivery)

    failing = asyncio.create_task(fails())
    outcome = await _replay(client, tmp_path)
    failing.cancel()
    assert outcome.counts["sent"] == 3
    assert await _bodies(client, "orders") == ["0", "1", "2"]
    assert sorted(await _left(client)) == ["0", "1", "2"]
    assert (await _replay(client, tmp_path)).counts["sent"] == 3, "in another replay it is another dead letter"


async def test_what_says_nothing_of_its_origin_stays(client: Client, tmp_path: Path) -> None:
    """Unless it is said where to; two that look the same are two."""
    await client.publish(DEAD.channel, "x", "x")
    assert (await _replay(client, tmp_path)).counts == {"of unknown origin": 2}
    assert (await _replay(client, tmp_path, to=Place("origin", Channel("in")))).counts == {"sent": 2}
    assert await _bodies(client, "in") == ["x", "x"]


async def test_a_dead_letter_that_was_written_twice_is_sent_once(client: Client, tmp_path: Path) -> None:
    """A host that was not told that its dead letter was taken writes it again."""
    letter = failed(Message(b"x"))
    await client.publish(DEAD.channel, letter, letter)
    assert (await _replay(client, tmp_path)).counts == {"sent": 1, "sent before": 1}
    assert (await _bodies(client, "orders"), await _left(client)) == (["x"], [])


class Refusing:
    """A client of the embedded broker whose `publish` fails for some bodies."""

    def __init__(self, client: Client, error: Exception, *bodies: bytes) -> None:
        self._client, self._error, self._bodies = client, error, bodies
        self.type = client.type
        self.subscribe = client.subscribe

    async def publish(self, channel: Channel, *messages: Message) -> None:
        """Refuse all if one of them is to be refused."""
        if any(message.data in self._bodies for message in messages):
            raise self._error
        await self._client.publish(channel, *messages)


async def test_one_that_is_refused_for_good_holds_up_no_other(client: Client, tmp_path: Path) -> None:
    """It stays a dead letter, with the reason told."""
    await client.publish(DEAD.channel, *(failed(Message.of(str(number))) for number in range(5)))
    refusing: Any = Refusing(client, PayloadTooLarge("too large"), b"2")
    with journal_opened(tmp_path / "journal") as journal:
        async with opened(DEAD, client) as shelf:
            outcome = await Replay(shelf, journal, known(refusing)).run(Selection())
        assert (outcome.counts, outcome.refusals) == ({"sent": 4, "refused": 1}, "too large")
        assert not journal.doubtful
    assert (await _bodies(client, "orders"), await _left(client)) == (["0", "1", "3", "4"], ["2"])


@pytest.mark.parametrize(
    ("error", "in_doubt"),
    [
        (ConnectionLost("gone"), 0),
        (PublishFailed("no"), 3),
        (PublishFailed("gone while sending", outcome_unknown=True), 3),
    ],
)
async def test_a_failure_can_be_repeated(client: Client, tmp_path: Path, error: Exception, in_doubt: int) -> None:
    """Nothing is lost by it, and nothing sent twice."""
    await client.publish(DEAD.channel, *(failed(Message.of(str(number))) for number in range(3)))
    refusing: Any = Refusing(client, error, b"1")
    with journal_opened(tmp_path / "journal") as journal:
        async with opened(DEAD, client) as shelf:
            with pytest.raises(type(error)):
                await Replay(shelf, journal, known(refusing)).run(Selection())
        assert len(journal.doubtful) == in_doubt
    assert (await _replay(client, tmp_path)).counts == {"sent": 3}
    assert await _bodies(client, "orders") == ["0", "1", "2"]


async def test_what_may_have_gone_to_one_place_is_not_sent_to_another(client: Client, tmp_path: Path) -> None:
    """Until somebody says so."""
    await client.publish(DEAD.channel, failed(Message(b"x")))
    refusing: Any = Refusing(client, PublishFailed("gone while sending", outcome_unknown=True), b"x")
    with journal_opened(tmp_path / "journal") as journal:
        async with opened(DEAD, client) as shelf:
            with pytest.raises(PublishFailed):
                await Replay(shelf, journal, known(refusing)).run(Selection())
    elsewhere = Place("origin", Channel("elsewhere"))
    assert (await _replay(client, tmp_path, to=elsewhere)).counts == {"doubtful": 1}
    assert (await _replay(client, tmp_path, to=elsewhere, doubtful=True)).counts == {"sent": 1}
    assert await _bodies(client, "elsewhere") == ["x"]


async def test_a_cancelled_replay_first_ends_what_it_has_begun(client: Client, tmp_path: Path) -> None:
    """So that Ctrl-C leaves nothing in doubt."""
    await client.publish(DEAD.channel, *(failed(Message.of(str(number))) for number in range(250)))
    began = asyncio.Event()

    class Slow(Refusing):
        async def publish(self, channel: Channel, *messages: Message) -> None:
            began.set()
            await asyncio.sleep(0.05)
            await super().publish(channel, *messages)

    slow: Any = Slow(client, ConnectionLost("never"))
    with journal_opened(tmp_path / "journal") as journal:
        async with opened(DEAD, client) as shelf:
            task = asyncio.create_task(Replay(shelf, journal, known(slow)).run(Selection()))
            await began.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (len(journal.done), len(journal.doubtful)) == (100, 0)
    assert (await _replay(client, tmp_path)).counts == {"sent": 150}
    assert await _bodies(client, "orders") == [str(number) for number in range(250)]


def _killed(settings: dict[str, Any], dead: str, folder: Path, step: str = "", count: int = 0) -> dict[str, int] | None:
    """What a replay in a process of its own did; None if it was killed."""
    arguments = [json.dumps(settings), dead, str(folder / "journal"), step, str(count)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.dead_letters.killed", *arguments], capture_output=True, check=False, text=True
    )
    if done.returncode == -9:
        return None
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found


@pytest.mark.timeout(240)
async def test_a_replay_killed_at_any_step_and_repeated_sends_each_once(tmp_path: Path) -> None:
    """Kill -9 before and after each step of a batch; the broker is asked what it got."""
    settings = {"url": f"embedded:{tmp_path}/broker.db"}
    steps = [f"{moment}-{name}" for name in STEPS for moment in ("before", "after")]
    async with AsyncExitStack() as stack:
        client = await connected(stack, "origin", **settings)
        letters = [failed(Message.of(str(number))) for number in range(250)]
        await client.publish("dead", *letters)
        for step in steps:
            assert await asyncio.to_thread(_killed, settings, "dead", tmp_path, step, 1) is None
        # Each of them got again what the one before had in hand; the last one has accepted the first hundred.
        assert await asyncio.to_thread(_killed, settings, "dead", tmp_path) == {"sent": 150}
        assert await asyncio.to_thread(_killed, settings, "dead", tmp_path) == {}
        async with client.subscribe("topic:orders", start=Start()) as subscription:
            found = await received(subscription, 250)
            assert await subscription.lag() == 0
    assert [one.data.decode() for one in found] == [str(number) for number in range(250)]
    assert len({one.get(REPLAY_OF) for one in found}) == 250


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("server", "count", "more"),
    [
        ("kafka", 2, {"create_topics": True, "session_timeout": "6s"}),
        ("nats", 2, {"ack_wait": "4s"}),
        ("rabbitmq", 40, {}),
        ("mosquitto", 40, {"client_id": "replays"}),
    ],
)
async def test_a_killed_replay_that_is_repeated_keeps_the_order_on_every_broker(
    request: pytest.FixtureRequest, tmp_path: Path, server: str, count: int, more: dict[str, Any]
) -> None:
    """What the broker keeps for the one that died is waited for, not overtaken by what is behind it."""
    orders, dead = f"orders-{uuid4().hex[:8]}", f"dead-{uuid4().hex[:8]}"
    settings = {"url": request.getfixturevalue(server).url, **more}
    async with AsyncExitStack() as stack:
        client = await connected(stack, "origin", **settings)
        async with client.subscribe(dead, group=GROUP):
            pass
        subscription = await stack.enter_async_context(client.subscribe(orders, group="work"))
        letters = [failed(Message.of(str(number), key="k"), channel=orders) for number in range(120)]
        await client.publish(dead, *letters)
        assert await asyncio.to_thread(_killed, settings, dead, tmp_path, "before-accept", count) is None
        outcome = await asyncio.to_thread(_killed, settings, dead, tmp_path)
        assert outcome is not None
        assert outcome.keys() <= {"sent", "sent before"}
        found = [one.data.decode() for one in await received(subscription, 120)]
        assert found == [str(number) for number in range(120)]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(subscription.receive(1), 0.3)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("step", ["before-publish", "after-publish", "before-accept"])
async def test_where_the_broker_can_not_be_asked_one_at_most_is_in_doubt(
    rabbitmq: Server, tmp_path: Path, step: str
) -> None:
    """It stays a dead letter until somebody decides; of all others each is sent once."""
    orders, dead = f"orders-{uuid4().hex[:8]}", f"dead-{uuid4().hex[:8]}"
    settings = {"url": rabbitmq.url}
    async with AsyncExitStack() as stack:
        client = await connected(stack, "origin", **settings)
        async with client.subscribe(dead, group=GROUP):
            pass
        subscription = await stack.enter_async_context(client.subscribe(orders, group="work"))
        await client.publish(dead, *(failed(Message.of(str(number)), channel=orders) for number in range(6)))
        assert await asyncio.to_thread(_killed, settings, dead, tmp_path, step, 3) is None
        outcome = await asyncio.to_thread(_killed, settings, dead, tmp_path)
        unsure = step != "before-accept"
        assert outcome == ({"sent": 3, "doubtful": 1} if unsure else {"sent": 3, "sent before": 1})
        found = [one.data.decode() for one in await received(subscription, 5 if step == "before-publish" else 6)]
        wanted = {"0", "1", "3", "4", "5"} | (set() if step == "before-publish" else {"2"})
        assert sorted(found) == sorted(wanted)
        assert await subscription.lag() == 0
