"""`dragoman.connect`: from a URL, a file, a section."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import dragoman
from dragoman.config.model import ClientConfig
from dragoman.errors import ConfigError, PluginError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration with one client."""
    path = tmp_path / "dragoman.toml"
    path.write_text('[clients.orders]\nadapter = "embedded"\npath = "orders.db"\n')
    return path


async def test_connect_takes_a_url(tmp_path: Path) -> None:
    """The scheme says which adapter; errors begin with it."""
    url = f"embedded:{tmp_path}/orders.db"
    async with dragoman.connect(url) as client:
        assert (client.name, client.type.name) == ("embedded", "embedded")
        await client.publish("orders", b"1", key="k")
    async with (
        dragoman.connect(url, client="mine") as client,
        client.subscribe("orders", group="g") as orders,
    ):
        assert client.name == "mine"
        async for delivery in orders:
            assert (delivery.message.data, delivery.message.key) == (b"1", "k")
            await orders.accept(delivery)
            break


async def test_connect_takes_a_file_with_one_client(file: Path) -> None:
    """As a path or as text; its paths are beside it."""
    for source in (file, str(file)):
        async with dragoman.connect(source) as client:
            assert client.name == "orders"
            await client.publish("out", b"1")
    assert (file.parent / "orders.db").is_file()


async def test_connect_takes_a_file_and_the_name_of_a_client(file: Path) -> None:
    """With several, the name is needed."""
    with file.open("a") as more:
        more.write('[clients.invoices]\nurl = "embedded::memory:"\n')
    async with dragoman.connect(file, client="invoices") as client:
        assert client.name == "invoices"
    with pytest.raises(ConfigError, match="it has 2 clients: say which one; expected one of orders, invoices"):
        await dragoman.connect(file).__aenter__()
    with pytest.raises(ConfigError, match=r"there is no client 'order'.*did you mean 'orders'"):
        await dragoman.connect(file, client="order").__aenter__()


async def test_connect_takes_a_section() -> None:
    """As a mapping or as a `ClientConfig`."""
    section = {"adapter": "embedded", "path": ":memory:"}
    for source in (section, ClientConfig.model_validate(section)):
        async with dragoman.connect(source) as client:
            assert client.name == "embedded"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("embeded:orders.db", "embedded"),
        ("nowhere.toml", "nowhere.toml"),
        ({"adapter": "embedded", "pth": "x"}, "did you mean 'path'"),
        ({"adapter": 3}, "adapter"),
    ],
)
async def test_mistakes_are_one_clear_error(source: object, words: str) -> None:
    """Of ours, never one of pydantic."""
    with pytest.raises(ConfigError, match=words):
        await dragoman.connect(source).__aenter__()  # type: ignore[arg-type]


async def test_a_file_without_clients_says_what_to_write(tmp_path: Path) -> None:
    """An example of a section."""
    path = tmp_path / "dragoman.toml"
    path.write_text("")
    with pytest.raises(ConfigError, match=r"expected a section such as \[clients.orders\]"):
        await dragoman.connect(path).__aenter__()


def test_the_public_names_are_there() -> None:
    """And each of them is documented."""
    for name in dragoman.__all__:
        assert name == "__version__" or getattr(dragoman, name).__doc__


async def test_a_client_library_that_is_missing_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is imported only when somebody connects, and nobody waits for a broker then."""
    monkeypatch.setitem(sys.modules, "dragoman_nats.adapter", None)
    with pytest.raises(PluginError, match=r"'nats' needs can't be imported: .*install its plugin again"):
        async with dragoman.connect({"url": "nats://127.0.0.1:1", "wait": "60s"}):
            pass


def test_plugins_are_found_without_their_client_libraries() -> None:
    """They take long to import, and most commands need none of them."""
    script = "import sys, dragoman.plugins as p; print(len(p.load_plugins().adapters)); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    count, modules = done.stdout.splitlines()
    assert int(count) >= 6
    assert not {"aiokafka", "aiormq", "aiomqtt", "paho", "nats"} & set(modules.split())
