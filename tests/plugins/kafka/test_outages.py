"""Kafka that is killed, cut off or hangs; wrong passwords and forbidden topics."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from aiokafka import errors as theirs

from dragoman.adapter import SubscribeOptions
from dragoman.errors import (
    AuthenticationFailed,
    BrokerError,
    Closed,
    ConnectionLost,
    DragomanError,
    PermissionDenied,
    PublishFailed,
)
from dragoman.message import Channel, Message
from dragoman_kafka import KAFKA, KafkaSettings
from dragoman_kafka.adapter import KafkaAdapter
from dragoman_kafka.errors import _TABLE, translate, translate_connection
from tests.plugins.kafka.conftest import settings_for
from tests.plugins.kafka.receiving import accept, bodies, drain, messages, take
from tests.servers import PASSWORD, USER, Kafka, Server
from tests.servers.ports import free_port

GROUP = SubscribeOptions(group="g")


@pytest.fixture
async def patient(kafka: Server) -> AsyncIterator[KafkaAdapter]:
    """A connection that waits as long as a server may take to start on a busy machine."""
    connected = await KAFKA.connect(settings_for(kafka, timeout=90.0))
    assert isinstance(connected, KafkaAdapter)
    try:
        yield connected
    finally:
        await connected.close()


async def test_every_confirmed_message_survives_kills_of_the_server(
    patient: KafkaAdapter, kafka: Server, channel: Channel
) -> None:
    """Killed in the middle, with publishers and a subscriber at work: both go on by themselves, and nothing is lost."""
    adapter = patient
    confirmed: list[str] = []
    done: list[str] = []
    await adapter.publish(channel, messages(1, first=10_000))

    async def publisher(first: int) -> None:
        for message in messages(50, first=first):
            await adapter.publish(channel, [message])
            confirmed.append(message.data.decode())

    async with adapter.subscribe(channel, GROUP) as subscription:
        publishing = asyncio.gather(*(publisher(1000 * n) for n in range(20)))
        done += bodies(some := await take(subscription, 50))
        await accept(subscription, *some)
        await asyncio.to_thread(kafka.restart)
        await publishing
        done += bodies(await drain(subscription))
    assert len(confirmed) == 1000
    assert set(confirmed) | {"10000"} == set(done)
    # The producer's number keeps what was sent again from being stored again.
    assert len(done) <= 1001 + 256


async def test_publishing_waits_within_its_bound_and_then_says_that_the_outcome_is_unknown(
    kafka: Server, channel: Channel
) -> None:
    """What waited behind is known not to have been sent. Afterwards all goes on, in order, nothing twice."""
    adapter = await KAFKA.connect(settings_for(kafka, timeout=1.5))
    await adapter.publish(channel, messages(1, key="k"))
    await asyncio.to_thread(kafka.cut)
    began = time.monotonic()
    first = asyncio.create_task(adapter.publish(channel, messages(1, key="k", first=1)))
    await asyncio.sleep(0.2)
    second = asyncio.create_task(adapter.publish(channel, messages(1, key="k", first=2)))
    with pytest.raises(PublishFailed, match="may still arrive") as unknown:
        await first
    assert 1.4 < time.monotonic() - began < 2.5
    assert unknown.value.outcome_unknown
    with pytest.raises(PublishFailed, match="nothing was sent") as known:
        await second
    assert not known.value.outcome_unknown
    await asyncio.to_thread(kafka.restore)
    await adapter.publish(channel, messages(1, key="k", first=3))
    async with adapter.subscribe(channel, GROUP) as subscription:
        assert bodies(await drain(subscription)) == ["0", "1", "3"]
    await adapter.close()


async def test_a_network_that_hangs_is_noticed(kafka: Server, channel: Channel) -> None:
    """Nothing is refused, nothing answers: publishing and settling still end within their bound."""
    adapter = await KAFKA.connect(settings_for(kafka, timeout=2.0))
    await adapter.publish(channel, messages(2, key="k"))
    async with adapter.subscribe(channel, GROUP) as subscription:
        held = await take(subscription, 2)
        await asyncio.to_thread(kafka.stall)
        results = await asyncio.gather(
            adapter.publish(channel, messages(1)),
            accept(subscription, *held),
            adapter.publish(Channel("another"), messages(1)),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [PublishFailed, ConnectionLost, ConnectionLost]
        await asyncio.to_thread(kafka.restore)
    await adapter.close()


async def test_an_outage_that_lasts_ends_a_waiting_subscription(kafka: Server, channel: Channel) -> None:
    """So that the host connects anew, and finds brokers that have moved."""
    adapter = await KAFKA.connect(settings_for(kafka, timeout=1.0))
    await adapter.publish(channel, messages(1))
    async with adapter.subscribe(channel, GROUP) as subscription:
        await accept(subscription, *await take(subscription, 1))
        await asyncio.to_thread(kafka.cut)
        with pytest.raises(ConnectionLost):
            await take(subscription, 1)
        with pytest.raises(ConnectionLost):
            await subscription.receive(1)
    await adapter.close()


async def test_a_short_outage_ends_nothing(adapter: KafkaAdapter, kafka: Server, channel: Channel) -> None:
    """Shorter than our patience: what was called waits, and goes through."""
    await adapter.publish(channel, messages(1))
    async with adapter.subscribe(channel, GROUP) as subscription:
        held = await take(subscription, 1)
        await asyncio.to_thread(kafka.cut)
        settling = asyncio.create_task(accept(subscription, *held))
        publishing = asyncio.create_task(adapter.publish(channel, messages(10, first=1)))
        await asyncio.sleep(0.5)
        await asyncio.to_thread(kafka.restore)
        await asyncio.gather(settling, publishing)
        assert sorted(bodies(await drain(subscription)), key=int) == [str(n) for n in range(1, 11)]


@pytest.mark.parametrize("fault", ["cut", "stall"])
async def test_close_is_bounded_in_an_outage(kafka: Server, channel: Channel, fault: str) -> None:
    """With messages unsent, deliveries unsettled and somebody waiting: everybody is told, nothing is left open."""
    adapter = await KAFKA.connect(settings_for(kafka))
    await adapter.publish(channel, messages(4))
    async with adapter.subscribe(channel, GROUP) as subscription:
        held = await take(subscription, 4)
        await asyncio.to_thread(getattr(kafka, fault))
        waiting = [
            asyncio.create_task(adapter.publish(channel, messages(1))),
            asyncio.create_task(subscription.receive(1)),
            asyncio.create_task(accept(subscription, *held)),
        ]
        await asyncio.sleep(0.2)
        began = time.monotonic()
        await adapter.close()
        assert time.monotonic() - began < 10
        results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, BrokerError) for result in results), results
    assert isinstance(results[0], PublishFailed)
    assert results[0].outcome_unknown
    assert isinstance(results[1], Closed)


async def test_no_broker_at_all() -> None:
    """Connecting says so, with the client's error as the cause."""
    with pytest.raises(ConnectionLost, match="no broker can be reached") as caught:
        await KAFKA.connect(KafkaSettings(url=f"kafka://127.0.0.1:{free_port()}"))
    assert caught.value.__cause__ is not None


