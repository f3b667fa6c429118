"""What NATS does differently from other brokers; what all have in common is in the conformance kit."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import nats as nats_py
import pytest

from dragoman.adapter import ACCEPT, Delivery, Reject, Release, Start, SubscribeOptions, Subscription
from dragoman.errors import (
    AuthenticationFailed,
    ChannelNotFound,
    Closed,
    ConnectionLost,
    PayloadTooLarge,
    PermissionDenied,
    PublishFailed,
    Unsupported,
)
from dragoman.message import Channel, Message
from dragoman_nats.adapter import NatsAdapter, connect, connect_core
from dragoman_nats.settings import CoreSettings, NatsSettings
from tests.servers import PASSWORD, USER, Nats

GROUP = SubscribeOptions(group="g")


async def take(subscription: Subscription, count: int) -> list[Delivery]:
    """Exactly that many deliveries."""
    taken: list[Delivery] = []
    async with asyncio.timeout(20):
        while len(taken) < count:
            taken += await subscription.receive(count - len(taken))
    return taken


async def test_a_message_published_twice_with_one_id_is_kept_once(adapter: NatsAdapter, channel: Channel) -> None:
    """`nats.msg-id` makes a retry after a timeout harmless."""
    message = Message(b"x", (("nats.msg-id", "1"),))
    await adapter.publish(channel, [message])
    await adapter.publish(channel, [message, Message(b"y")])
    async with adapter.subscribe(channel, GROUP) as subscription:
        assert [delivery.message.data for delivery in await take(subscription, 2)] == [b"x", b"y"]
        assert await subscription.lag() == 0


async def test_a_rejected_message_does_not_come_again(adapter: NatsAdapter, channel: Channel) -> None:
    """+TERM."""
    await adapter.publish(channel, [Message(b"bad"), Message(b"good")])
    async with adapter.subscribe(channel, GROUP) as subscription:
        bad, good = await take(subscription, 2)
        await subscription.settle([(bad, Reject()), (good, Release())])
        (again,) = await take(subscription, 1)
        assert (again.message.data, again.count) == (b"good", 2)


@pytest.mark.parametrize(
    ("settings", "extensions"), [({"ack_wait": 0.6}, {}), ({}, {"ack-wait": "0.6"})], ids=["setting", "extension"]
)
async def test_work_that_takes_longer_than_the_ack_wait_is_not_given_away(
    nats: Nats, channel: Channel, settings: dict[str, float], extensions: dict[str, str]
) -> None:
    """The subscription reports progress, so that no other member of the group gets the message meanwhile."""
    adapter = await connect(NatsSettings.model_validate({"url": nats.url, **settings}))
    try:
        await adapter.publish(channel, [Message(b"slow")])
        group = SubscribeOptions(group="g", extensions=extensions)
        async with adapter.subscribe(channel, group) as first, adapter.subscribe(channel, group) as second:
            (delivery,) = await take(first, 1)
            other = asyncio.ensure_future(second.receive(1))
            done, _ = await asyncio.wait([other], timeout=2.0)
            assert not done, "the message was given to another member while we worked on it"
            await first.settle([(delivery, ACCEPT)])
            other.cancel()
    finally:
        await adapter.close()


@pytest.mark.parametrize(
    ("name", "text"),
    [("ack-wait", "soon"), ("ack-wait", "0"), ("max-deliver", "1.5"), ("max-ack-pending", ""), ("ack-weight", "1")],
)
async def test_an_extension_that_is_none_is_unsupported(
    adapter: NatsAdapter, channel: Channel, name: str, text: str
) -> None:
    """It is an error of the tree that names it, and what would have been right."""
    with pytest.raises(Unsupported, match=rf"'{name}'.*expected"):
        async with adapter.subscribe(channel, SubscribeOptions(group="g", extensions={name: text})):
            pass


async def test_what_a_dead_connection_held_comes_again(nats: Nats, adapter: NatsAdapter, channel: Channel) -> None:
    """The server gives it to the next member after `ack_wait`."""
    lost = await connect(NatsSettings(url=nats.url, ack_wait=1.0))
    await adapter.publish(channel, [Message(b"%d" % number) for number in range(10)])
    async with lost.subscribe(channel, GROUP) as subscription:
        await take(subscription, 10)
        nats.cut()
        with pytest.raises(ConnectionLost):
            await subscription.receive(1)
    await lost.close()
    nats.restore()
    fresh = await connect(NatsSettings(url=nats.url))
    async with fresh.subscribe(channel, GROUP) as subscription:
        assert sorted(d.message.data for d in await take(subscription, 10)) == [b"%d" % number for number in range(10)]
    await fresh.close()


async def test_a_publish_that_the_server_never_answers_says_that_its_outcome_is_unknown(
    nats: Nats, channel: Channel
) -> None:
    """A lost cable: the messages may be there."""
    adapter = await connect(NatsSettings(url=nats.url, publish_timeout=0.5))
    try:
        await adapter.publish(channel, [Message(b"first")])
        nats.stall()
        with pytest.raises(PublishFailed, match="confirmed 0 of 2 messages within") as caught:
            await adapter.publish(channel, [Message(b"a"), Message(b"b")])
        assert caught.value.outcome_unknown
    finally:
        await adapter.close()


async def test_replay_starts_at_a_sequence_and_at_a_time(adapter: NatsAdapter, channel: Channel) -> None:
    """A topic of its own reads the past where it is told to."""
    await adapter.publish(channel, [Message(b"0"), Message(b"1")])
    middle = datetime.now(UTC)
    await adapter.publish(channel, [Message(b"2")])
    topic = Channel(channel.name, "topic")
    async with adapter.subscribe(topic, SubscribeOptions(start=Start(offset=2))) as subscription:
        assert [d.message.data for d in await take(subscription, 2)] == [b"1", b"2"]
    async with adapter.subscribe(topic, SubscribeOptions(start=Start(time=middle))) as subscription:
        assert [d.message.data for d in await take(subscription, 1)] == [b"2"]


async def test_streams_are_checked_or_left_alone_as_configured(nats: Nats, channel: Channel) -> None:
    """`check` and `leave` create nothing, and say what is missing."""
    for streams in ("check", "leave"):
        adapter = await connect(NatsSettings(url=nats.url, streams=streams))
        try:
            with pytest.raises(ChannelNotFound, match=channel.name):
                await adapter.publish(channel, [Message(b"x")])
            with pytest.raises(ChannelNotFound, match=channel.name):
                async with adapter.subscribe(channel, GROUP):
                    pass
        finally:
            await adapter.close()


async def test_a_stream_that_somebody_else_made_is_used(nats: Nats, channel: Channel) -> None:
    """Its subjects may be a pattern."""
    client = await nats_py.connect(nats.url)
    prefix = channel.name.replace(".", "-")
    await client.jetstream().add_stream(name=prefix, subjects=[f"{prefix}.>"])
    adapter = await connect(NatsSettings(url=nats.url, streams="check"))
    try:
        await adapter.publish(Channel(f"{prefix}.a"), [Message(b"x")])
        info = await client.jetstream().stream_info(prefix)
        assert info.state.messages == 1
    finally:
        await adapter.close()
        await client.close()


async def test_a_consumer_that_is_deleted_ends_the_subscription(nats: Nats, adapter: NatsAdapter) -> None:
    """A subscription that dies is noticed."""
    channel = Channel("doomed")
    await adapter.publish(channel, [Message(b"x")])
    client = await nats_py.connect(nats.url)
    async with adapter.subscribe(channel, GROUP) as subscription:
        await subscription.settle([(delivery, ACCEPT) for delivery in await take(subscription, 1)])
        waiting = asyncio.ensure_future(subscription.receive(1))
        await client.jetstream().delete_consumer("doomed", "g-doomed")
        with pytest.raises((ChannelNotFound, ConnectionLost)):
            await asyncio.wait_for(waiting, 20)
    await client.close()


async def test_a_message_over_the_servers_limit_is_refused_before_any_is_sent(
    adapter: NatsAdapter, channel: Channel
) -> None:
    """The good one beside it isn't sent either."""
    with pytest.raises(PayloadTooLarge, match="at most 1048576 bytes"):
        await adapter.publish(channel, [Message(b"good"), Message(b"x" * 1_100_000)])
    async with adapter.subscribe(channel, GROUP) as subscription:
        assert await subscription.lag() == 0


