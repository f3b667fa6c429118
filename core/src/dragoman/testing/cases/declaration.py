"""What the plugin says about its adapter, and that what it does not say is refused."""

from __future__ import annotations

import asyncio
import re

from pydantic import ValidationError

from dragoman.adapter import (
    CONTRACT,
    Capability,
    Lag,
    Release,
    RequestReply,
    Start,
    SubscribeOptions,
    Transactions,
)
from dragoman.errors import BrokerError, DragomanError, Unsupported
from dragoman.message import Channel, ChannelKind, Message
from dragoman.testing.bench import Bench
from dragoman.testing.case import case
from dragoman.testing.ledger import ConformanceError, expect


@case()
async def type_is_sound(bench: Bench) -> None:
    """The adapter's name, contract, format and capabilities are what the host can work with."""
    adapter = bench.harness.adapter
    expect(
        re.fullmatch(r"[a-z][a-z0-9-]*", adapter.name), f"name {adapter.name!r}; expected lower case, as in 'my-queue'"
    )
    expect(adapter.contract == CONTRACT, f"contract {adapter.contract}; this kit is for {CONTRACT}")
    kinds = {Capability.QUEUE, Capability.TOPIC} & adapter.capabilities
    expect(kinds, "it declares neither Capability.QUEUE nor Capability.TOPIC")
    expect(
        all(scheme == scheme.lower() for scheme in adapter.schemes), f"schemes {adapter.schemes}; expected lower case"
    )


@case()
async def settings_are_documented_and_strict(bench: Bench) -> None:
    """The settings are frozen, forbid unknown keys, describe each one, and one of them is `url`."""
    config = bench.harness.adapter.config
    expect(config.model_config.get("frozen"), "the settings model must be frozen=True")
    undescribed = [name for name, field in config.model_fields.items() if not field.description]
    expect(not undescribed, f"settings without a description: {', '.join(undescribed)}")
    expect("url" in config.model_fields, "one of the settings must be `url`")
    try:
        config.model_validate({**bench.harness.settings, "no-such-setting": 1})
    except ValidationError:
        return
    raise ConformanceError('the settings model takes an unknown key; expected extra="forbid"')


@case()
async def unknown_extension_is_refused(bench: Bench) -> None:
    """An extension that the adapter does not know is `Unsupported` when the subscription is opened."""
    channel = await bench.channel()
    options = bench.options(channel, extensions={"no-such-extension": "1"})
    await _expect_unsupported_subscription(bench, channel, options, "an unknown extension")


@case(without=(Capability.TOPIC,))
async def topics_are_refused(bench: Bench) -> None:
    """Without `topic`, publishing to one and subscribing to one are `Unsupported`."""
    await _expect_kind_refused(bench, "topic")


@case(without=(Capability.QUEUE,))
async def queues_are_refused(bench: Bench) -> None:
    """Without `queue`, publishing to one and subscribing to one are `Unsupported`."""
    await _expect_kind_refused(bench, "queue")


@case(Capability.QUEUE)
async def a_queue_needs_a_group(bench: Bench) -> None:
    """Subscribing to a queue without a group is `Unsupported`."""
    channel = await bench.channel("queue")
    await _expect_unsupported_subscription(bench, channel, SubscribeOptions(), "a queue without a group")


@case(without=(Capability.REPLAY,))
async def replay_is_refused(bench: Bench) -> None:
    """Without `replay`, a subscription that starts in the past is `Unsupported`."""
    channel = await bench.channel()
    await _expect_unsupported_subscription(
        bench, channel, bench.options(channel, start=Start()), "SubscribeOptions.start"
    )


@case(without=(Capability.DELAY,))
async def delay_is_refused(bench: Bench) -> None:
    """Without `delay`, releasing with one is `Unsupported`, and the delivery stays ours to settle."""
    channel = await bench.channel()
    async with bench.subscribed(channel) as subscription:
        await bench.publish(channel, ["1"])
        [delivery] = await bench.take(subscription, 1)
        try:
            await subscription.settle([(delivery, Release(delay=1.0))])
        except Unsupported:
            await subscription.settle([(delivery, Release())])
            return
    raise ConformanceError("a release with a delay was taken; expected Unsupported")


