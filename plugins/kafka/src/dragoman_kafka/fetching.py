"""The layer under aiokafka's `getmany`: records as they were parsed, and no `ConsumerRecord` for each of them.

aiokafka keeps what it has fetched in a table, and makes a `ConsumerRecord` of each record as it is taken out, which
costs more than parsing it. All that it adds is what we know (topic, partition) or never ask for. So what is put into
that table is told to hand out its records as they are.

`tests/plugins/kafka/test_fetching.py` would notice a release of aiokafka for which this is no longer true.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition


class _Fetched(OrderedDict[TopicPartition, Any]):
    """aiokafka's table of what was fetched."""

    def __setitem__(self, partition: TopicPartition, fetched: Any) -> None:
        records = getattr(fetched, "_partition_records", None)  # an error has none
        if records is not None:
            records._consumer_record = _as_it_is  # noqa: SLF001 - there is no public way
        super().__setitem__(partition, fetched)


def _as_it_is(_: TopicPartition, record: Any) -> Any:
    return record


def plainly(consumer: AIOKafkaConsumer) -> None:
    """Have a started consumer give its records with `key`, `value`, `headers`, `timestamp` and `offset` only."""
    fetcher = consumer._fetcher  # noqa: SLF001 - see the module
    table = _Fetched()
    for partition, fetched in fetcher._records.items():  # noqa: SLF001
        table[partition] = fetched
    fetcher._records = table  # noqa: SLF001
