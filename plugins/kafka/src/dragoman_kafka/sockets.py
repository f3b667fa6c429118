"""Ending aiokafka's producers and consumers within a bound, whatever state they and the brokers are in."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import errors as theirs

#: How long a regular stop may take: flushing, leaving the group.
PATIENCE: Final = 5.0


async def stop(ended: AIOKafkaProducer | AIOKafkaConsumer, patience: float = PATIENCE) -> None:
    """Stop a producer or consumer: regularly within `patience` seconds, then by force.

    By itself aiokafka waits without end for brokers that are away: an idempotent producer gives no batch up, and a
    consumer waits for the answer to its last request. Cancelling this closes the sockets all the same.
    """
    stopping = asyncio.ensure_future(ended.stop())
    try:
        await asyncio.wait([stopping], timeout=patience)
    finally:
        if not stopping.done():
            _cut(ended)
    if not stopping.done():
        await asyncio.wait([stopping], timeout=patience)
        stopping.cancel()
    await asyncio.gather(stopping, return_exceptions=True)


def _cut(ended: Any) -> None:
    batches = getattr(ended, "_message_accumulator", None)
    if batches is not None:
        batches.fail_all(theirs.ProducerClosed())
    client = getattr(ended, "client", None) or ended._client  # noqa: SLF001 - a consumer has no other way to it
    for connection in list(client._conns.values()):  # noqa: SLF001 - `close` waits for them, and they for the broker
        connection.close()
