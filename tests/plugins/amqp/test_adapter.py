"""The adapter on a real RabbitMQ: what the conformance kit does not ask, and everything that is known to go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
import pytest

from dragoman.adapter import ACCEPT, Delivery, Reject, Release, SubscribeOptions
from dragoman.errors import (
    BrokerError,
    ChannelNotFound,
    Closed,
    ConnectionLost,
    PayloadTooLarge,
    PermissionDenied,
    PublishFailed,
    TimedOut,
    Unsupported,
    UnsupportedFormat,
)
from dragoman.formats import amqp
from dragoman.message import Channel, Message
from dragoman_amqp.adapter import AmqpAdapter, connect
from dragoman_amqp.settings import AmqpSettings
from tests.plugins.amqp.conftest import GROUP, PATIENCE, bodies, take
from tests.servers import PASSWORD, USER, RabbitMQ


@asynccontextmanager
async def connected(server: RabbitMQ, **settings: Any) -> AsyncIterator[AmqpAdapter]:
    """A connection with settings of its own."""
    adapter = await connect(AmqpSettings.model_validate({"url": server.url, **settings}))
    try:
        yield adapter
    finally:
        await adapter.close()


@asynccontextmanager
async def foreign(server: RabbitMQ) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    """Somebody else's client, with the library as it is documented."""
    async with await aio_pika.connect(server.url) as connection:
        yield await connection.channel()


async def existing(server: RabbitMQ, name: str, arguments: Mapping[str, Any]) -> None:
    """A durable queue that somebody else declared."""
    async with foreign(server) as channel:
        await channel.declare_queue(name, durable=True, arguments=dict(arguments))


# Publishing


async def test_an_unroutable_message_is_an_error(rabbitmq: RabbitMQ, channel: Channel) -> None:
    """aio-pika returns normally; here nothing that no queue got is taken for published."""
    async with connected(rabbitmq, topology="leave") as adapter:
        with pytest.raises(ChannelNotFound, match="NO_ROUTE"):
            await adapter.publish(channel, [Message.of("lost")])


async def test_a_queue_deleted_meanwhile_is_noticed_and_made_again(
    rabbitmq: RabbitMQ, adapter: AmqpAdapter, channel: Channel
) -> None:
    """The message that found no queue is an error; the next one finds the queue declared anew."""
    await adapter.publish(channel, [Message.of("1")])
    async with foreign(rabbitmq) as theirs:
        await theirs.queue_delete(channel.name)
    with pytest.raises(ChannelNotFound):
        await adapter.publish(channel, [Message.of("2")])
    await adapter.publish(channel, [Message.of("3")])
    async with adapter.subscribe(channel, GROUP) as subscription:
        assert bodies(await take(subscription, 1)) == [b"3"]


async def test_of_several_messages_the_right_ones_are_returned(rabbitmq: RabbitMQ, channel: Channel) -> None:
    """Two calls under way to the same missing queue both fail, each for itself, and none hangs."""
    async with connected(rabbitmq, topology="leave") as adapter:
        calls = (adapter.publish(channel, [Message.of(f"{n}"), Message.of("same")]) for n in range(20))
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [ChannelNotFound] * 20


async def test_what_the_broker_refuses_is_publish_failed(rabbitmq: RabbitMQ, channel: Channel) -> None:
    """A queue that is full, and told to refuse, gives a negative confirmation."""
    await existing(rabbitmq, channel.name, {"x-max-length": 1, "x-overflow": "reject-publish"})
    async with connected(rabbitmq, topology="check") as adapter:
        calls = (adapter.publish(channel, [Message.of(f"{n}")]) for n in range(5))
        errors = [error for error in await asyncio.gather(*calls, return_exceptions=True) if error is not None]
    assert errors
    assert all(isinstance(error, PublishFailed) and not error.outcome_unknown for error in errors)


async def test_a_connection_lost_in_the_middle_leaves_the_outcome_unknown(
    rabbitmq: RabbitMQ, adapter: AmqpAdapter, channel: Channel
) -> None:
    """What was sent and not confirmed may be there; what was not sent any more is not."""
    await adapter.publish(channel, [Message.of("before")])
    await asyncio.to_thread(rabbitmq.stall)
    sending = asyncio.ensure_future(adapter.publish(channel, [Message.of("during")]))
    await asyncio.sleep(0)
    await asyncio.to_thread(rabbitmq.cut)
    with pytest.raises(PublishFailed) as caught:
        await sending
    assert caught.value.outcome_unknown
    assert isinstance(caught.value.__cause__, ConnectionLost)
    with pytest.raises(ConnectionLost):
        await adapter.publish(channel, [Message.of("after")])


