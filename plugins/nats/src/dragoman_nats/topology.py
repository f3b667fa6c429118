"""Streams and consumers: created, checked or left alone, as configured.

Source: NATS ADR-31 and the JetStream API; `nats.js.manager`.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC
from hashlib import blake2s
from typing import Any, Final
from uuid import uuid4

from nats.js.api import ConsumerConfig, DeliverPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError, NotFoundError
from nats.js.manager import JetStreamManager

from dragoman.adapter import Start, SubscribeOptions
from dragoman.errors import ChannelNotFound, Unsupported, nearest
from dragoman.message import Channel
from dragoman_nats.boundary import boundary
from dragoman_nats.settings import NatsSettings

_EXTENSIONS: Final = {
    "ack-wait": (re.compile(r"\d{1,6}(\.\d{1,3})?"), "seconds, more than 0"),
    "max-deliver": (re.compile(r"-1|\d{1,9}"), "a whole number from 1, or -1 for no bound"),
    "max-ack-pending": (re.compile(r"-1|\d{1,9}"), "a whole number from 1, or -1 for no bound"),
}
#: `stream name already in use with a different configuration`: another process was first.
_NAME_IN_USE: Final = 10058
_NAMES: Final = "names with dots between them, such as orders.created"
_SERVERS_OWN: Final = ("$", "_INBOX")


def check_subject(channel: Channel, *, wildcards: bool) -> None:
    """See that a channel's name is a subject.

    Raises:
        ChannelNotFound: it is none.
    """
    tokens = channel.name.split(".")
    blank = any(not token or re.search(r"[\s\x00-\x1f\x7f]", token) for token in tokens)
    wild = any(token in {"*", ">"} for token in tokens)
    if blank or (wild and not wildcards):
        what = "a wildcard can be subscribed to, not sent to" if wild and not blank else "this is no NATS subject"
        raise ChannelNotFound(what, where=channel.name, expected=_NAMES)
    if not wildcards and tokens[0].startswith(_SERVERS_OWN):
        # Whoever may publish there commands the server ($JS, $SYS), or answers what another has asked.
        raise ChannelNotFound("subjects that begin so are the server's own", where=channel.name, expected=_NAMES)


def server_name(text: str) -> str:
    """A name that the server takes for a stream or consumer: readable, and another one for every text."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", text)
    return plain if plain == text else f"{plain}_{blake2s(text.encode(), digest_size=4).hexdigest()}"


