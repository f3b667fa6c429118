"""What users write for a client whose adapter is `amqp`."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Literal, NamedTuple, Self
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from dragoman import tls
from dragoman.config.units import Duration, Size


class Server(NamedTuple):
    """One address."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class AmqpSettings(BaseModel):
    """Where the broker is, who we are to it, and what is made of channels there."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str = Field(
        "amqp://localhost:5672",
        description="`amqp://host:port/vhost`, or `amqps` for TLS; several hosts of a cluster with commas between",
    )
    username: str | None = Field(None, description="our name; that in the URL, or `guest`, without it")
    password: SecretStr | None = Field(None, description="its password; that in the URL, or `guest`, without it")
    vhost: str | None = Field(None, min_length=1, description="the virtual host; that in the URL, or `/`, without it")
    name: str = Field("dragoman", min_length=1, description="our name in the broker's list of connections")
    auth: Literal["plain", "external"] = Field(
        "plain", description="`external`: the broker knows us by our certificate, and no password is sent"
    )
    tls_ca: Path | None = Field(None, description="the authorities to trust, PEM; the system's without it")
    tls_cert: Path | None = Field(None, description="our certificate, PEM")
    tls_key: Path | None = Field(None, description="its key, PEM; in the file of `tls_cert` without it")
    tls_key_password: SecretStr | None = Field(None, description="the password of the key")
    tls_check_hostname: bool = Field(True, description="whether the broker's certificate must be for its host name")
    topology: Literal["declare", "check", "leave"] = Field(
        "declare",
        description="what to do about queues and exchanges: make what is missing, fail without it, or not look",
    )
    groups: Literal["separate", "shared"] | None = Field(
        None,
        description="of a queue: each group gets every message; or all groups share the one queue of that name. "
        "`separate` where we declare, `shared` where we don't",
    )
    queue_type: Literal["auto", "quorum", "classic"] = Field(
        "auto", description="of durable queues that we declare; `auto` is quorum where the broker has it"
    )
    delivery_limit: int | None = Field(
        None, ge=1, description="of quorum queues that we declare: deliveries before the broker itself gives up"
    )
    max_priority: int | None = Field(
        None,
        ge=1,
        le=255,
        description="of durable queues that we declare, which are classic then: the highest priority",
    )
    dead_letters: Literal["none", "broker"] = Field(
        "none",
        description="of durable queues that we declare: `broker` moves what is rejected, or too old, "
        "to a queue `NAME.dead`",
    )
    topic_exchange: str = Field(
        "amq.topic", min_length=1, max_length=255, description="the exchange of all topics; a topic is a routing key"
    )
    topics_need_subscribers: bool = Field(
        False, description="whether publishing to a topic to which nobody subscribed is an error"
    )
    heartbeat: int = Field(10, ge=1, le=3600, description="seconds between signs of life; three missing are an outage")
    connect_timeout: Duration = Field(10.0, gt=0, description="how long connecting to one host may take")
    timeout: Duration = Field(30.0, gt=0, description="how long the broker may take to confirm or to answer")
    max_message: Size = Field(
        16 * 2**20, gt=0, description="the largest body; set it with the broker's own `max_message_size`"
    )
    max_unconfirmed: int = Field(
        8192, ge=1, description="messages on their way to one channel, before publishing waits"
    )

    @field_validator("url")
    @classmethod
    def _readable(cls, url: str) -> str:
        _servers(url)
        return url

    @model_validator(mode="after")
    def _whole(self) -> Self:
        _no_contradiction(self)
        return self

    @property
    def servers(self) -> list[Server]:
        """The hosts to try, in this order."""
        return _servers(self.url)

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken."""
        return self.url.startswith("amqps:")

    @property
    def separate(self) -> bool:
        """Whether each group of a queue gets every message."""
        return self.groups == "separate" or (self.groups is None and self.topology == "declare")

    @property
    def user(self) -> str:
        """Our name."""
        return self.username or unquote(_split(self.url).username or "guest")

    @property
    def secret(self) -> str:
        """Our password."""
        if self.password is not None:
            return self.password.get_secret_value()
        return unquote(_split(self.url).password or "guest")

    @property
    def virtual_host(self) -> str:
        """The virtual host."""
        return self.vhost or unquote(_split(self.url).path[1:]) or "/"

    @property
    def place(self) -> str:
        """The URL, without what is secret in it."""
        servers = ",".join(str(server) for server in self.servers)
        return f"{'amqps' if self.secure else 'amqp'}://{servers}"

    def tls(self) -> ssl.SSLContext | None:
        """The TLS context, or None where TLS is not spoken.

        Raises:
            OSError: a file can't be read, or is not what it should be (`ssl.SSLError`).
        """
        return tls.context(self) if self.secure else None


def _no_contradiction(settings: AmqpSettings) -> None:
    if (name := tls.given(settings)) and not settings.secure:
        raise ValueError(f"`{name}` has no effect without TLS; expected an `amqps://` URL")
    tls.check(settings)
    if settings.auth == "external" and not settings.tls_cert:
        raise ValueError('`auth = "external"` needs `tls_cert`: the broker knows us by our certificate')
    if settings.groups == "separate" and settings.topology != "declare":
        raise ValueError('`groups = "separate"` needs `topology = "declare"`: each group has a queue that we declare')
    if settings.max_priority is not None and settings.queue_type == "quorum":
        raise ValueError('a quorum queue has no `max_priority`: leave it out, or set `queue_type = "classic"`')
    if settings.delivery_limit is not None and (settings.queue_type == "classic" or settings.max_priority is not None):
        raise ValueError('a classic queue has no `delivery_limit`: leave it out, or set `queue_type = "quorum"`')


def _split(url: str) -> SplitResult:
    # Only the first host: urlsplit does not know that there may be several.
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return urlsplit(f"{scheme}://{authority.partition(',')[0]}{slash}{path}")


def _servers(url: str) -> list[Server]:
    scheme, _, rest = url.partition("://")
    if scheme not in ("amqp", "amqps") or not rest or "?" in rest or "#" in rest:
        raise ValueError("expected `amqp://host:port/vhost` or `amqps://…`, and settings as keys of their own")
    authority = rest.partition("/")[0].rpartition("@")[2]
    return [_server(part.strip(), 5671 if scheme == "amqps" else 5672) for part in authority.split(",")]


def _server(text: str, port: int) -> Server:
    parts = urlsplit(f"//{text}")
    # Reading the port checks it.
    if not parts.hostname or parts.port == 0:
        raise ValueError(f"{text!r} is no server; expected `host:port`")
    return Server(parts.hostname, parts.port or port)
