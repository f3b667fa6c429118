"""The client that users hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import pytest

from dragoman.adapter import ACCEPT, Accept, Capability, Reject, Release, Start
from dragoman.client import Client
from dragoman.errors import (
    ChannelNotFound,
    Closed,
    ConnectionLost,
    PayloadTooLarge,
    PublishFailed,
    TimedOut,
    Unsupported,
)
from dragoman.link import Link
from dragoman.message import Channel, Message
from tests.dictionary.adapter import EVERYTHING, Settings, dictionary
from tests.dictionary.broker import Broker


def client_of(broker: Broker, capabilities: frozenset[Capability] = EVERYTHING) -> Client:
    """A client called `orders`, not connected yet; another adapter that can do everything is installed too."""
    kind = dictionary(broker, capabilities=capabilities)
    return Client(Link("orders", kind, lambda: kind.connect(Settings()), (kind, dictionary(broker, "other"))))


@pytest.fixture
def broker() -> Broker:
    """An empty one."""
    return Broker()


@pytest.fixture
async def client(broker: Broker) -> AsyncIterator[Client]:
    """A connected client."""
    async with client_of(broker) as client:
        yield client


async def test_publish_takes_messages_bytes_and_text(client: Client, broker: Broker) -> None:
    """In order; what is said besides goes into the metadata of bytes and text."""
    await client.publish("out", Message(b"a"), b"b", "ü")
    await client.publish("topic:out", "d", key="k", content_type="text/plain", metadata={"x": "1"})
    await client.publish(Channel("out"))
    assert broker.data("out") == [b"a", b"b", "ü".encode()]
    (message,) = broker.messages("topic:out")
    assert (message.key, message.content_type, message.get("x")) == ("k", "text/plain", "1")


async def test_publish_does_not_ignore_what_is_said_besides_a_message(client: Client, broker: Broker) -> None:
    """A `Message` has its own key, so another one is a mistake."""
    with pytest.raises(TypeError, match="a Message has its own"):
        await client.publish("out", b"a", Message(b"b"), key="k")
    assert broker.data("out") == []


async def test_a_subscription_is_iterated_and_settled(client: Client, broker: Broker) -> None:
    """One by one."""
    await client.publish("in", "a", "b", "c")
    async with client.subscribe("in", group="g") as subscription:
        seen = []
        async for delivery in subscription:
            seen.append((delivery.message.data, delivery.count))
            match delivery.message.data:
                case b"a":
                    await subscription.accept(delivery)
                case b"b" if delivery.count == 1:
                    await subscription.release(delivery, delay=0.01)
                case b"b":
                    await subscription.accept(delivery)
                    break
                case b"c":
                    await subscription.reject(delivery, reason="no")
    assert seen == [(b"a", 1), (b"b", 1), (b"c", 1), (b"b", 2)]
    assert [outcome for *_, outcome in broker.settled] == [Accept(), Release(0.01), Reject("no"), Accept()]


async def test_a_subscription_is_received_and_settled_in_batches(client: Client, broker: Broker) -> None:
    """Also several with one call of `accept`."""
    await client.publish("in", *(str(number) for number in range(5)))
    async with client.subscribe("in", group="g") as subscription:
        assert subscription.channel == Channel("in")
        one, two, three = await subscription.receive(3)
        await subscription.settle([(two, Release()), (one, Accept())])
        await subscription.accept(three, *await subscription.receive(9))
    assert broker.sizes["settle"] == [2, 4]


async def test_what_was_not_looked_at_goes_back(client: Client, broker: Broker) -> None:
    """An iteration asks for many at once; none of them is lost when it ends."""
    await client.publish("in", *(str(number) for number in range(5)))
    async with client.subscribe("in", group="g") as subscription:
        async for delivery in subscription:
            await subscription.accept(delivery)
            break
        rest = await subscription.receive(2)
        assert [delivery.message.data for delivery in rest] == [b"1", b"2"]
    assert broker.left("in", "g") == [b"1", b"2", b"3", b"4"]


async def test_cancelling_an_iteration_loses_nothing(client: Client, broker: Broker) -> None:
    """Whatever the moment."""
    seen: list[bytes] = []
    async with client.subscribe("in", group="g") as subscription:
        for turns in range(6):
            waiting = asyncio.create_task(anext(subscription))
            await asyncio.sleep(0)
            await client.publish("in", str(turns))
            for _ in range(turns):
                await asyncio.sleep(0)
            waiting.cancel()
            (result,) = await asyncio.gather(waiting, return_exceptions=True)
            if not isinstance(result, BaseException):
                seen.append(result.message.data)
        while len(seen) < 6:
            seen.append((await anext(subscription)).message.data)
    assert sorted(seen) == [str(turns).encode() for turns in range(6)]


async def test_a_subscription_may_begin_in_the_past(client: Client) -> None:
    """At a time or an offset."""
    await client.publish("topic:t", "a", "b")
    for start in (Start(offset=1), Start(time=datetime(2020, 1, 1, tzinfo=UTC))):
        async with client.subscribe("topic:t", start=start) as subscription:
            assert (await anext(subscription)).message.data == (b"b" if start.offset else b"a")


async def test_a_queue_needs_a_group(client: Client) -> None:
    """It is said before anything is asked of the broker."""
    with pytest.raises(ValueError, match=r"orders: subscribing to the queue .in. needs a group: pass group="):
        async with client.subscribe("in"):
            pytest.fail("it was opened")


async def test_requests_are_answered(client: Client) -> None:
    """Or time out."""

    async def answer() -> None:
        async with client.subscribe("questions", group="g") as questions:
            async for delivery in questions:
                await client.reply(delivery.message, b"4", "four")
                await questions.accept(delivery)
                return

    answering = asyncio.create_task(answer())
    replies = await client.request("questions", "2+2", timeout=5, expected=2)
    assert [reply.data for reply in replies] == [b"4", b"four"]
    await answering
    with pytest.raises(TimedOut, match=r"orders: no reply within 0.01 s"):
        await client.request("questions", b"2+2", timeout=0.01)


async def _in_the_past(client: Client) -> None:
    async with client.subscribe("in", group="g", start=Start()):
        pytest.fail("it was opened")


async def _lag(client: Client) -> None:
    async with client.subscribe("in", group="g") as subscription:
        await subscription.lag()


async def _transactions(client: Client) -> None:
    async with client.subscribe("in", group="g", transactions=True):
        pass


@pytest.mark.parametrize(
    ("missing", "call", "words"),
    [
        (Capability.QUEUE, lambda client: client.publish("in", b""), "has no channels of kind `queue`"),
        (Capability.TOPIC, lambda client: client.publish("topic:in", b""), "has no channels of kind `topic`"),
        (Capability.REPLAY, _in_the_past, "can't start a subscription in the past"),
        (Capability.REQUEST_REPLY, lambda client: client.request("in", b""), "can't send requests and replies"),
        (Capability.REQUEST_REPLY, lambda client: client.reply(Message()), "can't send requests and replies"),
        (Capability.LAG, _lag, "does not know how many messages wait"),
        (Capability.TRANSACTIONS, _transactions, "has no transactions"),
    ],
)
async def test_what_the_adapter_cannot_do_is_refused_and_who_could_is_said(
    missing: Capability, call: Callable[[Client], Awaitable[object]], words: str
) -> None:
    """Before the broker is asked."""
    broker = Broker()
    async with client_of(broker, EVERYTHING - {missing}) as client:
        with pytest.raises(Unsupported) as refused:
            await call(client)
    assert str(refused.value) == f"orders: the adapter 'dictionary' {words} (of those installed, other could)"
    assert broker.calls.keys() <= {"connect", "subscribe"}


async def test_a_transaction_is_passed_on(client: Client, broker: Broker) -> None:
    """What was sent is there, what was accepted is gone; a subscription that was not opened for it has none."""
    await client.publish("in", "a", "b")
    async with client.subscribe("in", group="g", transactions=True) as subscription:
        a, b = await subscription.receive(2)
        assert not await subscription.transact([(a, ACCEPT)], [(Channel("out"), [Message(b"x")])])
        assert list(await subscription.transact([(a, ACCEPT), (b, ACCEPT)], [(Channel("out"), [Message(b"y")])])) == [a]
    assert (broker.data("out"), broker.left("in", "g")) == ([b"x"], [b"b"])
    async with client.subscribe("in", group="g") as subscription:
        with pytest.raises(Unsupported, match="transactions=True"):
            await subscription.transact([], [])


async def test_lag_is_passed_on(client: Client) -> None:
    """For those that know it."""
    await client.publish("in", "a", "b")
    async with client.subscribe("in", group="g") as subscription:
        assert await subscription.lag() == 2


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PayloadTooLarge("2 MB, and the broker takes 1 MB"), "orders: 2 MB, and the broker takes 1 MB"),
        (ChannelNotFound("there is no such channel", where="out"), "orders: out: there is no such channel"),
        (ChannelNotFound("gone", where="orders.created"), "orders: orders.created: gone"),
        (ChannelNotFound("gone", where="orders"), "orders: gone"),
    ],
)
async def test_errors_begin_with_the_clients_name(client: Client, broker: Broker, error: Exception, text: str) -> None:
    """Once."""
    cause = KeyError("cause")
    error.__cause__ = cause
    broker.fail("publish", error)
    with pytest.raises(type(error)) as raised:
        await client.publish("out", b"x")
    assert str(raised.value) == text
    assert raised.value.__cause__ is cause


async def test_a_closed_client_refuses_everything(broker: Broker) -> None:
    """Also what it had opened; closing twice is fine."""
    async with client_of(broker) as client:
        async with client.subscribe("in", group="g") as subscription:
            await client.close()
            await client.close()
            with pytest.raises(Closed, match="orders: "):
                await subscription.receive(1)
        for call in (client.publish("in", b"x"), client.request("in", b"x"), client.reply(Message())):
            with pytest.raises(Closed, match="orders: the client is closed"):
                await call
        with pytest.raises(Closed):
            await client.subscribe("in", group="g").__aenter__()
    assert not broker.connections


async def test_a_closed_subscription_refuses_everything(client: Client) -> None:
    """Also one call that was waiting."""
    async with client.subscribe("in", group="g") as subscription:
        waiting = asyncio.create_task(subscription.receive(1))
        await asyncio.sleep(0)
    with pytest.raises(Closed, match="orders"):
        await waiting
    for call in (subscription.receive(1), subscription.settle([]), subscription.lag(), anext(subscription)):
        with pytest.raises(Closed, match="orders: the subscription to 'in' is closed"):
            await call


async def test_closing_while_it_connects_leaves_nothing_open(broker: Broker) -> None:
    """The connection is closed as soon as it is there."""
    client = client_of(broker)
    with broker.hold("connect"):
        connecting = asyncio.create_task(client.publish("in", b"x"))
        await asyncio.sleep(0)
        await client.close()
    with pytest.raises(Closed):
        await connecting
    assert not broker.connections


async def test_after_a_loss_the_next_call_connects_anew(client: Client, broker: Broker) -> None:
    """Many at once share the new connection; a subscription ends with the old one."""
    broker.drop()
    await asyncio.gather(*(client.publish("out", str(number)) for number in range(5)))
    assert (sorted(broker.data("out")), broker.calls["connect"]) == ([b"0", b"1", b"2", b"3", b"4"], 2)
    async with client.subscribe("out", group="g") as subscription:
        broker.drop()
        with pytest.raises(ConnectionLost):
            await subscription.receive(1)
    async with client.subscribe("out", group="g") as subscription:
        assert len(await subscription.receive(9)) == 5


async def test_a_loss_is_told_to_every_call_that_was_under_way(client: Client, broker: Broker) -> None:
    """A send may have arrived; a subscription is of no more use. Nobody hears that something was closed."""
    async with client.subscribe("in", group="g") as subscription:
        receiving = asyncio.create_task(subscription.receive(1))
        with broker.hold("publish"):
            sending = asyncio.create_task(client.publish("out", b"x"))
            await asyncio.sleep(0)
            broker.fail("request", ConnectionLost("cut"))
            with pytest.raises(ConnectionLost):
                await client.request("questions", b"x")
        with pytest.raises(PublishFailed) as failed:
            await sending
        assert failed.value.outcome_unknown
        with pytest.raises(ConnectionLost):
            await receiving


async def test_whoever_enters_a_client_is_told_at_once_that_there_is_no_broker(broker: Broker) -> None:
    """With the client's name in the error; the same client may be used later."""
    broker.fail("connect", ConnectionLost("refused"))
    client = client_of(broker)
    with pytest.raises(ConnectionLost, match="orders: refused"):
        async with client:
            pytest.fail("it was connected")
    await client.publish("out", b"y")
    await client.close()
    assert broker.data("out") == [b"y"]


def test_a_client_says_what_it_is(broker: Broker) -> None:
    """Its name, and its adapter."""

    async def names() -> tuple[str, str]:
        client = client_of(broker)
        return client.name, client.type.name

    assert asyncio.run(names()) == ("orders", "dictionary")
