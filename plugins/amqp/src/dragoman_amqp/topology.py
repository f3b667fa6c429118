"""Queues, exchanges and bindings: what a channel is on the broker, declared, checked or left alone.

A queue `orders` of which each group gets everything is a fanout exchange `orders` and, bound to it, a queue for each
group. The first group that ever subscribes gets the queue `orders` itself, with all that waits there; each later one a
queue `orders@GROUP`. Which group was first is kept by the broker, in an exchange `orders@owner`: its alternate exchange
has the group's name, and declaring it with another one is refused.

A topic is a routing key of one topic exchange. Who subscribes to one hears what goes to the queue of that name, too, by
that queue's exchange: the groups of the queue miss nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from pamqp import commands
from pamqp.base import Frame

from dragoman.errors import BrokerError, ChannelNotFound, PermissionDenied, Unsupported
from dragoman.message import Channel
from dragoman_amqp.channels import once
from dragoman_amqp.settings import AmqpSettings
from dragoman_amqp.wire import Wire

#: What every broker has.
_BUILT_IN: Final = re.compile(r"amq\.")
_LONGEST: Final = 255


class Way(NamedTuple):
    """How messages get to a channel.

    Attributes:
        exchange: the exchange; empty for the default one.
        key: the routing key.
        mandatory: whether it is an error when no queue gets them.
    """

    exchange: str
    key: str
    mandatory: bool


class Topology:
    """What this connection has to do before it publishes or subscribes."""

    def __init__(self, wire: Wire, settings: AmqpSettings, server: dict[str, Any]) -> None:
        self._wire = wire
        self._settings = settings
        self._arguments = queue_arguments(settings, _version(server))

    async def way(self, channel: Channel) -> Way:
        """Make or check what publishing to the channel needs.

        Raises:
            ChannelNotFound, PermissionDenied: as the broker says.
            BrokerError: it is there, but with other arguments than ours.
        """
        settings = self._settings
        with named(channel):
            if channel.kind == "topic":
                await self._do(channel, self._topic_exchange())
                return Way(settings.topic_exchange, channel.name, settings.topics_need_subscribers)
            await self._do(channel, self._queue(channel.name))
        return Way(channel.name if settings.separate else "", channel.name, mandatory=True)

    async def source(self, channel: Channel, group: str | None) -> str | None:
        """Make or check what subscribing needs, and say which queue to consume from.

        Returns:
            The queue's name; None for a subscriber to a topic that needs a queue of its own (see `own_queue`).

        Raises:
            The errors of `way`.
        """
        with named(channel):
            if channel.kind == "topic":
                return await self._topic_source(channel, group)
            await self._do(channel, self._queue(channel.name))
            if not self._settings.separate or await self._owns(channel, f"{channel.name}@{group}"):
                return channel.name
            queue = f"{channel.name}@{group}"
            await self._do(channel, [*self._durable(queue), commands.Queue.Bind(queue=queue, exchange=channel.name)])
            return queue

    def own_queue(self, channel: Channel, keys: tuple[str, ...], queue: str = "") -> list[Frame]:
        """How to make a queue that ends with its consumer, and binds itself to a topic.

        The first method's answer has the queue's name, which the others are to be given as `queue`.
        """
        if not queue:
            return [commands.Queue.Declare(exclusive=True, auto_delete=True)]
        exchange = self._settings.topic_exchange
        with named(channel):
            return [commands.Queue.Bind(queue=queue, exchange=exchange, routing_key=key) for key in keys]

    async def hearing(self, channel: Channel, queue: str) -> list[Frame]:
        """How the queue of a subscriber to a topic gets what goes to the queue of that name, where there is one."""
        if not self._settings.separate or _BUILT_IN.match(channel.name):
            return []
        try:
            await self._do(channel, [commands.Exchange.Declare(exchange=channel.name, passive=True)])
        except (ValueError, ChannelNotFound, PermissionDenied):  # a pattern is the name of no exchange
            return []
        return [commands.Queue.Bind(queue=queue, exchange=channel.name, routing_key=channel.name)]

    async def waiting(self, queue: str) -> int:
        """How many messages in a queue are in nobody's hands.

        Raises:
            ChannelNotFound: there is no such queue any more.
        """
        [answer] = await self._do(Channel(queue), [commands.Queue.Declare(queue=queue, passive=True)])
        return int(answer.message_count)

    async def _do(self, channel: Channel, methods: list[Frame]) -> list[Any]:
        if not methods:
            return []
        return await once(self._wire, methods, where=str(channel), timeout=self._settings.timeout)

    async def _topic_source(self, channel: Channel, group: str | None) -> str | None:
        await self._do(channel, self._topic_exchange())
        if group is None:
            return None
        queue = f"{channel}@{group}"
        if self._settings.topology == "declare":
            bind = commands.Queue.Bind(queue=queue, exchange=self._settings.topic_exchange, routing_key=channel.name)
            await self._do(channel, [*self._durable(queue), bind, *await self.hearing(channel, queue)])
        elif self._settings.topology == "check":
            await self._do(channel, [commands.Queue.Declare(queue=queue, passive=True)])
        return queue

    def _topic_exchange(self) -> list[Frame]:
        name, topology = self._settings.topic_exchange, self._settings.topology
        if topology == "leave" or _BUILT_IN.match(name):
            return []
        passive = topology == "check"
        return [commands.Exchange.Declare(exchange=name, exchange_type="topic", durable=True, passive=passive)]

    def _queue(self, name: str) -> list[Frame]:
        if self._settings.topology == "leave":
            return []
        if self._settings.topology == "check":
            return [commands.Queue.Declare(queue=name, passive=True)]
        if not self._settings.separate:
            return self._durable(name)
        exchange = commands.Exchange.Declare(exchange=name, exchange_type="fanout", durable=True)
        return [exchange, *self._durable(name), commands.Queue.Bind(queue=name, exchange=name)]

    def _durable(self, name: str) -> list[Frame]:
        methods: list[Frame] = []
        arguments = dict(self._arguments)
        if self._settings.dead_letters == "broker":
            grave = f"{name}.dead"
            methods.append(commands.Queue.Declare(queue=grave, durable=True, arguments=dict(arguments)))
            arguments |= dead_letter_arguments(grave, quorum="x-queue-type" in arguments)
        methods.append(commands.Queue.Declare(queue=name, durable=True, arguments=arguments))
        return methods

    async def _owns(self, channel: Channel, name: str) -> bool:
        claim = commands.Exchange.Declare(
            exchange=f"{channel.name}@owner",
            exchange_type="fanout",
            durable=True,
            internal=True,
            arguments={"alternate-exchange": name},
        )
        try:
            await self._do(channel, [claim])
        except BrokerError as error:
            if "'alternate-exchange'" in error.what:
                return False
            raise
        return True


def queue_arguments(settings: AmqpSettings, version: tuple[int, ...]) -> dict[str, Any]:
    """The arguments of durable queues on a broker of that version."""
    if settings.max_priority is not None:
        return {"x-max-priority": settings.max_priority}
    if settings.queue_type == "classic" or (settings.queue_type == "auto" and version < (3, 8)):
        return {}
    arguments: dict[str, Any] = {"x-queue-type": "quorum"}
    if settings.delivery_limit is not None:
        arguments["x-delivery-limit"] = settings.delivery_limit
    elif version >= (4,):
        # RabbitMQ 4 drops a message that was given back twenty times, unless told otherwise.
        arguments["x-delivery-limit"] = -1
    return arguments


def dead_letter_arguments(grave: str, *, quorum: bool) -> dict[str, Any]:
    """The arguments of a queue whose refused messages go to the queue `grave`."""
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": grave}
    if quorum:
        # Or a crash on the way to the grave loses the message.
        arguments |= {"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}
    return arguments


def _version(server: dict[str, Any]) -> tuple[int, ...]:
    """The server's version; that of no RabbitMQ, or an unreadable one, counts as the oldest."""
    found = re.match(r"(\d+)\.(\d+)", str(server.get("version", "")))
    if server.get("product") != "RabbitMQ" or found is None:
        return (0, 0)
    return int(found[1]), int(found[2])


@contextmanager
def named(channel: Channel) -> Iterator[None]:
    """Say which channel it is whose name AMQP, or pamqp, can't write."""
    try:
        yield
    except ValueError as error:
        raise Unsupported(
            f"AMQP has no such name: {error}",
            where=str(channel),
            expected=f"at most {_LONGEST} letters, digits, blanks and `-_.:@#,/><` with the group's name",
        ) from error
