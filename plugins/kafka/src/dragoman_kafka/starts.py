"""Where a new group begins: written down as its first commit, before it reads anything.

Left to the consumer, the end of a partition is looked up only when it is first read, and what is published between
"ready" and then is never delivered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as theirs

from dragoman.adapter import Start


async def begin(
    consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition], start: Start | None, offsets: Mapping[int, int]
) -> None:
    """Commit where a group begins, unless it has begun already.

    Args:
        consumer: started, with the group's name, and assigned nothing.
        partitions: all of the topic.
        start: where to begin; None is the end.
        offsets: where to begin in single partitions, whatever `start` says.

    Raises:
        KafkaError: as the broker says.
    """
    partitions = list(partitions)
    consumer.assign(partitions)
    if [known for known in [await consumer.committed(each) for each in partitions] if known is not None]:
        return
    positions = await _positions(consumer, partitions, start)
    positions.update({each: offsets[each.partition] for each in partitions if each.partition in offsets})
    try:
        await consumer.commit(positions)
    except theirs.CommitFailedError:
        # Another member of it is there already, and it has begun by itself.
        return


async def _positions(
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
