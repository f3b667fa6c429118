"""What transactions need of aiokafka that it does not offer; everything here reaches below its public API.

It speaks the first version of the two requests that matter, which don't know the groups' generations:

* `TxnOffsetCommit` without a generation is taken from anybody, also from a member that the group has given up. So ours
  is version 3, with the member's id and generation: the group refuses what is not its own any more (KIP-447).
* `OffsetFetch` without `require_stable` tells how far a group is while a transaction that changes it is about to end,
  so that a partition's next owner could begin too early. So ours is version 7: it waits for the end of those.

Both are in Kafka since 2.5. `tests/plugins/kafka/test_transactions.py` notices when a new aiokafka goes other ways.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import errors as theirs
from aiokafka.client import CoordinationType
from aiokafka.producer.sender import TxnOffsetCommitHandler
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

#: What the group says to a member whose partitions it has given to others, or is about to.
_NOT_OURS: Final = frozenset(
    error.errno
    for error in (
        theirs.IllegalGenerationError,
        theirs.UnknownMemberIdError,
        theirs.RebalanceInProgressError,
    )
) | {82}  # FENCED_INSTANCE_ID, which aiokafka has no name for
_UNSTABLE: Final = 88
_LOADING: Final = theirs.GroupLoadInProgressError.errno

_TEXT: Final = CompactString("utf-8")
_TAGS: Final = ("tags", TaggedFields)
_NO_TAGS: Final[dict[int, bytes]] = {}


class _TxnOffsetCommitResponse3(Response):  # type: ignore[misc] # aiokafka has no types
    API_KEY = 28
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("topic", _TEXT),
                ("partitions", CompactArray(("partition", Int32), ("error_code", Int16), _TAGS)),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _TxnOffsetCommit3(RequestStruct):  # type: ignore[misc] # aiokafka has no types
    API_KEY = 28
    API_VERSION = 3
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _TxnOffsetCommitResponse3
    SCHEMA = Schema(
        ("transactional_id", _TEXT),
        ("group_id", _TEXT),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("generation_id", Int32),
        ("member_id", _TEXT),
        ("group_instance_id", _TEXT),
        (
            "topics",
            CompactArray(
                ("topic", _TEXT),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32), ("offset", Int64), ("leader_epoch", Int32), ("metadata", _TEXT), _TAGS
                    ),
                ),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _OffsetFetchResponse7(Response):  # type: ignore[misc] # aiokafka has no types
    API_KEY = 9
    API_VERSION = 7
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("topic", _TEXT),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("offset", Int64),
                        ("leader_epoch", Int32),
                        ("metadata", _TEXT),
                        ("error_code", Int16),
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        ("error_code", Int16),
        _TAGS,
    )


class _OffsetFetch7(RequestStruct):  # type: ignore[misc] # aiokafka has no types
    API_KEY = 9
    API_VERSION = 7
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _OffsetFetchResponse7
    SCHEMA = Schema(
        ("group_id", _TEXT),
        ("topics", CompactArray(("topic", _TEXT), ("partitions", CompactArray(Int32)), _TAGS)),
        ("require_stable", Boolean),
        _TAGS,
    )


@dataclass(frozen=True, slots=True)
class Member:
    """Who a consumer is to its group, at one moment.

    Attributes:
        group: the group's name.
        generation: of the group; -1 where the group gives out no partitions to it.
        name: the member's.
        instance: its fixed name, where it has one.
    """

    group: str
    generation: int
    name: str
    instance: str | None

    @classmethod
    def of(cls, consumer: AIOKafkaConsumer) -> Member:
        """Who it is now."""
        found = consumer._coordinator  # noqa: SLF001 - there is no public way
        return cls(found.group_id, found.generation, found.member_id, found._group_instance_id)  # noqa: SLF001


class _TxnOffsetCommit(Request[_TxnOffsetCommit3]):  # type: ignore[misc] # aiokafka has no types
    API_KEY = 28

    def __init__(self, *values: Any) -> None:
        self._values = values

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        return request_struct_class(*self._values)


class _StableOffsetFetch(Request[_OffsetFetch7]):  # type: ignore[misc] # aiokafka has no types
    API_KEY = 9

    def __init__(self, plain: OffsetFetchRequest) -> None:
        self._plain = plain

    def prepare(self, versions: dict[int, tuple[int, int]]) -> RequestStruct:
        # A broker before Kafka 2.5 can't tell; it can't have our transactions either.
        known = versions.get(self.API_KEY, (0, 0))[1] >= _OffsetFetch7.API_VERSION
        return super().prepare(versions) if known else self._plain.prepare(versions)

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        topics = [(topic, partitions, _NO_TAGS) for topic, partitions in self._plain._partitions or ()]  # noqa: SLF001
        return request_struct_class(self._plain._consumer_group, topics, True, _NO_TAGS)  # noqa: SLF001


class _OffsetCommitOfMember(TxnOffsetCommitHandler):  # type: ignore[misc] # aiokafka has no types
    """Commits offsets in a transaction as a certain member; an abortable `CommitFailedError` if it is none any more."""

    def __init__(self, sender: Any, offsets: dict[Any, Any], member: Member) -> None:
        super().__init__(sender, offsets, member.group)
        self._member = member

    def create_request(self) -> Request[Any]:
        by_topic: dict[str, list[tuple[Any, ...]]] = {}
        for partition, at in sorted(self._offsets.items()):
            by_topic.setdefault(partition.topic, []).append((partition.partition, at.offset, -1, at.metadata, _NO_TAGS))
        numbers, member = self._sender._txn_manager, self._member  # noqa: SLF001 - as aiokafka's own does
        return _TxnOffsetCommit(
            numbers.transactional_id,
            member.group,
            numbers.producer_id,
            numbers.producer_epoch,
            member.generation,
            member.name,
            member.instance,
            [(topic, partitions, _NO_TAGS) for topic, partitions in by_topic.items()],
            _NO_TAGS,
        )

    def handle_response(self, response: Any) -> float | None:
        found = [(topic, [(number, code) for number, code, _ in rows]) for topic, rows, _ in response.topics]
        if any(code in _NOT_OURS for _, rows in found for _, code in rows):
            failure = theirs.CommitFailedError("the group has gone on without us")
            self._sender._txn_manager.error_transaction(failure)  # noqa: SLF001 - as aiokafka's own does
            return None
        backoff: float | None = super().handle_response(SimpleNamespace(errors=found))
        return backoff


class Insides:
    """What is changed in a producer that was not started yet, so that it commits offsets as a member of a group."""

    def __init__(self, producer: AIOKafkaProducer, member: Callable[[], Member]) -> None:
        """`member` says as whom."""
        sender = producer._sender  # noqa: SLF001 - there is no public way to any of this
        self._numbers = producer._txn_manager  # noqa: SLF001
        self._sender = sender
        self._member = member
        self._begin = sender._maybe_do_transactional_request  # noqa: SLF001
        self._under_way: asyncio.Task[Any] | None = None
        sender._maybe_do_transactional_request = self._begun  # noqa: SLF001
        sender._do_txn_offset_commit = self._commit  # noqa: SLF001

    def _begun(self) -> asyncio.Task[Any] | None:
        self._under_way = self._begin()
        return self._under_way

    async def _commit(self, offsets: dict[Any, Any], group: str) -> None:
        if not offsets:
            return
        try:
            node = await self._sender._find_coordinator(CoordinationType.GROUP, group)  # noqa: SLF001
        except theirs.GroupAuthorizationFailedError as error:
            self._numbers.error_transaction(error)
            return
        await _OffsetCommitOfMember(self._sender, offsets, self._member()).do(node)

    def give_up(self) -> None:
        """End the request that is under way, which would be repeated for ever; what becomes of it was looked at."""
        if self._under_way is not None:
            self._under_way.cancel()
        waiter = self._numbers._transaction_waiter  # noqa: SLF001
        if waiter is not None and waiter.done() and not waiter.cancelled():
            waiter.exception()


def wait_for_transactions(consumer: AIOKafkaConsumer) -> None:
    """Let a consumer that was not started yet wait for transactions that are about to end, before it begins."""
    client = consumer._client  # noqa: SLF001 - there is no public way
    client.send = _stable(client.send)


def _stable(send: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def send_stable(node: Any, request: Any, **options: Any) -> Any:
        if not isinstance(request, OffsetFetchRequest):
            return await send(node, request, **options)
        answer = await send(node, _StableOffsetFetch(request), **options)
        if not isinstance(answer, _OffsetFetchResponse7):
            return answer
        return SimpleNamespace(topics=[(topic, list(_rows(rows))) for topic, rows, _ in answer.topics])

    return send_stable


def _rows(rows: Iterable[tuple[Any, ...]]) -> Iterable[tuple[int, int, str, int]]:
    for number, offset, _, metadata, code, _ in rows:
        # aiokafka asks again after a while where the group is being loaded: that is what is wanted here, too.
        yield number, offset, metadata, _LOADING if code == _UNSTABLE else code
