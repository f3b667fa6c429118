"""Certificates on both sides of the connection, on each of the real servers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from dragoman.adapter import ACCEPT, AdapterType, SubscribeOptions
from dragoman.errors import AuthenticationFailed
from dragoman.message import Channel, Message
from dragoman.plugins import load_plugins
from tests.servers import Certificates, Kafka, Mosquitto, Nats, RabbitMQ, Server

#: What each adapter is tried on.
_KINDS: Mapping[str, type[Server]] = {"kafka": Kafka, "amqp": RabbitMQ, "mqtt": Mosquitto, "nats": Nats}
_MORE: Mapping[str, Mapping[str, Any]] = {"kafka": {"tls": True, "create_topics": True, "timeout": "10s"}}


@pytest.fixture(scope="module", params=sorted(_KINDS))
def mutual(request: pytest.FixtureRequest) -> Iterator[tuple[str, Server]]:
    """Each server, which wants a certificate of its clients."""
    with _KINDS[request.param](mutual=True) as server:
        yield request.param, server


def _adapter(name: str, server: Server, **more: Any) -> tuple[AdapterType, Any]:
    adapter = load_plugins().adapter(name)
    assert server.certificates is not None
    scheme = {"amqp": "amqps", "mqtt": "mqtts", "nats": "tls"}.get(name, name)
    url = f"{scheme}://{server.url.partition('://')[2]}"
    settings = {"url": url, "tls_ca": server.certificates.authority, **_MORE.get(name, {}), **more}
    return adapter, adapter.config.model_validate(settings)


async def test_with_our_certificate_messages_go_through(mutual: tuple[str, Server]) -> None:
    """A large one, and one that follows."""
    name, server = mutual
    files = server.certificates
    assert files is not None
    adapter, settings = _adapter(name, server, tls_cert=files.client, tls_key=files.client_key)
    connected = await adapter.connect(settings)
    try:
        channel = Channel("certified")
        async with connected.subscribe(channel, SubscribeOptions(group="readers")) as subscription:
            await connected.publish(channel, [Message(b"x" * 300_000), Message(b"the next")])
            came: list[bytes] = []
            while len(came) < 2:
                deliveries = await subscription.receive(2)
                came += [delivery.message.data for delivery in deliveries]
                await subscription.settle([(delivery, ACCEPT) for delivery in deliveries])
    finally:
        await connected.close()
    assert sorted(map(len, came)) == [8, 300_000]


async def test_without_our_certificate_we_are_refused(mutual: tuple[str, Server]) -> None:
    """With TLS 1.3 the server says so only after the handshake: it is no outage all the same, and not tried again."""
    name, server = mutual
    adapter, settings = _adapter(name, server)
    with pytest.raises(AuthenticationFailed) as caught:
        await adapter.connect(settings)
    assert caught.value.__cause__ is not None
    assert "certificate" in str(caught.value)


async def test_with_the_certificate_of_somebody_else_we_are_refused(mutual: tuple[str, Server], tmp_path: Path) -> None:
    """It is signed, but by nobody that the server trusts."""
    name, server = mutual
    other = Certificates(tmp_path / "other")
    adapter, settings = _adapter(name, server, tls_cert=other.client, tls_key=other.client_key)
    with pytest.raises(AuthenticationFailed):
        await adapter.connect(settings)
