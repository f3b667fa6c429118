"""What a handler may send to, and nothing else."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.errors import ConfigError, NotGranted
from dragoman.host.grants import Grants
from dragoman.message import Channel


def granted(pattern: str, name: str) -> bool:
    """Whether a grant of that pattern lets a handler publish there."""
    try:
        Grants("work", {"main": [pattern]}).publish("main", name)
    except NotGranted:
        return False
    return True


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("invoices.*", "invoices.created", True),
        ("invoices.*", "invoices.eu.created", True),
        ("invoices.*", "invoices.", True),
        ("invoices.*", "invoices", False),
        ("invoices.*", "xinvoices.created", False),
        ("invoices.*", "Invoices.created", False),
        ("invoices.*", "topic:invoices.created", False),
        ("topic:invoices.*", "topic:invoices.created", True),
        ("topic:invoices.*", "invoices.created", False),
        ("queue:invoices", "invoices", True),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("a?c", "abbc", False),
        ("a[1]", "a[1]", True),
        ("a[1]", "a1", False),
        ("a[!b]", "ac", False),
        ("*", "any/thing.at all", True),
        ("*", "two\nlines", True),
        ("orders", "orders\n", False),
        ("orders", "orders ", False),
        ("orders", "", False),
        ("orders", "topic:", False),
    ],
)
def test_a_pattern_matches_whole_names(pattern: str, name: str, expected: bool) -> None:
    """`*` is any text, `?` one character, everything else itself; the kind must be the same."""
    assert granted(pattern, name) is expected


@given(st.text(min_size=1).filter(lambda name: name not in ("queue:", "topic:")))
def test_every_name_grants_itself(name: str) -> None:
    """Whatever characters it has."""
    assert granted(name, name)


@given(st.text(alphabet="ab.[]!^$(){}|+\\-é", min_size=1), st.text(alphabet="ab.[]!^$(){}|+\\-é", min_size=1))
def test_without_wildcards_only_the_name_itself_is_granted(pattern: str, name: str) -> None:
    """No character but `*` and `?` has a meaning."""
    assert granted(pattern, name) is (pattern == name)


def test_a_refusal_says_what_is_granted() -> None:
    """The handler, the channel, the client and the patterns."""
    grants = Grants("billing", {"main": ["a.*", "b"], "other": []})
    with pytest.raises(NotGranted) as refused:
        grants.publish("main", "c")
    assert str(refused.value) == (
        "handlers.billing.publish: no grant to publish to 'c' of the client 'main'; "
        "expected a channel that matches 'a.*' or 'b'"
    )
    with pytest.raises(NotGranted, match="add a pattern to `publish`"):
        grants.publish("other", "c")


def test_a_client_must_be_granted() -> None:
    """Its name alone may be; the nearest one is proposed."""
    grants = Grants("billing", {"orders": [], "invoices": ["*"]})
    grants.connect("orders")
    with pytest.raises(NotGranted, match="did you mean 'orders'"):
        grants.connect("order")
    with pytest.raises(NotGranted, match="no grant for the client 'order'"):
        grants.publish("order", "x")


def test_a_channel_is_parsed_once() -> None:
    """And what is remembered is bounded, whatever names are made up."""
    grants = Grants("work", {"main": ["*", "topic:*"]})
    assert grants.publish("main", "topic:x") == Channel("x", "topic")
    assert grants.publish("main", "x") is grants.publish("main", "x")
    for number in range(5_000):
        grants.publish("main", f"x{number}")
    assert len(grants._publish.granted) <= 1_000
    grants.publish("main", "x" * 1_000_000)
    assert all(len(name) < 1_000 for _, name in grants._publish.granted)


def test_a_long_name_is_refused_quickly_and_briefly() -> None:
    """No pattern takes exponential time, no message repeats a megabyte."""
    grants = Grants("work", {"main": ["*a*a*a*a*a*a*b"]})
    began = perf_counter()
    with pytest.raises(NotGranted) as refused:
        grants.publish("main", "a" * 5_000)
    assert perf_counter() - began < 1.0
    assert len(str(refused.value)) < 300
    with pytest.raises(NotGranted) as refused:
        grants.connect("a" * 1_000_000)
    assert len(str(refused.value)) < 300


def test_a_grant_of_no_name_is_a_mistake_in_the_configuration() -> None:
    """It says which one."""
    with pytest.raises(ConfigError, match=r"handlers\.work\.publish: a channel needs a name: got 'topic:'"):
        Grants("work", {"main": ["topic:"]})
