"""The configuration as objects: what `dragoman.toml` says, validated. Loading is in `load.py`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator, model_validator

from dragoman.config.units import Duration, Size
from dragoman.message import Channel

#: Names go into logs, metrics and the names of groups.
Name = Annotated[str, Field(pattern=r"^[\w.-]+$")]


class _Hidden:
    def __repr__(self) -> str:
        return "…"


_HIDDEN: Final = _Hidden()


class Section(BaseModel):
    """A table of the configuration: immutable, and an unknown key is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        # Any value may be a secret: what is printed are the keys that were set, and the tables inside.
        return _shown(self)


class ClientConfig(BaseModel):
    """A named connection. All but `adapter` and `wait`, such as `url`, is for the adapter: its plugin checks it."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    adapter: str | None = Field(
        None, description="which plugin speaks to the broker; without it the scheme of `url` decides"
    )
    wait: Duration = Field(
        30.0, description="how long sending waits for the connection while the broker can't be reached"
    )

    _folder: Path = PrivateAttr(default_factory=Path.cwd)
    _secrets: dict[str, str] = PrivateAttr(default_factory=dict)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        return _shown(self)

    @property
    def folder(self) -> Path:
        """Where relative paths in the settings begin: the folder of the file that they are from."""
        return self._folder

    @property
    def secrets(self) -> dict[str, str]:
        """What must not be printed of the file that it is from, and what is shown instead."""
        return self._secrets

    def from_file(self, folder: Path, secrets: Mapping[str, str]) -> Self:
        """A copy that knows the folder where its relative paths begin, and what must not be printed."""
        copy = self.model_copy()
        copy._folder, copy._secrets = folder, dict(secrets)  # noqa: SLF001 - its own class
        return copy

    @property
    def settings(self) -> dict[str, Any]:
        """What the adapter is given."""
        return dict(self.model_extra or {})


def _shown(model: BaseModel) -> Iterable[tuple[str | None, Any]]:
    for key in sorted(model.model_fields_set):
        value = getattr(model, key)
        yield key, value if _is_table(value) else _HIDDEN


def _is_table(value: Any) -> bool:
    return isinstance(value, BaseModel) or (isinstance(value, dict) and all(map(_is_table, value.values())))


class RetryConfig(Section):
    """What happens between a failure and the next try."""

    attempts: int = Field(5, ge=1, description="how many tries a message gets, the first one included")
    backoff: Duration = Field(0.2, description="the wait after the first failure; it doubles with each further one")
    max_backoff: Duration = Field(30.0, description="the longest wait")
    jitter: float = Field(0.5, ge=0, le=1, description="the share of each wait that is random")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.backoff > self.max_backoff:
            raise ValueError(
                "`backoff` is longer than `max_backoff`; expected the first wait to be at most the longest"
            )
        return self


class DeadLetterConfig(Section):
    """Where a message goes that failed for good."""

    channel: str = Field(description="the channel")
    client: str | None = Field(None, description="the client; the handler's own without it")


class SubscribeConfig(Section):
    """A channel to subscribe to, with settings of the broker's own."""

    channel: str = Field(description="the channel")
    extensions: dict[str, str] = Field(
        {}, description="the broker's own settings for the subscription; the page of each broker has their names"
    )


class BatchConfig(Section):
    """How many messages a handler is given at once. They are all of one channel."""

    size: int = Field(100, ge=1, le=10_000, description="how many messages there are in a batch at most")
    wait: Duration = Field(0.005, description="how long the first of a batch waits for others")


class WasiConfig(Section):
    """What of the system a guest may see. Nothing without it."""

    environment: dict[str, str] = Field({}, description="environment variables")
    directories: dict[str, Path] = Field({}, description="the guest's paths and the folders that they show, read only")
    writable: dict[str, Path] = Field({}, description="the same, for folders that the guest may write to")
    sleep: bool = Field(False, description="whether the guest may wait on clocks; it blocks the host while it does")
    config: dict[str, str] = Field({}, description="what `wasi:config` gives it")


class KeyvalueConfig(Section):
    """Buckets of keys and values that a guest may use, through `wasi:keyvalue`. Nothing without it."""

    buckets: tuple[str, ...] = Field(
        min_length=1, description="their names; a guest that opens one without a name gets `default`"
    )
    path: Literal[":memory:"] | Path = Field(
        description="the file that keeps them, which handlers and processes may share; "
        "':memory:': they are gone with the process"
    )
    max_entries: int = Field(100_000, gt=0, description="how many keys a bucket may have")
    max_value: Size = Field(64 * 2**10, gt=0, le=2**20, description="the largest value")
    max_size: Size = Field(256 * 2**20, gt=0, description="all keys and values of a bucket together")


class LimitsConfig(Section):
    """What a guest may use up, per instance."""

    memory: Size = Field(256 * 2**20, gt=0, description="linear memory")
    table_elements: int = Field(100_000, gt=0, description="elements of each table")
    instances: int = Field(1_000, gt=0, description="core instances inside the component")
    objects: int = Field(
        10_000, gt=0, description="messages and clients that it may hold at once; items of a list that it hands over"
    )
    payload: Size = Field(
        16 * 2**20,
        gt=0,
        description="one body or text that it hands over; in all it is as much as `memory`, per message",
    )
    outbox: Size = Field(
        16 * 2**20, gt=0, description='what one try may send with `sends = "outbox"`; held until it has succeeded'
    )
    fuel: int | None = Field(
        None, gt=0, description="instructions per message, roughly; no bound but the deadline without"
    )
    composed: bool = Field(
        False, description="whether it may be put together of several components with code; these can hold up the host"
    )
    output: Size = Field(64 * 2**10, description="of standard output and error each that reach the log, per message")