async def test_a_producer_that_cannot_go_on_says_that_the_connection_is_lost(
    adapter: KafkaAdapter, channel: Channel
) -> None:
    """A gap in its numbers is for ever; a new connection has a new producer."""
    await adapter.publish(channel, messages(1, key="k"))
    numbers = adapter._producer._txn_manager._sequence_numbers
    for partition in numbers:
        numbers[partition] += 5
    with pytest.raises(ConnectionLost) as caught:
        await adapter.publish(channel, messages(1, key="k"))
    assert isinstance(caught.value.__cause__, theirs.OutOfOrderSequenceNumber)
    with pytest.raises(ConnectionLost, match="can't go on"):
        await adapter.publish(channel, messages(1, key="k"))


async def test_a_wrong_password_and_a_forbidden_topic(secure_kafka: Server, channel: Channel) -> None:
    """The right error of the tree for each, though the client only logs the reason; no password in it."""
    for sasl, username, password in (("PLAIN", USER, "wrong"), ("PLAIN", "nobody", PASSWORD)):
        with pytest.raises(AuthenticationFailed) as caught:
            await KAFKA.connect(settings_for(secure_kafka, sasl=sasl, username=username, password=password))
        assert password not in str(caught.value)
    adapter = await KAFKA.connect(settings_for(secure_kafka, username=USER, password=PASSWORD))
    await adapter.publish(channel, messages(1))
    async with adapter.subscribe(channel, GROUP) as subscription:
        await accept(subscription, *await take(subscription, 1))
    forbidden = Channel("forbidden.orders")
    with pytest.raises(PermissionDenied):
        await adapter.publish(forbidden, messages(1))
    with pytest.raises(PermissionDenied):
        async with adapter.subscribe(forbidden, GROUP):
            pass
    await adapter.close()


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_scram_shows_no_password_and_refuses_a_wrong_one(
    secure_kafka: Server, channel: Channel, mechanism: str
) -> None:
    """Producer, consumer and the connection for replies all speak it."""
    login = settings_for(secure_kafka, username=USER, password=PASSWORD, sasl=mechanism)
    connected = await KAFKA.connect(login)
    assert isinstance(connected, KafkaAdapter)
    try:
        async with connected.subscribe(channel, SubscribeOptions(group="scram")) as subscription:
            await connected.publish(channel, messages(3))
            await accept(subscription, *(taken := await take(subscription, 3)))
            assert sorted(bodies(taken)) == ["0", "1", "2"]
            asking = asyncio.create_task(connected.request(channel, Message(b"?"), timeout=20, expected=1))
            (asked,) = await take(subscription, 1)
            await connected.reply(asked.message, [Message(b"!")])
            assert [reply.data for reply in await asking] == [b"!"]
            await accept(subscription, asked)
    finally:
        await connected.close()
    with pytest.raises(AuthenticationFailed) as caught:
        await KAFKA.connect(settings_for(secure_kafka, username=USER, password=PASSWORD + "!", sasl=mechanism))
    assert PASSWORD not in f"{caught.value} {caught.value!r}"


