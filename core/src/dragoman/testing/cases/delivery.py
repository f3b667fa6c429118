"""What is published arrives, whole, on its own channel, in batches within their bounds."""

from __future__ import annotations

import asyncio

from dragoman.adapter import ACCEPT, Capability
from dragoman.errors import UnsupportedFormat
from dragoman.message import Message
from dragoman.testing.bench import Bench
from dragoman.testing.case import case
from dragoman.testing.ledger import ConformanceError, Ledger, expect

_QUEUE = Capability.QUEUE
_BODIES = (b"", b"x", bytes(range(256)), b"\xff\xfe\x00\r\n", bytes(range(256)) * 1024)


@case(_QUEUE, Capability.BACKLOG)
async def what_was_published_before_subscribing_arrives(bench: Bench) -> None:
    """A queue keeps what was published before anybody ever subscribed."""
    channel, ledger = await bench.channel(), Ledger(f"{n}" for n in range(100))
    await bench.publish(channel, ledger.expected)
    async with bench.subscribed(channel) as subscription:
        await bench.collect([subscription], ledger)
    ledger.check(duplicates=False)


@case(_QUEUE, Capability.DURABLE)
async def what_was_published_between_subscriptions_arrives(bench: Bench) -> None:
    """A queue keeps what comes for a group while none of its members is there."""
    channel, ledger = await bench.channel(), Ledger(f"{n}" for n in range(100))
    async with bench.subscribed(channel):
        pass
    await bench.publish(channel, ledger.expected)
    async with bench.subscribed(channel) as subscription:
        await bench.collect([subscription], ledger)
    ledger.check(duplicates=False)


@case(Capability.TOPIC)
async def every_subscriber_to_a_topic_gets_every_message(bench: Bench) -> None:
    """Each subscription to a topic gets what is published from then on."""
    channel = await bench.channel("topic")
    async with bench.members(channel, 3) as subscriptions:
        await bench.publish(channel, (f"{n}" for n in range(200)))
        for subscription in subscriptions:
            ledger = Ledger(f"{n}" for n in range(200))
            await bench.collect([subscription], ledger)
            ledger.check(duplicates=False)


@case(Capability.TOPIC)
async def a_topic_gives_nothing_from_before(bench: Bench) -> None:
    """A subscription to a topic that names no start gets only what comes after it."""
    channel, ledger = await bench.channel("topic"), Ledger(["after"])
    await bench.publish(channel, ["before"])
    async with bench.subscribed(channel) as subscription:
        await bench.publish(channel, ["after"])
        await bench.collect([subscription], ledger)
    ledger.check()


@case()
async def bodies_survive(bench: Bench) -> None:
    """Bodies of 0 B, 1 B, 256 KiB and arbitrary bytes arrive as they were sent."""
    channel = await bench.channel()
    async with bench.subscribed(channel) as subscription:
        for body in _BODIES:
            await bench.within(bench.adapter.publish(channel, [Message(body)]), f"the confirmation of {len(body)} B")
            [came] = await bench.take(subscription, 1, f"the body of {len(body)} B")
            expect(came.message.data == body, f"a body of {len(body)} B came back changed")
            await subscription.settle([(came, ACCEPT)])


@case()
async def metadata_survives(bench: Bench) -> None:
    """Repeated names keep all their values in order; empty values and non-ASCII text arrive as they were sent."""
    pairs = (("x-twice", "1"), ("x-empty", ""), ("x-twice", "2"), ("x-text", "grüße, 世界"), ("x-long", "v" * 1000))
    came = await _there_and_back(bench, Message(b"1", pairs))
    for name in dict.fromkeys(name for name, _ in pairs):
        sent, got = [v for k, v in pairs if k == name], list(came.get_all(name))
        expect(got == sent, f"metadata {name!r}: sent {sent}, came back as {got}")


@case()
async def bytes_that_are_no_text_survive_in_metadata(bench: Bench) -> None:
    """A value that is not UTF-8 arrives as it was sent, or the message is refused with `UnsupportedFormat`."""
    value = b"caf\xe9\xff".decode("utf-8", "surrogateescape")
    try:
        came = await _there_and_back(bench, Message(b"1", (("x-bytes", value),)))
    except UnsupportedFormat:
        return
    expect(came.get("x-bytes") == value, f"a value that is not UTF-8 came back as {came.get('x-bytes')!r}")


