"""What a user may set for a client with `adapter = "nats"` or `"nats-core"`."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from dragoman import tls
from dragoman.config.units import Duration

_CORE: Final = "nats-core://"


class CoreSettings(BaseModel):
    """How to reach a server and who we are to it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str = Field("nats://localhost:4222", description="the server, or several with commas between")
    name: str = Field("dragoman", description="what the server's monitoring calls this connection")
    username: str | None = Field(None, description="user name")
    password: SecretStr | None = Field(None, description="password of `username`")
    token: SecretStr | None = Field(None, description="authentication token")
    nkey_seed_file: Path | None = Field(None, description="file with an NKey seed")
    credentials_file: Path | None = Field(None, description="file with a JWT and its NKey seed, as `nsc` writes it")
    tls_ca: Path | None = Field(None, description="the authorities to trust, PEM; the system's without it")
    tls_cert: Path | None = Field(None, description="our certificate, PEM")
    tls_key: Path | None = Field(None, description="its key, PEM; in the file of `tls_cert` without it")
    tls_key_password: SecretStr | None = Field(None, description="the password of the key")
    tls_check_hostname: bool = Field(True, description="whether the server's certificate must be for its host name")
    connect_timeout: Duration = Field(5.0, gt=0, description="how long connecting may take")
    publish_timeout: Duration = Field(10.0, gt=0, description="how long the server may take to confirm")
    ping_interval: Duration = Field(20.0, gt=0, description="how often a silent server is asked whether it lives")

    @model_validator(mode="after")
    def _one_identity(self) -> Self:
        ways = {
            "username": self.username,
            "token": self.token,
            "nkey_seed_file": self.nkey_seed_file,
            "credentials_file": self.credentials_file,
        }
        given = [name for name, value in ways.items() if value is not None]
        if len(given) > 1:
            raise ValueError(f"more than one way to say who we are: {' and '.join(given)}; keep one of them")
        tls.check(self)
        return self

    @property
    def servers(self) -> list[str]:
        """The servers' URLs. The scheme `nats-core` is ours: it chooses the adapter, and means `nats` to nats-py."""
        urls = (url.strip() for url in self.url.split(","))
        return [f"nats://{url.removeprefix(_CORE)}" if url.startswith(_CORE) else url for url in urls if url]

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """The servers' hosts and ports."""
        parts = [urlsplit(server if "://" in server else f"nats://{server}") for server in self.servers]
        return [(part.hostname or "localhost", part.port or 4222) for part in parts]

    def tls(self) -> ssl.SSLContext | None:
        """The TLS context, where TLS is asked for by a `tls://` URL or by any of the settings.

        Raises:
            OSError: a file can't be read, or is no PEM.
        """
        if tls.given(self) is None and not self.url.startswith("tls://"):
            return None
        return tls.context(self)


class NatsSettings(CoreSettings):
    """The same, and how JetStream is used."""

    streams: Literal["create", "check", "leave"] = Field(
        "create",
        description="what to do about the stream of a channel: create a missing one, fail without one, or not look",
    )
    storage: Literal["file", "memory"] = Field("file", description="where a stream that we create is kept")
    replicas: int = Field(1, ge=1, le=5, description="copies of a stream that we create")
    max_age: Duration = Field(0.0, description="how long a stream that we create keeps messages; 0 is for ever")
    duplicate_window: Duration = Field(
        120.0, gt=0, description="how long a stream that we create remembers message ids"
    )
    ack_wait: Duration = Field(30.0, gt=0, description="after how long without news a delivery goes to somebody else")
    max_ack_pending: int = Field(65_536, ge=1, description="unsettled deliveries of a group, all its members together")
    inactive: Duration = Field(60.0, gt=0, description="how long a topic's subscription outlives a lost connection")
