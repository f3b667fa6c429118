"""Starting and ending aiokafka's producers and consumers so that nothing is left open, within a bound."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, TypeAlias

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import errors as theirs

#: How long a regular stop may take: flushing, leaving the group.
PATIENCE: Final = 5.0
#: How long the end may take once nothing is sent any more.
_LAST_PATIENCE: Final = 1.0
_STEP: Final = 0.01

Ended: TypeAlias = AIOKafkaProducer | AIOKafkaConsumer


async def start(started: Ended) -> None:
    """Start a producer or consumer. After an error, or when it was cancelled, `stop` has to follow.

    Cancelled while it makes its first connection, aiokafka would forget that one and leave it open.
    """
    _hush()
    starting = asyncio.ensure_future(started.start())
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        client = _client(started)
        while not starting.done() and client._sync_task is None:  # noqa: ASYNC110, SLF001 - nothing else tells
            await asyncio.sleep(_STEP)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        raise


async def stop(ended: Ended, patience: float = PATIENCE) -> None:
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
        await asyncio.wait([stopping], timeout=_LAST_PATIENCE)
        stopping.cancel()
    await asyncio.gather(stopping, return_exceptions=True)
    await _client(ended).close()
    _forget(ended)


def _hush() -> None:
    """Leave it to the core to say what is wrong with the brokers: aiokafka logs each attempt to reach one as an error.

    Whoever sets a level for `aiokafka`, or `debug` for everything, sees its log all the same.
    """
    log = logging.getLogger("aiokafka")
    if log.level == logging.NOTSET and log.getEffectiveLevel() > logging.DEBUG:
        log.setLevel(logging.CRITICAL)


def _client(owner: Any) -> Any:
    # A consumer has no public name for it.
    return getattr(owner, "client", None) or owner._client  # noqa: SLF001


def _cut(ended: Any) -> None:
    """Let nothing be sent any more: what waits for an answer fails."""
    sender = getattr(ended, "_sender", None)
    if sender is not None and sender.sender_task is not None:
        sender.sender_task.cancel()
    for connection in list(_client(ended)._conns.values()):  # noqa: SLF001 - `close` would wait for the broker
        connection.close()


def _forget(ended: Any) -> None:
    """Fail the batches that nobody will send now: aiokafka has a task that waits for them."""
    batches = getattr(ended, "_message_accumulator", None)
    if batches is None:
        return
    # It takes a batch that it has failed from those under way, also one that went back to wait for another try.
    left = batches._pending_batches  # noqa: SLF001
    left.update(each for waiting in batches._batches.values() for each in waiting)  # noqa: SLF001
    failed = list(left)
    batches.fail_all(theirs.ProducerClosed())
    for each in failed:
        for done in (each.future, each._drain_waiter):  # noqa: SLF001
            # Nobody is left to look at them; asyncio would complain about that.
            done.exception()
