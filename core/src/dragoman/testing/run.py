"""Runs cases: one, or all that an adapter's capabilities call for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Final, Literal

from dragoman.adapter import AdapterType
from dragoman.errors import DragomanError
from dragoman.testing.bench import Bench
from dragoman.testing.case import Case
from dragoman.testing.cases import (
    cancelling,
    closing,
    declaration,
    delivery,
    errors,
    faults,
    groups,
    order,
    replay,
    requests,
    settling,
    transactions,
)
from dragoman.testing.harness import Harness, check_harness
from dragoman.testing.ledger import ConformanceError

#: Seconds that one case may take in all; each of its waits is bounded by the harness's `patience`.
_LIMIT: Final = 110.0

_THEMES: Final[tuple[ModuleType, ...]] = (
    declaration,
    delivery,
    groups,
    order,
    settling,
    closing,
    cancelling,
    requests,
    replay,
    transactions,
    errors,
    faults,
)
#: Every case of the kit.
CASES: Final[tuple[Case, ...]] = tuple(
    found for theme in _THEMES for found in vars(theme).values() if isinstance(found, Case)
)


def cases_of(adapter: AdapterType) -> tuple[Case, ...]:
    """The cases that its capabilities call for."""
    return tuple(case for case in CASES if case.applies_to(adapter))


async def run(case: Case, harness: Harness) -> None:
    """Run one case.

    Raises:
        ConformanceError: the adapter does not keep the contract.
        TypeError: the harness leaves something out.
        BaseException: what the adapter raised where it must not.
    """
    check_harness(harness)
    try:
        async with asyncio.timeout(_LIMIT) as limit, Bench(harness) as bench:
            await case.run(bench)
    except TimeoutError:
        if limit.expired():
            raise ConformanceError(f"not finished after {_LIMIT:g} s") from None
        raise


@dataclass(frozen=True, slots=True)
class Result:
    """How a case went.

    Attributes:
        case: which.
        outcome: `not applicable` where the harness says that the broker has no such thing.
        seconds: how long it took.
        reason: why it failed, or why it does not apply.
    """

    case: Case
    outcome: Literal["passed", "failed", "not applicable"]
    seconds: float
    reason: str = ""


async def results(harness: Harness, cases: Iterable[Case]) -> AsyncIterator[Result]:
    """Run cases one after the other, whatever happens in them."""
    for case in cases:
        if reason := case.falls_away(harness):
            yield Result(case, "not applicable", 0.0, reason)
            continue
        began = time.monotonic()
        failure = await _failure(case, harness)
        yield Result(case, "failed" if failure else "passed", time.monotonic() - began, failure)


async def _failure(case: Case, harness: Harness) -> str:
    try:
        await run(case, harness)
    except (ConformanceError, DragomanError) as error:
        return f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 - an adapter under test may raise anything, and the card must go on
        return f"{type(error).__name__}: {error} (not from the tree of dragoman.errors)"
    return ""
