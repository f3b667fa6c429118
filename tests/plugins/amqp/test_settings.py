"""Settings: what is right is understood, what is wrong is said, and what is secret stays so."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from dragoman.adapter import SubscribeOptions
from dragoman.config.model import ClientConfig
from dragoman.errors import AuthenticationFailed, ConnectionLost, PermissionDenied
from dragoman.message import Channel, Message
from dragoman.plugins import load_plugins
from dragoman_amqp import AMQP, AmqpSettings
from dragoman_amqp.adapter import connect
from dragoman_amqp.topology import dead_letter_arguments, queue_arguments
from tests.plugins.amqp.conftest import GROUP, bodies, take
from tests.servers import PASSWORD, USER, RabbitMQ


def test_the_plugin_is_found_by_its_name_and_its_schemes() -> None:
    """Registered through the entry point."""
    plugins = load_plugins()
    assert plugins.adapter("amqp") is AMQP
    for scheme in ("amqp", "amqps"):
        found, settings = plugins.resolve("orders", ClientConfig.model_validate({"url": f"{scheme}://broker/shop"}))
        assert found is AMQP
        assert isinstance(settings, AmqpSettings)
        assert settings.virtual_host == "shop"


def test_a_url_says_everything() -> None:
    """Name, password, hosts with their ports, and the virtual host, percent-encoded."""
    settings = AmqpSettings(url="amqp://an%40n:se%2Fcret@one,two:5673,[::1]/the%2Fshop")
    assert (settings.user, settings.secret, settings.virtual_host) == ("an@n", "se/cret", "the/shop")
    assert [str(server) for server in settings.servers] == ["one:5672", "two:5673", "::1:5672"]
    assert "cret" not in settings.place


def test_settings_beside_the_url_win() -> None:
    """So that a secret can stay out of the URL."""
    given = {"url": "amqps://ann:old@one/shop", "username": "bob", "password": "new", "vhost": "/"}
    settings = AmqpSettings.model_validate(given)
    assert (settings.user, settings.secret, settings.virtual_host) == ("bob", "new", "/")
    assert settings.servers[0].port == 5671
    assert "new" not in repr(settings)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"url": "http://one"}, "amqp://host:port/vhost"),
        ({"url": "amqp://"}, "amqp://host:port/vhost"),
        ({"url": "amqp://one?heartbeat=3"}, "keys of their own"),
        ({"url": "amqp://one:port"}, "Port"),
        ({"tls_ca": "ca.pem"}, "amqps://"),
        ({"url": "amqps://one", "tls_key": "key.pem"}, "tls_cert"),
        ({"url": "amqps://one", "auth": "external"}, "tls_cert"),
        ({"topology": "check", "groups": "separate"}, "topology"),
        ({"queue_type": "quorum", "max_priority": 3}, "classic"),
        ({"queue_type": "classic", "delivery_limit": 3}, "quorum"),
        ({"heartbeats": 3}, "heartbeats"),
    ],
)
def test_mistakes_are_named(given: dict[str, Any], told: str) -> None:
    """Each says what would have been right."""
    with pytest.raises(ValidationError) as caught:
        AmqpSettings.model_validate(given)
    assert told in str(caught.value)


def test_queues_are_what_the_broker_can_do() -> None:
    """Quorum since RabbitMQ 3.8; since 4 with the limit lifted that would drop what is given back twenty times."""
    settings = AmqpSettings()
    assert queue_arguments(settings, (3, 7)) == {}
    assert queue_arguments(settings, (3, 10)) == {"x-queue-type": "quorum"}
    assert queue_arguments(settings, (4, 1)) == {"x-queue-type": "quorum", "x-delivery-limit": -1}
    assert queue_arguments(AmqpSettings(delivery_limit=3), (4, 1))["x-delivery-limit"] == 3
    assert queue_arguments(AmqpSettings(queue_type="classic"), (4, 1)) == {}
    assert queue_arguments(AmqpSettings(max_priority=9), (4, 1)) == {"x-max-priority": 9}
    assert dead_letter_arguments("x.dead", quorum=True)["x-dead-letter-strategy"] == "at-least-once"
    assert "x-dead-letter-strategy" not in dead_letter_arguments("x.dead", quorum=False)


async def test_the_next_host_is_tried(rabbitmq: RabbitMQ) -> None:
    """Nobody listens on the first one."""
    adapter = await connect(AmqpSettings(url=f"amqp://127.0.0.1:1,127.0.0.1:{rabbitmq.proxy_port}"))
    await adapter.close()


async def test_a_missing_virtual_host_is_permission_denied(rabbitmq: RabbitMQ) -> None:
    """Its name is in the error."""
    with pytest.raises(PermissionDenied, match="nowhere"):
        await connect(AmqpSettings(url=rabbitmq.url, vhost="nowhere"))


async def test_a_virtual_host_of_any_name_reaches_the_broker(rabbitmq: RabbitMQ) -> None:
    """With slashes and percent signs in it."""
    with pytest.raises(PermissionDenied, match="a/b%2Fc d"):
        await connect(AmqpSettings(url=rabbitmq.url, vhost="a/b%2Fc d"))


async def test_a_server_that_says_nothing_is_connection_lost(rabbitmq: RabbitMQ) -> None:
    """After `connect_timeout`, with nothing left behind."""
    before = asyncio.all_tasks()
    await asyncio.to_thread(rabbitmq.stall)
    with pytest.raises(ConnectionLost, match="no answer in time"):
        await connect(AmqpSettings(url=rabbitmq.url, connect_timeout=0.3))
    async with asyncio.timeout(5):
        while asyncio.all_tasks() != before:  # noqa: ASYNC110 - tasks have no event
            await asyncio.sleep(0.01)


async def test_an_error_does_not_tell_the_password(secure_rabbitmq: RabbitMQ) -> None:
    """Neither that of the setting nor that in the URL."""
    url = secure_rabbitmq.url.replace("://", f"://{USER}:hush-hush@")
    with pytest.raises(AuthenticationFailed) as caught:
        await connect(AmqpSettings(url=url))
    assert "hush" not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"


class _Certified(RabbitMQ):
    """A RabbitMQ that knows its users by their certificates."""

    def __init__(self) -> None:
        super().__init__(auth=True, tls=True)

    def configure(self) -> None:
        super().configure()
        (self.folder / "enabled_plugins").write_text("[rabbitmq_auth_mechanism_ssl].\n")
        assert self.certificates is not None
        more = (
            "auth_mechanisms.1 = EXTERNAL",
            "auth_mechanisms.2 = PLAIN",
            "ssl_cert_login_from = common_name",
            "ssl_options.verify = verify_peer",
            "ssl_options.fail_if_no_peer_cert = false",
        )
        with (self.folder / "rabbitmq.conf").open("a") as file:
            file.write("\n".join(more) + "\n")


@pytest.fixture(scope="module")
def certified() -> Iterator[_Certified]:
    """Started once: it takes seconds."""
    with _Certified() as server:
        yield server


async def _works(settings: AmqpSettings) -> None:
    adapter = await connect(settings)
    try:
        channel = Channel("over.tls")
        async with adapter.subscribe(channel, SubscribeOptions(group=GROUP.group)) as subscription:
            await adapter.publish(channel, [Message(b"x" * 300_000)])
            assert bodies(await take(subscription, 1)) == [b"x" * 300_000]
    finally:
        await adapter.close()


def _tls(server: _Certified, **settings: Any) -> AmqpSettings:
    assert server.certificates is not None
    url = server.url.replace("amqp://", "amqps://")
    return AmqpSettings.model_validate({"url": url, "tls_ca": server.certificates.authority, **settings})


async def test_tls_with_a_password(certified: _Certified) -> None:
    """The broker's certificate is checked against `tls_ca`."""
    await _works(_tls(certified, username=USER, password=PASSWORD))


async def test_tls_with_our_certificate_instead_of_a_password(certified: _Certified) -> None:
    """`auth = "external"`: we are who our certificate says."""
    files = certified.certificates
    assert files is not None
    await _works(_tls(certified, auth="external", tls_cert=files.client, tls_key=files.client_key))


async def test_a_certificate_that_nobody_signed_is_refused(certified: _Certified) -> None:
    """Without `tls_ca` the system's authorities decide."""
    url = certified.url.replace("amqp://", "amqps://")
    with pytest.raises(AuthenticationFailed) as caught:
        await connect(AmqpSettings(url=url, username=USER, password=PASSWORD))  # type: ignore[arg-type]
    assert isinstance(caught.value.__cause__, ssl.SSLError)
