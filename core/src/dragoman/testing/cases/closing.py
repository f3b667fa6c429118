"""Closing: idempotent, from anywhere, at any time, and nothing is lost by it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from dragoman.adapter import Capability
from dragoman.errors import Closed
from dragoman.message import Channel, Message
from dragoman.testing.bench import Bench
from dragoman.testing.case import case
from dragoman.testing.ledger import ConformanceError, Ledger

_QUEUE, _DURABLE = Capability.QUEUE, Capability.DURABLE


@case(_QUEUE, _DURABLE)
async def subscribers_closed_and_reopened_lose_nothing(bench: Bench) -> None:
    """A member that takes 30 messages, accepts 20 and goes, ten times over: in the end every message was accepted."""
    channel, ledger = await bench.channel("queue"), Ledger(f"{n}" for n in range(300))
    async with bench.subscribed(channel):
        await bench.publish(channel, sorted(ledger.expected, key=int))
    for _ in range(10):
        async with bench.subscribed(channel) as subscription:
            held = await bench.take(subscription, 30)
            await bench.accept(subscription, held[:20])
            ledger.add(held[:20])
    async with bench.subscribed(channel) as subscription:
        await bench.collect([subscription], ledger)
    ledger.check()


@case(_QUEUE)
async def ten_are_opened_and_closed_at_once(bench: Bench) -> None:
    """Ten subscriptions opened and closed side by side, on one connection, leave a working one."""
    channels = [await bench.channel("queue") for _ in range(10)]
    for _ in range(3):
        await asyncio.gather(*(_open_and_close(bench, channel) for channel in channels))
    async with bench.subscribed(channels[0]) as subscription:
        ledger = Ledger(["1"])
        await bench.publish(channels[0], ["1"])
        await bench.collect([subscription], ledger)
    ledger.check()


@case()
async def close_is_idempotent(bench: Bench) -> None:
    """Closing a connection twice, also at the same time, is no error."""
    adapter = await bench.connect()
    await bench.within(asyncio.gather(adapter.close(), adapter.close()), "the end of two close() at once")
    await bench.within(adapter.close(), "the end of a further close()")


@case()
async def leaving_ends_a_waiting_receive(bench: Bench) -> None:
    """Leaving the subscription's block ends a `receive` that waits, with `Closed`."""
    async with bench.subscribed(await bench.channel()) as subscription:
        waiting = asyncio.ensure_future(subscription.receive(1))
        await asyncio.sleep(bench.harness.quiet / 4)
    await _expect_closed(bench, waiting, "receive() when its subscription was closed")


@case()
async def closing_ends_a_waiting_receive(bench: Bench) -> None:
    """Closing the connection ends a `receive` that waits, with `Closed`."""
    adapter = await bench.connect()
    async with bench.subscribed(await bench.channel(), adapter=adapter) as subscription:
        waiting = asyncio.ensure_future(subscription.receive(1))
        await asyncio.sleep(bench.harness.quiet / 4)
        await bench.within(adapter.close(), "the end of close() while a receive waits")
        await _expect_closed(bench, waiting, "receive() when its connection was closed")


@case(_QUEUE, _DURABLE)
async def closing_gives_back_what_is_unsettled(bench: Bench) -> None:
    """Closing the connection with unsettled deliveries works, and they come again to somebody else."""
    channel, adapter, ledger = await bench.channel("queue"), await bench.connect(), Ledger(f"{n}" for n in range(20))
    async with bench.subscribed(channel, adapter=adapter) as subscription:
        await bench.publish(channel, ledger.expected)
        await bench.take(subscription, 10)
        await bench.within(adapter.close(), "the end of close() with unsettled deliveries")
    async with bench.subscribed(channel) as subscription:
        await bench.collect([subscription], ledger)
    ledger.check()


@case(_QUEUE, Capability.DURABLE)
async def a_member_that_goes_leaves_its_deliveries_to_the_others(bench: Bench) -> None:
    """What a member held unsettled when it was closed comes to another one that was there all the time."""
    channel, ledger = await bench.channel("queue"), Ledger(f"{n}" for n in range(40))
    async with bench.subscribed(channel) as stays:
        async with bench.subscribed(channel, prefetch=40) as goes:
            await bench.publish(channel, ledger.expected)
            held = await bench.whatever_comes(goes)
        await bench.collect([stays], ledger)
    ledger.check()
    del held


@case()
async def what_is_closed_says_so(bench: Bench) -> None:
    """After `close`, everything raises `Closed`."""
    channel, adapter = await bench.channel(), await bench.connect()
    async with bench.subscribed(channel, adapter=adapter) as subscription:
        await bench.publish(channel, ["1"])
        [held] = await bench.take(subscription, 1)
        await adapter.close()
        await _expect_closed(bench, subscription.receive(1), "receive() on a closed connection")
        await _expect_closed(bench, bench.accept(subscription, [held]), "settle() on a closed connection")
    await _expect_closed(bench, adapter.publish(channel, [Message.of("2")]), "publish() on a closed connection")
    opening = _enter_and_leave(adapter.subscribe(channel, bench.options(channel)))
    await _expect_closed(bench, opening, "subscribe() on a closed connection")


@case()
async def a_closed_subscription_says_so(bench: Bench) -> None:
    """After its block was left, `receive` and `settle` of a subscription raise `Closed`; the connection goes on."""
    channel = await bench.channel()
    async with bench.subscribed(channel) as subscription:
        await bench.publish(channel, ["1"])
        [held] = await bench.take(subscription, 1)
    await _expect_closed(bench, subscription.receive(1), "receive() on a closed subscription")
    await _expect_closed(bench, bench.accept(subscription, [held]), "settle() on a closed subscription")
    await bench.publish(channel, ["2"])


async def _open_and_close(bench: Bench, channel: Channel) -> None:
    async with bench.subscribed(channel):
        pass


async def _enter_and_leave(context) -> None:  # type: ignore[no-untyped-def]
    async with context:
        pass


async def _expect_closed(bench: Bench, call: Awaitable[object], what: str) -> None:
    try:
        await bench.within(call, f"{what}: Closed")
    except Closed:
        return
    except Exception as error:
        raise ConformanceError(f"{what} raised {error!r}; expected Closed") from error
    raise ConformanceError(f"{what} returned; expected Closed")
