"""Lanes: what must stay in order stays in order."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Hashable, Sequence

from dragoman.adapter import ACCEPT, Capability, Delivery, Outcome, Subscription
from dragoman.message import Message
from dragoman.testing.bench import Bench
from dragoman.testing.case import case
from dragoman.testing.ledger import Ledger, expect

_QUEUE, _ORDER = Capability.QUEUE, Capability.ORDER


@case(_ORDER)
async def one_key_stays_in_order(bench: Bench) -> None:
    """What one publisher sends with one key arrives in that order, all of it on one lane."""
    channel, ids = await bench.channel(), [f"{n}" for n in range(500)]
    ledger, lanes = Ledger(ids), set[Hashable]()

    def note(delivery: Delivery) -> Outcome:
        lanes.add(delivery.lane)
        return ACCEPT

    async with bench.subscribed(channel) as subscription:
        await bench.publish(channel, ids, key="k", batch=50)
        await bench.collect([subscription], ledger, note)
    ledger.check(duplicates=False)
    expect(ledger.order == ids, f"one key came out of order: {_first_swap(ledger.order, ids)}")
    expect(len(lanes) == 1, f"messages of one key came on {len(lanes)} lanes; expected 1")
    expect(None not in lanes, "deliveries have lane None, though order is declared")


@case(_ORDER)
async def overlapping_publishes_stay_in_order(bench: Bench) -> None:
    """Messages of one key keep the order in which their `publish` calls began, also when several are under way."""
    channel, ids = await bench.channel(), [f"{n}" for n in range(200)]
    ledger = Ledger(ids)
    async with bench.subscribed(channel) as subscription:
        sends = (bench.adapter.publish(channel, [Message.of(name, key="k")]) for name in ids)
        await bench.within(asyncio.gather(*sends), "the confirmation of 200 publishes at once")
        await bench.collect([subscription], ledger)
    expect(ledger.order == ids, f"one key came out of order: {_first_swap(ledger.order, ids)}")


@case(_QUEUE, _ORDER)
async def sixteen_keys_stay_in_order_with_ten_subscribers(bench: Bench) -> None:
    """1,000 messages over 16 keys: each key's arrive in order, whichever of ten members gets them."""
    channel = await bench.channel("queue")
    sent = {key: [f"{key}-{n}" for n in range(key, 1000, 16)] for key in range(16)}
    ledger = Ledger(name for names in sent.values() for name in names)
    async with bench.members(channel, 10) as subscriptions:
        sends = (bench.publish(channel, names, key=f"key-{key}", batch=8) for key, names in sent.items())
        await asyncio.gather(bench.collect(subscriptions, ledger, limit=10), *sends)
    ledger.check()
    arrived = defaultdict(list)
    for name in ledger.order:
        arrived[int(name.partition("-")[0])].append(name)
    for key, names in sent.items():
        expect(arrived[key] == names, f"key {key} came out of order: {_first_swap(arrived[key], names)}")


@case(_QUEUE, _ORDER)
async def a_lane_has_one_reader_at_a_time(bench: Bench) -> None:
    """While a member has an unsettled delivery of a lane, no other member gets any of that lane."""
    channel, ids = await bench.channel("queue"), [f"{n}" for n in range(20)]
    ledger = Ledger(ids)
    async with bench.members(channel, 2) as (one, other):
        await bench.publish(channel, ids, key="k")
        reader, held = await _first_to_receive(bench, (one, other))
        idle = other if reader is one else one
        await bench.expect_quiet(idle, "the other member has an unsettled delivery of the only lane")
        ledger.add(held)
        await bench.accept(reader, held)
        await bench.collect([one, other], ledger)
    ledger.check()
    expect(ledger.order == ids, f"one key came out of order: {_first_swap(ledger.order, ids)}")


@case(_QUEUE, _ORDER, Capability.REDELIVERY)
async def a_released_delivery_keeps_its_place(bench: Bench) -> None:
    """Releasing everything in hand of a lane brings it again in the same order, before what comes after it."""
    channel, ids = await bench.channel("queue"), [f"{n}" for n in range(50)]
    async with bench.subscribed(channel, prefetch=10) as subscription:
        await bench.publish(channel, ids, key="k")
        first = await bench.receive(subscription, 10)
        await bench.release(subscription, first)
        ledger = Ledger(ids)
        await bench.collect([subscription], ledger)
    expect(ledger.order == ids, f"a released message lost its place: {_first_swap(ledger.order, ids)}")


async def _first_to_receive(bench: Bench, subscriptions: Sequence[Subscription]) -> tuple[Subscription, list[Delivery]]:
    tasks = [asyncio.ensure_future(one.receive(5)) for one in subscriptions]
    _, waiting = await bench.within(asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED), "a delivery")
    for task in waiting:
        task.cancel()
    await asyncio.wait(tasks)
    [winner] = [n for n, task in enumerate(tasks) if not task.cancelled()]
    return subscriptions[winner], list(tasks[winner].result())


def _first_swap(came: list[str], sent: list[str]) -> str:
    for place, (got, wanted) in enumerate(zip(came, sent, strict=False)):
        if got != wanted:
            return f"at place {place} came {got!r}, expected {wanted!r}"
    return f"{len(came)} came, {len(sent)} were sent"
