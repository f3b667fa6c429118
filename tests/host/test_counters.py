"""Percentiles from a histogram of fixed size."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.host.counters import Latencies


def test_there_are_no_percentiles_of_nothing() -> None:
    """They are 0, not an error."""
    assert (Latencies().percentile(99), Latencies().mean, Latencies().longest) == (0.0, 0.0, 0.0)


@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=200), st.sampled_from([1, 50, 90, 99, 100]))
def test_a_percentile_is_at_most_an_eighth_too_high(seconds: list[float], percent: int) -> None:
    """And never too low, but for the microsecond that is the unit."""
    latencies = Latencies()
    for each in seconds:
        latencies.add(each)
    exact = min(sorted(seconds)[ceil(len(seconds) * percent / 100) - 1], 2**40 / 1e6)
    assert exact <= latencies.percentile(percent) + 1e-6
    assert latencies.percentile(percent) <= exact * 9 / 8 + 1e-6


def test_the_mean_follows_what_is_recent() -> None:
    """A handler that became slow is soon known to be."""
    latencies = Latencies()
    latencies.add(0.001)
    assert latencies.mean == pytest.approx(0.001)
    for _ in range(50):
        latencies.add(1.0)
    assert latencies.mean > 0.99
    assert (latencies.count, latencies.longest) == (51, 1.0)
