"""Receiving: one consumer of a group, whose deliveries are settled in any order."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from dragoman.adapter import ACCEPT, Delivery, Outcome, Release
from dragoman.errors import BrokerError, Closed, ConnectionLost, Unsupported
from dragoman.message import Channel, Message
from dragoman_kafka.errors import translate_connection
from dragoman_kafka.fetching import plainly
from dragoman_kafka.offsets import Commits, Progress, positions_after
from dragoman_kafka.protocol import Member
from dragoman_kafka.rebalancing import Rebalancing, Siblings
from dragoman_kafka.records import Record
from dragoman_kafka.settings import KafkaSettings
from dragoman_kafka.sockets import stop
from dragoman_kafka.stock import Stock
from dragoman_kafka.transactions import Transactions

#: How often we ask whether the brokers are still there while nothing arrives.
_IDLE_MS: Final = 2000
#: Seconds between two questions while none of them answers.
_BACKOFF: Final = 0.2
#: The share of what may be in hand below which little was settled at once.
_LITTLE: Final = 0.125
#: From so many on, somebody settles in passing what many tasks have done.
_FEW: Final = 8


class KafkaSubscription:
    """See `dragoman.adapter.Subscription`, `Lag` and `Transactions`. A lane is a partition, or one of its keys.

    What is released is given to the host again from here: Kafka itself can't take a single message back. Other members
    of the group get it when the partition moves to them.

    Attributes:
        rebalancing: what the consumer is to tell of its partitions.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        channel: Channel,
        prefetch: int,
        settings: KafkaSettings,
        *,
        siblings: Siblings,
        shared: bool,
        transactions: Transactions | None = None,
    ) -> None:
        self._consumer = consumer
        self._channel = channel
        self._prefetch = prefetch
        self._settings = settings
        # A transaction says how far the whole partition is: what is after an unsettled message can't be in it.
        self._stock = Stock(channel, by_key=settings.lanes == "key" and transactions is None)
        self._shared = shared
        self._transactions = transactions
        self._transacting: asyncio.Task[Sequence[Delivery]] | None = None
        self._commits = Commits(consumer, settings.timeout, channel.name, shared=shared)
        self._progress: dict[TopicPartition, Progress] = {}
        self._failure: BrokerError | None = None
        self._arrived = asyncio.Event()
        self._settled = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self.rebalancing = Rebalancing(
            consumer,
            self._commits,
            self._progress,
            siblings=siblings,
            within=settings.rebalance_timeout,
            settled=self._settled,
            forget_lost=self._forget_lost,
        )

    def start(self) -> None:
        """Begin to fetch. The consumer has its partitions."""
        plainly(self._consumer)
        self._pump = asyncio.create_task(self._fetch(), name=f"fetch from {self._channel.name}")

    # Receiving

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """See `dragoman.adapter.Subscription.receive`."""
        while True:
            if self._failure is not None:
                raise self._failure
            if self._stock and not self.rebalancing.under_way:
                taken = self._stock.take(limit)
                if not self._stock.has_fetched:
                    self._settled.set()
                return taken
            self._arrived.clear()
            await self._arrived.wait()

    async def _fetch(self) -> None:
        try:
            while True:
                batches = await self._next()
                for partition, records in batches.items():
                    self._take_in(partition, records)
                if batches:
                    self._arrived.set()
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the subscription
            self._fail(translate_connection(error, self._channel.name))

    async def _next(self) -> dict[TopicPartition, list[Record]]:
        partitions, room = await self._room()
        fetching = self._consumer.getmany(*partitions, timeout_ms=_IDLE_MS, max_records=room)
        if partitions:
            return await self._unless_settled(fetching)
        batches: dict[TopicPartition, list[Record]] = await fetching
        if not batches:
            await self._check_brokers()
        return batches

    async def _unless_settled(self, fetching: Coroutine[Any, Any, Any]) -> dict[TopicPartition, list[Record]]:
        """Fetch from some of the partitions, until settling makes room for others too."""
        self._settled.clear()
        fetch, settled = asyncio.ensure_future(fetching), asyncio.ensure_future(self._settled.wait())
        try:
            await asyncio.wait((fetch, settled), return_when=asyncio.FIRST_COMPLETED)
        finally:
            settled.cancel()
            # It hands out what it has without waiting in between, so cancelling it loses nothing.
            fetch.cancel()
            await asyncio.gather(fetch, settled, return_exceptions=True)
        batches: dict[TopicPartition, list[Record]] = {} if fetch.cancelled() else fetch.result()
        return batches

    def _take_in(self, partition: TopicPartition, records: list[Record]) -> None:
        progress = self._progress.get(partition)
        if progress is None or progress.lost:
            progress = self._progress[partition] = Progress(partition)
        self._stock.add(progress, records)

    async def _room(self) -> tuple[list[TopicPartition], int]:
        """Wait until there is room; which partitions to fetch from (none means all), and how much.

        Each partition has a few places of its own, so that one whose messages are never settled can't take them all.
        """
        while True:
            assigned = self._consumer.assignment()
            held = {each: len(self._progress.get(each, ())) for each in assigned}
            free = self._prefetch - sum(held.values())
            if not assigned and free > 0:
                return [], free
            own = self._prefetch // (8 * max(1, len(assigned)))
            kept = {each: max(0, own - count) for each, count in held.items()}
            rooms = {each: free - sum(kept.values()) + kept[each] for each in assigned}
            open_ = [each for each, room in rooms.items() if room > 0]
            if open_ and (not self._stock.has_fetched or free * 2 >= self._prefetch):
                return open_ if len(open_) < len(assigned) else [], min(rooms[each] for each in open_)
            self._settled.clear()
            await self._settled.wait()

    async def _check_brokers(self) -> None:
        """Nothing has arrived for a while: find out whether anybody is there.

        aiokafka waits for the brokers it knows for ever. Only those who connect anew hear of new addresses.
        """
        client = self._consumer._client  # noqa: SLF001 - asking for all topics would be the public way
        try:
            async with asyncio.timeout(self._settings.timeout):
                while not await client.force_metadata_update():  # noqa: ASYNC110 - there is no event to wait for
                    await asyncio.sleep(_BACKOFF)
        except TimeoutError:
            raise ConnectionLost("no broker has answered for a while", where=self._channel.name) from None

    # Settling

    async def settle(self, outcomes: Sequence[tuple[Delivery, Outcome]]) -> None:
        """See `dragoman.adapter.Subscription.settle`.

        Returns when the broker has committed everything up to the first delivery that isn't settled. What is settled
        after that one is kept here until it is: after a crash it comes again.
        """
        self._check(outcomes)
        changed = self._sort(outcomes)
        self._settled.set()
        behind = [progress for progress in changed if progress.behind]
        if behind:
            await self._commits.commit(behind, little=self._is_little(len(outcomes)))

    def _is_little(self, settled: int) -> bool:
        """Whether so many were settled that there will be more in a moment, and so few that these take nobody's place.

        Whoever settles one by one, or all that it has, is waiting for it.
        """
        in_hand = sum(progress.in_hand for progress in self._progress.values())
        return _FEW <= settled < min(in_hand, self._prefetch * _LITTLE)

    def _check(self, outcomes: Sequence[tuple[Delivery, Outcome]]) -> None:
        if self._closing is not None:
            raise Closed("the subscription was closed", where=self._channel.name)
        others = [outcome for _, outcome in outcomes if outcome is not ACCEPT]
        if any(isinstance(outcome, Release) and outcome.delay for outcome in others):
            raise Unsupported("Kafka delays no message", where=self._channel.name, expected="`Release` without a delay")

    async def transact(
        self, outcomes: Sequence[tuple[Delivery, Outcome]], sends: Sequence[tuple[Channel, Sequence[Message]]]
    ) -> Sequence[Delivery]:
        """See `dragoman.adapter.Transactions.transact`. Takes at most the settings `timeout` and `session_timeout`.

        Cancelling it does not stop it.
        """
        self._check(outcomes)
        if self._transactions is None:
            raise Unsupported("the subscription was opened without transactions", where=self._channel.name)
        self._transacting = asyncio.create_task(
            self._transact(self._transactions, outcomes, sends), name=f"transaction of {self._channel.name}"
        )
        # Whoever waits may be cancelled, and nobody be left to look at it.
        self._transacting.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(self._transacting)

    async def _transact(
        self,
        transactions: Transactions,
        outcomes: Sequence[tuple[Delivery, Outcome]],
        sends: Sequence[tuple[Channel, Sequence[Message]]],
    ) -> Sequence[Delivery]:
        async with self._commits.turn:
            member = Member.of(self._consumer)
            gone = [one for one, _ in outcomes if one.token[0].lost or (self._shared and member.generation < 0)]
            if gone:
                return gone
            after = positions_after(outcomes)
            try:
                done = await transactions.run(sends, {each.partition: at for each, at in after.items()}, member)
            except ConnectionLost as error:
                # Only a new subscription can tell how far the group is.
                self._fail(error)
                raise
            if not done:
                for each in after:
                    each.lost = True
                return [one for one, _ in outcomes]
            self._sort(outcomes)
            for progress, at in after.items():
                progress.committed = at
            self._settled.set()
        return ()

    def _sort(self, outcomes: Sequence[tuple[Delivery, Outcome]]) -> Iterable[Progress]:
        """Note what became of these; what has changed by that."""
        changed: set[Progress] = set()
        released = []
        for delivery, outcome in outcomes:
            progress, offset = delivery.token
            progress.in_hand -= 1
            if outcome is not ACCEPT and isinstance(outcome, Release):
                released.append(delivery)
            else:
                progress.unsettled.pop(offset, None)
                changed.add(progress)
        if released:
            self._stock.put_back(released)
            self._arrived.set()
        return changed

    def _forget_lost(self) -> None:
        self._stock.forget_lost()
        self._arrived.set()

    # Lag

    async def lag(self) -> int:
        """See `dragoman.adapter.Lag.lag`. Takes up to half a second.

        What other members have in hand counts as waiting, and so do the marks of transactions at a partition's end.
        What was settled here behind something unsettled does not.

        Raises:
            ConnectionLost: no answer in time.
        """
        if self._failure is not None:
            raise self._failure
        try:
            async with asyncio.timeout(self._settings.timeout):
                return await self._lag()
        except Exception as error:
            raise translate_connection(error, self._channel.name) from error

    async def _lag(self) -> int:
        numbers = self._consumer.partitions_for_topic(self._channel.name) or ()
        partitions = [TopicPartition(self._channel.name, number) for number in numbers]
        # At once: each may wait behind a fetch that waits for messages.
        ends, starts, *committed = await asyncio.gather(
            self._consumer.end_offsets(partitions),
            self._consumer.beginning_offsets(partitions),
            *(self._consumer.committed(each) for each in partitions),
        )
        waiting = 0
        for each, at in zip(partitions, committed, strict=True):
            ours = self._progress.get(each)
            if ours is None or ours.lost or ours.next is None:
                waiting += max(0, ends[each] - (starts[each] if at is None else at))
            else:  # what was settled behind an unsettled one can't be committed yet, and doesn't wait either
                waiting += max(0, ends[each] - ours.next) + len(ours) - ours.in_hand
        return waiting

    # The end

    def _fail(self, error: BrokerError) -> None:
        self._failure = self._failure or error
        self._arrived.set()
        self._settled.set()

    async def close(self) -> None:
        """End it: a waiting `receive` raises `Closed`, and what isn't settled goes to other members of the group."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._failure = Closed("the subscription was closed", where=self._channel.name)
        self._arrived.set()
        self.rebalancing.stop()
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
        if self._transactions is not None:
            await self._transactions.close(self._transacting)
        await stop(self._consumer)
        await self._commits.close()
