"""The transactions of one subscription: messages, and how far its group is, all or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka import errors as theirs

from dragoman.errors import BrokerError, ConnectionLost, PublishFailed, Unsupported
from dragoman.message import Channel, Message
from dragoman_kafka import sockets
from dragoman_kafka.errors import translate, translate_connection
from dragoman_kafka.producer import Publisher
from dragoman_kafka.protocol import Insides, Member
from dragoman_kafka.settings import KafkaSettings
from dragoman_kafka.topics import Topics

#: Makes a producer of that transactional name, not started yet.
Make = Callable[[str], AIOKafkaProducer]
#: Seconds that a producer gets to end whose transaction has failed: there is nothing to wait for.
_SHORT: Final = 0.5


class Transactions:
    """One transaction at a time, used by one task at a time.

    After one that failed, the next has a new producer of the same name: aiokafka can't abort every transaction, but
    the broker ends what is open when a producer of the same name begins.
    """

    def __init__(self, make: Make, name: str, topics: Topics, settings: KafkaSettings) -> None:
        self._make = make
        self._name = name
        self._topics = topics
        self._settings = settings
        self._member: Member | None = None
        self._producer: Any = None
        self._publisher: Publisher | None = None
        self._insides: Insides | None = None
        self._unknown = False

    async def start(self) -> None:
        """Get ready for the first transaction; the broker ends what a producer of that name has left open.

        Raises:
            PermissionDenied: the broker does not let us have transactions of that name.
            ConnectionLost: no broker answers.
        """
        producer = self._make(self._name)
        insides = Insides(producer, self._current)
        try:
            async with asyncio.timeout(self._settings.timeout):
                await sockets.start(producer)
        except BaseException as error:
            insides.give_up()
            await sockets.stop(producer, _SHORT)
            if isinstance(error, Exception):
                raise translate_connection(error, self._name) from error
            raise
        self._producer, self._insides = producer, insides
        self._publisher = Publisher(producer, self._topics, self._settings)

    def _current(self) -> Member:
        assert self._member is not None  # noqa: S101 - for mypy: there is one while a transaction is open
        return self._member

    async def run(
        self,
        sends: Sequence[tuple[Channel, Sequence[Message]]],
        offsets: Mapping[TopicPartition, int],
        member: Member,
    ) -> bool:
        """Publish the messages and commit the offsets, as that member of its group.

        Returns:
            False: the group has gone on without the member, and nothing was done.

        Raises:
            ConnectionLost: not known to be done. What holds is seen when the group is joined anew.
            The errors of `dragoman.adapter.Adapter.publish`: nothing was done.
        """
        if self._producer is None:
            await self.start()
        producer, self._member, committing = self._producer, member, False
        try:
            # The broker ends it after the session's time, so there is no use in going on longer.
            async with asyncio.timeout(min(self._settings.timeout, self._settings.session_timeout)):
                await producer.begin_transaction()
                await self._fill(sends, offsets)
                committing = True
                await producer.commit_transaction()
        except BaseException as error:
            self._unknown = committing
            await self._drop()
            if isinstance(error, theirs.CommitFailedError) and not committing:
                return False
            if isinstance(error, Exception):
                raise _failure(error, self._name, committing=committing) from error
            raise
        return True

    async def _fill(
        self, sends: Sequence[tuple[Channel, Sequence[Message]]], offsets: Mapping[TopicPartition, int]
    ) -> None:
        assert self._publisher is not None  # noqa: S101 - for mypy
        publish = self._publisher.publish
        calls: list[Any] = [publish(channel, messages) for channel, messages in sends]
        if offsets:
            calls.append(self._producer.send_offsets_to_transaction(dict(offsets), self._current().group))
        errors = [each for each in await asyncio.gather(*calls, return_exceptions=True) if each is not None]
        # It may be the reason of all the others.
        errors.sort(key=lambda error: not isinstance(error, theirs.CommitFailedError))
        if errors:
            raise errors[0]

    async def _drop(self) -> None:
        """Give the producer up. Closes its sockets also when cancelled."""
        producer, publisher, insides = self._producer, self._publisher, self._insides
        self._producer = self._publisher = self._insides = None
        if producer is None or publisher is None or insides is None:
            return
        try:
            insides.give_up()
            await publisher.close()
        finally:
            await sockets.stop(producer, _SHORT)
            insides.give_up()

    async def close(self, under_way: asyncio.Task[Any] | None) -> None:
        """Stop, after the task that runs a transaction, which gets a while to end.

        Where a transaction may still be open, the broker is told to end it, if it can be told.
        """
        if under_way is not None:
            await asyncio.wait([under_way], timeout=sockets.PATIENCE)
            under_way.cancel()
            await asyncio.gather(under_way, return_exceptions=True)
        await self._drop()
        if self._unknown:
            try:
                async with asyncio.timeout(sockets.PATIENCE):
                    await self.start()
            except (BrokerError, TimeoutError):
                pass  # the broker ends it by itself, after the session's time
            await self._drop()


def _failure(error: Exception, name: str, *, committing: bool) -> BrokerError:
    if committing:
        return ConnectionLost(f"not known whether a transaction was done: {translate(error, name).what}", where=name)
    if isinstance(error.__cause__, NotImplementedError):
        return Unsupported("the broker is too old for transactions", where=name, expected="Kafka 2.5 or newer")
    found = error if isinstance(error, BrokerError) else translate_connection(error, name)
    if isinstance(found, PublishFailed) and found.outcome_unknown:
        return PublishFailed(found.what, where=found.where, hint="the transaction was given up: nothing was sent")
    return found
