"""NATS keeps the contract: JetStream, and core NATS for what it declares."""

from __future__ import annotations

import asyncio

import pytest

from dragoman.adapter import AdapterType
from dragoman.message import Channel
from dragoman.testing import ConformanceTests, Harness, Place
from dragoman_nats import dragoman_adapters
from tests.servers import PASSWORD, USER, Nats

JETSTREAM, CORE = dragoman_adapters()


class NatsHarness(Harness):
    """Either adapter, on a real server, which writes the state of its consumers to the disk when it has time."""

    late_settling = True

    too_large = 2 * 1024 * 1024

    def __init__(self, adapter: AdapterType, server: Nats, secure: Nats) -> None:
        self.adapter = adapter  # type: ignore[misc] # one harness for two adapters
        self._server = server
        self.unreachable = {"url": "nats://127.0.0.1:1", "connect_timeout": 2}
        quick = {"ack_wait": 1.0} if adapter is JETSTREAM else {}
        self.settings = {"url": server.url, **quick}
        self.wrong_password = {"url": secure.url, "username": USER, "password": PASSWORD + "!"}
        self.forbidden = Place(Channel("forbidden.here"), {"url": secure.url, "username": USER, "password": PASSWORD})
        self.missing = Place(Channel("nobody.made.this"), {"url": server.url, "streams": "check"}) if quick else None

    async def restart(self) -> None:
        """Kill -9, and the same data."""
        await asyncio.to_thread(self._server.restart)

    async def cut(self) -> None:
        """Reset every connection."""
        self._server.cut()

    async def restore(self) -> None:
        """The network is whole again."""
        self._server.restore()


class TestJetStream(ConformanceTests):
    """At least once."""

    adapter = JETSTREAM

    @pytest.fixture
    def harness(self, nats: Nats, secure_nats: Nats) -> Harness:
        """Two servers: one of them wants a password."""
        return NatsHarness(JETSTREAM, nats, secure_nats)


class TestCore(ConformanceTests):
    """At most once."""

    adapter = CORE

    @pytest.fixture
    def harness(self, nats: Nats, secure_nats: Nats) -> Harness:
        """Two servers: one of them wants a password."""
        return NatsHarness(CORE, nats, secure_nats)
