"""Durations and sizes."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.config.units import duration, duration_text, size, size_text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("200ms", 0.2), ("1.5s", 1.5), ("2m", 120), ("1h", 3600), ("1d", 86400), ("50us", 5e-5), (" 3 s ", 3), (7, 7)],
)
def test_durations(text: Any, seconds: float) -> None:
    """With a unit, or a bare number of seconds."""
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "count"), [("64MiB", 2**26), ("1MB", 10**6), ("1.5kB", 1500), ("7B", 7), ("2 GiB", 2**31), (9, 9)]
)
def test_sizes(text: Any, count: int) -> None:
    """With a unit of tens or of twos, or a bare number of bytes."""
    assert size(text) == count


@pytest.mark.parametrize(
    "value", ["", "5", "5x", "-5s", "s", "5 s s", "1e5s", -1, True, None, [], math.inf, math.nan, "\u0665x"]
)
def test_what_is_no_duration(value: Any) -> None:
    """Says what one looks like."""
    with pytest.raises(ValueError, match="is no duration; expected a number with us, ms"):
        duration(value)


@pytest.mark.parametrize("value", ["", "5", "5b", "5K", "-5B", -1, True, None, 1.5, math.inf])
def test_what_is_no_size(value: Any) -> None:
    """Says what one looks like."""
    with pytest.raises(ValueError, match="is no size; expected a number with B, kB"):
        size(value)


@given(st.floats(0, 1e9))
def test_a_duration_reads_back_what_it_writes(seconds: float) -> None:
    """To the last digit, or nearly."""
    assert duration(duration_text(seconds)) == pytest.approx(seconds, rel=1e-12)


@given(st.integers(0, 2**50))
def test_a_size_reads_back_what_it_writes(count: int) -> None:
    """To the byte."""
    assert size(size_text(count)) == count


@given(st.text(max_size=8) | st.floats() | st.integers() | st.none() | st.lists(st.integers(), max_size=2))
def test_anything_is_read_or_refused(value: Any) -> None:
    """No value gives another error, or something negative or without end."""
    for read in (duration, size):
        try:
            found = read(value)
        except ValueError:
            continue
        assert 0 <= found < math.inf


@given(st.integers(10**300, 10**320).map(str), st.sampled_from(["s", "d"]))
def test_a_number_too_large_is_refused(digits: str, unit: str) -> None:
    """As something that is no duration or size, not as an endless one, and not with another error."""
    with pytest.raises(ValueError, match="is no duration"):
        duration(digits + "0" * 20 + unit)
    with pytest.raises(ValueError, match="is no size"):
        size(digits + "0" * 20 + "GiB")