async def test_a_broker_that_does_not_confirm_is_not_waited_for_without_end(
    rabbitmq: RabbitMQ, channel: Channel
) -> None:
    """After `timeout` the outcome is unknown, and later messages go another way."""
    async with connected(rabbitmq, timeout=0.5) as adapter:
        await adapter.publish(channel, [Message.of("1")])
        await asyncio.to_thread(rabbitmq.stall)
        with pytest.raises(PublishFailed, match="did not confirm within") as caught:
            await adapter.publish(channel, [Message.of("2")])
        assert caught.value.outcome_unknown
        await asyncio.to_thread(rabbitmq.restore)
        await adapter.publish(channel, [Message.of("3")])


async def test_publishing_waits_when_too_much_is_under_way(rabbitmq: RabbitMQ, channel: Channel) -> None:
    """The table of confirmations is bounded, and who waits is served in order."""
    async with connected(rabbitmq, max_unconfirmed=4) as adapter:
        await asyncio.gather(*(adapter.publish(channel, [Message.of(f"{n:03}")]) for n in range(200)))
        async with adapter.subscribe(channel, GROUP) as subscription:
            assert bodies(await take(subscription, 200)) == [f"{n:03}".encode() for n in range(200)]


async def test_a_refusal_hits_nobody_else(secure_rabbitmq: RabbitMQ, channel: Channel, topic: Channel) -> None:
    """A forbidden topic ends its own AMQP channel, while messages to others are under way."""
    async with connected(secure_rabbitmq, username=USER, password=PASSWORD) as adapter:
        others = [adapter.publish(one, [Message.of(f"{n}")]) for n in range(50) for one in (channel, topic)]
        forbidden = [adapter.publish(Channel("forbidden.x", "topic"), [Message.of("no")]) for _ in range(3)]
        results = await asyncio.gather(*forbidden, *others, return_exceptions=True)
    assert [type(result) for result in results[:3]] == [PermissionDenied] * 3
    assert results[3:] == [None] * 100


async def test_the_brokers_own_limit_is_payload_too_large_too(rabbitmq: RabbitMQ, channel: Channel) -> None:
    """With `max_message` above the broker's limit it is the broker who refuses, and the connection goes on."""
    async with connected(rabbitmq, max_message="20MiB") as adapter:
        with pytest.raises(PayloadTooLarge):
            await adapter.publish(channel, [Message(bytes(17 * 2**20))])
        await adapter.publish(channel, [Message.of("small")])


async def test_what_cannot_be_carried_is_refused_before_anything_is_sent(
    adapter: AmqpAdapter, channel: Channel
) -> None:
    """Nothing of the batch is sent."""
    async with adapter.subscribe(channel, GROUP) as subscription:
        with pytest.raises(UnsupportedFormat):
            await adapter.publish(channel, [Message.of("1"), Message.of("2", metadata={"ttl": "never"})])
        await adapter.publish(channel, [Message.of("3")])
        assert bodies(await take(subscription, 1)) == [b"3"]


async def test_channels_that_are_no_longer_used_are_closed(rabbitmq: RabbitMQ) -> None:
    """Publishing to very many channels keeps the AMQP channels bounded, and every message is confirmed."""
    async with connected(rabbitmq) as adapter:
        await asyncio.gather(*(adapter.publish(Channel(f"many.{n}", "topic"), [Message()]) for n in range(300)))
        await adapter.publish(Channel("one.more", "topic"), [Message()])
        async with asyncio.timeout(PATIENCE):
            while len(adapter._wire._channels) > 130:  # noqa: ASYNC110 - the broker answers each Close
                await asyncio.sleep(0.01)


