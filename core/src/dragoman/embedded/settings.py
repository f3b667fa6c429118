"""What a user can set of the embedded broker."""

from __future__ import annotations

from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from dragoman.config.units import Duration, Size

#: The path that means: in memory, gone with the connection.
MEMORY: Final = ":memory:"
_DAY: Final = 86400.0


class EmbeddedConfig(BaseModel):
    """The settings of a client with `adapter = "embedded"`.

    `path` and `url` say the same thing in two ways; at most one of them is given. After validation `path` holds it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)

    path: str = Field(
        "dragoman.db",
        min_length=1,
        description="the file, in a folder that exists; ':memory:' is a broker of this one connection, gone with it",
    )
    url: str | None = Field(
        None,
        pattern=r"^embedded:.+",
        description="the same as a URL: 'embedded:orders.db', 'embedded:///var/orders.db' or 'embedded::memory:'",
    )
    durability: Literal["full", "normal"] = Field(
        "full",
        description="what a confirmed message survives: 'full' also a power cut, 'normal' only crashes (faster)",
    )
    keep: Duration = Field(
        7 * _DAY, description="how long a message is kept for replay after every group has accepted it"
    )
    keep_size: Size = Field(
        2**30, description="how many bytes of a channel are kept for replay after every group has accepted them"
    )
    discard_unread: bool = Field(
        False,
        description="let `keep` and `keep_size` also delete what a group has not accepted, or a queue that nobody read",
    )
    forget_groups: Duration | None = Field(
        None,
        gt=0,
        description="forget a group that had no member for so long, and its claim on messages; never without",
    )
    max_message: Size = Field(
        64 * 2**20, gt=0, le=900_000_000, description="the largest message, data and metadata together"
    )
    lock_timeout: Duration = Field(
        5.0, description="how long to wait for another process that holds the file's write lock"
    )
    lease: Duration = Field(
        30.0, ge=1, description="how long a member that lives but shows no sign of it keeps its unsettled deliveries"
    )
    poll: Duration = Field(
        1.0, gt=0, description="how often to look for what no wake-up told of, and for members whose process is gone"
    )

    @model_validator(mode="before")
    @classmethod
    def _path_from_url(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(values.get("url"), str):
            return values
        if "path" in values:
            raise ValueError("`path` and `url` both say which file: set one of the two")
        return {**values, "path": _path(values["url"])}

    @field_validator("path")
    @classmethod
    def _no_nul(cls, path: str) -> str:
        if "\0" in path:
            raise ValueError("a path can't contain a NUL character")
        return path

    @field_validator("path")
    @classmethod
    def _beside_the_configuration(cls, path: str, info: ValidationInfo) -> str:
        folder = (info.context or {}).get("folder")
        return path if folder is None or path == MEMORY else str(folder / path)

    @property
    def in_memory(self) -> bool:
        """Whether there is no file."""
        return self.path == MEMORY

    def __str__(self) -> str:
        """What errors call the broker."""
        return self.path

    def at(self, path: str) -> Self:
        """The same settings for another file."""
        return self.model_copy(update={"path": path, "url": None})


def _path(url: str) -> str:
    """The path in `embedded:PATH`; a host part (`embedded://host/…`) has no meaning and is refused."""
    path = url.partition(":")[2]
    if not path.startswith("//"):
        return path
    host, slash, rest = path[2:].partition("/")
    if host not in {"", "localhost"} or not slash:
        raise ValueError("the URL names a host; expected 'embedded:relative/path' or 'embedded:///absolute/path'")
    return "/" + rest
