"""Where a new group begins: written down as its first commit, before it reads anything.

Left to the consumer, the end of a partition is looked up only when it is first read, and what is published between
"ready" and then is never delivered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as theirs

from dragoman.adapter import Start

#: Seconds between two looks at whether the group has begun.
_AGAIN: Final = 0.1


async def begin(
    consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition], start: Start | None, offsets: Mapping[int, int]
) -> bool:
    """Commit where a group begins, unless it has begun already.

    Args:
        consumer: started, with the group's name, and assigned nothing.
        partitions: all of the topic.
        start: where to begin; None is the end.
        offsets: where to begin in single partitions, whatever `start` says.

    Returns:
        Whether the group has begun. A group that has members, be it for other topics, takes a commit of theirs only.

    Raises:
        KafkaError: as the broker says.
    """
    partitions = list(partitions)
    consumer.assign(partitions)
    if len(await _new(consumer, partitions)) < len(partitions):
        return True
    try:
        await consumer.commit(await _positions(consumer, partitions, start, offsets))
    except theirs.CommitFailedError:
        return False
    return True


async def begin_as_member(consumer: AIOKafkaConsumer, start: Start | None, offsets: Mapping[int, int]) -> None:
    """The same for a consumer that has joined the group and has not fetched yet: it begins in what it was given.

    Raises:
        KafkaError: as the broker says.
    """
    while new := await _new(consumer, consumer.assignment()):
        positions = await _positions(consumer, new, start, offsets)
        try:
            await consumer.commit(positions)
            for each, at in positions.items():
                consumer.seek(each, at)
        except (theirs.CommitFailedError, theirs.IllegalStateError):  # they were given to others meanwhile: look again
            await asyncio.sleep(_AGAIN)


async def _new(consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> list[TopicPartition]:
    """Those in which the group has not begun."""
    return [each for each in partitions if await consumer.committed(each) is None]


async def _positions(
    consumer: AIOKafkaConsumer, partitions: list[TopicPartition], start: Start | None, offsets: Mapping[int, int]
) -> dict[TopicPartition, int]:
    positions = await _started(consumer, partitions, start)
    return positions | {each: offsets[each.partition] for each in partitions if each.partition in offsets}


async def _started(
    consumer: AIOKafkaConsumer, partitions: list[TopicPartition], start: Start | None
) -> dict[TopicPartition, int]:
    if start is None:
        return dict(await consumer.end_offsets(partitions))
    if start.offset is not None:
        return dict.fromkeys(partitions, start.offset)
    if start.time is None:
        return dict(await consumer.beginning_offsets(partitions))
    found: dict[Any, Any] = await consumer.offsets_for_times(
        dict.fromkeys(partitions, max(0, int(start.time.timestamp() * 1000)))
    )
    ends = await consumer.end_offsets(partitions)
    return {each: found[each].offset if found.get(each) else ends[each] for each in partitions}
