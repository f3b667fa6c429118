"""Several processes run the tests (pytest-xdist): which tests stay together, and which begin first.

Tests of one server share it, so they run in one process, which is the only one to start it; a test of two of them goes
with the first. Other tests stay with their file. What takes longest begins first, so that no process works alone at the
end.
"""

from __future__ import annotations

from typing import Final

import pytest

from tests.servers.fixtures import servers_by_name

#: Fixtures of servers; the secure one of a kind goes with the other. In the order of how long their tests take.
_SERVERS: Final = ("kafka", "rabbitmq", "mosquitto", "nats")
#: Files that take long, after the servers.
_LONG: Final = (
    "test_outages",
    "dead_letters/test_brokers",
    "test_guests",
    "test_examples",
    "test_docs",
    "test_testing",
    "test_killed",
    "tests/servers",
    "test_write_an_adapter",
    "end_to_end",
    "tests/component",
)


def _group(item: pytest.Item) -> str:
    names = {*getattr(item, "fixturenames", ()), *servers_by_name(item)}
    servers = {name.removeprefix("secure_") for name in names}
    return next((server for server in _SERVERS if server in servers), item.nodeid.partition("::")[0])


def _rank(group: str) -> int:
    if group in _SERVERS:
        return _SERVERS.index(group)
    return next((number for number, name in enumerate(_LONG, len(_SERVERS)) if name in group), 100)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist's own, which puts the group into the test's identifier
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its group, and sort the groups."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(key=lambda item: _rank(_group(item)))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse to go on without groups: pytest-xdist reads them from the identifiers, and not every pytest keeps them."""
    if session.config.getoption("loadgroup", default=False) and not all("@" in item.nodeid for item in session.items):
        msg = "the tests' groups are lost: this pytest does not fit this pytest-xdist; constraints.txt has two that fit"
        raise pytest.UsageError(msg)
