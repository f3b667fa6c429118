"""Waits double, are bounded, and are partly random."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dragoman.backoff import Backoff


def test_the_wait_doubles_up_to_the_longest() -> None:
    """Without jitter it does so exactly."""
    backoff = Backoff(0.2, 1.0, 0.0)
    assert [backoff.after(failures) for failures in (1, 2, 3, 4, 10_000)] == [0.2, 0.4, 0.8, 1.0, 1.0]
    assert backoff.at_most() == 1.0


@given(st.integers(1, 10**9), st.floats(0, 1))
def test_jitter_takes_off_at_most_its_share(failures: int, jitter: float) -> None:
    """The bound holds for any number of failures."""
    whole = Backoff(0.1, 30.0, 0.0).after(failures)
    assert whole * (1 - jitter) - 1e-9 <= Backoff(0.1, 30.0, jitter).after(failures) <= whole


def test_jitter_spreads_what_failed_together() -> None:
    """No two of many waits are the same."""
    backoff = Backoff(1.0, 30.0, 0.5)
    assert len({backoff.after(1) for _ in range(100)}) == 100
