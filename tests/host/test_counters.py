"""Percentiles from a histogram of fixed size, and the sum of what several hosts have counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.host.counters import Counters, Latencies


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


def _counters(seconds: list[float], handled: int, error: str | None) -> Counters:
    counters = Counters(received=handled + 2, in_hand=2, handled=handled, last_error=error, outages={"settle": "away"})
    for each in seconds:
        counters.latencies.add(each)
    return counters


_SOME = st.builds(_counters, st.lists(st.floats(0, 1e5), max_size=20), st.integers(0, 1000), st.none() | st.text())


@given(st.lists(_SOME, min_size=1, max_size=4))
def test_counters_of_several_hosts_are_summed(each: list[Counters]) -> None:
    """Counts are added, and a percentile of the sum is one of all their tries together."""
    total = Counters.sum(each)
    assert (total.received, total.in_hand, total.handled) == (
        sum(one.received for one in each),
        2 * len(each),
        sum(one.handled for one in each),
    )
    assert total.latencies.count == sum(one.latencies.count for one in each)
    assert total.latencies.longest == max(one.latencies.longest for one in each)
    least, most = (f(one.latencies.percentile(50) for one in each if one.latencies.count) for f in (_min, _max))
    # One host's is at most the longest that it knows of, which may be anywhere in the bucket that the sum has whole.
    assert least <= total.latencies.percentile(50) <= most * 9 / 8 + 1e-6
    assert all(one.in_hand == 2 for one in each), "what is summed stays as it is"


def test_a_percentile_of_a_sum_knows_the_longest_of_another_host_only() -> None:
    """So it is the end of a bucket, where the host that was so slow knew better: an eighth at most."""
    slow, quick = _counters([1.0], 1, None), _counters([0.1, 0.1, 1e5], 1, None)
    assert slow.latencies.percentile(50) == 1.0
    assert Counters.sum([slow, quick, slow]).latencies.percentile(50) == pytest.approx(1.048576)


def _min(values: Iterator[float]) -> float:
    return min(values, default=0.0)


def _max(values: Iterator[float]) -> float:
    return max(values, default=0.0)


@given(_SOME)
def test_counters_come_whole_from_another_process(counters: Counters) -> None:
    """As JSON, and what a dead one leaves is what it had done."""
    again = Counters.from_json(json.loads(json.dumps(counters.as_json())))
    assert again.as_json() == counters.as_json()
    left = again.ended()
    assert (left.handled, left.in_hand, left.waiting, left.outages) == (counters.handled, 0, 0, {})
