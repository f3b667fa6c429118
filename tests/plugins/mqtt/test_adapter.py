"""What MQTT does differently from other brokers; what all have in common is in the conformance kit."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress

import aiomqtt
import pytest

from dragoman.adapter import ACCEPT, Delivery, Reject, Release, SubscribeOptions, Subscription
from dragoman.errors import (
    AuthenticationFailed,
    ChannelNotFound,
    Closed,
    ConnectionLost,
    PermissionDenied,
    PublishFailed,
    TimedOut,
    Unsupported,
    UnsupportedFormat,
)
from dragoman.message import Channel, Message
from dragoman_mqtt.adapter import MqttAdapter, connect
from dragoman_mqtt.settings import MqttSettings
from tests.plugins.mqtt.conftest import Connect
from tests.servers import PASSWORD, USER, Mosquitto

GROUP = SubscribeOptions(group="g")
ALONE = SubscribeOptions()


async def take(subscription: Subscription, count: int) -> list[Delivery]:
    """Exactly that many deliveries."""
    taken: list[Delivery] = []
    async with asyncio.timeout(20):
        while len(taken) < count:
            taken += await subscription.receive(count - len(taken))
    return taken


async def nothing_comes(subscription: Subscription) -> None:
    """Nothing within a moment."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0.3):
            assert not await subscription.receive(1)


def ids(count: int) -> list[Message]:
    """So many different messages."""
    return [Message(b"%d" % number) for number in range(count)]


def bodies(deliveries: list[Delivery]) -> list[bytes]:
    """In a comparable order."""
    return sorted((delivery.message.data for delivery in deliveries), key=int)


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_nothing_is_acknowledged_before_it_is_settled(
    mosquitto: Mosquitto, another: Connect, topic: Channel, qos: int, protocol: str
) -> None:
    """What was in hand when the connection broke comes again with the session, once; what was accepted does not.

    aiomqtt and paho acknowledge QoS 1 as it arrives, and QoS 2 before the handler in any case.
    """
    first = await another(protocol=protocol, qos=qos)
    options = SubscribeOptions(group="g")
    async with first.subscribe(topic, options) as subscription:
        await first.publish(topic, ids(10))
        held = await take(subscription, 10)
        done = [one for one in held if int(one.message.data) < 4]
        await subscription.settle([(one, ACCEPT) for one in done])
        await first._sessions._open.copy().pop()._wire.sync()  # type: ignore[union-attr] # the broker has the four
        mosquitto.cut()
        with pytest.raises(ConnectionLost):
            await subscription.receive(1)
    await first.close()
    mosquitto.restore()
    second = await another(protocol=protocol, qos=qos)
    async with second.subscribe(topic, options) as subscription:
        again = await take(subscription, 6)
        assert bodies(again) == [b"%d" % number for number in range(4, 10)]
        await subscription.settle([(one, ACCEPT) for one in again])
        await nothing_comes(subscription)
    async with second.subscribe(topic, options) as subscription:
        await nothing_comes(subscription)


async def test_cancelled_receives_lose_nothing_as_messages_arrive(adapter: MqttAdapter, channel: Channel) -> None:
    """Aiomqtt's iterator loses one message for each time-out that meets it."""
    seen: list[Delivery] = []
    async with adapter.subscribe(channel, GROUP) as subscription:
        for message in ids(50):
            receiving = asyncio.ensure_future(subscription.receive(1))
            await adapter.publish(channel, [message])
            receiving.cancel()
            with suppress(asyncio.CancelledError):
                seen += await receiving
        seen += await take(subscription, 50 - len(seen))
        assert bodies(seen) == [b"%d" % number for number in range(50)]