async def test_closing_ends_what_is_under_way(rabbitmq: RabbitMQ, adapter: AmqpAdapter, channel: Channel) -> None:
    """A publish that waits for its confirmation fails, and says that it may have arrived."""
    await adapter.publish(channel, [Message.of("1")])
    await asyncio.to_thread(rabbitmq.stall)
    sending = asyncio.ensure_future(adapter.publish(channel, [Message.of("2")]))
    await asyncio.sleep(0)
    await adapter.close()
    with pytest.raises(PublishFailed):
        await sending
    with pytest.raises(Closed):
        await adapter.publish(channel, [Message.of("3")])


# Settling


async def test_acceptances_of_a_turn_are_one_frame(adapter: AmqpAdapter, channel: Channel) -> None:
    """`multiple` up to the first unsettled delivery, one by one after it; and the right ones come again."""
    sent: list[tuple[int, bool]] = []
    await adapter.publish(channel, [Message.of(f"{n:02}") for n in range(20)])
    async with adapter.subscribe(channel, GROUP) as subscription:
        amqp = subscription._amqp
        assert amqp is not None
        acknowledge = amqp.acknowledge

        def spy(tag: int, *, multiple: bool = False) -> None:
            sent.append((tag, multiple))
            acknowledge(tag, multiple=multiple)

        amqp.acknowledge = spy  # type: ignore[method-assign]
        deliveries = await take(subscription, 20)
        kept = {7, 12}
        for place in reversed(range(20)):
            if place not in kept:
                await subscription.settle([(deliveries[place], ACCEPT)])
        await asyncio.sleep(0)
    tags = [delivery.token for delivery in deliveries]
    assert sent == [(tags[6], True), *((tags[n], False) for n in range(8, 20) if n != 12)]
    async with adapter.subscribe(channel, GROUP) as subscription:
        assert sorted(bodies(await take(subscription, 2))) == [b"07", b"12"]
        assert await subscription.lag() == 0


async def test_settling_what_is_not_ours_does_nothing(adapter: AmqpAdapter, channel: Channel) -> None:
    """Twice, or of another subscription: the broker would close the channel on an unknown tag."""
    await adapter.publish(channel, [Message.of("1"), Message.of("2")])
    async with adapter.subscribe(channel, GROUP) as subscription:
        one, two = await take(subscription, 2)
        await subscription.settle([(one, ACCEPT), (one, ACCEPT), (Delivery(Message(), token=two.token), ACCEPT)])
        await subscription.settle([(one, Release()), (two, ACCEPT)])
        await adapter.publish(channel, [Message.of("3")])
        assert bodies(await take(subscription, 1)) == [b"3"]


async def test_a_subscription_whose_queue_is_deleted_says_so(
    rabbitmq: RabbitMQ, adapter: AmqpAdapter, channel: Channel
) -> None:
    """The broker's `Basic.Cancel` ends `receive`, and a new subscription makes the queue again."""
    async with adapter.subscribe(channel, GROUP) as subscription:
        waiting = asyncio.ensure_future(subscription.receive(1))
        async with foreign(rabbitmq) as theirs:
            await theirs.queue_delete(channel.name)
        with pytest.raises(ConnectionLost, match="deleted"):
            await waiting
    async with adapter.subscribe(channel, GROUP) as subscription:
        await adapter.publish(channel, [Message.of("1")])
        assert bodies(await take(subscription, 1)) == [b"1"]


async def test_deliveries_of_a_lost_connection_are_not_settled(
    rabbitmq: RabbitMQ, adapter: AmqpAdapter, channel: Channel
) -> None:
    """Their tags are void: settling raises, and they come again, counted."""
    await adapter.publish(channel, [Message.of("1")])
    async with adapter.subscribe(channel, GROUP) as subscription:
        [delivery] = await take(subscription, 1)
        await asyncio.to_thread(rabbitmq.cut)
        with pytest.raises(ConnectionLost):
            await take(subscription, 1)
        with pytest.raises(ConnectionLost):
            await subscription.settle([(delivery, ACCEPT)])
    await asyncio.to_thread(rabbitmq.restore)
    async with connected(rabbitmq) as again, again.subscribe(channel, GROUP) as subscription:
        [delivery] = await take(subscription, 1)
        assert (delivery.message.data, delivery.count) == (b"1", 2)


# What a channel is on the broker


