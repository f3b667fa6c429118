"""What a user may write, and what is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from dragoman.embedded import EMBEDDED, EmbeddedConfig


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("embedded:orders.db", "orders.db"),
        ("embedded:data/orders.db", "data/orders.db"),
        ("embedded:/var/orders.db", "/var/orders.db"),
        ("embedded:///var/orders.db", "/var/orders.db"),
        ("embedded::memory:", ":memory:"),
    ],
)
def test_a_url_names_the_file(url: str, path: str) -> None:
    """Relative, absolute or in memory."""
    assert EmbeddedConfig(url=url).path == path


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "embedded:"},
        {"url": "embedded://host/file"},
        {"url": "kafka:file"},
        {"url": "embedded:a", "path": "a"},
        {"path": ""},
        {"path": "a\0b"},
        {"pth": "a"},
        {"durability": "none"},
        {"lease": "0s"},
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, object]) -> None:
    """When the configuration is read, before anything is opened."""
    with pytest.raises(ValidationError):
        EmbeddedConfig.model_validate(settings)


def test_every_setting_is_described() -> None:
    """Editors and `dragoman schema` show the descriptions."""
    assert all(field.description for field in EmbeddedConfig.model_fields.values())
    assert EMBEDDED.config is EmbeddedConfig
