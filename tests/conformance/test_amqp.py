"""RabbitMQ keeps the contract."""

from __future__ import annotations

import asyncio

import pytest

from dragoman.message import Channel
from dragoman.testing import ConformanceTests, Harness, Place
from dragoman_amqp import AMQP
from tests.servers import PASSWORD, USER, RabbitMQ


class AmqpHarness(Harness):
    """A real server, and one that wants a password."""

    adapter = AMQP
    #: A busy machine takes its time to start a RabbitMQ anew.
    patience = 45.0
    #: The server's own limit, which is the default of our setting too.
    too_large = 16 * 2**20 + 1

    def __init__(self, server: RabbitMQ, secure: RabbitMQ) -> None:
        self._server = server
        known = {"url": secure.url, "username": USER, "password": PASSWORD}
        self.settings = {"url": server.url}
        self.wrong_password = {**known, "password": PASSWORD + "!"}
        self.forbidden = Place(Channel("forbidden.here"), known)
        self.missing = Place(Channel("nobody.made.this"), {"url": server.url, "topology": "check"})
        self.unreachable = {"url": "amqp://127.0.0.1:1"}

    async def written(self, channel: Channel) -> None:
        """The queue, and what a subscription declares last."""
        while not all(map(self._server.has_written, (channel.name, f"{channel.name}@owner"))):  # noqa: ASYNC110 - files
            await asyncio.sleep(0.02)

    async def restart(self) -> None:
        """Kill -9, and the same data."""
        await asyncio.to_thread(self._server.restart)

    async def cut(self) -> None:
        """Reset every connection."""
        self._server.cut()

    async def restore(self) -> None:
        """The network is whole again."""
        self._server.restore()


class TestAmqp(ConformanceTests):
    """At least once."""

    adapter = AMQP

    @pytest.fixture
    def harness(self, rabbitmq: RabbitMQ, secure_rabbitmq: RabbitMQ) -> Harness:
        """Both servers."""
        return AmqpHarness(rabbitmq, secure_rabbitmq)