async def test_a_queue_is_a_durable_quorum_queue_of_its_name(rabbitmq: RabbitMQ, channel: Channel) -> None:
    """Declaring the same is no error for others; and those who declare another one are told."""
    async with connected(rabbitmq) as adapter:
        await adapter.publish(channel, [Message.of("1")])
    await existing(rabbitmq, channel.name, {"x-queue-type": "quorum"})
    async with connected(rabbitmq, queue_type="classic") as adapter:
        with pytest.raises(BrokerError, match="inequivalent arg 'x-queue-type'") as caught:
            await adapter.publish(channel, [Message.of("2")])
    assert caught.value.hint is not None
    assert "topology" in caught.value.hint


async def test_the_first_group_has_the_queue_and_later_ones_copies(rabbitmq: RabbitMQ, channel: Channel) -> None:
    """Across connections: what waits is the first group's, and both get what comes from then on."""
    first, second = SubscribeOptions(group="first"), SubscribeOptions(group="second")
    async with connected(rabbitmq) as adapter:
        await adapter.publish(channel, [Message.of("waits")])
        async with adapter.subscribe(channel, first) as subscription:
            assert bodies(await take(subscription, 1)) == [b"waits"]
        async with adapter.subscribe(channel, second):
            pass
    async with connected(rabbitmq) as adapter:
        await adapter.publish(channel, [Message.of("later")])
        async with adapter.subscribe(channel, second) as subscription:
            assert bodies(await take(subscription, 1)) == [b"later"]
        async with adapter.subscribe(channel, first) as subscription:
            assert sorted(bodies(await take(subscription, 2))) == [b"later", b"waits"]


async def test_shared_groups_share_the_one_queue(rabbitmq: RabbitMQ, channel: Channel) -> None:
    """Plain RabbitMQ: whoever consumes from the queue competes, and messages go by the default exchange."""
    async with (
        connected(rabbitmq, groups="shared") as adapter,
        adapter.subscribe(channel, SubscribeOptions(group="a", prefetch=1)) as one,
        adapter.subscribe(channel, SubscribeOptions(group="b", prefetch=1)) as other,
    ):
        await adapter.publish(channel, [Message.of("1"), Message.of("2")])
        assert sorted(bodies([*await take(one, 1), *await take(other, 1)])) == [b"1", b"2"]


@pytest.mark.parametrize("topology", ["check", "leave"])
async def test_queues_of_others_are_used_as_they_are(rabbitmq: RabbitMQ, channel: Channel, topology: str) -> None:
    """With `check` and `leave` nothing is declared, and any kind of queue will do."""
    async with connected(rabbitmq, topology=topology) as adapter:
        with pytest.raises(ChannelNotFound):
            async with adapter.subscribe(channel, GROUP):
                pass
        await existing(rabbitmq, channel.name, {"x-max-length": 100})
        await adapter.publish(channel, [Message.of("1")])
        async with adapter.subscribe(channel, GROUP) as subscription:
            assert bodies(await take(subscription, 1)) == [b"1"]


async def test_names_that_amqp_does_not_have_are_unsupported(adapter: AmqpAdapter) -> None:
    """Too long, or with letters that pamqp refuses: an error that names the channel, not a ValueError."""
    for name in ("x" * 300, "grüße"):
        with pytest.raises(Unsupported):
            await adapter.publish(Channel(name), [Message.of("1")])
        with pytest.raises(Unsupported):
            async with adapter.subscribe(Channel(name), GROUP):
                pass


async def test_rejected_and_expired_messages_go_to_the_brokers_dead_letters(
    rabbitmq: RabbitMQ, channel: Channel
) -> None:
    """With `dead_letters = "broker"` there is a queue `NAME.dead`."""
    async with connected(rabbitmq, dead_letters="broker") as adapter:
        await adapter.publish(channel, [Message.of("bad", key="k"), Message.of("good")])
        async with adapter.subscribe(channel, GROUP) as subscription:
            bad, good = await take(subscription, 2)
            await subscription.settle([(bad, Reject("no")), (good, ACCEPT)])
        await adapter.publish(channel, [Message.of("old", metadata={"ttl": "0.05"})])
    async with (
        connected(rabbitmq, topology="check") as adapter,
        adapter.subscribe(Channel(f"{channel.name}.dead"), GROUP) as graves,
    ):
        dead = await take(graves, 2)
    assert bodies(dead) == [b"bad", b"old"]
    assert dead[0].message.key == "k"
    assert "rejected" in (dead[0].message.get("x-death") or "")