@case()
async def portable_names_survive(bench: Bench) -> None:
    """The content type and the portable `key`, `message-id` and `correlation-id` arrive as they were sent."""
    pairs = (("key", "k-1"), ("message-id", "m-1"), ("correlation-id", "c-1"))
    came = await _there_and_back(bench, Message(b"{}", pairs, "application/json"))
    expect(
        came.content_type == "application/json", f"content type 'application/json' came back as {came.content_type!r}"
    )
    for name, value in pairs:
        expect(
            list(came.get_all(name)) == [value], f"{name!r}: sent {value!r}, came back as {list(came.get_all(name))}"
        )


@case()
async def deliveries_say_where_they_come_from(bench: Bench) -> None:
    """A delivered message has its channel, the adapter's format, and a count of 1."""
    channel = await bench.channel()
    async with bench.subscribed(channel) as subscription:
        await bench.publish(channel, ["1"])
        [delivery] = await bench.take(subscription, 1)
        await subscription.settle([(delivery, ACCEPT)])
    message, format_ = delivery.message, bench.harness.adapter.format
    expect(message.channel == channel, f"message.channel is {message.channel!r}; expected {channel!r}")
    expect(message.format == format_, f"message.format is {message.format!r}; the adapter's is {format_!r}")
    expect(delivery.count == 1, f"the first delivery has count {delivery.count}; expected 1")


@case()
async def publishing_nothing_does_nothing(bench: Bench) -> None:
    """`publish` with no messages returns, and nothing comes."""
    channel = await bench.channel()
    async with bench.subscribed(channel) as subscription:
        await bench.within(bench.adapter.publish(channel, []), "the return of publish([])")
        await bench.expect_quiet(subscription, "nothing was published")


@case(_QUEUE)
async def fifty_publishers_and_fifty_subscribers(bench: Bench) -> None:
    """5,000 messages of 50 publishers at once all arrive at 50 subscribers of one group."""
    channel = await bench.channel("queue")
    ledger = Ledger(f"{publisher}-{n}" for publisher in range(50) for n in range(100))
    async with bench.members(channel, 50) as subscriptions:
        sends = (bench.publish(channel, [f"{p}-{n}" for n in range(100)], batch=10) for p in range(50))
        await asyncio.gather(bench.collect(subscriptions, ledger), *sends)
    ledger.check()


@case()
async def twenty_channels_do_not_cross(bench: Bench) -> None:
    """Messages on 20 channels at once arrive on their own channel only."""
    await asyncio.gather(*(_own_channel(bench, f"{n}") for n in range(20)))


@case()
async def batches_keep_to_their_limit(bench: Bench) -> None:
    """`receive(limit)` gives at least one delivery and at most `limit`, and does not wait to fill a batch."""
    channel, ledger = await bench.channel(), Ledger(f"{n}" for n in range(30))
    async with bench.subscribed(channel) as subscription:
        await bench.publish(channel, ["first"])
        [first] = await bench.receive(subscription, 1000)
        await subscription.settle([(first, ACCEPT)])
        await bench.publish(channel, ledger.expected)
        await bench.collect([subscription], ledger, limit=7)
    ledger.check(duplicates=False)


@case(_QUEUE)
async def prefetch_bounds_what_is_unsettled(bench: Bench) -> None:
    """Never more than `prefetch` deliveries are unsettled; settling some lets as many more come."""
    channel, ledger = await bench.channel("queue"), Ledger(f"{n}" for n in range(60))
    async with bench.subscribed(channel, prefetch=10) as subscription:
        await bench.publish(channel, ledger.expected)
        held = await bench.receive(subscription)
        held += await bench.whatever_comes(subscription)
        expect(len(held) <= 10, f"{len(held)} deliveries were unsettled at once, with a prefetch of 10")
        ledger.add(held)
        await subscription.settle([(delivery, ACCEPT) for delivery in held])
        await bench.collect([subscription], ledger)
    ledger.check(duplicates=False)


async def _own_channel(bench: Bench, name: str) -> None:
    channel, ledger = await bench.channel(), Ledger(f"{name}-{n}" for n in range(50))
    async with bench.subscribed(channel, group=f"group-{name}") as subscription:
        await bench.publish(channel, ledger.expected)
        await bench.collect([subscription], ledger)
    ledger.check(duplicates=False)


async def _there_and_back(bench: Bench, message: Message) -> Message:
    channel = await bench.channel()
    async with bench.subscribed(channel) as subscription:
        await bench.within(bench.adapter.publish(channel, [message]), "the confirmation")
        [delivery] = await bench.take(subscription, 1)
        await subscription.settle([(delivery, ACCEPT)])
    if delivery.message.data != message.data:
        raise ConformanceError(f"the body {message.data!r} came back as {delivery.message.data!r}")
    return delivery.message
