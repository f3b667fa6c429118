"""The settings of a client with `adapter = "template"`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class Settings(BaseModel):
    """What users may write. Frozen, and an unknown key is a mistake; each setting has a description."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    # Replace: `url` stays, the others are your broker's. Secrets are SecretStr, so that no log or error shows them.
    url: str = Field("template://local", pattern=r"^template://\w", description="where the broker is")
    password: SecretStr = Field(SecretStr(""), description="what the broker asks for")
