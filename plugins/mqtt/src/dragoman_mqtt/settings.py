"""What a user may set for a client with `adapter = "mqtt"`."""

from __future__ import annotations

import os
import platform
import ssl
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from dragoman import tls
from dragoman.config.units import Duration
from dragoman_mqtt.topics import topic_problem

Qos = Literal[0, 1, 2]


class Address(NamedTuple):
    """Where a broker listens."""

    host: str
    port: int
    tls: bool


def address_of(url: str) -> Address:
    """The parts of `mqtt://host:port` or `mqtts://host:port`.

    Raises:
        ValueError: it is no such URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname or parts.path.strip("/") or parts.username:
        raise ValueError(
            "expected mqtt://host:port, or mqtts://host:port for TLS; user and password have their own keys"
        )
    tls = parts.scheme == "mqtts"
    return Address(parts.hostname, parts.port or (8883 if tls else 1883), tls)


def _sound_url(url: str) -> str:
    address_of(url)
    return url


def _sound_topic(topic: str) -> str:
    if problem := topic_problem(topic):
        raise ValueError(problem)
    return topic


def _own_name() -> str:
    """The same after a restart, another one on another machine or for another user."""
    return f"dragoman-{platform.node() or 'host'}-{os.getuid() if hasattr(os, 'getuid') else 0}"


class Will(BaseModel):
    """What the broker publishes when the client is gone without a goodbye."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    topic: Annotated[str, AfterValidator(_sound_topic)] = Field(description="where")
    body: str = Field("", description="the message, sent as UTF-8")
    qos: Qos = Field(1, description="its quality of service")
    retain: bool = Field(False, description="whether the broker keeps it for who subscribes later")
    delay: Duration = Field(0.0, description="how long the broker waits for us to come back; MQTT 5 only")


class MqttSettings(BaseModel):
    """How to reach a broker, who we are to it, and what it keeps for us."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: Annotated[str, AfterValidator(_sound_url)] = Field(
        "mqtt://localhost:1883", description="the broker; mqtts:// asks for TLS"
    )
    protocol: Literal["5", "3.1.1"] = Field("5", description="the version of MQTT")
    client_id: str = Field(
        default_factory=_own_name,
        min_length=1,
        max_length=200,
        description="the name under which the broker keeps our sessions: the same after a restart, and another one"
        " on each machine; without it the machine's and the user's",
    )
    session_expiry: Duration = Field(
        604_800.0, description="how long the broker keeps messages for us while we are away; MQTT 5 only"
    )
    qos: Qos = Field(1, description="quality of service: 0 at most once, 1 at least once, 2 once per connection")
    mandatory: bool = Field(
        True,
        description="whether publishing to a queue that nobody ever subscribed to is an error, instead of a message"
        " lost; MQTT 3.1.1 does not tell",
    )
    envelope: bool = Field(
        False, description="whether metadata travel in front of the body, where there are no properties: 3.1.1 only"
    )
    reply_topic: Annotated[str, AfterValidator(_sound_topic)] = Field(
        "dragoman/replies", description="the beginning of the topics to which replies to our requests come"
    )
    will: Will | None = Field(None, description="what the broker publishes when we are gone without a goodbye")
    username: str | None = Field(None, description="user name")
    password: SecretStr | None = Field(None, description="password of `username`")
    tls_ca: Path | None = Field(None, description="the authorities to trust, PEM; the system's without it")
    tls_cert: Path | None = Field(None, description="our certificate, PEM")
    tls_key: Path | None = Field(None, description="its key, PEM; in the file of `tls_cert` without it")
    tls_key_password: SecretStr | None = Field(None, description="the password of the key")
    tls_check_hostname: bool = Field(True, description="whether the server's certificate must be for its host name")
    keepalive: int = Field(20, ge=1, le=65_535, description="seconds after which a silent broker is asked if it lives")
    connect_timeout: Duration = Field(5.0, gt=0, description="how long connecting may take")
    publish_timeout: Duration = Field(10.0, gt=0, description="how long the broker may be silent before it confirms")
    max_in_flight: int = Field(
        1_000, ge=1, le=65_535, description="published messages without a confirmation; the broker may want fewer"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        tls.check(self)
        if self.password is not None and self.username is None:
            raise ValueError("`password` needs `username`")
        if self.protocol == "5" and self.envelope:
            raise ValueError("MQTT 5 has properties: `envelope` is for protocol = '3.1.1'")
        if self.protocol == "3.1.1" and self.mandatory and "mandatory" in self.model_fields_set:
            raise ValueError("MQTT 3.1.1 does not tell whether anybody is subscribed: `mandatory` needs protocol = '5'")
        return self

    @property
    def address(self) -> Address:
        """Where the broker listens."""
        return address_of(self.url)

    @property
    def where(self) -> str:
        """The broker, for error messages."""
        return f"{self.address.host}:{self.address.port}"

    def tls(self) -> ssl.SSLContext | None:
        """The TLS context, where it is asked for by an `mqtts://` URL or by any of the settings.

        Raises:
            OSError: a file can't be read, or is no PEM.
        """
        if tls.given(self) is None and not self.address.tls:
            return None
        return tls.context(self)
