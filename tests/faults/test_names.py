"""Channels that a handler must not reach, by every trick that the syntax of a broker's names offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import uuid4

import pytest

import dragoman as library
from dragoman.errors import BrokerError, NotGranted
from dragoman.host.grants import Grants
from tests.servers import Server

#: Outside the grant `out.*`, whatever a broker would make of them.
TRICKS: Final = (
    "", "*", ">", "#", "+", "out", "out#", "out>", "out/x", "out+", "*.x", "+/x", "#.x", "Out.x", "OUT.x", " out.x",
    "\tout.x", "\nout.x", "\0out.x", "in\nout.x", "in\0out.x", ".out.x", "/out.x", "//out.x", "x/out.x", "in.out.x",
    "\u043eut.x", "\uff4fut.x", "o\u200but.x", "out\u2024x", "out\uff0ex", "\u202eout.x", "o\u0075\u0308t.x",
    "topic:out.x", "topic:topic:out.x", "queue:", "topic:", "queue:topic:out.x", "queue:queue:out.x", "QUEUE:out.x",
    "$SYS.REQ.SERVER.PING", "$JS.API.STREAM.DELETE.ORDERS", "_INBOX.x", "$SYS/broker/uptime", "$share/g/out.x",
    "amq.topic", "amq.gen-x", "amq.rabbitmq.reply-to", "__consumer_offsets", "__transaction_state", "../out.x",
    "x" * 100_000, "out" + "x" * 100_000, "dead", "in", "out\\.x", "out%2Ex", "OUT%2Ex",
)  # fmt: skip
#: What each broker's adapter refuses even to a handler that may publish anywhere: it is not a name, or not anybody's.
REFUSED: Final[Mapping[str, Sequence[str]]] = {
    "nats": (
        "a.*", "a.>", ">", "*", "a..b", ".a", "a.", "a b", "a\nb", "a\0b", "$SYS.REQ.SERVER.PING",
        "$JS.API.STREAM.LIST", "$JS.API.STREAM.DELETE.x", "_INBOX.x", "topic:$JS.API.STREAM.PURGE.x", "topic:_INBOX.x",
        "topic:a.>", "topic:a\r\nPUB b 1",
    ),
    "mosquitto": ("a/+", "#", "a/#", "+", "$SYS/broker/uptime", "$share/g/t", "a\0b", "x" * 70_000, "topic:$SYS/x"),
    "kafka": ("a b", "a/b", ".", "..", "a\0b", "a\nb", "x" * 250, "*", "é", "__consumer_offsets"),
    "rabbitmq": ("amq.gen-x", "amq.rabbitmq.reply-to", "amq.rabbitmq.reply-to.x", "x" * 256),
}  # fmt: skip


@pytest.mark.parametrize("name", TRICKS, ids=lambda name: ascii(name[:20]))
def test_no_trick_of_spelling_gets_around_a_grant(name: str) -> None:
    """What is granted is a whole name of one kind, character by character."""
    grants = Grants("work", {"main": ["out.*"]})
    with pytest.raises(NotGranted) as refused:
        grants.publish("main", name)
    assert len(str(refused.value)) < 500
    assert "\n" not in str(refused.value)
    assert "\0" not in str(refused.value)


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Server:
    """The one of that name."""
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("server", "name"), [(name, name) for name in REFUSED], indirect=["server"], ids=list(REFUSED))
async def test_what_is_nobodys_channel_is_refused_on_each_broker(server: Server, name: str) -> None:
    """With an error of our tree, on a connection that goes on working; also where the grant is `*`."""
    good = f"names-{uuid4().hex[:8]}"
    settings = {"url": server.url, "wait": "10s"} | ({"create_topics": True} if name == "kafka" else {})
    async with library.connect(settings, client="shop") as client, client.subscribe(good, group="g") as subscription:
        for trick in REFUSED[name]:
            with pytest.raises(BrokerError) as refused:
                await client.publish(trick, b"intruder")
            assert "\n" not in str(refused.value), trick
        await client.publish(good, b"guest")
        found: list[bytes] = []
        while b"guest" not in found:
            deliveries = await subscription.receive(10)
            found += [delivery.message.data for delivery in deliveries]
            await subscription.accept(*deliveries)
    assert found == [b"guest"]
