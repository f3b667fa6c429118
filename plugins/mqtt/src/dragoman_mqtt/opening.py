"""Settings as what aiomqtt wants to be told."""

from __future__ import annotations

import ssl

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from dragoman import tls
from dragoman.errors import BrokerError
from dragoman_mqtt.settings import MqttSettings, Will


def client_for(
    settings: MqttSettings, client_id: str, *, keep: bool, prefetch: int | None, will: Will | None
) -> aiomqtt.Client:
    """Aiomqtt's client, not connected yet; see `Wire` for the arguments.

    Raises:
        BrokerError: a file for TLS can't be used.
    """
    v5 = settings.protocol == "5"
    password = settings.password
    return aiomqtt.Client(
        settings.address.host,
        settings.address.port,
        username=settings.username,
        password=password.get_secret_value() if password else None,
        identifier=client_id,
        protocol=aiomqtt.ProtocolVersion.V5 if v5 else aiomqtt.ProtocolVersion.V311,
        clean_session=None if v5 else not keep,
        clean_start=not keep if v5 else paho.MQTT_CLEAN_START_FIRST_ONLY,
        properties=_connect_properties(settings, keep=keep, prefetch=prefetch) if v5 else None,
        keepalive=settings.keepalive,
        timeout=settings.connect_timeout,
        will=_will(will, v5=v5) if will else None,
        tls_context=_tls(settings),
    )


async def tls_refusal(settings: MqttSettings) -> BrokerError | None:
    """Why the broker refuses us in TLS, if it does; see `dragoman.tls.refusal`."""
    context = _tls(settings)
    if context is None:
        return None
    return await tls.refusal(settings.address.host, settings.address.port, context, where=settings.where)


def _tls(settings: MqttSettings) -> ssl.SSLContext | None:
    try:
        return settings.tls()
    except OSError as error:
        raise BrokerError(f"a file for TLS can't be used: {error}", where=settings.where) from error


def _connect_properties(settings: MqttSettings, *, keep: bool, prefetch: int | None) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's
    if keep:
        properties.SessionExpiryInterval = min(0xFFFFFFFF, round(settings.session_expiry))
    if prefetch is not None:
        properties.ReceiveMaximum = max(1, min(prefetch, 65_535))
    return properties


def _will(will: Will, *, v5: bool) -> aiomqtt.Will:
    properties = None
    if v5 and will.delay:
        properties = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call] # paho's
        properties.WillDelayInterval = min(0xFFFFFFFF, round(will.delay))
    return aiomqtt.Will(will.topic, will.body.encode(), will.qos, will.retain, properties)
