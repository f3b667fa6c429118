"""A thousand hostile messages leave nothing behind: no memory, no file, no instance.

`python -m benchmarks soak` is the same for as long as anybody likes.
"""

from __future__ import annotations

import pytest

from tests.faults.soaking import ENDLESS, QUICK, soak

#: What a process may grow by for other reasons: a leak of 8 KiB for each of a thousand messages is twice as much.
GROWTH = 4 * 2**20


@pytest.mark.parametrize(("guest", "order"), [(guest, order) for guest, orders in QUICK.items() for order in orders])
async def test_what_ends_by_itself_leaves_nothing(guest: str, order: str) -> None:
    """Traps, errors, exits and refusals."""
    found = await soak(guest, order, 1_000)
    assert (found.messages, found.files, found.instances) == (1_000, 0, 0)
    assert found.bytes < GROWTH, found


@pytest.mark.parametrize(("guest", "order"), [("hostile", "L"), ("hostile", "S"), ("hostile_system", "O")])
async def test_what_is_ended_by_its_deadline_leaves_nothing(guest: str, order: str) -> None:
    """Cancelled in the middle of whatever it does."""
    assert order in ENDLESS[guest]
    found = await soak(guest, order, 50, deadline=0.005)
    assert (found.messages, found.files, found.instances) == (50, 0, 0)
    assert found.bytes < GROWTH, found
