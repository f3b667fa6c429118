"""Hosts for tests: handlers are functions of the test, the broker is a dictionary."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

from dragoman.adapter import Capability
from dragoman.config.model import Config
from dragoman.handlers.handler import Context
from dragoman.host.host import Host
from dragoman.message import Channel, Message
from dragoman.plugins import Plugin, Plugins
from tests.dictionary.adapter import EVERYTHING, dictionary
from tests.dictionary.broker import Broker

Function = Callable[[Message, Context], Awaitable[object]]
_numbers = count(1)


def plugins(
    broker: Broker, capabilities: frozenset[Capability] = EVERYTHING, widening: frozenset[str] = frozenset()
) -> Plugins:
    """The dictionary adapter as an installed plugin."""
    adapter = dictionary(broker, capabilities=capabilities, widening=widening)
    return Plugins([Plugin("dictionary", "dragoman-dictionary", "1", (adapter,))])


@contextmanager
def module_of(**functions: Any) -> Iterator[str]:
    """The name of a module with these functions."""
    name = f"functions_of_a_test_{next(_numbers)}"
    module = sys.modules[name] = ModuleType(name)
    vars(module).update(functions)
    try:
        yield name
    finally:
        del sys.modules[name]


@asynccontextmanager
async def running(
    broker: Broker,
    function: Any = None,
    *,
    handlers: Mapping[str, tuple[Function, Mapping[str, Any]]] | None = None,
    capabilities: frozenset[Capability] = EVERYTHING,
    widening: frozenset[str] = frozenset(),
    wait: float = 30.0,
    **settings: Any,
) -> AsyncIterator[Host]:
    """A host with one handler `work` on the queue `in`, or with several; of the clients `main` and `other`."""
    several = handlers or {"work": (function, settings)}
    with module_of(**{name: handler for name, (handler, _) in several.items()}) as module:
        sections = {
            name: {"python": f"{module}:{name}", "client": "main", "subscribe": ["in"], "publish": ["*"], **given}
            for name, (_, given) in several.items()
        }
        config = Config.model_validate(
            {
                "clients": {name: {"adapter": "dictionary", "wait": wait} for name in ("main", "other")},
                "handlers": sections,
            }
        )
        async with Host(config, plugins=plugins(broker, capabilities, widening), folder=Path("/nonexistent")) as host:
            yield host


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Let the loop run until the condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - whatever a test looks at, it has no event
            await asyncio.sleep(0.001)


def put(broker: Broker, *bodies: bytes, channel: str = "in", key: str | None = None) -> None:
    """Publish messages, behind the adapter's back."""
    for body in bodies:
        broker.append(Channel.parse(channel), Message.of(body, key=key, metadata={"message-id": body.decode()}))
