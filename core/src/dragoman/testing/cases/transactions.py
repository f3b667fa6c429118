"""Settling and publishing together: all of it or nothing, whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, cast

from dragoman.adapter import ACCEPT, Capability, Delivery, Outcome, Release, Subscription, Transactions
from dragoman.errors import BrokerError, Closed, PayloadTooLarge
from dragoman.message import Channel, Message
from dragoman.testing.bench import Bench, accept_all
from dragoman.testing.cancel import Moment, cancelled_at
from dragoman.testing.case import case
from dragoman.testing.ledger import ConformanceError, Ledger, expect, identity
from dragoman.testing.link import LOST, Link

_NEEDS: Final = (Capability.QUEUE, Capability.DURABLE, Capability.TRANSACTIONS)
_MOMENTS: Final[tuple[Moment, ...]] = ("waiting", "arriving")
_POINTS: Final = 20


async def _transact(
    bench: Bench,
    subscription: Subscription,
    outcomes: Sequence[tuple[Delivery, Outcome]],
    *sends: tuple[Channel, Sequence[Message]],
) -> Sequence[Delivery]:
    expect(isinstance(subscription, Transactions), "it declares transactions, but subscriptions have no `transact`")
    return await bench.within(cast("Transactions", subscription).transact(outcomes, sends), "the end of transact()")


def _named(*names: str) -> list[Message]:
    return [Message.of(name, key="k") for name in names]


async def _everything(bench: Bench, channel: Channel, expected: Ledger) -> None:
    """All of it comes, once each, in a subscription of its own."""
    async with bench.subscribed(channel) as subscription:
        await bench.collect([subscription], expected)
        expected.add(await bench.whatever_comes(subscription))
    expected.check(duplicates=False)


@case(*_NEEDS)
async def what_was_sent_comes_and_what_was_settled_does_not(bench: Bench) -> None:
    """What a transaction sends to two channels arrives, in order, and what it accepted never comes again."""
    source, one, other = [await bench.channel("queue") for _ in range(3)]
    ids = [f"{n}" for n in range(20)]
    first, second = Ledger(ids), Ledger(f"other-{n}" for n in ids)
    async with bench.subscribed(source, transactions=True) as subscription:
        await bench.publish(source, ids)
        for delivery in await bench.take(subscription, len(ids)):
            name = identity(delivery.message)
            sends = ((one, _named(name)), (other, _named(f"other-{name}")))
            gone = await _transact(bench, subscription, [(delivery, ACCEPT)], *sends)
            expect(not gone, f"transact() says that {name}, which is in hand, has gone back")
    async with bench.subscribed(source, transactions=True) as subscription:
        await bench.expect_quiet(subscription, "everything was accepted")
    await _everything(bench, one, first)
    await _everything(bench, other, second)


@case(*_NEEDS, Capability.ORDER)
async def messages_of_many_transactions_keep_their_order(bench: Bench) -> None:
    """What ten transactions of ten messages each send with one key arrives in that order."""
    source, target = await bench.channel("queue"), await bench.channel("queue")
    ledger = Ledger(f"{n:03}" for n in range(100))
    async with bench.subscribed(source, transactions=True) as subscription:
        for start in range(0, 100, 10):
            names = [f"{n:03}" for n in range(start, start + 10)]
            await _transact(bench, subscription, [], (target, _named(*names[:5])), (target, _named(*names[5:])))
    await _everything(bench, target, ledger)
    expect(ledger.order == sorted(ledger.expected), f"came in the order {ledger.order[:20]} …")


@case(*_NEEDS, Capability.REDELIVERY)
async def a_transaction_also_releases(bench: Bench) -> None:
    """What is released in a transaction comes again, and what is sent with it arrives."""
    source, target = await bench.channel("queue"), await bench.channel("queue")
    async with bench.subscribed(source, transactions=True) as subscription:
        await bench.publish(source, ["done", "again"], key="k")
        held = await bench.take(subscription, 2)
        outcomes = [(one, Release() if identity(one.message) == "again" else ACCEPT) for one in held]
        await _transact(bench, subscription, outcomes, (target, _named("sent")))
        [one] = await bench.take(subscription, 1, "the released delivery")
        expect(identity(one.message) == "again", f"{one.message.data!r} came again; expected b'again'")
        await bench.accept(subscription, [one])
    await _everything(bench, target, Ledger(["sent"]))


@case(*_NEEDS, wants=("too_large",))
async def what_can_not_be_sent_leaves_nothing_behind(bench: Bench) -> None:
    """With one message too large nothing is sent or settled; the delivery stays ours, and the next try works."""
    source, target = await bench.channel("queue"), await bench.channel("queue")
    large = Message(b"x" * (bench.harness.too_large or 0))
    async with bench.subscribed(source, transactions=True) as subscription:
        await bench.publish(source, ["1"])
        [delivery] = await bench.take(subscription, 1)
        try:
            await _transact(bench, subscription, [(delivery, ACCEPT)], (target, [*_named("too-soon"), large]))
        except PayloadTooLarge:
            pass
        else:
            raise ConformanceError("a transaction with a message that is too large was taken; expected PayloadTooLarge")
        async with bench.subscribed(target, "early") as reader:
            await bench.expect_quiet(reader, "the transaction was refused")
        gone = await _transact(bench, subscription, [(delivery, ACCEPT)], (target, _named("1")))
        expect(not gone, "the delivery of a transaction that was refused has gone back; expected it to stay in hand")
    async with bench.subscribed(source, transactions=True) as subscription:
        await bench.expect_quiet(subscription, "it was accepted")
    await _everything(bench, target, Ledger(["1"]))


@case(*_NEEDS)
async def a_cancelled_transaction_is_done_or_not(bench: Bench) -> None:
    """`transact`, cancelled at every point: each message was accepted and sent, or comes again and was not sent."""
    source, target = await bench.channel("queue"), await bench.channel("queue")
    names = Ledger(f"{moment}-{point}" for moment in _MOMENTS for point in range(_POINTS))
    async with bench.subscribed(source, transactions=True) as subscription:
        await bench.publish(source, names.expected)
        for moment in _MOMENTS:
            for point in range(_POINTS):
                [delivery] = await bench.take(subscription, 1)
                load = (target, _named(identity(delivery.message)))
                call = _calling(bench, subscription, delivery, load)
                reached, _ = await cancelled_at(call, point, moment, bench.harness.patience)
                if not reached:
                    break
    async with bench.subscribed(source, transactions=True) as subscription:
        for delivery in await bench.whatever_comes(subscription):
            load = (target, _named(identity(delivery.message)))
            await _transact(bench, subscription, [(delivery, ACCEPT)], load)
    await _everything(bench, target, names)


def _calling(bench: Bench, subscription: Subscription, delivery: Delivery, load: tuple[Channel, list[Message]]) -> Any:
    return lambda: _transact(bench, subscription, [(delivery, ACCEPT)], load)


@case(*_NEEDS)
async def a_stream_through_a_restart_is_exactly_once(bench: Bench) -> None:
    """300 messages, each answered by one in a transaction, the server restarted meanwhile: 300 answers, each once."""
    source, target = await bench.channel("queue"), await bench.channel("queue")
    names = [f"{n}" for n in range(300)]
    async with bench.subscribed(source), bench.subscribed(target), bench.subscribed(target, "watchers"):
        pass
    answers, begun = Ledger(names), asyncio.Event()
    working, watching = Link(bench), Link(bench)
    watchers = bench.options(target, "watchers")
    tasks = [
        asyncio.ensure_future(_answer(bench, working, source, target, begun)),
        asyncio.ensure_future(watching.consume(target, watchers, answers, accept_all)),
    ]
    try:
        await bench.publish(source, names[:150])
        for _ in range(5):
            begun.clear()
            await bench.within(begun.wait(), "a transaction")
        await bench.restart()
        # Not repeated, as `Link` would: each message shall be there once.
        publisher = await bench.connect_patiently()
        await bench.within(publisher.publish(source, _named(*names[150:])), "a publish")
        await bench.until_complete(answers, tasks)
    finally:
        await bench.end(tasks)
    bench.adapter = await working.adapter()
    await _everything(bench, target, Ledger(names))


async def _answer(bench: Bench, link: Link, source: Channel, target: Channel, begun: asyncio.Event) -> None:
    """Answer, a few in each transaction, until cancelled; tell when one begins."""
    adapter = await link.adapter()
    while True:
        try:
            async with adapter.subscribe(source, bench.options(source, transactions=True)) as subscription:
                while True:
                    held = await subscription.receive(7)
                    begun.set()
                    load = (target, [Message.of(identity(one.message)) for one in held])
                    await _transact(bench, subscription, [(one, ACCEPT) for one in held], load)
        except BrokerError as error:
            if not (error.retryable or isinstance(error, Closed)):
                raise
            await asyncio.sleep(0.05)
            if isinstance(error, LOST):
                adapter = await link.adapter(adapter)
