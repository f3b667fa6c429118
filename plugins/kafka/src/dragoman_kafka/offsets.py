"""How far each partition is settled, and telling the broker so.

Kafka knows one number per partition and group: everything before it is done. So what is committed ends before the
first delivery that isn't settled, however many after it are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as theirs

from dragoman.adapter import Delivery, Outcome, Release
from dragoman.errors import Closed
from dragoman_kafka.errors import translate_connection

#: Seconds from one commit to the next where little was settled: a commit costs as much computing as ten quick messages.
_APART: Final = 0.01


class Progress:
    """One partition, from when it was assigned to us until it is taken away.

    Attributes:
        partition: which one.
        number: its number in its topic.
        in_hand: how many deliveries the host has, unsettled.
        lost: whether it was taken away; what is settled afterwards comes again, here or elsewhere.
        committed: what the broker has confirmed; None until it has confirmed something.
        unsettled: the offsets of what is not settled yet, what waits here for the host included; in order, because they
            are taken in that order and never put back.
        next: the offset after the last one that was taken; None where nothing was taken yet.
    """

    __slots__ = ("committed", "in_hand", "lost", "next", "number", "partition", "unsettled")

    def __init__(self, partition: TopicPartition) -> None:
        self.partition = partition
        self.number = partition.partition
        self.in_hand = 0
        self.lost = False
        self.committed: int | None = None
        self.unsettled: dict[int, None] = {}
        self.next: int | None = None

    def take(self, offsets: list[int]) -> None:
        """These were fetched, and are to be settled."""
        self.unsettled.update(dict.fromkeys(offsets))
        self.next = offsets[-1] + 1

    def __len__(self) -> int:
        """How many are not settled yet, those that wait here for the host included."""
        return len(self.unsettled)

    @property
    def position(self) -> int | None:
        """Where the group would go on from: the first offset that isn't settled; None where nothing was taken yet."""
        return next(iter(self.unsettled), self.next)

    def position_after(self, accepted: Container[int]) -> int | None:
        """What `position` will be when these are accepted, too."""
        return next((offset for offset in self.unsettled if offset not in accepted), self.next)

    @property
    def behind(self) -> bool:
        """Whether there is more settled than the broker knows."""
        return not self.lost and self.position != self.committed and self.position is not None


def positions_after(outcomes: Sequence[tuple[Delivery, Outcome]]) -> dict[Progress, int]:
    """Where each partition will be when these outcomes hold."""
    accepted: dict[Progress, set[int]] = {}
    for delivery, outcome in outcomes:
        progress, offset = delivery.token
        offsets = accepted.setdefault(progress, set())
        if not isinstance(outcome, Release):
            offsets.add(offset)
    positions = ((progress, progress.position_after(offsets)) for progress, offsets in accepted.items())
    return {progress: at for progress, at in positions if at is not None and at != progress.committed}


class Commits:
    """Commits of one consumer: one at a time, each for everything that was settled before it began.

    A consumer that shares its partitions with a group may lose them at any moment: that is no error.

    Attributes:
        turn: held by whoever tells the broker how far we are. The later word counts there: none may overtake another.
    """

    def __init__(self, consumer: AIOKafkaConsumer, timeout: float, where: str, *, shared: bool) -> None:
        self.turn = asyncio.Lock()
        self._consumer = consumer
        self._shared = shared
        self._timeout = timeout
        self._where = where
        self._waiting: dict[Progress, None] = {}
        self._next: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._urgent = asyncio.Event()
        self._began = 0.0

    async def commit(self, changed: Iterable[Progress], *, little: bool = False) -> None:
        """Return when the broker knows how far these are. What was taken away meanwhile is left out.

        Cancelling it does not stop the commit.

        Args:
            changed: what has changed.
            little: nobody waits for this, and more is to come: no commit right after the last one.

        Raises:
            ConnectionLost: no answer in time; the deliveries may come again.
            PermissionDenied: as the broker says.
        """
        self._waiting.update(dict.fromkeys(changed))
        if not self._waiting:
            return
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
            # Nobody may be left to look at it.
            self._next.add_done_callback(lambda done: done.exception())
        if not little:
            self._urgent.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"commit of {self._where}")
        await asyncio.shield(self._next)

    async def _run(self) -> None:
        try:
            while self._next is not None:
                await self._pause()
                done, self._next = self._next, None
                changed, self._waiting = self._waiting, {}
                self._began = monotonic()
                try:
                    async with self.turn:
                        await self._commit([progress for progress in changed if not progress.lost])
                except asyncio.CancelledError:
                    done.set_exception(self._closed())
                    raise
                except Exception as error:  # noqa: BLE001 - it belongs to those who wait
                    done.set_exception(translate_connection(error, self._where))
                else:
                    done.set_result(None)
        finally:
            self._task = None

    async def _pause(self) -> None:
        """Until enough time has passed since the last commit, or somebody waits for this one."""
        early = self._began + _APART - monotonic()
        if early > 0 and not self._urgent.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(early):
                    await self._urgent.wait()
        self._urgent.clear()

    async def _commit(self, changed: list[Progress]) -> None:
        positions = {progress: progress.position for progress in changed}
        offsets: dict[Any, Any] = {progress.partition: at for progress, at in positions.items() if at is not None}
        if not offsets:
            return
        try:
            async with asyncio.timeout(self._timeout):
                await self._consumer.commit(offsets)
        except (theirs.CommitFailedError, theirs.IllegalStateError):
            if not self._shared:
                raise
            # The group has given them to others, or is about to: what isn't committed comes again there.
            for progress in changed:
                progress.lost = True
        for progress, at in positions.items():
            progress.committed = at

    async def close(self) -> None:
        """Cancel what is under way: those who wait hear that it is `Closed`."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._next is not None:
            self._next.set_exception(self._closed())
            self._next = None

    def _closed(self) -> Closed:
        return Closed("the subscription was closed; what was settled may come again", where=self._where)