async def test_what_one_publisher_sends_arrives_in_order(adapter: MqttAdapter, topic: Channel) -> None:
    """More than the broker takes at once, in overlapping calls, with a quality of service that changes."""
    async with adapter.subscribe(topic, SubscribeOptions(extensions={"qos": "2"})) as subscription:
        messages = [Message(b"%d" % n, (("mqtt.qos", "2" if n % 3 else "1"),)) for n in range(1_000)]
        async with asyncio.TaskGroup() as group:
            for start in range(0, 1_000, 100):
                group.create_task(adapter.publish(topic, messages[start : start + 100]))
            seen: list[Delivery] = []
            while len(seen) < 1_000:
                batch = await take(subscription, 1)
                seen += batch
                await subscription.settle([(one, ACCEPT) for one in batch])
    for kind in ("1", "2"):  # the standard keeps the order within each
        came = [int(one.message.data) for one in seen if one.message.get("mqtt.qos") == kind]
        assert came == sorted(came)


async def test_quality_of_service_0_is_read_by_the_broker_when_publish_returns(
    another: Connect, topic: Channel
) -> None:
    """And a slow subscriber loses none of it in our hands: reading pauses, and the connection stays alive."""
    adapter = await another(qos=0, keepalive=1)
    async with adapter.subscribe(topic, ALONE) as subscription:
        for start in range(0, 6_000, 500):
            await adapter.publish(topic, ids(6_000)[start : start + 500])
        (session,) = adapter._sessions._open
        async with asyncio.timeout(10):
            while not session._wire.paused:  # type: ignore[union-attr]
                await adapter._wire.sync()
        await asyncio.sleep(2.5)  # more than two keepalives
        seen: list[Delivery] = []
        while len(seen) < 6_000:
            batch = await take(subscription, 100)
            seen += batch
            await subscription.settle([(one, ACCEPT) for one in batch])
        assert bodies(seen) == [b"%d" % number for number in range(6_000)]


async def test_a_retained_message_comes_to_a_later_subscriber_and_says_so(adapter: MqttAdapter, topic: Channel) -> None:
    """`mqtt.retain` keeps it, `retain-handling` 2 leaves it out, and an empty body deletes it."""
    keep = (("mqtt.retain", "true"),)
    await adapter.publish(topic, [Message(b"state", keep)])
    async with adapter.subscribe(topic, ALONE) as subscription:
        (came,) = await take(subscription, 1)
        assert (came.message.data, came.message.get("mqtt.retained")) == (b"state", "true")
        await adapter.publish(topic, [Message(b"news")])
        (news,) = await take(subscription, 1)
        assert news.message.get("mqtt.retained") is None
    async with adapter.subscribe(topic, SubscribeOptions(extensions={"retain-handling": "2"})) as subscription:
        await nothing_comes(subscription)
    await adapter.publish(topic, [Message(b"", keep)])
    async with adapter.subscribe(topic, ALONE) as subscription:
        await nothing_comes(subscription)


async def test_the_will_is_published_when_the_connection_breaks_and_not_when_it_is_closed(
    mosquitto: Mosquitto, another: Connect, topic: Channel
) -> None:
    """A goodbye cancels it."""
    will = {"topic": topic.name, "body": "gone", "qos": 1}
    witness = await connect(MqttSettings(url=mosquitto.direct, client_id="witness"))
    async with witness.subscribe(topic, ALONE) as subscription:
        await (await another(will=will)).close()
        await nothing_comes(subscription)
        await another(will=will)
        mosquitto.cut()
        (came,) = await take(subscription, 1)
        assert came.message.data == b"gone"
        mosquitto.restore()
    await witness.close()


async def test_a_message_expires_and_one_that_comes_says_how_long_it_has(adapter: MqttAdapter, topic: Channel) -> None:
    """`ttl`, in a session that is away."""
    async with adapter.subscribe(topic, GROUP):
        pass
    await adapter.publish(topic, [Message(b"1", (("ttl", "1"),)), Message(b"2", (("ttl", "60"),))])
    await asyncio.sleep(2.1)  # the broker counts whole seconds
    async with adapter.subscribe(topic, GROUP) as subscription:
        (came,) = await take(subscription, 1)
        assert came.message.data == b"2"
        assert 1 <= int(came.message.get("ttl") or 0) <= 60
        await subscription.settle([(came, ACCEPT)])
        await nothing_comes(subscription)


