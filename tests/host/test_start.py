"""The start of a host: every mistake at once, and only what is needed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dragoman.config.model import Config, HandlerConfig
from dragoman.errors import ComponentError, ConfigError
from dragoman.handlers.handler import Context
from dragoman.host.host import Host
from dragoman.message import Message
from tests.dictionary.broker import Broker
from tests.host.running import module_of, plugins, put, until

COMPONENTS = "dragoman.handlers.component.components"


async def nothing(message: Message, context: Context) -> None:
    """A handler that succeeds."""


class Opened:
    """Stands for the engine: notes what it was asked for."""

    def __init__(self, cache: Path | None) -> None:
        self.cache = cache
        self.handled: list[bytes] = []
        self.closed: list[str] = []

    async def open(self, name: str, config: HandlerConfig) -> Any:
        """A handler that notes what it is given; none for `bad.wasm`."""
        engine = self
        if config.component == Path("bad.wasm"):
            raise ComponentError("it is no component")

        class Handler:
            async def handle(self, messages: Sequence[Message], context: Context) -> None:
                engine.handled += [message.data for message in messages]

            async def wanted(self, context: Context) -> None: ...

            async def close(self) -> None:
                engine.closed.append(name)

        return Handler()

    async def close(self) -> None:
        """Note it."""
        self.closed.append("engine")


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> list[Opened]:
    """The engines that hosts make."""
    made: list[Opened] = []

    def components(cache: Path | None) -> Opened:
        made.append(Opened(cache))
        return made[-1]

    module = ModuleType(COMPONENTS)
    module.Components = components  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, COMPONENTS, module)
    return made


def host_of(broker: Broker, handlers: dict[str, dict[str, Any]], clients: dict[str, Any] | None = None) -> Host:
    """A host with these sections."""
    named = {name: {"client": "main", "subscribe": ["in"], **section} for name, section in handlers.items()}
    config = {"clients": clients or {"main": {"adapter": "dictionary"}, "spare": {"adapter": "dictionary"}}}
    return Host(
        Config.model_validate({**config, "handlers": named, "host": {"cache": "cache"}}),
        plugins=plugins(broker),
        folder=Path("/nonexistent"),
    )


async def test_only_the_clients_that_handlers_use_are_connected() -> None:
    """To subscribe, to send, or for dead letters."""
    broker = Broker()
    clients = {name: {"adapter": "dictionary"} for name in ("main", "grants", "dead", "spare")}
    section = {"publish": {"grants": ["*"]}, "dead_letter": {"client": "dead", "channel": "x"}}
    with module_of(nothing=nothing) as module:
        async with host_of(broker, {"work": {"python": f"{module}:nothing", **section}}, clients):
            assert broker.calls["connect"] == 3


async def test_every_mistake_is_said_at_once(engines: list[Opened]) -> None:
    """With the key that it is about; nothing stays open."""
    broker = Broker()
    handlers = {
        "one": {"python": "no_such_module:handle"},
        "two": {"component": "bad.wasm"},
        "three": {"python": "json:dumps"},
    }
    with pytest.raises(ConfigError) as wrong:
        async with host_of(broker, handlers):
            pytest.fail("it started")
    assert [problem.key for problem in wrong.value.problems] == [
        "handlers.one.python",
        "handlers.two.component",
        "handlers.three.python",
    ]
    assert "handlers.two.component: it is no component" in str(wrong.value)
    assert (engines[0].closed, broker.connections) == (["engine"], set())


async def test_a_client_that_is_not_there_is_a_mistake() -> None:
    """Every one of them is named, with the nearest name."""
    handlers = {"one": {"python": "x:y", "client": "mian"}, "two": {"python": "x:y", "publish": {"spair": ["*"]}}}
    with pytest.raises(ConfigError) as wrong:
        async with host_of(Broker(), handlers):
            pytest.fail("it started")
    assert str(wrong.value).splitlines() == [
        "clients.mian: there is no such client; expected one of main, spare; did you mean 'main'?",
        "clients.spair: there is no such client; expected one of main, spare; did you mean 'spare'?",
    ]


async def test_a_component_is_opened_by_one_engine_and_closed_with_the_host(engines: list[Opened]) -> None:
    """Before the engine, and before the clients that it may still need."""
    broker = Broker()
    put(broker, b"1")
    async with host_of(broker, {"one": {"component": "a.wasm"}, "two": {"component": "b.wasm"}}) as host:
        await until(lambda: len(broker.accepted("in")) == 2)
        assert await host.drain(1)
    (engine,) = engines
    assert (engine.cache, engine.handled, engine.closed) == (Path("cache"), [b"1", b"1"], ["two", "one", "engine"])


async def test_a_host_of_python_handlers_does_not_load_the_engine() -> None:
    """It costs 30 MB."""
    with module_of(nothing=nothing) as module:
        async with host_of(Broker(), {"work": {"python": f"{module}:nothing"}}) as host:
            assert host._engine is None


async def test_a_host_without_handlers_has_nothing_to_wait_for() -> None:
    """It ends at once."""
    async with host_of(Broker(), {}) as host:
        await host.wait()
        assert await host.drain(1)