class Topology:
    """What this connection knows of the server's streams; looks each channel up once, or when its stream is gone."""

    def __init__(self, manager: JetStreamManager, settings: NatsSettings) -> None:
        self._manager = manager
        self._settings = settings
        self._streams: dict[str, str] = {}

    async def stream(self, channel: Channel) -> str:
        """The stream that takes a channel's messages; created where that is asked for.

        Raises:
            ChannelNotFound: there is none.
        """
        name = self._streams.get(channel.name)
        if name is None:
            with boundary(channel.name):
                name = await self._find(channel.name) or await self._create(channel.name)
            if len(self._streams) >= 10_000:
                self._streams.clear()  # names come from guests: the table stays bounded
            self._streams[channel.name] = name
        return name

    def forget(self, channel: Channel) -> None:
        """Look the channel up again the next time: its stream may be gone."""
        self._streams.pop(channel.name, None)

    async def ready_to_publish(self, channel: Channel) -> None:
        """Make sure of the stream, unless streams are left alone: then the confirmation says what is missing."""
        if channel.name in self._streams:
            return
        check_subject(channel, wildcards=False)
        if self._settings.streams != "leave":
            await self.stream(channel)

    async def has_stream(self, channel: Channel) -> bool:
        """Whether a stream takes the channel's messages; where streams are created, it does from now on."""
        try:
            await self.stream(channel)
        except ChannelNotFound:
            return False
        return True

    async def _find(self, subject: str) -> str | None:
        try:
            return str(await self._manager.find_stream_name_by_subject(subject))
        except NotFoundError:
            return None

    async def _create(self, subject: str) -> str:
        if self._settings.streams != "create":
            raise ChannelNotFound(
                "no stream takes this subject", where=subject, hint="create the stream, or set streams = 'create'"
            )
        name = server_name(subject)
        config = StreamConfig(
            name=name,
            subjects=[subject],
            storage=StorageType(self._settings.storage),
            num_replicas=self._settings.replicas,
            max_age=self._settings.max_age,
            duplicate_window=self._settings.duplicate_window,
        )
        try:
            await self._manager.add_stream(config)
        except BadRequestError as error:
            if error.err_code != _NAME_IN_USE:
                raise
        return name

    async def consumer(self, channel: Channel, options: SubscribeOptions) -> tuple[str, str, bool]:
        """Create the consumer of a subscription, or find the one of its group.

        Returns:
            The names of stream and consumer, and whether the consumer is to be deleted with the subscription.
        """
        check_subject(channel, wildcards=True)
        stream = await self.stream(channel)
        durable = server_name(f"{options.group}-{channel.name}") if options.group else None
        if durable is not None and channel.kind == "topic":
            durable = f"topic-{durable}"
        config = ConsumerConfig(
            name=durable or f"dragoman-{uuid4().hex}",
            durable_name=durable,
            filter_subject=channel.name,
            **self._limits(options),
            **_start(channel, options.start),
        )
        if durable is None:
            config.inactive_threshold = self._settings.inactive
        try:
            with boundary(channel.name):
                if durable is None or not await self._exists(stream, durable):
                    await self._manager.add_consumer(stream, config)
        except ChannelNotFound:
            self.forget(channel)
            raise
        return stream, str(config.name), durable is None

    async def _exists(self, stream: str, consumer: str) -> bool:
        try:
            await self._manager.consumer_info(stream, consumer)
        except NotFoundError:
            return False
        return True

    def _limits(self, options: SubscribeOptions) -> dict[str, Any]:
        given = read_extensions(options)
        return {
            "ack_wait": given.get("ack-wait", self._settings.ack_wait),
            "max_ack_pending": int(given.get("max-ack-pending", self._settings.max_ack_pending)),
            "max_deliver": int(given.get("max-deliver", -1)),
        }

    async def delete_consumer(self, stream: str, consumer: str) -> None:
        """Delete a consumer; one that is gone already is fine."""
        with boundary(consumer), suppress(NotFoundError):
            await self._manager.delete_consumer(stream, consumer)

    async def waiting(self, stream: str, consumer: str) -> tuple[int, int]:
        """How many messages the consumer has not been given yet, and how many are given but not settled."""
        with boundary(consumer):
            found = await self._manager.consumer_info(stream, consumer)
        return int(found.num_pending or 0), int(found.num_ack_pending or 0)


def read_extensions(options: SubscribeOptions) -> dict[str, float]:
    """The extensions of a subscription: numbers, all of them.

    Raises:
        Unsupported: one is unknown, or its value is no number that it could be.
    """
    found: dict[str, float] = {}
    for name, text in options.extensions.items():
        if name not in _EXTENSIONS:
            raise Unsupported(
                f"unknown extension {name!r}", expected=", ".join(_EXTENSIONS), nearest=nearest(name, _EXTENSIONS)
            )
        pattern, expected = _EXTENSIONS[name]
        if not pattern.fullmatch(text) or not float(text):
            raise Unsupported(f"the extension {name!r} is {text!r}", expected=expected)
        found[name] = float(text)
    return found


def _start(channel: Channel, start: Start | None) -> dict[str, Any]:
    if start is None:
        return {"deliver_policy": DeliverPolicy.ALL if channel.kind == "queue" else DeliverPolicy.NEW}
    if start.offset is not None:
        return {"deliver_policy": DeliverPolicy.BY_START_SEQUENCE, "opt_start_seq": max(1, start.offset)}
    if start.time is not None:
        return {"deliver_policy": DeliverPolicy.BY_START_TIME, "opt_start_time": start.time.astimezone(UTC)}
    return {"deliver_policy": DeliverPolicy.ALL}
