"""A host with a hostile component and a well-behaved one beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from dragoman.config.model import Config
from dragoman.host.host import Host
from tests.dictionary.broker import Broker
from tests.guests.build import COMPILED, guest
from tests.host.running import plugins

#: What a hostile guest gets in the tests: little time, so that they are quick.
SHORT: Mapping[str, Any] = {"deadline": "400ms", "retry": {"attempts": 1}, "dead_letter": "dead", "concurrency": 1}


@asynccontextmanager
async def beside(broker: Broker, component: str | Path, **settings: Any) -> AsyncIterator[Host]:
    """A host whose handler `hostile` hears `bad` and whose handler `neighbour` sends what it hears on `in` to `out`."""
    path = guest(component) if isinstance(component, str) else component
    hostile = {"component": path, "client": "default", "subscribe": ["bad"], "publish": ["out"], **SHORT, **settings}
    neighbour = {"component": guest("upper"), "client": "default", "subscribe": ["in"], "publish": ["out"]}
    config = Config.model_validate(
        {
            "clients": {name: {"adapter": "dictionary"} for name in ("default", "other")},
            "handlers": {"hostile": hostile, "neighbour": neighbour},
            "host": {"cache": COMPILED},
        }
    )
    async with Host(config, plugins=plugins(broker), folder=Path("/nonexistent")) as host:
        yield host


async def settled(host: Host, handler: str, messages: int, seconds: float = 30.0) -> None:
    """Wait until a handler is done with so many messages, whatever became of them."""
    counters = host.counters[handler]
    async with asyncio.timeout(seconds):
        while counters.handled + counters.dead_lettered < messages or counters.in_hand:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.001)
