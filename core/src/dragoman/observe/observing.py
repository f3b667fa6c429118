"""A host that can be watched: its pages, where the configuration has an address for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from dragoman.config.model import ObserveConfig
from dragoman.host.counters import Counters
from dragoman.host.workers.supervisor import WorkerState
from dragoman.observe.health import Health


@asynccontextmanager
async def observed(
    config: ObserveConfig,
    counters: Callable[[], Mapping[str, Counters]],
    workers: Callable[[], Sequence[WorkerState]] = tuple,
    listening: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[Health]:
    """Answer `/metrics`, `/live` and `/ready` inside the block, if there is an address.

    Args:
        config: the address.
        counters: gives the counters of each handler.
        workers: gives the processes that a supervisor has.
        listening: told the URL.

    Yields:
        what `/ready` answers; its `state` is for the caller to set.

    Raises:
        ConfigError: the address can't be had.
    """
    health = Health(counters)
    if config.address is None:
        yield health
        return
    # They take a while to import, and most hosts need neither.
    from dragoman.observe.metrics import Metrics  # noqa: PLC0415
    from dragoman.observe.server import Server  # noqa: PLC0415

    pages = {"/metrics": Metrics(counters, workers).page, "/live": health.live, "/ready": health.ready}
    async with Server(config.address, pages) as server:
        listening(server.url)
        yield health
