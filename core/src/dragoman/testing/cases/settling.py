"""Accepted, released, rejected: what comes again, what does not, and when."""

from __future__ import annotations

import asyncio
import time

from dragoman.adapter import ACCEPT, Capability, Reject, Release
from dragoman.testing.bench import Bench
from dragoman.testing.case import case
from dragoman.testing.ledger import Ledger, expect, identity

_QUEUE, _DURABLE, _REDELIVERY = Capability.QUEUE, Capability.DURABLE, Capability.REDELIVERY


@case(_QUEUE, _DURABLE)
async def what_was_accepted_never_comes_again(bench: Bench) -> None:
    """After every message was accepted, a new subscription of the group gets nothing."""
    channel, ledger = await bench.channel("queue"), Ledger(f"{n}" for n in range(100))
    async with bench.subscribed(channel) as subscription:
        await bench.publish(channel, ledger.expected)
        await bench.collect([subscription], ledger)
    async with bench.subscribed(channel) as subscription:
        await bench.expect_quiet(subscription, "everything was accepted")


@case(_QUEUE, _DURABLE)
async def what_was_released_comes_again_to_a_new_subscription(bench: Bench) -> None:
    """A released delivery is not lost when the subscription is closed after it."""
    channel, ids = await bench.channel("queue"), [f"{n}" for n in range(20)]
    async with bench.subscribed(channel) as subscription:
        await bench.publish(channel, ids)
        await bench.release(subscription, await bench.take(subscription, len(ids)))
    ledger = Ledger(ids)
    async with bench.subscribed(channel) as subscription:
        await bench.collect([subscription], ledger)
    ledger.check()


@case(_QUEUE, _REDELIVERY)
async def a_hundred_rounds_of_release_lose_nothing(bench: Bench) -> None:
    """Ten messages released a hundred times over come again each time, and none runs dry."""
    channel, ids = await bench.channel("queue"), [f"{n}" for n in range(10)]
    async with bench.subscribed(channel) as subscription:
        await bench.publish(channel, ids)
        for turn in range(100):
            held = await bench.take(subscription, len(ids), f"messages released {turn} times")
            came = sorted(identity(one.message) for one in held)
            expect(came == sorted(ids), f"after {turn} releases came {came}; expected {sorted(ids)}")
            await bench.release(subscription, held)
        await bench.accept(subscription, await bench.take(subscription, len(ids)))
        await bench.expect_quiet(subscription, "everything was accepted")


@case(_QUEUE)
async def settling_out_of_order_is_fine(bench: Bench) -> None:
    """Deliveries may be settled in any order, in any portions, and in several calls at once."""
    channel, ledger = await bench.channel("queue"), Ledger(f"{n}" for n in range(20))
    async with bench.subscribed(channel) as subscription:
        await bench.publish(channel, ledger.expected)
        held = await bench.take(subscription, 20)
        parts = (held[1::2], held[0::4], held[2::4])
        await asyncio.gather(*(bench.accept(subscription, part[::-1]) for part in parts))
        ledger.add(held)
        await bench.expect_quiet(subscription, "everything was accepted")
    ledger.check(duplicates=False)


@case(_QUEUE)
async def half_of_a_backlog_is_held_and_the_rest_goes_on(bench: Bench) -> None:
    """Holding half of a backlog unsettled keeps the other half from nothing; settling it later is fine."""
    channel, ledger, held = await bench.channel("queue"), Ledger(f"{n}" for n in range(200)), []
    async with bench.subscribed(channel, prefetch=200) as subscription:
        await bench.publish(channel, sorted(ledger.expected, key=int))
        await bench.collect(
            [subscription], ledger, lambda one: held.append(one) if int(identity(one.message)) % 2 else ACCEPT
        )
        await bench.accept(subscription, held)
        await bench.expect_quiet(subscription, "everything was accepted")
    ledger.check(duplicates=False)


