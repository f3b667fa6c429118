"""What users write for a client whose adapter is `kafka`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from dragoman import tls
from dragoman.config.units import Duration, Size

#: The highest count of milliseconds that aiokafka takes: nearly 25 days.
FOREVER_MS = 2**31 - 1


class KafkaSettings(BaseModel):
    """Where the brokers are, who we are to them, and how patient we are."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str = Field(
        "kafka://localhost:9092", description="`kafka://host:port`, several brokers separated by commas; any of them do"
    )
    client_id: str = Field(
        "dragoman", min_length=1, description="our name in the brokers' logs, and what a topic's own groups begin with"
    )
    username: str | None = Field(None, description="turns SASL on, together with `password`")
    password: SecretStr | None = Field(None, description="turns SASL on, together with `username`")
    sasl: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field("PLAIN", description="the SASL mechanism")
    tls: bool = Field(False, description="whether the connection is encrypted")
    tls_ca: Path | None = Field(None, description="PEM file of the authorities to trust; the system's without it")
    tls_cert: Path | None = Field(None, description="PEM file of our own certificate, for mutual TLS")
    tls_key: Path | None = Field(None, description="PEM file of its key; without it, the key is in `tls_cert`")
    tls_key_password: SecretStr | None = Field(None, description="of that key")
    tls_check_hostname: bool = Field(True, description="whether the certificate must name the host")
    create_topics: bool = Field(False, description="whether a topic that is missing is created")
    topic_partitions: int | None = Field(None, ge=1, description="of a created topic; the broker's default without it")
    topic_replication: int | None = Field(None, ge=1, description="of a created topic; the broker's default without it")
    reply_topic: str = Field(
        "dragoman.replies", min_length=1, description="where replies to our requests come, those of other clients too"
    )
    timeout: Duration = Field(
        30.0, gt=0, description="how long publishing, settling and subscribing wait for brokers that are away"
    )
    session_timeout: Duration = Field(
        15.0, gt=0, description="after this long without a sign of life the group gives our partitions to others"
    )
    rebalance_timeout: Duration = Field(
        30.0, gt=0, description="how long a rebalance of the group waits for us; most of it is for what is in hand"
    )
    lanes: Literal["partition", "key"] = Field(
        "partition", description="what stays in order: all of a partition, or only the messages of one key"
    )
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = Field("none", description="of what we publish")
    idempotent: bool = Field(True, description="whether the broker drops what a repeated request would duplicate")
    max_message: Size = Field(2**20, gt=0, description="the largest message; set it with the broker's own limit")
    batch: Size = Field(256 * 2**10, gt=0, description="the most that goes to one partition in one request")
    buffer: Size = Field(32 * 2**20, gt=0, description="of unsent messages, before publishing waits")
    fetch: Size = Field(2**20, gt=0, description="the most that one request brings from one partition")

    @field_validator("url")
    @classmethod
    def _servers(cls, url: str) -> str:
        _servers(url)
        return url

    @field_validator("compression")
    @classmethod
    def _installed(cls, codec: str) -> str:
        if codec not in {"none", "gzip"} and find_spec("cramjam") is None:
            raise ValueError(f"{codec} is not installed; expected `pip install dragoman-kafka[compression]`")
        return codec

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("`username` and `password` go together: set both or neither")
        if (name := tls.given(self)) and not self.tls:
            raise ValueError(f"`{name}` has no effect without `tls = true`")
        tls.check(self)
        return self

    @property
    def servers(self) -> list[str]:
        """The brokers to ask first, as `host:port`."""
        return _servers(self.url)

    def connection(self) -> dict[str, Any]:
        """What each of aiokafka's clients is told about the way to the brokers.

        Raises:
            OSError: a file of certificates can't be read.
            ssl.SSLError: a file of certificates, or its password, is not right.
        """
        secure = {False: "PLAINTEXT", True: "SSL"}[self.tls]
        options: dict[str, Any] = {"bootstrap_servers": self.servers, "client_id": self.client_id}
        if self.password is not None:
            secure = {False: "SASL_PLAINTEXT", True: "SASL_SSL"}[self.tls]
            options |= {
                "sasl_mechanism": self.sasl,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password.get_secret_value(),
            }
        return options | {"security_protocol": secure, "ssl_context": tls.context(self) if self.tls else None}


def _servers(url: str) -> list[str]:
    scheme, _, rest = url.partition("://")
    if scheme != "kafka" or not rest:
        raise ValueError("expected `kafka://host:port`, or several `host:port` separated by commas")
    if "@" in rest:
        raise ValueError("a URL shows what is in it: put the name and password into `username` and `password`")
    return [_server(part) for part in rest.rstrip("/").split(",")]


def _server(text: str) -> str:
    parts = urlsplit(f"//{text.strip()}")
    # Reading the port checks it.
    if not parts.hostname or parts.path or parts.query or parts.fragment or parts.port == 0:
        raise ValueError(f"{text!r} is no broker; expected `host:port`")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{parts.port or 9092}"