async def test_a_message_to_a_queue_that_nobody_subscribed_to_is_not_taken_as_published(
    another: Connect, channel: Channel, topic: Channel
) -> None:
    """The broker drops it and says so. To a topic it is none of our business, and `mandatory = false` is for users."""
    adapter = await another()
    with pytest.raises(PublishFailed, match="nobody is subscribed") as failed:
        await adapter.publish(channel, [Message(b"x")])
    assert not failed.value.outcome_unknown
    await adapter.publish(topic, [Message(b"x")])
    await (await another(mandatory=False)).publish(channel, [Message(b"x")])


async def test_the_same_sessions_are_taken_again_after_a_restart(another: Connect, channel: Channel) -> None:
    """Two members on connections of their own hold two sessions; whoever comes after them gets what both held."""
    one, two = await another(), await another()
    async with one.subscribe(channel, GROUP) as first, two.subscribe(channel, GROUP) as second:
        await one.publish(channel, ids(40))
        held = []
        for subscription in (first, second):
            with suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    while True:
                        held += await subscription.receive(100)
        assert bodies(held) == [b"%d" % number for number in range(40)]
    three, four = await another(), await another()
    async with three.subscribe(channel, GROUP) as first, four.subscribe(channel, GROUP) as second:
        again = await asyncio.gather(_all_of(first), _all_of(second))
        assert bodies([*again[0], *again[1]]) == [b"%d" % number for number in range(40)]


async def _all_of(subscription: Subscription) -> list[Delivery]:
    came: list[Delivery] = []
    with suppress(TimeoutError):
        while True:
            async with asyncio.timeout(0.5):
                came += await subscription.receive(100)
    return came


async def test_a_further_member_that_left_takes_no_messages(another: Connect, channel: Channel) -> None:
    """Its session is not subscribed any more: all that comes goes to those that are there."""
    one, two = await another(), await another()
    async with one.subscribe(channel, GROUP) as stays:
        async with two.subscribe(channel, GROUP):
            pass
        await one.publish(channel, ids(100))
        assert len(await take(stays, 100)) == 100


async def test_a_subscription_that_stands_still_holds_up_no_other(
    adapter: MqttAdapter, channel: Channel, topic: Channel
) -> None:
    """Each has a connection, and with it a window, of its own."""
    async with (
        adapter.subscribe(channel, SubscribeOptions(group="g", prefetch=2)) as stuck,
        adapter.subscribe(topic, ALONE) as goes,
    ):
        await adapter.publish(channel, ids(50))
        await take(stuck, 2)
        await adapter.publish(topic, ids(50))
        assert len(await take(goes, 50)) == 50


async def test_wildcards_are_subscribed_to_and_deliveries_say_where_they_came(adapter: MqttAdapter) -> None:
    """`+`, `#`; filters that overlap each get their own copy."""
    async with (
        adapter.subscribe(Channel("wild/#", "topic"), ALONE) as all_of_it,
        adapter.subscribe(Channel("wild/+/x", "topic"), ALONE) as some,
        adapter.subscribe(Channel("wild/#"), GROUP) as shared,
    ):
        await adapter.publish(Channel("wild/a/x", "topic"), [Message(b"1")])
        for subscription, kind in ((all_of_it, "topic"), (some, "topic"), (shared, "queue")):
            (came,) = await take(subscription, 1)
            assert came.message.channel == Channel("wild/a/x", kind)
            await subscription.settle([(came, ACCEPT)])
            await nothing_comes(subscription)


@pytest.mark.parametrize("name", ["a/#", "a/+/b", "$SYS/broker", "\0", "\ud800", "a" * 65_536])
async def test_what_is_no_topic_cannot_be_published_to(adapter: MqttAdapter, name: str) -> None:
    """Wildcards, the broker's own topics, and what is no MQTT string."""
    with pytest.raises(ChannelNotFound):
        await adapter.publish(Channel(name), [Message(b"x")])


