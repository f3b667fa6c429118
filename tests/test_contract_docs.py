"""The reference of the contract leaves nothing out: a plugin's author has nothing else to go by."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dragoman import adapter, errors, hookspecs
from dragoman.message import PORTABLE_NAMES

REFERENCE = (Path(__file__).parents[1] / "docs" / "reference" / "adapter-contract.md").read_text()
#: Everything between backticks; of a call, the name alone.
NAMED = {re.split(r"[(.]", code)[0] for code in re.findall(r"`([^`]+)`", REFERENCE)}
PROTOCOLS = (adapter.Adapter, adapter.Subscription, adapter.RequestReply, adapter.Lag, adapter.Transactions)


def _hooks() -> Iterator[str]:
    for name, value in vars(hookspecs).items():
        if hasattr(value, f"{hookspecs.PROJECT}_spec"):
            yield name


def _methods() -> Iterator[str]:
    for protocol in PROTOCOLS:
        yield from (name for name, value in vars(protocol).items() if inspect.isfunction(value) and name[0] != "_")


def _errors() -> Iterator[str]:
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, errors.DragomanError):
            yield name


def _attributes() -> Iterator[str]:
    for kind in (adapter.AdapterType, adapter.SubscribeOptions, adapter.Start, adapter.Delivery, adapter.Reject):
        yield from (field.name for field in dataclasses.fields(kind))


def _classes() -> Iterator[str]:
    for name, value in vars(adapter).items():
        if inspect.isclass(value) and value.__module__ == adapter.__name__ and name != "Capability":
            yield name


def test_the_search_finds_what_there_is() -> None:
    """Otherwise the tests below would pass for want of anything to look for."""
    assert list(_hooks()) == ["dragoman_adapters"]
    names = {"publish", "subscribe", "close", "receive", "settle", "request", "reply", "lag", "transact"}
    assert names == set(_methods())
    assert {"DragomanError", "Closed", "Trapped"} <= set(_errors())


@pytest.mark.parametrize(
    "name",
    [
        *_hooks(),
        *_methods(),
        *_attributes(),
        *_classes(),
        *_errors(),
        *(one.value for one in adapter.Capability),
        *PORTABLE_NAMES,
    ],
)
def test_the_reference_explains(name: str) -> None:
    """Every hook, protocol, method, attribute, capability and error is in docs/reference/adapter-contract.md."""
    assert name in NAMED


def test_the_reference_names_no_capability_that_is_gone() -> None:
    """The table is the enumeration."""
    table = REFERENCE.partition("## Capabilities")[2].partition("##")[0]
    assert re.findall(r"^\| `([^`]+)`", table, re.MULTILINE) == [one.value for one in adapter.Capability]


def test_the_reference_tells_which_errors_are_worth_another_try() -> None:
    """As `retryable` says."""
    table = dict(re.findall(r"^\| `(\w+)` \|.*\| (yes|no) \|$", REFERENCE, re.MULTILINE))
    for name, again in table.items():
        assert getattr(errors, name).retryable == (again == "yes"), name
    assert set(table) == {kind.__name__ for kind in errors.BrokerError.__subclasses__()}


@pytest.mark.parametrize(
    "thing", [*PROTOCOLS, *_classes(), hookspecs.dragoman_adapters], ids=lambda thing: getattr(thing, "__name__", thing)
)
def test_the_docstrings_are_there(thing: object) -> None:
    """Each protocol and each of its methods says what it does."""
    found = getattr(adapter, thing) if isinstance(thing, str) else thing
    assert inspect.getdoc(found)
    if found in PROTOCOLS:
        assert all(inspect.getdoc(value) for name, value in vars(found).items() if name in set(_methods()))
