"""The server is restarted, or the network is cut: what was confirmed arrives, what was not accepted comes again.

An adapter raises and is made anew; that is the core's part, which `Link` plays here.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from dragoman.adapter import ACCEPT, Capability, Delivery, Outcome, Release
from dragoman.errors import ConnectionLost, PublishFailed
from dragoman.message import Channel, Message
from dragoman.testing.bench import Bench, accept_all
from dragoman.testing.case import case
from dragoman.testing.ledger import ConformanceError, Ledger, expect, identity
from dragoman.testing.link import Link

_QUEUE, _DURABLE = Capability.QUEUE, Capability.DURABLE


@case(_QUEUE, _DURABLE)
async def confirmed_messages_survive_restarts(bench: Bench) -> None:
    """10,000 messages of 100 publishers, the server restarted at a third and at half: every confirmed one arrives."""
    channel = await bench.channel("queue")
    ledger = Ledger(f"{publisher}-{n}" for publisher in range(100) for n in range(100))
    progress = _Progress(bench, at=(len(ledger.expected) // 3, len(ledger.expected) // 2))
    async with bench.subscribed(channel):
        pass
    await bench.written(channel)
    sending, receiving = Link(bench), Link(bench)
    consumer = asyncio.ensure_future(receiving.consume(channel, bench.options(channel), ledger, accept_all))
    publishers = [asyncio.ensure_future(_publish_all(sending, channel, f"{p}", progress)) for p in range(100)]
    try:
        await asyncio.gather(progress.restarts(), *publishers)
        await bench.until_complete(ledger, [consumer])
    except ConformanceError as error:
        raise ConformanceError(f"{error}; {progress.told(ledger)}; the consumer: {receiving}") from error
    finally:
        await bench.end([consumer, *publishers])
    ledger.check()


class _Progress:
    """Keeps what was confirmed and when, and restarts the server at some numbers of confirmations."""

    def __init__(self, bench: Bench, at: Sequence[int]) -> None:
        self._bench = bench
        self._confirmed: dict[str, int] = {}  # after how many restarts had begun
        self._begun = 0
        self._marks = {mark: asyncio.Event() for mark in at}

    def add(self, ids: Sequence[str]) -> None:
        self._confirmed |= dict.fromkeys(ids, self._begun)
        for mark, reached in self._marks.items():
            if len(self._confirmed) >= mark:
                reached.set()

    async def restarts(self) -> None:
        for mark, reached in self._marks.items():
            await self._bench.within(reached.wait(), f"the confirmation of {mark} messages")
            self._begun += 1
            await self._bench.restart()

    def told(self, ledger: Ledger) -> str:
        """How far it came, and when what is missing was confirmed: what was lost, and what is only late."""
        missing = Counter(self._confirmed[name] for name in ledger.missing & self._confirmed.keys())
        when = ", ".join(f"{missing[begun]} after restart {begun}" for begun in range(self._begun + 1))
        return f"{len(self._confirmed)} were confirmed, of which are missing (0: before any restart): {when}"


async def _publish_all(link: Link, channel: Channel, publisher: str, progress: _Progress) -> None:
    for start in range(0, 100, 5):
        ids = [f"{publisher}-{n}" for n in range(start, start + 5)]
        await link.publish(channel, [Message.of(name) for name in ids])
        progress.add(ids)


@case(_QUEUE, _DURABLE)
async def refused_ones_come_again_after_a_restart(bench: Bench) -> None:
    """Accept A, B and D, refuse C and E, restart: C and E come again, D at most once more, A and B not at all.

    A and B, too, may come once more from a server that writes down late what was settled.
    """
    channel, ids = await bench.channel("queue"), list("ABCDE")
    async with bench.subscribed(channel, prefetch=5) as subscription:
        await bench.publish(channel, ids, key="k", batch=5)
        held = {identity(one.message): one for one in await bench.take(subscription, 5)}
        await bench.within(
            subscription.settle([(one, Release() if name in "CE" else ACCEPT) for name, one in held.items()]),
            "the end of settle()",
        )
    await bench.written(channel)
    await bench.restart()
    again = await _everything(bench, channel, Ledger("CE"))
    expect(again["C"] == again["E"] == 1, f"after the restart came {dict(again)}; expected C and E once")
    most = 1 if bench.harness.late_settling else 0
    expect(max(again["A"], again["B"]) <= most, f"after the restart came {dict(again)}, though A and B were accepted")
    expect(again["D"] <= 1, f"after the restart D, which was accepted, came {again['D']} times")


async def _everything(bench: Bench, channel: Channel, ledger: Ledger) -> Counter[str]:
    link = Link(bench)
    consumer = asyncio.ensure_future(link.consume(channel, bench.options(channel), ledger, accept_all))
    try:
        await bench.until_complete(ledger, [consumer])
        await asyncio.sleep(bench.harness.quiet)
    finally:
        await bench.end([consumer])
    return ledger.seen


@case(_QUEUE, _DURABLE, Capability.REDELIVERY)
async def every_tenth_refused_through_a_reconnect(bench: Bench) -> None:
    """Every tenth of 500 messages is released once, and the connection is lost meanwhile: all are accepted at last."""
    channel, accepted = await bench.channel("queue"), Ledger(f"{n}" for n in range(500))
    refused: set[str] = set()

    def decide(delivery: Delivery) -> Outcome:
        name = identity(delivery.message)
        if int(name) % 10 == 0 and name not in refused:
            refused.add(name)
            return Release()
        accepted.add([delivery])
        return ACCEPT

    link, received = Link(bench), Ledger(accepted.expected)
    async with bench.subscribed(channel):
        await bench.publish(channel, sorted(accepted.expected, key=int))
    consumer = asyncio.ensure_future(link.consume(channel, bench.options(channel, prefetch=20), received, decide))
    try:
        while accepted.seen.total() < 100:
            await asyncio.sleep(0)
            expect(not consumer.done(), "the consumer ended")
        await _lose_connections(bench)
        await bench.until_complete(accepted, [consumer])
    finally:
        await bench.end([consumer])
    accepted.check()


async def _lose_connections(bench: Bench) -> None:
    if bench.harness.has_server:
        await bench.harness.cut()
        await bench.harness.restore()
    else:
        await bench.restart()


@case(_QUEUE, _DURABLE)
async def unsettled_deliveries_come_again_after_a_restart(bench: Bench) -> None:
    """What was in hand, unsettled, when the server went away comes again."""
    channel, ledger = await bench.channel("queue"), Ledger(f"{n}" for n in range(50))
    context = bench.adapter.subscribe(channel, bench.options(channel))
    subscription = await bench.within(context.__aenter__(), "a subscription")
    await bench.publish(channel, ledger.expected)
    await bench.take(subscription, 25)
    await bench.written(channel)
    await bench.restart()
    await bench.within(context.__aexit__(None, None, None), "the end of a subscription whose server went away")
    await bench.within(bench.adapter.close(), "the end of a connection whose server went away")
    seen = await _everything(bench, channel, ledger)
    expect(seen.keys() >= ledger.expected, str(ledger))


@case(server=True)
async def a_lost_server_is_noticed(bench: Bench) -> None:
    """When the network is cut, a waiting `receive` raises `ConnectionLost`, and so does the next `publish`."""
    channel = await bench.channel()
    context = bench.adapter.subscribe(channel, bench.options(channel))
    subscription = await bench.within(context.__aenter__(), "a subscription")
    waiting = asyncio.ensure_future(subscription.receive(1))
    await asyncio.sleep(0)
    await bench.harness.cut()
    try:
        await _expect_lost(bench, waiting, "a waiting receive()")
        await _expect_lost(bench, bench.adapter.publish(channel, [Message.of("1")]), "publish()")
        await bench.within(context.__aexit__(None, None, None), "the end of a subscription without a network")
        await bench.within(bench.adapter.close(), "the end of close() without a network")
    finally:
        waiting.cancel()
        await bench.harness.restore()


async def _expect_lost(bench: Bench, call: object, what: str) -> None:
    try:
        await bench.within(call, f"{what}: ConnectionLost")  # type: ignore[arg-type]
    except ConnectionLost:
        return
    except PublishFailed as error:
        expect(error.outcome_unknown, f"{what} raised {error!r}; expected ConnectionLost, or outcome_unknown")
        return
    except Exception as error:
        raise ConformanceError(f"{what} raised {error!r}; expected ConnectionLost") from error
    raise ConformanceError(f"{what} went on without a network; expected ConnectionLost")


@case(server=True)
async def a_broker_without_network_is_connection_lost(bench: Bench) -> None:
    """Connecting while the network is cut raises `ConnectionLost`, within the harness's patience."""
    await bench.harness.cut()
    try:
        await _expect_lost(bench, bench.connect(), "connecting")
    finally:
        await bench.harness.restore()
