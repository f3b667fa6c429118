"""How far a partition is settled."""

import asyncio
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from dragoman_kafka import offsets as module
from dragoman_kafka.offsets import Commits, Progress


@given(st.sets(st.integers(0, 60), min_size=1), st.data())
def test_the_position_is_the_first_offset_that_is_not_settled(offsets: set[int], data: st.DataObject) -> None:
    """In whatever order, with gaps as compaction leaves them, and however the batches were cut."""
    left = sorted(offsets)
    progress = Progress(TopicPartition("t", 0))
    assert progress.position is None
    unsettled: set[int] = set()
    while left or unsettled:
        if left and (not unsettled or data.draw(st.booleans())):
            size = data.draw(st.integers(1, len(left)))
            batch, left = left[:size], left[size:]
            progress.take(batch)
            unsettled.update(batch)
            last = batch[-1]
        else:
            done = data.draw(st.sampled_from(sorted(unsettled)))
            progress.unsettled.pop(done)
            unsettled.remove(done)
        assert progress.position == min(unsettled, default=last + 1)
        assert len(progress) == len(unsettled)


def test_progress_is_behind_until_the_broker_knows_it() -> None:
    """Only what moves the position needs a commit."""
    progress = Progress(TopicPartition("t", 0))
    assert not progress.behind
    progress.take([4, 5])
    progress.committed = 4
    progress.unsettled.pop(5)
    assert not progress.behind, "4 is still in hand"
    progress.unsettled.pop(4)
    assert progress.behind
    progress.lost = True
    assert not progress.behind, "it is somebody else's now"


class _Consumer:
    """Keeps what is committed."""

    def __init__(self) -> None:
        self.commits: list[dict[Any, int]] = []

    async def commit(self, offsets: dict[Any, int]) -> None:
        self.commits.append(offsets)


async def test_a_little_waits_for_more_and_who_waits_takes_it_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first commit is made at once; the next little by little not until time has passed, or somebody waits."""
    monkeypatch.setattr(module, "_APART", 600.0)
    consumer, progress = _Consumer(), Progress(TopicPartition("t", 0))
    commits = Commits(cast("AIOKafkaConsumer", consumer), 5.0, "t", shared=True)
    progress.take([0, 1, 2])
    progress.unsettled.pop(0)
    await commits.commit([progress], little=True)
    assert consumer.commits == [{progress.partition: 1}]

    progress.unsettled.pop(1)
    waiting = asyncio.create_task(commits.commit([progress], little=True))
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(consumer.commits) == 1

    progress.unsettled.pop(2)
    async with asyncio.timeout(60):
        await commits.commit([progress])
        await waiting
    assert consumer.commits == [{progress.partition: 1}, {progress.partition: 3}]
    await commits.close()


async def test_a_little_is_committed_when_time_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when nothing more comes, and whoever asked was cancelled."""
    monkeypatch.setattr(module, "_APART", 0.05)
    consumer, progress = _Consumer(), Progress(TopicPartition("t", 0))
    commits = Commits(cast("AIOKafkaConsumer", consumer), 5.0, "t", shared=True)
    progress.take([0, 1])
    progress.unsettled.pop(0)
    await commits.commit([progress])
    progress.unsettled.pop(1)
    asking = asyncio.create_task(commits.commit([progress], little=True))
    await asyncio.sleep(0)
    asking.cancel()
    async with asyncio.timeout(60):
        while progress.committed != 2:  # noqa: ASYNC110 - the task that commits is not ours
            await asyncio.sleep(0.01)
    assert len(consumer.commits) == 2
    await commits.close()
