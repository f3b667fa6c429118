"""Dead letters of every broker, kept on every broker: they come back as they were, and looking takes nothing away."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dragoman.adapter import Start
from dragoman.client import Client
from dragoman.dead_letters.journal import opened as journal_opened
from dragoman.dead_letters.letter import REPLAYS, Letter
from dragoman.dead_letters.replay import Replay
from dragoman.dead_letters.selection import Selection
from dragoman.dead_letters.shelf import GROUP, Place, opened
from dragoman.errors import Unsupported
from dragoman.message import Channel, Message
from tests.dead_letters.letters import before, connected, failed, known, received
from tests.servers import Server

ALL = ["embedded", "kafka", "rabbitmq", "mosquitto", "nats"]
QUICK: Mapping[str, Mapping[str, Any]] = {"kafka": {"create_topics": True}, "nats": {"ack_wait": "5s"}}
#: Each with itself, with the embedded broker both ways, and a ring of the others.
PAIRS = [
    *((name, name) for name in ALL),
    *(("embedded", name) for name in ALL[1:]),
    *((name, "embedded") for name in ALL[1:]),
    *zip(ALL[1:], ALL[2:] + ALL[1:2], strict=True),
]


def _settings(request: pytest.FixtureRequest, name: str, folder: Path) -> dict[str, Any]:
    if name == "embedded":
        return {"url": f"embedded:{folder}/broker.db"}
    settings = {"url": request.getfixturevalue(name).url, **QUICK.get(name, {})}
    if name == "mosquitto":
        settings["client_id"] = folder.name + uuid4().hex[:8]
    return settings


def _messages() -> list[Message]:
    """With everything that each of the brokers can carry."""
    return [
        Message(
            f"zwölf {number}".encode() + b"\x00\xff",
            (("key", f"k{number % 2}"), ("message-id", f"m{number}"), ("x", "1"), ("x", "2"), ("y", "ä")),
            "text/x-test",
        )
        for number in range(5)
    ]


async def _letters(shelf_of: Place, client: Client) -> list[Letter]:
    async with opened(shelf_of, client) as shelf:
        found = [one.letter async for batch in shelf.batches() for one in batch]
        assert not shelf.left
    return found


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("origin", "place"), PAIRS, ids=[f"{one}-in-{two}" for one, two in PAIRS])
async def test_a_dead_letter_comes_back_as_it_was(
    request: pytest.FixtureRequest, tmp_path: Path, origin: str, place: str
) -> None:
    """Body, key, content type, format and metadata; in order, once, with the number of its replays.

    What is listed twice is there twice: only a replay takes it away.
    """
    orders, dead = f"orders-{uuid4().hex[:8]}", Place("dead", Channel(f"dead-{uuid4().hex[:8]}"))
    async with AsyncExitStack() as stack:
        source = await connected(stack, "origin", **_settings(request, origin, tmp_path))
        target = await connected(stack, "dead", **_settings(request, place, tmp_path))
        async with target.subscribe(dead.channel, group=GROUP):
            pass  # on MQTT a queue keeps what comes after somebody has subscribed
        subscription = await stack.enter_async_context(source.subscribe(orders, group="work"))
        await source.publish(orders, *_messages())
        originals = await received(subscription, 5)
        await target.publish(dead.channel, *(failed(one, channel=orders) for one in originals))

        listed = await _letters(dead, target)
        assert [one.id for one in await _letters(dead, target)] == [one.id for one in listed]
        assert [(one.handler, str(one.channel), one.attempts, one.reason) for one in listed] == [
            ("billing", orders, 3, "no luck")
        ] * 5
        with journal_opened(tmp_path / "journal") as journal:
            async with opened(dead, target) as shelf:
                outcome = await Replay(shelf, journal, known(source)).run(Selection())
        assert outcome.counts == {"sent": 5}
        again = await received(subscription, 5)
        assert [before(one) for one in again] == [before(one) for one in originals]
        assert [one.get(REPLAYS) for one in again] == ["1"] * 5
        assert await _letters(dead, target) == []


@pytest.mark.parametrize("name", ["embedded", "kafka", "nats"])
async def test_dead_letters_on_a_topic_are_found_where_the_broker_keeps_it(
    request: pytest.FixtureRequest, tmp_path: Path, name: str
) -> None:
    """From the first on, though nobody was subscribed."""
    async with AsyncExitStack() as stack:
        client = await connected(stack, "dead", **_settings(request, name, tmp_path))
        topic = Place("dead", Channel(f"dead-{uuid4().hex[:8]}", "topic"))
        await client.publish(topic.channel, failed(Message(b"1")))
        for _ in range(2):
            assert [one.message.data for one in await _letters(topic, client)] == [b"1"]


@pytest.mark.usefixtures("mosquitto", "nats")
async def test_a_broker_that_keeps_nothing_has_no_dead_letters(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """And says so."""
    url = request.getfixturevalue("nats").url
    async with AsyncExitStack() as stack:
        client = await connected(stack, "dead", adapter="nats-core", url=url)
        with pytest.raises(Unsupported, match="keeps no messages"):
            await _letters(Place("dead", Channel("dead")), client)
        mqtt = await connected(stack, "dead", **_settings(request, "mosquitto", tmp_path))
        topic = Place("dead", Channel("dead", "topic"))
        with pytest.raises(Unsupported, match=r"keeps nothing for who looks later.*send dead letters to a queue"):
            await _letters(topic, mqtt)


@pytest.mark.usefixtures("kafka")
@pytest.mark.timeout(240)
async def test_what_kafka_can_not_be_told_yet_is_not_sent_twice(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Its progress is one number for each partition: what was sent back behind a letter that stays comes again."""
    async with AsyncExitStack() as stack:
        client = await connected(stack, "origin", **_settings(request, "kafka", tmp_path))
        orders, place = f"orders-{uuid4().hex[:8]}", Place("origin", Channel(f"dead-{uuid4().hex[:8]}"))
        await client.publish(place.channel, *(failed(Message.of(str(n), key="k"), channel=orders) for n in range(4)))
        letters = await _letters(place, client)
        sent = []
        for selection in (Selection(ids=[letters[2].id]), Selection(ids=[letters[2].id]), Selection()):
            with journal_opened(tmp_path / "journal") as journal:
                async with opened(place, client) as shelf:
                    outcome = await Replay(shelf, journal, known(client)).run(selection)
            sent.append((outcome.counts["sent"], outcome.counts["sent before"]))
        assert sent == [(1, 0), (0, 1), (3, 1)]
        async with client.subscribe(f"topic:{orders}", start=Start()) as subscription:
            found = [one.data for one in await received(subscription, 4)]
            assert found == [b"2", b"0", b"1", b"3"]
            assert await subscription.lag() == 0
        assert await _letters(place, client) == []


async def test_what_stays_on_kafka_is_not_waited_for(kafka: Server, tmp_path: Path) -> None:
    """What is sent back lies behind what stays, so it is not committed: that is not what others have in hand."""
    told: list[int] = []
    async with AsyncExitStack() as stack:
        client = await connected(stack, "origin", url=kafka.url, **QUICK["kafka"])
        orders, dead = f"orders-{uuid4().hex[:8]}", Place("origin", Channel(f"dead-{uuid4().hex[:8]}"))
        for number in range(10):
            letter = failed(Message.of(str(number), key="k"), handler=f"h{number % 2}", channel=orders)
            await client.publish(dead.channel, letter)
        with journal_opened(tmp_path / "journal") as journal:
            async with opened(dead, client, waiting=told.append) as shelf:
                outcome = await Replay(shelf, journal, known(client)).run(Selection(handlers=["h1"]))
                assert shelf.left == 0
    assert outcome.counts == {"sent": 5}
    assert not told