async def test_higher_priorities_come_first(rabbitmq: RabbitMQ, channel: Channel) -> None:
    """With `max_priority`, which makes the queue a classic one."""
    async with connected(rabbitmq, max_priority=9) as adapter:
        await adapter.publish(channel, [Message.of(f"{n}", metadata={"priority": f"{n}"}) for n in range(10)])
        async with adapter.subscribe(channel, SubscribeOptions(group="g", prefetch=1)) as subscription:
            came = []
            for _ in range(10):
                [delivery] = await take(subscription, 1)
                came.append(delivery.message.data)
                await subscription.settle([(delivery, ACCEPT)])
    assert came == [f"{n}".encode() for n in reversed(range(10))]


# Topics


async def test_topics_have_patterns(adapter: AmqpAdapter, topic: Channel) -> None:
    """A topic is a routing key; what arrives says which one."""
    async with adapter.subscribe(Channel(f"{topic.name}.*", "topic"), SubscribeOptions()) as subscription:
        await adapter.publish(Channel(f"{topic.name}.one", "topic"), [Message.of("1")])
        await adapter.publish(Channel(f"{topic.name}.two.three", "topic"), [Message.of("2")])
        await adapter.publish(Channel(f"{topic.name}.four", "topic"), [Message.of("3")])
        deliveries = await take(subscription, 2)
    assert bodies(deliveries) == [b"1", b"3"]
    assert deliveries[0].message.channel == Channel(f"{topic.name}.one", "topic")


@pytest.mark.parametrize("group", [None, "watchers"])
async def test_a_topics_subscriber_hears_the_queue_of_that_name(
    adapter: AmqpAdapter, channel: Channel, group: str | None
) -> None:
    """As `dragoman tail` does: it takes nothing away from the queue's groups, and hears the topic as well."""
    topic = Channel(channel.name, "topic")
    await adapter.publish(channel, [Message(b"before")])
    async with (
        adapter.subscribe(topic, SubscribeOptions(group=group)) as watching,
        adapter.subscribe(channel, GROUP) as working,
    ):
        await adapter.publish(channel, [Message(b"work")])
        await adapter.publish(topic, [Message(b"news")])
        heard = await take(watching, 2)
        assert sorted(bodies(heard)) == [b"news", b"work"]
        assert {delivery.message.channel for delivery in heard} == {topic}
        await watching.settle([(delivery, ACCEPT) for delivery in heard])
        assert sorted(bodies(await take(working, 2))) == [b"before", b"work"]


async def test_a_topics_group_outlives_its_connection(rabbitmq: RabbitMQ, topic: Channel) -> None:
    """With a group the queue is durable, and keeps what comes while nobody is there."""
    async with connected(rabbitmq) as adapter, adapter.subscribe(topic, GROUP):
        pass
    async with connected(rabbitmq) as adapter:
        await adapter.publish(topic, [Message.of("1")])
        async with adapter.subscribe(topic, GROUP) as subscription:
            assert bodies(await take(subscription, 1)) == [b"1"]


async def test_a_topic_without_subscribers_is_an_error_where_that_is_wanted(
    rabbitmq: RabbitMQ, adapter: AmqpAdapter, topic: Channel
) -> None:
    """By default nobody has to listen."""
    await adapter.publish(topic, [Message.of("1")])
    async with connected(rabbitmq, topics_need_subscribers=True) as strict:
        with pytest.raises(ChannelNotFound):
            await strict.publish(topic, [Message.of("2")])


async def test_topics_may_have_an_exchange_of_their_own(rabbitmq: RabbitMQ, topic: Channel) -> None:
    """It is declared, or it is an error when it is missing."""
    name = f"exchange.{topic.name}"
    async with connected(rabbitmq, topology="check", topic_exchange=name) as adapter:
        with pytest.raises(ChannelNotFound):
            await adapter.publish(topic, [Message.of("1")])
    async with (
        connected(rabbitmq, topic_exchange=name) as adapter,
        adapter.subscribe(topic, SubscribeOptions()) as subscription,
    ):
        await adapter.publish(topic, [Message.of("1")])
        assert bodies(await take(subscription, 1)) == [b"1"]


# Extensions


