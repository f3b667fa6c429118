"""Builds small real distributions on `sys.path`, so that plugins are found as installed ones are."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

ADAPTER = """
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from dragoman.adapter import CONTRACT, AdapterType, Capability
from dragoman.hookspecs import hookimpl
from dragoman.message import FormatSpec
from pathlib import Path
from typing import Literal


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    url: str = Field("NAME://localhost", description="the broker")
    password: SecretStr | None = Field(None, description="for the user in the URL")
    certificates: Path | None = Field(None, description="a folder of certificates")
    acks: Literal["all", "leader"] = Field("all", description="whose confirmation counts")
    linger: int = Field(5, ge=0, le=1000, description="milliseconds to wait for more")

    @field_validator("url")
    @classmethod
    def _port(cls, url: str) -> str:
        if url.endswith("!"):
            raise ValueError(f"{url!r} ends in an exclamation; expected a URL")
        return url


async def connect(settings):
    raise NotImplementedError


def adapter(name="NAME", **changes):
    values = dict(
        name=name, format=FormatSpec.RAW, config=Settings, connect=connect, contract=CONTRACT, schemes=(name,),
        capabilities=frozenset({Capability.QUEUE}),
    )
    return AdapterType(**(values | changes))
"""

HOOK = """
@hookimpl
def dragoman_adapters():
    return [adapter()]
"""


def install(
    folder: Path,
    name: str,
    *,
    code: str = HOOK,
    adapter: str | None = None,
    version: str = "1.0",
    requires: tuple[str, ...] = (),
    module: str | None = None,
) -> None:
    """Put a distribution `dragoman-NAME` into a folder of `sys.path`: a module with `code`, and its dist-info."""
    module = module or f"dragoman_{name.replace('-', '_')}"
    body = ADAPTER.replace("NAME", adapter or name) + dedent(code)
    folder.joinpath(f"{module}.py").write_text(body)
    info = folder / f"dragoman_{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    needs = "".join(f"Requires-Dist: {text}\n" for text in requires)
    info.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: dragoman-{name}\nVersion: {version}\n{needs}")
    info.joinpath("entry_points.txt").write_text(f"[dragoman]\n{name} = {module}\n")