@pytest.mark.parametrize("name", ["", "a b", "a..b", ".a", "a\r\nPUB x 0", "orders.*", "orders.>"])
async def test_what_is_no_subject_is_refused(adapter: NatsAdapter, name: str) -> None:
    """A name from a guest can't forge a command, nor publish to a pattern."""
    with pytest.raises(ChannelNotFound):
        await adapter.publish(Channel(name), [Message(b"x")])


async def test_wrong_passwords_and_forbidden_subjects_are_told_apart(secure_nats: Nats) -> None:
    """Each has its own error, and none has the password in it."""
    with pytest.raises(AuthenticationFailed) as caught:
        await connect(NatsSettings(url=secure_nats.url, username=USER, password=PASSWORD + "!"))
    assert PASSWORD not in str(caught.value)
    adapter = await connect(NatsSettings(url=secure_nats.url, username=USER, password=PASSWORD))
    try:
        with pytest.raises(PermissionDenied):
            await adapter.publish(Channel("forbidden.x"), [Message(b"x")])
    finally:
        await adapter.close()


async def test_tls_with_a_private_authority() -> None:
    """`tls_ca` names it; without it the server isn't trusted."""
    with Nats(tls=True) as server:
        assert server.certificates is not None
        url = server.url.replace("nats://", "tls://").replace("127.0.0.1", "localhost")
        adapter = await connect(NatsSettings(url=url, tls_ca=Path(server.certificates.authority)))
        await adapter.publish(Channel("secret"), [Message(b"x")])
        await adapter.close()
        with pytest.raises(AuthenticationFailed, match="not trusted"):
            await connect(NatsSettings(url=url))


