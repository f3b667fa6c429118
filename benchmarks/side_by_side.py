"""Contenders measured in turns, so that a noisy machine is equally noisy to all."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from statistics import median
from typing import Final, NamedTuple

from benchmarks.report import Figure

COUNT: Final = 20_000
#: How many messages are published at once, or in hand unsettled.
IN_FLIGHT: Final = 200
_ROUNDS: Final = int(os.environ.get("BENCH_ROUNDS", "3"))


class Measured(NamedTuple):
    """What one run of a contender gave.

    Attributes:
        rate: messages per second.
        cost: microseconds of computing in this process for each message; the server's are not in it.
    """

    rate: float
    cost: float


#: One run of a contender.
Run = Callable[[], Awaitable[Measured]]


class Stopwatch:
    """Time that passes, and time that is computed."""

    def __init__(self) -> None:
        self._began, self._computed = time.perf_counter(), time.process_time()

    def over(self, messages: int) -> Measured:
        """What so many messages took until now."""
        computed, passed = time.process_time() - self._computed, time.perf_counter() - self._began
        return Measured(messages / passed, computed / messages * 1e6)


def side_by_side(what: str, contenders: Mapping[str, Run], *, rounds: int = _ROUNDS) -> dict[str, Measured]:
    """The medians of each contender over interleaved rounds, each run on a loop of its own."""
    runs: dict[str, list[Measured]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name, run in contenders.items():
            gc.collect()
            # As `dragoman run` does, for everybody: nobody pays for looking through all that is imported here.
            gc.freeze()
            one = asyncio.run(_bounded(run))
            gc.unfreeze()
            runs[name].append(one)
            told = f"{one.rate:,.0f}/s, {one.cost:.1f} µs of computing each"
            print(f"{what}: round {number + 1} of {rounds}, {name}: {told}", file=sys.stderr)
    return {
        name: Measured(median(run.rate for run in mine), median(run.cost for run in mine))
        for name, mine in runs.items()
    }


async def publish_rate(publish: Callable[[], Awaitable[object]], *, count: int = COUNT) -> Measured:
    """With 200 callers, each waiting for its confirmation before the next."""

    async def caller() -> None:
        for _ in range(count // IN_FLIGHT):
            await publish()

    watch = Stopwatch()
    await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
    return watch.over(count)


async def _bounded(run: Run) -> Measured:
    async with asyncio.timeout(300):
        return await run()


def figures(what: str, runs: Mapping[str, Measured], ours: str, targets: Mapping[str, str]) -> list[Figure]:
    """A row for each contender, and for ours one ratio for each of `targets` (contender: target)."""
    rows = [_row(what, name, runs) for name in runs if name != ours]
    rows += [_row(what, ours, runs, beside, target) for beside, target in targets.items()]
    return rows


def _row(what: str, name: str, runs: Mapping[str, Measured], beside: str = "", target: str = "") -> Figure:
    mine, other = runs[name], runs.get(beside)
    ratio = mine.rate / other.rate if other else None
    lighter = other.cost / mine.cost if other else None
    return Figure(f"{what}: {name}", mine.rate, "messages/s", ratio, beside, target, mine.cost, lighter)


def consumed(runs: Mapping[str, Measured], targets: Mapping[str, str], *, component: Mapping[str, str]) -> list[Figure]:
    """The rows of consuming: everybody's rate once, then ours (adapter, host, component) beside the others.

    Args:
        runs: of the others, `dragoman adapter`, `dragoman` and `dragoman component`.
        targets: what the host with a Python function is to be beside each of the others.
        component: what it is to be with a component.
    """
    rows = [_row("consume", name, runs) for name in targets]
    for name, beside in (("adapter", dict.fromkeys(targets, "")), ("", targets), ("component", component)):
        rows += [_row("consume", f"dragoman {name}".strip(), runs, *pair) for pair in beside.items()]
    return rows