class HandlerConfig(Section):
    """One handler: what it is, what it hears, and what it may do."""

    component: Path | None = Field(None, description="a WebAssembly component")
    python: str | None = Field(
        None, pattern=r"^[\w.]+:[\w.]+$", description="a Python function, as `package.module:name`"
    )
    client: str = Field(description="the client that it subscribes with, and sends with by default")
    subscribe: tuple[str | SubscribeConfig, ...] = Field(
        (),
        description="channels: `name`, or `topic:name` where every process gets all; "
        "without it the handler says itself what it hears, within `listen`",
    )
    listen: tuple[str, ...] | dict[str, tuple[str, ...]] = Field(
        (),
        description="patterns of the channels that it may choose to hear by itself; "
        "or a table of client names, each with patterns",
    )
    group: str | None = Field(None, description="who shares a queue's messages with it; the handler's name without it")
    publish: tuple[str, ...] | dict[str, tuple[str, ...]] = Field(
        (), description="patterns of the channels that it may send to; or a table of client names, each with patterns"
    )
    sends: Literal["direct", "outbox"] = Field(
        "direct",
        description="whether what it sends goes out at once, or is held until it has succeeded: outbox mode",
    )
    batch: BatchConfig | None = Field(None, description="hand it several messages at once; one at a time without it")
    concurrency: int = Field(16, ge=1, le=10_000, description="how many messages, or batches, it handles at once")
    deadline: Duration = Field(30.0, gt=0, description="how long one try may take")
    retry: RetryConfig = Field(RetryConfig(), description="what happens between a failure and the next try")
    dead_letter: str | DeadLetterConfig | None = Field(None, description="where a message goes that failed for good")
    exhausted: Literal["retry", "stop", "drop"] = Field(
        "retry",
        description="after the last try without `dead_letter`: go on at the longest backoff, stop the handler, or drop",
    )
    abandoned: Literal["retry", "dead-letter", "drop"] = Field(
        "retry",
        description="what becomes of a message that the handler abandons: another try as after a failure, "
        "a dead letter at once, or nothing",
    )
    instances: Literal["fresh", "reuse"] = Field("fresh", description="a new instance per message, or one kept")
    wasi: WasiConfig = Field(WasiConfig(), description="what of the system the guest may see")
    keyvalue: KeyvalueConfig | None = Field(None, description="buckets of keys and values that the guest may use")
    limits: LimitsConfig = Field(LimitsConfig(), description="what the guest may use up")

    @field_validator("subscribe")
    @classmethod
    def _channels(cls, channels: tuple[str | SubscribeConfig, ...]) -> tuple[str | SubscribeConfig, ...]:
        for channel in channels:
            _named(channel)
        return channels

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.component is None) == (self.python is None):
            raise ValueError("a handler is either a `component` or a `python` function: set exactly one of the two")
        return self

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels of `subscribe`, in its order."""
        return tuple(map(_named, self.subscribe))

    @property
    def extensions(self) -> dict[Channel, dict[str, str]]:
        """The extensions in `subscribe`, of the channels that have any."""
        tables = [item for item in self.subscribe if isinstance(item, SubscribeConfig) and item.extensions]
        return {_named(item): item.extensions for item in tables}

    @property
    def grants(self) -> dict[str, tuple[str, ...]]:
        """The patterns of channels that it may publish to, by client; the names are all that it may connect to."""
        return dict.fromkeys((self.client, *self.listens), ()) | self._by_client(self.publish)

    @property
    def listens(self) -> dict[str, tuple[str, ...]]:
        """The patterns of channels that it may choose to hear, by client."""
        return self._by_client(self.listen)

    def _by_client(self, patterns: tuple[str, ...] | dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        return patterns if isinstance(patterns, dict) else {self.client: patterns}

    @property
    def dead_letters(self) -> tuple[str, Channel] | None:
        """The client and channel of its dead letters."""
        if self.dead_letter is None:
            return None
        if isinstance(self.dead_letter, str):
            return self.client, Channel.parse(self.dead_letter)
        return self.dead_letter.client or self.client, Channel.parse(self.dead_letter.channel)


def _named(item: str | SubscribeConfig) -> Channel:
    return Channel.parse(item if isinstance(item, str) else item.channel)


class HostConfig(Section):
    """The host itself."""

    workers: int = Field(1, ge=1, le=256, description="how many processes run the handlers; they share their groups")
    grace: Duration = Field(10.0, description="how long a shutdown waits for what is in hand")
    cache: Path | None = Field(
        None, description="where compiled components are kept; the user's cache folder without it"
    )


class ObserveConfig(Section):
    """How a host can be watched."""

    address: str | None = Field(
        None,
        pattern=r"^(\[[0-9a-fA-F:.]+\]|[^:\s]+):\d{1,5}$",
        description="`host:port` of `/metrics`, `/live` and `/ready`; port 0: a free one; nothing listens without it",
    )
    traces: Literal["auto", "on", "off"] = Field(
        "auto", description="OpenTelemetry: `auto` traces where its variables (`OTEL_...`) say where to"
    )

    @field_validator("address")
    @classmethod
    def _port(cls, address: str | None) -> str | None:
        if address is not None and int(address.rpartition(":")[2]) > 65535:
            raise ValueError(f"there is no such port: {address!r}; expected `host:port` with a port up to 65535")
        return address


class Config(Section):
    """A whole configuration file."""

    clients: dict[Name, ClientConfig] = Field({}, description="named connections")
    handlers: dict[Name, HandlerConfig] = Field({}, description="named handlers")
    host: HostConfig = Field(HostConfig(), description="the host itself")
    observe: ObserveConfig = Field(ObserveConfig(), description="how it can be watched")
