"""What becomes of deliveries while the group gives out its partitions anew.

Each member says that it is ready, by joining again, and until then all the others wait. What is in hand is waited for
first, and committed, so that a partition's next owner begins after it. What is still in hand when the time is over goes
on here if its partition comes back to us at once: then it was nobody else's meanwhile, and nothing of it comes twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener

from dragoman.errors import BrokerError
from dragoman_kafka.offsets import Commits, Progress
from dragoman_kafka.protocol import Member

#: The share of the rebalance timeout that is for what is in hand; the rest is for committing and joining again.
_SHARE_IN_HAND: Final = 0.7
#: Seconds for what is in hand while another subscription of ours joins: whoever opens it may be what is in hand.
_BRIEFLY: Final = 1.0


class Siblings:
    """The subscriptions of one connection in one group."""

    def __init__(self) -> None:
        self._joining = 0
        self._members: set[Rebalancing] = set()

    @contextmanager
    def joining(self) -> Iterator[None]:
        """Another one joins the group while the block runs."""
        self._joining += 1
        for each in self._members:
            each.look_again()
        try:
            yield
        finally:
            self._joining -= 1

    def patience(self, seconds: float) -> float:
        """How long to wait for what is in hand, where it would be so long otherwise."""
        return min(_BRIEFLY, seconds) if self._joining else seconds

    def add(self, member: Rebalancing) -> None:
        """This one waits for what it has in hand."""
        self._members.add(member)

    def discard(self, member: Rebalancing) -> None:
        """This one waits no longer."""
        self._members.discard(member)


class Rebalancing(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """What aiokafka tells of one consumer's partitions, from a task of its own.

    Attributes:
        under_way: from when partitions are asked back until there are new ones; nothing is handed out meanwhile.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        commits: Commits,
        progress: dict[TopicPartition, Progress],
        *,
        siblings: Siblings,
        within: float,
        settled: asyncio.Event,
        forget_lost: Callable[[], None],
    ) -> None:
        """Of one consumer.

        Args:
            consumer: which one.
            commits: its commits.
            progress: of each partition that it has.
            siblings: who else is in the group, on the same connection.
            within: seconds that the group waits for each member.
            settled: set whenever something was settled.
            forget_lost: called when some of the progress is lost.
        """
        self.under_way = False
        self._consumer = consumer
        self._commits = commits
        self._progress = progress
        self._settled = settled
        self._forget_lost = forget_lost
        self._siblings = siblings
        self._within = within * _SHARE_IN_HAND
        self._stopped = False
        self._generation = -1
        self._has_turn = False

    def stop(self) -> None:
        """Wait for nothing any more. Never blocks."""
        self._stopped = True
        self.look_again()

    def look_again(self) -> None:
        """What is waited for may have changed. Never blocks."""
        self._settled.set()

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Wait for what is in hand, and commit it, while the partitions are still ours."""
        self.under_way = True
        self._generation = Member.of(self._consumer).generation
        leaving = [self._progress[each] for each in revoked if each in self._progress]
        self._siblings.add(self)
        try:
            async with asyncio.timeout(self._within) as time:
                # Also where it says nothing new: it tells whether the group still knows us.
                await self._commits.commit(leaving)
                await self._let_go(leaving, time)
        except (TimeoutError, BrokerError):
            pass  # What isn't committed comes again at the partition's next owner.
        finally:
            self._siblings.discard(self)
        await self._stop_commits()

    async def _let_go(self, leaving: list[Progress], time: asyncio.Timeout) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not self._stopped and any(each.in_hand and not each.lost for each in leaving):
            self._settled.clear()
            time.reschedule(began + self._siblings.patience(self._within))
            await self._settled.wait()
        await self._commits.commit([each for each in leaving if each.behind])

    async def _stop_commits(self) -> None:
        """Until we have joined again the group takes no commit: whoever settles meanwhile waits for it."""
        if not self._has_turn:
            await self._commits.turn.acquire()
            self._has_turn = True

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Go on with what has come back at once, and give up the rest; fetch from the new partitions too."""
        at_once = self._generation >= 0 and Member.of(self._consumer).generation == self._generation + 1
        for partition, progress in list(self._progress.items()):
            if at_once and not progress.lost and partition in assigned:
                if progress.next is not None:
                    self._consumer.seek(partition, progress.next)
            else:
                progress.lost = True
                del self._progress[partition]
        self.under_way = False
        self._forget_lost()
        self._settled.set()
        if self._has_turn:
            self._has_turn = False
            self._commits.turn.release()
