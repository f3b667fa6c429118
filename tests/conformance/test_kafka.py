"""The Kafka plugin keeps the contract of an adapter, on a real Kafka."""

import asyncio

import pytest

from dragoman.message import Channel
from dragoman.testing import ConformanceTests, Harness, Place
from dragoman_kafka import KAFKA
from tests.servers import PASSWORD, USER, Server
from tests.servers.kafka import MAX_MESSAGE_BYTES
from tests.servers.ports import free_port


class KafkaHarness(Harness):
    """One Kafka that can be killed, and one that wants a password."""

    adapter = KAFKA
    too_large = MAX_MESSAGE_BYTES
    #: A busy machine takes its time to start a JVM anew.
    patience = 45.0

    def __init__(self, server: Server, secure: Server) -> None:
        self._server = server
        quick = {"timeout": "5s", "session_timeout": "6s", "rebalance_timeout": "5s"}
        self.settings = {"url": server.url, "create_topics": True, **quick}
        login = {"url": secure.url, "username": USER, "password": PASSWORD}
        self.wrong_password = {**login, "password": "wrong"}
        self.forbidden = Place(Channel("forbidden.orders"), login)
        self.missing = Place(Channel("never-made"), {"url": server.url})
        self.unreachable = {"url": f"kafka://127.0.0.1:{free_port()}"}

    async def restart(self) -> None:
        """See `Harness`."""
        await asyncio.to_thread(self._server.restart)

    async def cut(self) -> None:
        """See `Harness`."""
        await asyncio.to_thread(self._server.cut)

    async def restore(self) -> None:
        """See `Harness`."""
        await asyncio.to_thread(self._server.restore)


class TestKafka(ConformanceTests):
    """Every case that its capabilities call for."""

    adapter = KAFKA

    @pytest.fixture
    def harness(self, kafka: Server, secure_kafka: Server) -> KafkaHarness:
        """The servers of the session."""
        return KafkaHarness(kafka, secure_kafka)
