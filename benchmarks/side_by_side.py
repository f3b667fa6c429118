"""Contenders measured in turns, so that a noisy machine is equally noisy to all."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from statistics import median

from benchmarks.report import Figure

#: One run of a contender: returns messages per second.
Run = Callable[[], Awaitable[float]]


def side_by_side(what: str, contenders: Mapping[str, Run], *, rounds: int = 3) -> dict[str, float]:
    """The median rate of each contender over interleaved rounds, each run on a loop of its own."""
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name, run in contenders.items():
            gc.collect()
            rates[name].append(asyncio.run(_bounded(run)))
            print(f"{what}: round {number + 1} of {rounds}, {name}: {rates[name][-1]:,.0f}/s", file=sys.stderr)
    return {name: median(values) for name, values in rates.items()}


async def publish_rate(publish: Callable[[], Awaitable[object]], *, count: int, in_flight: int) -> float:
    """Messages per second with so many callers, each waiting for its confirmation before the next."""

    async def caller() -> None:
        for _ in range(count // in_flight):
            await publish()

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(in_flight)))
    return count / (time.perf_counter() - start)


async def _bounded(run: Run) -> float:
    async with asyncio.timeout(300):
        return await run()


def figures(what: str, rates: Mapping[str, float], ours: str, targets: Mapping[str, str]) -> list[Figure]:
    """A row for each contender, and for ours one ratio for each of `targets` (contender: target)."""
    rows = [Figure(f"{what}: {name}", rate, "messages/s") for name, rate in rates.items() if name != ours]
    rows += [
        Figure(f"{what}: {ours}", rates[ours], "messages/s", rates[ours] / rates[beside], beside, target)
        for beside, target in targets.items()
    ]
    return rows