async def test_nobody_listens_on_the_port() -> None:
    """One clear error, within the time set."""
    with pytest.raises(ConnectionLost, match=r"127\.0\.0\.1:1"):
        await connect(NatsSettings(url="nats://127.0.0.1:1", connect_timeout=2))


async def test_core_nats_is_at_most_once_and_says_what_it_cannot(nats: Nats, channel: Channel) -> None:
    """No past, no delay; a queue's members share, a topic's all get everything."""
    adapter = await connect_core(CoreSettings(url=nats.url))
    topic = Channel(channel.name, "topic")
    try:
        with pytest.raises(Unsupported, match="JetStream"):
            adapter.subscribe(topic, SubscribeOptions(start=Start()))
        async with (
            adapter.subscribe(channel, GROUP) as one,
            adapter.subscribe(channel, GROUP) as two,
            adapter.subscribe(topic, SubscribeOptions()) as all_of_them,
        ):
            await adapter.publish(channel, [Message(b"%d" % number) for number in range(100)])
            assert len(await take(all_of_them, 100)) == 100
            shared = [*await one.receive(100), *await two.receive(100)]
            assert sorted(int(d.message.data) for d in shared) == list(range(100))
            with pytest.raises(Unsupported):
                await one.settle([(shared[0], Release(1.0))])
    finally:
        await adapter.close()


async def test_a_url_may_choose_core_nats(nats: Nats, channel: Channel) -> None:
    """`nats-core://` is a scheme of ours: the server is reached as with `nats://`."""
    adapter = await connect_core(CoreSettings(url=nats.url.replace("nats://", "nats-core://")))
    try:
        async with adapter.subscribe(channel, GROUP) as subscription:
            await adapter.publish(channel, [Message(b"x")])
            assert [delivery.message.data for delivery in await subscription.receive(1)] == [b"x"]
    finally:
        await adapter.close()


async def test_a_foreign_request_gets_its_reply(nats: Nats, channel: Channel) -> None:
    """nats-py's own `request` finds a handler of ours behind core NATS."""
    adapter = await connect_core(CoreSettings(url=nats.url))
    client = await nats_py.connect(nats.url)
    async with adapter.subscribe(channel, GROUP) as subscription:
        asking = asyncio.ensure_future(client.request(channel.name, b"6*7", timeout=5))
        (delivery,) = await take(subscription, 1)
        await adapter.reply(delivery.message, [Message(b"42")])
        assert (await asking).data == b"42"
    await client.close()
    await adapter.close()


async def test_cancelling_publish_at_any_moment_leaves_the_connection_of_use(
    adapter: NatsAdapter, channel: Channel
) -> None:
    """A tight loop of publishes is cancelled; what was confirmed is there, and the next publish works."""
    confirmed: list[int] = []

    async def publish_on() -> None:
        for number in range(100_000):
            await adapter.publish(channel, [Message(b"%d" % number)])
            confirmed.append(number)

    async with adapter.subscribe(channel, GROUP) as subscription:
        for _ in range(20):
            confirmed.clear()
            task = asyncio.ensure_future(publish_on())
            (first,) = await take(subscription, 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await subscription.settle([(first, ACCEPT)])
            seen = {int(first.message.data)}
            await adapter.publish(channel, [Message(b"-1")])
            while -1 not in seen:
                batch = await subscription.receive(256)
                seen |= {int(delivery.message.data) for delivery in batch}
                await subscription.settle([(delivery, ACCEPT) for delivery in batch])
            assert set(confirmed) <= seen


async def test_after_close_everything_says_so(nats: Nats, channel: Channel) -> None:
    """Close is idempotent, and a waiting receive ends."""
    adapter = await connect(NatsSettings(url=nats.url))
    async with adapter.subscribe(channel, GROUP) as subscription:
        waiting = asyncio.ensure_future(subscription.receive(1))
        await asyncio.sleep(0)
        await adapter.close()
        await adapter.close()
        with pytest.raises(Closed):
            await waiting
    with pytest.raises(Closed):
        await adapter.publish(channel, [Message(b"x")])