async def test_an_exclusive_subscription_has_the_queue_for_itself(rabbitmq: RabbitMQ, channel: Channel) -> None:
    """Another one is refused while it lasts; on a classic queue, as quorum queues have no such thing."""
    only = SubscribeOptions(group="g", extensions={"exclusive": "true"})
    async with connected(rabbitmq, queue_type="classic") as adapter, adapter.subscribe(channel, only):
        with pytest.raises(PermissionDenied):
            async with adapter.subscribe(channel, only):
                pass


async def test_consumers_of_higher_priority_come_first(adapter: AmqpAdapter, channel: Channel) -> None:
    """`priority` is RabbitMQ's consumer priority."""
    preferred = SubscribeOptions(group="g", extensions={"priority": "5"})
    async with (
        adapter.subscribe(channel, SubscribeOptions(group="g")),
        adapter.subscribe(channel, preferred) as subscription,
    ):
        await adapter.publish(channel, [Message.of(f"{n}") for n in range(10)])
        assert len(await take(subscription, 10)) == 10


async def test_a_topics_subscription_may_bind_several_patterns(adapter: AmqpAdapter, topic: Channel) -> None:
    """`binding-keys`, with commas between."""
    keys = f"{topic.name}.a.#, {topic.name}.b"
    options = SubscribeOptions(extensions={"binding-keys": keys})
    async with adapter.subscribe(topic, options) as subscription:
        for end in ("a.x.y", "c", "b"):
            await adapter.publish(Channel(f"{topic.name}.{end}", "topic"), [Message.of(end)])
        assert bodies(await take(subscription, 2)) == [b"a.x.y", b"b"]


@pytest.mark.parametrize(
    "extensions", [{"priorty": "1"}, {"priority": "high"}, {"exclusive": "1"}, {"binding-keys": ","}]
)
async def test_wrong_extensions_are_refused(adapter: AmqpAdapter, topic: Channel, extensions: dict[str, str]) -> None:
    """An unknown name, or a value that means nothing."""
    with pytest.raises(Unsupported):
        async with adapter.subscribe(topic, SubscribeOptions(extensions=extensions)):
            pass


# With others


async def test_foreign_consumers_see_ordinary_messages(
    rabbitmq: RabbitMQ, adapter: AmqpAdapter, channel: Channel
) -> None:
    """aio-pika reads what we publish: properties, headers, a list where a name repeats."""
    metadata = [("message-id", "m"), ("a", "1"), ("b", "x"), ("b", "y"), ("priority", "4")]
    await adapter.publish(channel, [Message.of("body", key="k", content_type="text/plain", metadata=metadata)])
    async with foreign(rabbitmq) as theirs:
        queue = await theirs.get_queue(channel.name)
        message = await queue.get(timeout=PATIENCE)
        assert message is not None
        await message.ack()
    assert (message.body, message.content_type, message.message_id, message.priority) == (b"body", "text/plain", "m", 4)
    count = {"x-delivery-count": 0}  # a quorum queue's own
    assert message.headers == {"a": "1", "b": ["x", "y"], "key": "k"} | count
    assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT


async def test_foreign_messages_arrive_with_all_they_say(rabbitmq: RabbitMQ, channel: Channel) -> None:
    """What aio-pika publishes: properties, typed headers, the routing key of another exchange."""
    async with connected(rabbitmq, groups="shared") as adapter, adapter.subscribe(channel, GROUP) as subscription:
        async with foreign(rabbitmq) as theirs:
            exchange = await theirs.declare_exchange(f"x.{channel.name}", aio_pika.ExchangeType.TOPIC)
            await (await theirs.get_queue(channel.name)).bind(exchange, "eu.#")
            message = aio_pika.Message(b"body", headers={"n": 5, "yes": True, "t": "x"}, type="order", app_id="shop")
            await exchange.publish(message, "eu.created")
        [delivery] = await take(subscription, 1)
    metadata = dict(delivery.message.metadata)
    assert (metadata["n"], metadata["yes"], metadata["t"]) == ("5", "true", "x")
    assert (metadata[amqp.TYPE], metadata[amqp.APP_ID], metadata[amqp.SUBJECT]) == ("order", "shop", "eu.created")
    assert metadata[amqp.DURABLE] == "false"


