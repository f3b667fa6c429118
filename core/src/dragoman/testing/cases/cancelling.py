"""Cancelling a call at every point where it can be cancelled: nothing is lost, nothing leaks, the rest goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from dragoman.adapter import Capability, Subscription
from dragoman.message import Channel, Message
from dragoman.testing.bench import Bench
from dragoman.testing.cancel import Moment, cancelled_at
from dragoman.testing.case import case
from dragoman.testing.ledger import Ledger

_QUEUE, _DURABLE = Capability.QUEUE, Capability.DURABLE
_MOMENTS: Final[tuple[Moment, ...]] = ("waiting", "arriving")
#: A call that suspends more often than this is cancelled at its first points only.
_POINTS: Final = 40


@case(_QUEUE)
async def cancelled_receive_loses_nothing(bench: Bench) -> None:
    """`receive`, cancelled as it begins to wait and as something arrives: every message still comes."""
    channel, ledger = await bench.channel("queue"), Ledger()
    async with bench.subscribed(channel) as subscription:
        for moment in _MOMENTS:
            for point in range(_POINTS):
                if not await _receive_cancelled(bench, subscription, channel, ledger, point=point, moment=moment):
                    break
        await bench.collect([subscription], ledger)
    ledger.check(duplicates=False)


async def _receive_cancelled(
    bench: Bench, subscription: Subscription, channel: Channel, ledger: Ledger, *, point: int, moment: Moment
) -> bool:
    """Two messages arrive around a `receive` that is cancelled; False once it has no such point."""
    ids = [f"{moment}-{point}-{n}" for n in range(2)]
    ledger.more(ids)
    calling = asyncio.ensure_future(cancelled_at(lambda: subscription.receive(10), point, moment, bench.harness.quiet))
    await bench.publish(channel, ids)
    reached, batch = await bench.within(calling, "the end of a cancelled receive()")
    if batch:
        await bench.accept(subscription, batch)
        ledger.add(batch)
    return reached


@case(_QUEUE)
async def cancelled_publish_spoils_nothing(bench: Bench) -> None:
    """`publish`, cancelled at every point: what was confirmed comes, what was cancelled may, the connection goes on."""
    channel, confirmed, maybe = await bench.channel("queue"), set[str](), set[str]()
    async with bench.subscribed(channel) as subscription:
        for moment in _MOMENTS:
            for point in range(_POINTS):
                names = [f"{moment}-{point}-{n}" for n in range(3)]
                messages = [Message.of(name) for name in names]
                call = _publishing(bench, channel, messages)
                reached, done = await cancelled_at(call, point, moment, bench.harness.patience)
                (confirmed if done else maybe).update(names)
                if not reached:
                    break
            await bench.publish(channel, [f"{moment}-after"])
            confirmed.add(f"{moment}-after")
        ledger = Ledger(confirmed)
        await bench.collect([subscription], ledger)
        ledger.add(await bench.whatever_comes(subscription))
    ledger.expected |= maybe & ledger.seen.keys()
    ledger.check(duplicates=False)


def _publishing(bench: Bench, channel: Channel, messages: list[Message]) -> Callable[[], Any]:
    async def publish() -> bool:
        await bench.adapter.publish(channel, messages)
        return True

    return publish


@case(_QUEUE)
async def cancelled_subscribe_leaves_no_ghost(bench: Bench) -> None:
    """`subscribe`, cancelled at every point while it opens: no half-open member is left that would keep messages."""
    channel, ledger = await bench.channel("queue"), Ledger(f"{n}" for n in range(100))
    for moment in _MOMENTS:
        for point in range(_POINTS):
            context = bench.adapter.subscribe(channel, bench.options(channel))
            reached, opened = await cancelled_at(context.__aenter__, point, moment, bench.harness.patience)
            if opened is not None:
                await bench.within(context.__aexit__(None, None, None), "the end of a subscription")
            if not reached:
                break
    async with bench.subscribed(channel) as subscription:
        await bench.publish(channel, ledger.expected)
        await bench.collect([subscription], ledger)
    ledger.check()


@case(_QUEUE, _DURABLE)
async def cancelled_settle_loses_nothing(bench: Bench) -> None:
    """`settle`, cancelled at every point: what it was for is accepted or comes again; the rest is untouched."""
    channel, ledger = await bench.channel("queue"), Ledger(f"{n}" for n in range(2 * _POINTS + 20))
    async with bench.subscribed(channel) as subscription:
        await bench.publish(channel, ledger.expected)
        for moment in _MOMENTS:
            for point in range(_POINTS):
                held = await bench.take(subscription, 1)
                reached, _ = await cancelled_at(
                    lambda held=held: bench.accept(subscription, held),  # type: ignore[misc]
                    point, moment, bench.harness.patience,
                )  # fmt: skip
                ledger.add(held)
                if not reached:
                    break
    async with bench.subscribed(channel) as subscription:
        await bench.collect([subscription], ledger)
    ledger.check()


@case(_QUEUE, _DURABLE)
async def cancelled_close_still_closes(bench: Bench) -> None:
    """`close`, cancelled at every point: the connection holds nothing back afterwards."""
    channel, ledger = await bench.channel("queue"), Ledger(f"{n}" for n in range(20))
    async with bench.subscribed(channel):
        await bench.publish(channel, ledger.expected)
    for moment in _MOMENTS:
        for point in range(_POINTS):
            adapter = await bench.connect()
            async with bench.subscribed(channel, adapter=adapter) as subscription:
                await bench.take(subscription, 1)
                reached, _ = await cancelled_at(adapter.close, point, moment, bench.harness.patience)
            if not reached:
                break
    async with bench.subscribed(channel) as subscription:
        await bench.collect([subscription], ledger)
    ledger.check()