async def test_without_a_password_where_one_is_wanted(secure_kafka: Server) -> None:
    """The broker hangs up without a word, so it may look like either."""
    with pytest.raises((ConnectionLost, AuthenticationFailed)):
        await KAFKA.connect(settings_for(secure_kafka, timeout=3.0))


async def test_tls_with_an_authority_that_is_trusted_and_one_that_is_not(channel: Channel) -> None:
    """A certificate that nobody vouches for is refused; with its authority all goes through."""
    with Kafka(tls=True) as server:
        assert server.certificates is not None
        with pytest.raises(AuthenticationFailed):
            await KAFKA.connect(settings_for(server, tls=True))
        adapter = await KAFKA.connect(settings_for(server, tls=True, tls_ca=server.certificates.authority))
        await adapter.publish(channel, messages(3))
        async with adapter.subscribe(channel, GROUP) as subscription:
            assert sorted(bodies(await drain(subscription))) == ["0", "1", "2"]
        await adapter.close()


@pytest.mark.parametrize(
    "error",
    [kind for kinds, _ in _TABLE for kind in kinds if kind is not theirs.BrokerResponseError],
    ids=lambda kind: kind.__name__,
)
def test_every_error_of_the_client_is_one_of_ours(error: type[Exception]) -> None:
    """With the client's as the cause, one line for a user, and no outcome in question outside publishing."""
    original = error()
    for found in (translate(original, "orders"), translate_connection(original, "orders")):
        assert isinstance(found, DragomanError)
        assert found.__cause__ is original
        assert str(found).startswith("orders: ")
        assert "\n" not in str(found)
    assert not isinstance(translate_connection(original, "orders"), PublishFailed)


def test_an_error_of_ours_stays_what_it_is() -> None:
    """The table is for the client's errors only."""
    error = Closed("closed")
    assert translate(error, "orders") is error


def test_a_refusal_that_the_table_does_not_name_is_a_known_outcome() -> None:
    """The broker answered, so it has not stored the message."""
    found = translate(theirs.PolicyViolationError(), "orders")
    assert isinstance(found, PublishFailed)
    assert not found.outcome_unknown