async def test_a_foreign_server_answers_requests(rabbitmq: RabbitMQ, adapter: AmqpAdapter, channel: Channel) -> None:
    """Direct reply-to is an ordinary `reply_to` for whoever answers."""
    await adapter.publish(channel, [Message.of("opens it")])
    async with foreign(rabbitmq) as theirs:
        queue = await theirs.get_queue(channel.name)

        async def answer(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            async with message.process():
                if message.reply_to:
                    reply = aio_pika.Message(message.body.upper(), correlation_id=message.correlation_id)
                    await theirs.default_exchange.publish(reply, message.reply_to)

        await queue.consume(answer)
        [reply] = await adapter.request(channel, Message.of("hello"), timeout=PATIENCE, expected=1)
    assert reply.data == b"HELLO"


async def test_a_foreign_client_gets_its_reply(rabbitmq: RabbitMQ, adapter: AmqpAdapter, channel: Channel) -> None:
    """Its own reply queue is found, and without a correlation-id the message-id is the correlation."""
    async with foreign(rabbitmq) as theirs, adapter.subscribe(channel, GROUP) as subscription:
        answers = await theirs.declare_queue(exclusive=True)
        request = aio_pika.Message(b"hello", reply_to=answers.name, message_id="m")
        await theirs.default_exchange.publish(request, channel.name)
        [delivery] = await take(subscription, 1)
        await adapter.reply(delivery.message, [Message.of("hi")])
        answer = await answers.get(timeout=PATIENCE)
    assert answer is not None
    assert (answer.body, answer.correlation_id) == (b"hi", "m")


async def test_a_request_that_nobody_can_get_fails_at_once(rabbitmq: RabbitMQ, channel: Channel) -> None:
    """It is mandatory, as every message to a queue."""
    async with connected(rabbitmq, topology="leave") as adapter:
        with pytest.raises(ChannelNotFound):
            await adapter.request(channel, Message.of("hello"), timeout=PATIENCE, expected=1)


async def test_a_request_keeps_its_way_while_others_take_its_place(
    monkeypatch: pytest.MonkeyPatch, adapter: AmqpAdapter, channel: Channel
) -> None:
    """With more channels than are kept open, one that waits for a reply is closed only when it has it."""
    monkeypatch.setattr("dragoman_amqp.adapter._KEPT", 1)
    async with adapter.subscribe(channel, GROUP) as subscription:
        asking = asyncio.ensure_future(adapter.request(channel, Message.of("1"), timeout=PATIENCE, expected=1))
        [delivery] = await take(subscription, 1)
        for n in range(3):
            with pytest.raises(TimedOut):
                await adapter.request(Channel(f"{channel.name}.{n}"), Message.of("2"), timeout=0.1, expected=1)
        await adapter.reply(delivery.message, [Message.of("reply")])
        assert [reply.data for reply in await asking] == [b"reply"]


async def test_two_requests_with_one_correlation_id_are_refused(adapter: AmqpAdapter, channel: Channel) -> None:
    """Or one would get the other's reply."""
    message = Message.of("hello", metadata={"correlation-id": "same"})
    first = asyncio.ensure_future(adapter.request(channel, message, timeout=1.0, expected=1))
    await asyncio.sleep(0)
    with pytest.raises(PublishFailed, match="same"):
        await adapter.request(channel, message, timeout=1.0, expected=1)
    with pytest.raises(TimedOut):
        await first


async def test_a_lost_connection_ends_a_request(rabbitmq: RabbitMQ, adapter: AmqpAdapter, channel: Channel) -> None:
    """Without waiting for its time-out."""
    asking = asyncio.ensure_future(adapter.request(channel, Message.of("hello"), timeout=None, expected=None))
    async with adapter.subscribe(channel, GROUP) as subscription:
        await take(subscription, 1)
        await asyncio.to_thread(rabbitmq.cut)
        with pytest.raises((ConnectionLost, PublishFailed)):
            await asking


async def test_replying_to_somebody_who_has_gone_is_no_error(
    rabbitmq: RabbitMQ, adapter: AmqpAdapter, channel: Channel
) -> None:
    """A direct reply-to is no queue: the broker drops what comes too late."""
    async with adapter.subscribe(channel, GROUP) as subscription:
        async with connected(rabbitmq) as other:
            with pytest.raises(TimedOut):
                await other.request(channel, Message.of("hello"), timeout=0.1, expected=1)
        [delivery] = await take(subscription, 1)
        await adapter.reply(delivery.message, [Message.of("late")])
