"""`config show` prints what the host works with, and no secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tomli_w

from dragoman.config.load import load, read, validate
from dragoman.config.show import shown
from dragoman.plugins import Plugins, load_plugins
from tests.config.test_load import BOTH
from tests.distributions import install

TEXT = """
[clients.orders]
url = "fine://me:s3cr3t@host/${PLACE}"
password = "s3cr3t"
certificates = "certs"

[clients.bills]
adapter = "both"
password = "${BILLS_PASSWORD}"
url = "both://me:${BILLS_PASSWORD}@host"

[handlers.audit]
python = "shop.audit:handle"
client = "orders"
subscribe = ["paid", "${PLACE}"]
deadline = "90s"

[handlers.audit.wasi]
environment = { TOKEN = "${BILLS_PASSWORD}" }
"""


@pytest.fixture
def plugins(site: Path, monkeypatch: pytest.MonkeyPatch) -> Plugins:
    """`fine` and `both`, and what the variables hold."""
    install(site, "fine")
    install(site, "both", code=BOTH)
    monkeypatch.setenv("BILLS_PASSWORD", "t0ps3cr3t")
    monkeypatch.setenv("PLACE", "wonderland")
    return load_plugins()


def test_secrets_are_masked_and_variables_named(tmp_path: Path, plugins: Plugins) -> None:
    """Neither a password nor anything from the environment is in what is shown."""
    path = tmp_path / "dragoman.toml"
    path.write_text(TEXT)
    source = read(path)
    table = shown(source, validate(source, plugins), plugins)
    text = json.dumps(table)
    for secret in ("s3cr3t", "t0ps3cr3t", "wonderland"):
        assert secret not in text
    assert table["clients"]["orders"]["url"] == "fine://me:********@host/${PLACE}"
    assert table["clients"]["orders"]["password"] == "********"  # noqa: S105 - the mask
    assert table["clients"]["bills"]["url"] == "both://me:********@host"
    assert table["handlers"]["audit"]["wasi"]["environment"] == {"TOKEN": "${BILLS_PASSWORD}"}
    assert table["handlers"]["audit"]["subscribe"] == ["paid", "${PLACE}"]


def test_defaults_and_paths_are_shown_as_they_are_understood(tmp_path: Path, plugins: Plugins) -> None:
    """With units, and paths from the root."""
    path = tmp_path / "dragoman.toml"
    path.write_text(TEXT)
    source = read(path)
    table = shown(source, validate(source, plugins), plugins)
    assert table["clients"]["orders"]["adapter"] == "fine"
    assert table["clients"]["orders"]["certificates"] == str(tmp_path / "certs")
    assert table["handlers"]["audit"]["deadline"] == "90s"
    assert table["handlers"]["audit"]["retry"]["backoff"] == "200ms"
    assert table["handlers"]["audit"]["limits"]["memory"] == "256MiB"


def test_what_is_shown_is_a_configuration(tmp_path: Path, plugins: Plugins) -> None:
    """Written to a file it means the same."""
    path = tmp_path / "dragoman.toml"
    path.write_text(TEXT.replace("s3cr3t", "").replace("me:@", "me@").replace("me:${BILLS_PASSWORD}@", "me@"))
    source = read(path)
    config = validate(source, plugins)
    again = tmp_path / "again.toml"
    again.write_text(tomli_w.dumps(shown(source, config, plugins)))
    assert load(again, plugins).handlers == config.handlers
    assert load(again, plugins).host == config.host
