"""The tree of errors, and the lines that they are for users."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman import errors
from dragoman.errors import ConfigError, DragomanError, PluginError, Problem, PublishFailed, nearest


def _classes() -> list[type[DragomanError]]:
    found = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, DragomanError)]
    assert len(found) > 15
    return found


def _drawn() -> Iterator[tuple[str, str | None]]:
    """Each name in the docstring's picture, with the name above it."""
    above: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"    ((?:[│├└─ ]{4})*)(\w+)(?:\s+\S.*|)$", line):
            depth = len(match[1]) // 4
            above[depth] = match[2]
            yield match[2], above.get(depth - 1)


def test_the_picture_is_the_tree() -> None:
    """Every class is drawn under its parent, and nothing else is drawn."""
    drawn = dict(_drawn())
    actual = {one.__name__: None if one is DragomanError else one.__base__.__name__ for one in _classes()}
    assert drawn == actual


@pytest.mark.parametrize("one", _classes(), ids=lambda one: one.__name__)
def test_every_error_says_what_it_is(one: type[DragomanError]) -> None:
    """In a docstring of its own."""
    assert "__doc__" in vars(one)
    assert one.__doc__


@pytest.mark.parametrize("one", [one for one in _classes() if one is not ConfigError], ids=lambda one: one.__name__)
@pytest.mark.parametrize("text", ["it broke", "it\nbroke", "it \r\n\t broke"])
def test_every_error_is_one_line(one: type[DragomanError], text: str) -> None:
    """Whatever a broker's message contains."""
    assert str(one(text, where="orders")) == "orders: it broke"


def test_a_line_has_all_that_is_known() -> None:
    """Where, what, what was expected, what was probably meant, what to do."""
    error = DragomanError("is 'x'", where="a", expected="'y'", nearest="y", hint="write y")
    assert str(error) == "a: is 'x'; expected 'y'; did you mean 'y'? (write y)"


def test_a_problem_says_where() -> None:
    """File, line and key, as far as they are known."""
    assert str(Problem("f.toml", "a.b", "is 1", line=3)) == "f.toml:3: a.b: is 1"
    assert str(Problem("f.toml", "a.b", "is 1")) == "f.toml: a.b: is 1"
    assert str(Problem("f.toml", "", "is 1", line=3)) == "f.toml:3: is 1"
    assert str(Problem("", "a.b", "is 1", "2", "2", "write 2")) == "a.b: is 1; expected 2; did you mean '2'? (write 2)"
    assert str(Problem("", "", "is 1", line=3)) == "is 1"


def test_a_configuration_error_has_a_line_for_each_problem() -> None:
    """All of them, in their order."""
    problems = [Problem("f", "a", "is 1"), Problem("f", "b", "is\n2")]
    error = ConfigError(problems)
    assert str(error).splitlines() == ["f: a: is 1", "f: b: is 2"]
    assert error.problems == tuple(problems)


def test_what_errors_carry() -> None:
    """Besides the text: what code decides by."""
    assert PublishFailed("x", outcome_unknown=True).outcome_unknown
    assert not PublishFailed("x").outcome_unknown
    assert PluginError("x", adapters=["a", "a"]).adapters == {"a"}


@given(st.text(max_size=10), st.lists(st.text(max_size=10), max_size=5))
def test_the_nearest_choice_is_one_of_them(name: str, choices: list[str]) -> None:
    """Or none."""
    assert nearest(name, choices) in [*choices, None]


@pytest.mark.parametrize(("name", "expected"), [("oders", "orders"), ("ORDERS", "orders"), ("kafka", None), ("", None)])
def test_the_nearest_choice_is_what_was_probably_meant(name: str, expected: str | None) -> None:
    """A slip of the finger or of the case; nothing that only begins alike."""
    assert nearest(name, ["orders", "bills"]) == expected