@case(without=(Capability.REQUEST_REPLY,))
async def requests_are_refused(bench: Bench) -> None:
    """Without `request-reply` the adapter has no `request`, or one that is `Unsupported`."""
    if isinstance(bench.adapter, RequestReply):
        channel = await bench.channel()
        try:
            await bench.within(bench.adapter.request(channel, Message.of("1"), timeout=1, expected=1), "an answer")
        except Unsupported:
            return
        raise ConformanceError("request() was taken, though request-reply is not declared")


@case(Capability.REQUEST_REPLY)
async def requests_are_there(bench: Bench) -> None:
    """With `request-reply` the adapter is a `RequestReply`."""
    expect(isinstance(bench.adapter, RequestReply), "it declares request-reply, but has no `request` and `reply`")


@case(without=(Capability.LAG,))
async def lag_is_absent(bench: Bench) -> None:
    """Without `lag` a subscription has no `lag`, or one that is `Unsupported`."""
    async with bench.subscribed(await bench.channel()) as subscription:
        if isinstance(subscription, Lag):
            try:
                await subscription.lag()
            except Unsupported:
                return
            raise ConformanceError("lag() answered, though lag is not declared")


@case(without=(Capability.TRANSACTIONS,))
async def transactions_are_refused(bench: Bench) -> None:
    """Without `transactions`, a subscription that asks for them is `Unsupported`."""
    channel = await bench.channel()
    options = bench.options(channel, transactions=True)
    await _expect_unsupported_subscription(bench, channel, options, "SubscribeOptions.transactions")


@case(without=(Capability.TRANSACTIONS,))
async def transactions_are_absent(bench: Bench) -> None:
    """Without `transactions` a subscription has no `transact`, or one that is `Unsupported`."""
    async with bench.subscribed(await bench.channel()) as subscription:
        if isinstance(subscription, Transactions):
            try:
                await subscription.transact([], [])
            except Unsupported:
                return
            raise ConformanceError("transact() was taken, though transactions is not declared")


@case(Capability.TRANSACTIONS)
async def transactions_are_there(bench: Bench) -> None:
    """With `transactions` a subscription is a `Transactions`, and a transaction of nothing is done at once."""
    async with bench.subscribed(await bench.channel(), transactions=True) as subscription:
        expect(isinstance(subscription, Transactions), "it declares transactions, but subscriptions have no `transact`")
        if isinstance(subscription, Transactions):
            gone = await bench.within(subscription.transact([], []), "the end of transact([], [])")
            expect(not gone, f"transact([], []) says that {gone} are gone")


async def _expect_kind_refused(bench: Bench, kind: ChannelKind) -> None:
    channel = Channel("conform-no-such-kind", kind)
    await _expect_unsupported_subscription(bench, channel, bench.options(channel), f"subscribing to a {kind}")
    try:
        await bench.within(bench.adapter.publish(channel, [Message.of("1")]), "an answer")
    except Unsupported:
        return
    except BrokerError as error:
        raise ConformanceError(f"publishing to a {kind} raised {error!r}; expected Unsupported") from error
    raise ConformanceError(f"publishing to a {kind} was taken; expected Unsupported")


async def _expect_unsupported_subscription(
    bench: Bench, channel: Channel, options: SubscribeOptions, what: str
) -> None:
    try:
        async with asyncio.timeout(bench.harness.patience), bench.adapter.subscribe(channel, options):
            pass
    except Unsupported:
        return
    except DragomanError as error:
        raise ConformanceError(f"{what} raised {error!r}; expected Unsupported") from error
    raise ConformanceError(f"{what} was taken; expected Unsupported")