@pytest.mark.parametrize("name", ["a/#/b", "a#", "a+/b", "$SYS/#", "$share/g/a"])
async def test_what_is_no_filter_cannot_be_subscribed_to(adapter: MqttAdapter, name: str) -> None:
    """Misplaced wildcards, and the broker's own."""
    with pytest.raises(ChannelNotFound):
        adapter.subscribe(Channel(name), GROUP)


async def test_groups_with_any_name_are_different_groups(adapter: MqttAdapter, channel: Channel) -> None:
    """MQTT allows no slash or wildcard in one."""
    names = ["a/b", "a%2Fb", "a+", "#", "ü"]
    for name in names:
        async with adapter.subscribe(channel, SubscribeOptions(group=name)):
            pass
    await adapter.publish(channel, [Message(b"1")])
    for name in names:
        async with adapter.subscribe(channel, SubscribeOptions(group=name)) as subscription:
            await subscription.settle([(one, ACCEPT) for one in await take(subscription, 1)])
            await nothing_comes(subscription)


async def test_a_rejected_message_is_gone_and_a_released_one_comes_to_the_next_subscription(
    adapter: MqttAdapter, channel: Channel
) -> None:
    """MQTT has no redelivery on demand: not before the subscription is opened anew."""
    async with adapter.subscribe(channel, GROUP) as subscription:
        await adapter.publish(channel, ids(2))
        bad, good = sorted(await take(subscription, 2), key=lambda one: one.message.data)
        await subscription.settle([(bad, Reject("no good")), (good, Release())])
        await nothing_comes(subscription)
        async with adapter.subscribe(channel, GROUP) as joined:
            (again,) = [one for part in await asyncio.gather(_all_of(subscription), _all_of(joined)) for one in part]
            assert again.message.data == b"1"
    async with adapter.subscribe(channel, GROUP) as subscription:
        assert bodies(await take(subscription, 1)) == [b"1"]


async def test_a_foreign_client_answers_by_response_topic_and_correlation_data(
    mosquitto: Mosquitto, adapter: MqttAdapter, topic: Channel
) -> None:
    """Requests are the standard's own."""

    async def answer() -> None:
        host, port = mosquitto.direct.removeprefix("mqtt://").split(":")
        async with aiomqtt.Client(host, int(port), protocol=aiomqtt.ProtocolVersion.V5) as client:
            await client.subscribe(topic.name, qos=1)
            listening.set()
            async for asked in client.messages:
                assert asked.properties is not None
                properties = aiomqtt.client.Properties(3)  # of a PUBLISH
                properties.CorrelationData = asked.properties.CorrelationData
                await client.publish(asked.properties.ResponseTopic, b"re", qos=1, properties=properties)
                return

    listening = asyncio.Event()
    answering = asyncio.create_task(answer())
    await listening.wait()
    async with asyncio.timeout(10):
        (reply,) = await adapter.request(topic, Message(b"?", (("correlation-id", "c-7"),)), timeout=None, expected=1)
        await answering
    assert (reply.data, reply.get("correlation-id")) == (b"re", "c-7")


async def test_mqtt_3_1_1_carries_bodies_and_with_an_envelope_metadata_and_requests(
    another: Connect, channel: Channel
) -> None:
    """Without one, metadata are refused; nothing is dropped silently."""
    plain = await another(protocol="3.1.1")
    async with plain.subscribe(channel, GROUP) as subscription:
        with pytest.raises(UnsupportedFormat):
            await plain.publish(channel, [Message(b"1", (("tenant", "a"),))])
        with pytest.raises(UnsupportedFormat):
            await plain.request(channel, Message(b"?"), timeout=1, expected=1)
        await plain.publish(channel, [Message(b"1")])
        (came,) = await take(subscription, 1)
        await subscription.settle([(came, ACCEPT)])
    wrapped = await another(protocol="3.1.1", envelope=True)
    async with wrapped.subscribe(channel, GROUP) as subscription:
        asking = asyncio.ensure_future(
            wrapped.request(channel, Message(b"?", (("tenant", "a"),)), timeout=10, expected=1)
        )
        (asked,) = await take(subscription, 1)
        assert asked.message.get("tenant") == "a"
        await wrapped.reply(asked.message, [Message(b"!")])
        await subscription.settle([(asked, ACCEPT)])
        assert [reply.data for reply in await asking] == [b"!"]


