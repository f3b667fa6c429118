"""Starting in the past."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from dragoman.adapter import Capability, Start
from dragoman.testing.bench import Bench
from dragoman.testing.case import case
from dragoman.testing.ledger import Ledger

_REPLAY = Capability.REPLAY


@case(Capability.QUEUE, _REPLAY)
async def a_new_group_replays_the_past(bench: Bench) -> None:
    """A new group that starts at the very beginning gets what another one has accepted long since."""
    channel, first = await bench.channel("queue"), Ledger(f"{n}" for n in range(100))
    async with bench.subscribed(channel, "first") as subscription:
        await bench.publish(channel, first.expected)
        await bench.collect([subscription], first)
    again = Ledger(first.expected)
    async with bench.subscribed(channel, "second", start=Start()) as subscription:
        await bench.collect([subscription], again)
    again.check(duplicates=False)


@case(Capability.TOPIC, _REPLAY)
async def a_new_subscriber_to_a_topic_replays_the_past(bench: Bench) -> None:
    """A subscription to a topic that starts at the very beginning gets what came before it."""
    channel, ledger = await bench.channel("topic"), Ledger(f"{n}" for n in range(100))
    await bench.publish(channel, ledger.expected)
    async with bench.subscribed(channel, start=Start()) as subscription:
        await bench.collect([subscription], ledger)
    ledger.check(duplicates=False)


@case(_REPLAY)
async def replay_starts_at_a_time(bench: Bench) -> None:
    """A subscription that starts at a time gets what was published from then on, and nothing older."""
    channel, ledger = await bench.channel(), Ledger(["new-1", "new-2"])
    await bench.publish(channel, ["old-1", "old-2"])
    # Brokers stamp messages with whole milliseconds of their own clock: leave room on both sides.
    await asyncio.sleep(0.05)
    since = datetime.now(UTC)
    await asyncio.sleep(0.05)
    await bench.publish(channel, ["new-1", "new-2"])
    async with bench.subscribed(channel, start=Start(time=since)) as subscription:
        await bench.collect([subscription], ledger)
    ledger.check(duplicates=False)
