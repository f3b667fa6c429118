"""MQTT keeps the contract, on mosquitto."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest

from dragoman.testing import ConformanceTests, Harness
from dragoman_mqtt import dragoman_adapters
from dragoman_mqtt.packets import LARGEST
from tests.servers import PASSWORD, USER, Mosquitto

(MQTT,) = dragoman_adapters()


class Written(Mosquitto):
    """Writes everything when it is stopped, instead of all of it again with each change."""

    def _persistence(self) -> list[str]:
        return ["persistence true", f"persistence_location {self.folder}/"]


@pytest.fixture(scope="module")
def broker() -> Iterator[Written]:
    """One for the kit."""
    with Written() as server:
        yield server


class MqttHarness(Harness):
    """A real broker."""

    adapter = MQTT
    #: The protocol's own limit.
    too_large = LARGEST + 1
    #: mosquitto confirms subscriptions to forbidden topics, and then gives nothing. The plugin's own tests publish.
    forbidden = None
    #: Every topic exists.
    missing = None

    def __init__(self, server: Mosquitto, secure: Mosquitto) -> None:
        self._server = server
        self.unreachable = {"url": "mqtt://127.0.0.1:1", "connect_timeout": 2}
        self.settings = {"url": server.url, "client_id": f"kit-{uuid4().hex[:8]}"}
        self.wrong_password = {"url": secure.url, "username": USER, "password": PASSWORD + "!"}

    async def restart(self) -> None:
        """With everything written: mosquitto confirms a moment before it writes, so kill -9 loses what it confirmed."""
        await asyncio.to_thread(self._server.stop)
        await asyncio.to_thread(self._server.start)

    async def cut(self) -> None:
        """Reset every connection."""
        self._server.cut()

    async def restore(self) -> None:
        """The network is whole again."""
        self._server.restore()


class TestMqtt(ConformanceTests):
    """MQTT 5."""

    adapter = MQTT

    @pytest.fixture
    def harness(self, broker: Written, secure_mosquitto: Mosquitto) -> Harness:
        """Two servers: one of them wants a password."""
        return MqttHarness(broker, secure_mosquitto)