async def test_a_publish_cut_off_by_the_network_has_an_unknown_outcome(
    mosquitto: Mosquitto, adapter: MqttAdapter, topic: Channel
) -> None:
    """And what was never sent has not: it is `ConnectionLost`."""
    await asyncio.to_thread(mosquitto.stall)
    sending = asyncio.ensure_future(adapter.publish(topic, [Message(b"x")]))
    await asyncio.sleep(0.05)
    mosquitto.cut()
    with pytest.raises(PublishFailed) as failed:
        await sending
    assert failed.value.outcome_unknown
    with pytest.raises(ConnectionLost):
        await adapter.publish(topic, [Message(b"x")])
    mosquitto.restore()


async def test_a_silent_broker_is_noticed(mosquitto: Mosquitto, another: Connect, channel: Channel) -> None:
    """Within two keepalives, though the connection seems to stand."""
    adapter = await another(keepalive=1)
    async with adapter.subscribe(channel, GROUP) as subscription:
        await asyncio.to_thread(mosquitto.stall)
        async with asyncio.timeout(10):
            with pytest.raises(ConnectionLost):
                await subscription.receive(1)
    mosquitto.cut()
    mosquitto.restore()


async def test_a_request_that_nobody_answers_times_out(adapter: MqttAdapter, topic: Channel) -> None:
    """Also where nobody is subscribed."""
    with pytest.raises(TimedOut):
        await adapter.request(topic, Message(b"?"), timeout=0.3, expected=1)


async def test_a_forbidden_topic_is_permission_denied(secure_mosquitto: Mosquitto) -> None:
    """By PUBACK. mosquitto confirms subscriptions to one, and then gives nothing."""
    adapter = await connect(MqttSettings(url=secure_mosquitto.url, username=USER, password=PASSWORD))  # type: ignore[arg-type]
    with pytest.raises(PermissionDenied):
        await adapter.publish(Channel("forbidden/x"), [Message(b"x")])
    await adapter.close()


async def test_unknown_extensions_and_their_values_are_unsupported(adapter: MqttAdapter, channel: Channel) -> None:
    """With the nearest name."""
    with pytest.raises(Unsupported, match="retain-handling"):
        adapter.subscribe(channel, SubscribeOptions(group="g", extensions={"retain_handling": "1"}))
    with pytest.raises(Unsupported, match="0, 1 or 2"):
        adapter.subscribe(channel, SubscribeOptions(group="g", extensions={"qos": "3"}))


@pytest.fixture(scope="module")
def tls() -> Iterator[Mosquitto]:
    """A broker that speaks TLS."""
    with Mosquitto(tls=True) as server:
        yield server


async def test_tls_carries_large_messages_and_refuses_an_authority_that_is_not_trusted(
    tls: Mosquitto, topic: Channel
) -> None:
    """The authority comes from `tls_ca`; without it the system's do not vouch for the broker."""
    assert tls.certificates is not None
    url = tls.url.replace("mqtt:", "mqtts:")
    adapter = await connect(MqttSettings(url=url, tls_ca=tls.certificates.authority))
    async with adapter.subscribe(topic, ALONE) as subscription:
        await adapter.publish(topic, [Message(bytes([n]) * 300_000) for n in range(10)])
        assert [one.message.data for one in await take(subscription, 10)] == [bytes([n]) * 300_000 for n in range(10)]
    await adapter.close()
    with pytest.raises(AuthenticationFailed, match="not trusted"):
        await connect(MqttSettings(url=url))


async def test_closing_twice_and_using_it_after_says_closed(adapter: MqttAdapter, topic: Channel) -> None:
    """Requests too."""
    await asyncio.gather(adapter.close(), adapter.close())
    with pytest.raises(Closed):
        await adapter.request(topic, Message(b"?"), timeout=1, expected=1)
