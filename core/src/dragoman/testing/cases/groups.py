"""Who gets what: the members of a group share a queue, each group gets all of it."""

from __future__ import annotations

from typing import cast

from dragoman.adapter import Capability, Lag, Subscription
from dragoman.testing.bench import Bench
from dragoman.testing.case import case
from dragoman.testing.ledger import Ledger, expect

_QUEUE = Capability.QUEUE


@case(_QUEUE)
async def members_share(bench: Bench) -> None:
    """Each message goes to one member of the group only."""
    channel, ledger = await bench.channel("queue"), Ledger(f"{n}" for n in range(400))
    async with bench.members(channel, 4) as subscriptions:
        await bench.publish(channel, ledger.expected)
        await bench.collect(subscriptions, ledger)
        for subscription in subscriptions:
            await bench.expect_quiet(subscription, "everything was accepted by some member")
    ledger.check(duplicates=False)


@case(_QUEUE)
async def each_group_gets_everything(bench: Bench) -> None:
    """Two groups on one queue both get every message."""
    channel = await bench.channel("queue")
    async with bench.subscribed(channel, "first") as first, bench.subscribed(channel, "second") as second:
        await bench.publish(channel, (f"{n}" for n in range(200)))
        for subscription in (first, second):
            ledger = Ledger(f"{n}" for n in range(200))
            await bench.collect([subscription], ledger)
            ledger.check(duplicates=False)


@case(_QUEUE)
async def members_on_connections_of_their_own_share(bench: Bench) -> None:
    """It makes no difference to a group whether its members use one connection or several."""
    channel, ledger = await bench.channel("queue"), Ledger(f"{n}" for n in range(200))
    other = await bench.connect()
    async with bench.subscribed(channel) as mine, bench.subscribed(channel, adapter=other) as theirs:
        await bench.publish(channel, ledger.expected)
        await bench.collect([mine, theirs], ledger)
    ledger.check(duplicates=False)


@case(_QUEUE, Capability.LAG)
async def lag_counts_what_waits(bench: Bench) -> None:
    """`lag` is the number of messages that wait for the group, those in hand not counted."""
    channel = await bench.channel("queue")
    async with bench.subscribed(channel, prefetch=10) as subscription:
        await bench.publish(channel, (f"{n}" for n in range(50)))
        held = await bench.receive(subscription, 5)
        lag = await _lag(bench, subscription)
        expect(50 - 10 <= lag <= 50 - len(held), f"lag is {lag} with 50 published and {len(held)} in hand")
        ledger = Ledger(f"{n}" for n in range(50))
        ledger.add(held)
        await bench.accept(subscription, held)
        await bench.collect([subscription], ledger)
        lag = await _lag(bench, subscription)
        expect(lag == 0, f"lag is {lag} after everything was accepted; expected 0")


async def _lag(bench: Bench, subscription: Subscription) -> int:
    expect(isinstance(subscription, Lag), "it declares lag, but the subscription has no `lag`")
    return await bench.within(cast("Lag", subscription).lag(), "the lag")
