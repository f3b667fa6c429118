"""aiokafka's errors, and what they are to the host: one table."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final

from aiokafka import errors as theirs

import dragoman.errors as ours

Make = Callable[[str, str], ours.BrokerError]

_TOPIC_HINT: Final = "create it, or set `create_topics = true` for this client"


def _lost(what: str, where: str) -> ours.BrokerError:
    return ours.ConnectionLost(what, where=where)


def _unauthenticated(what: str, where: str) -> ours.BrokerError:
    return ours.AuthenticationFailed(what, where=where, hint="check `username`, `password`, `sasl` and `tls`")


def _forbidden(what: str, where: str) -> ours.BrokerError:
    return ours.PermissionDenied(what, where=where, hint="the broker's access control lists say who may do what")


def _missing(_what: str, where: str) -> ours.BrokerError:
    return ours.ChannelNotFound("there is no such topic", where=where, hint=_TOPIC_HINT)


def _too_large(_what: str, where: str) -> ours.BrokerError:
    return ours.PayloadTooLarge(
        "the broker refuses a message of that size", where=where, hint="its limit is `max.message.bytes` of the topic"
    )


def _uncarried(what: str, where: str) -> ours.BrokerError:
    return ours.UnsupportedFormat(what, where=where)


def _unknown(what: str, where: str) -> ours.BrokerError:
    return ours.PublishFailed(what, where=where, outcome_unknown=True)


def _refused(what: str, where: str) -> ours.BrokerError:
    return ours.PublishFailed(what, where=where)


def _unexpected(what: str, where: str) -> ours.BrokerError:
    return ours.BrokerError(f"an error that nobody expected: {what}", where=where)


#: The first entry that an error is an instance of decides.
_TABLE: Final[tuple[tuple[tuple[type[BaseException], ...], Make], ...]] = (
    (
        (
            theirs.AuthenticationFailedError,
            theirs.AuthenticationMethodNotSupported,
            theirs.SaslAuthenticationFailed,
            theirs.UnsupportedSaslMechanismError,
            theirs.IllegalSaslStateError,
            ssl.SSLError,
        ),
        _unauthenticated,
    ),
    (
        (
            theirs.TopicAuthorizationFailedError,
            theirs.GroupAuthorizationFailedError,
            theirs.ClusterAuthorizationFailedError,
            theirs.TransactionalIdAuthorizationFailed,
        ),
        _forbidden,
    ),
    ((theirs.UnknownTopicOrPartitionError, theirs.InvalidTopicError), _missing),
    ((theirs.InvalidTimestampError,), _uncarried),
    ((theirs.MessageSizeTooLargeError, theirs.RecordListTooLargeError), _too_large),
    (
        (
            theirs.RequestTimedOutError,
            theirs.NotEnoughReplicasAfterAppendError,
            theirs.NotLeaderForPartitionError,
            theirs.LeaderNotAvailableError,
            theirs.KafkaConnectionError,
            theirs.KafkaStorageError,
        ),
        _unknown,
    ),
    (
        (
            theirs.OutOfOrderSequenceNumber,
            theirs.UnknownProducerId,
            theirs.InvalidProducerEpoch,
            theirs.ProducerFenced,
            theirs.ProducerClosed,
            theirs.CommitFailedError,
        ),
        _lost,
    ),
    ((theirs.BrokerResponseError,), _refused),
    ((theirs.KafkaError, theirs.ConsumerStoppedError, OSError, asyncio.TimeoutError), _lost),
)
_ELSEWHERE: Final = (ours.PublishFailed,)


def translate(error: BaseException, where: str) -> ours.BrokerError:
    """The error of ours for one that publishing to the channel `where` met, the other as its cause."""
    if isinstance(error, ours.BrokerError):
        return error
    make = next((make for kinds, make in _TABLE if isinstance(error, kinds)), _unexpected)
    found = make(_text(error), where)
    found.__cause__ = error
    return found


def translate_connection(error: BaseException, where: str) -> ours.BrokerError:
    """The same outside publishing, where no message's outcome is in question."""
    found = translate(error, where)
    if isinstance(found, _ELSEWHERE):
        found = ours.ConnectionLost(found.what, where=where)
        found.__cause__ = error
    return found


def _text(error: BaseException) -> str:
    # aiokafka's texts begin with the class, or are nothing but its number.
    described = getattr(error, "description", "") if isinstance(error, theirs.BrokerResponseError) else ""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if not isinstance(error, theirs.KafkaError | OSError):
        return repr(error)
    return described or str(error) or type(error).__name__