@case(_QUEUE, _DURABLE)
async def what_was_rejected_never_comes_again(bench: Bench) -> None:
    """A rejected message is gone from the group, also for a new subscription."""
    channel = await bench.channel("queue")
    async with bench.subscribed(channel) as subscription:
        await bench.publish(channel, ["bad", "good"])
        for one in await bench.take(subscription, 2):
            outcome = Reject("no good") if identity(one.message) == "bad" else ACCEPT
            await bench.within(subscription.settle([(one, outcome)]), "the end of settle()")
        await bench.expect_quiet(subscription, "one was accepted and one rejected")
    async with bench.subscribed(channel) as subscription:
        await bench.expect_quiet(subscription, "one was accepted and one rejected")


@case(_QUEUE, Capability.DEAD_LETTER)
async def what_was_rejected_is_among_the_dead_letters(bench: Bench) -> None:
    """With `dead-letter`, a rejected message arrives, body and all, at the broker's dead-letter place."""
    channel = await bench.channel("queue")
    graveyard = bench.harness.dead_letters(channel)
    async with bench.subscribed(channel) as subscription, bench.subscribed(graveyard, "undertakers") as dead:
        await bench.publish(channel, ["bad"])
        [one] = await bench.take(subscription, 1)
        await bench.within(subscription.settle([(one, Reject("no good"))]), "the end of settle()")
        [letter] = await bench.take(dead, 1, "the dead letter")
        await bench.accept(dead, [letter])
    expect(identity(letter.message) == "bad", f"the dead letter's body is {letter.message.data!r}; expected b'bad'")


@case(_QUEUE, _REDELIVERY, Capability.DELIVERY_COUNT)
async def delivery_counts_grow(bench: Bench) -> None:
    """`Delivery.count` is 1, then 2, 3, 4 and 5, with each release."""
    channel, counts = await bench.channel("queue"), []
    async with bench.subscribed(channel) as subscription:
        await bench.publish(channel, ["1"])
        for _ in range(5):
            [one] = await bench.take(subscription, 1)
            counts.append(one.count)
            await bench.release(subscription, [one])
    expect(counts == [1, 2, 3, 4, 5], f"the counts were {counts}; expected [1, 2, 3, 4, 5]")


@case(_QUEUE, _DURABLE, Capability.DELIVERY_COUNT)
async def delivery_counts_include_other_members(bench: Bench) -> None:
    """A delivery that went back unsettled when its subscription closed counts too."""
    channel = await bench.channel("queue")
    async with bench.subscribed(channel) as subscription:
        await bench.publish(channel, ["1"])
        await bench.take(subscription, 1)
    async with bench.subscribed(channel) as subscription:
        [one] = await bench.take(subscription, 1)
        await bench.accept(subscription, [one])
    expect(one.count == 2, f"the second delivery has count {one.count}; expected 2")


@case(_QUEUE, Capability.DELAY)
async def delay_is_kept(bench: Bench) -> None:
    """A delivery released with a delay of 1 s does not come before it, and others meanwhile do."""
    channel = await bench.channel("queue")
    async with bench.subscribed(channel) as subscription:
        await bench.publish(channel, ["late"], key="late")
        held = await bench.take(subscription, 1)
        released = time.monotonic()
        await bench.within(subscription.settle([(held[0], Release(delay=1.0))]), "the end of settle()")
        await bench.publish(channel, ["other"], key="other")
        came: list[tuple[str, float]] = []
        while len(came) < 2:
            [one] = await bench.take(subscription, 1)
            came.append((identity(one.message), time.monotonic() - released))
            await bench.accept(subscription, [one])
    expect([name for name, _ in came] == ["other", "late"], f"came in the order {came}; expected other, then late")
    # Brokers keep delays in whole milliseconds.
    expect(came[1][1] >= 0.998, f"released for 1 s, it came again after {came[1][1]:.3f} s")


@case(_QUEUE, _DURABLE)
async def a_foreign_settlement_is_ignored(bench: Bench) -> None:
    """Settling nothing, or the same deliveries through a closed subscription, spoils nothing for the next one."""
    channel, ledger = await bench.channel("queue"), Ledger(["1", "2"])
    async with bench.subscribed(channel) as subscription:
        await bench.within(subscription.settle([]), "the end of settle([])")
        await bench.publish(channel, ["1", "2"])
        await bench.take(subscription, 2)
    async with bench.subscribed(channel) as subscription:
        await bench.collect([subscription], ledger)
    ledger.check()
