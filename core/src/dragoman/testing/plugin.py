"""The pytest plugin: gives every `ConformanceTests` class the cases that its adapter's capabilities call for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each case."""
    # pytest loads this in every session of an environment with dragoman in it; only a user of the kit pays for more.
    suite = sys.modules.get("dragoman.testing.suite")
    if suite is None or metafunc.cls is None or not issubclass(metafunc.cls, suite.ConformanceTests):
        return
    if "case" in metafunc.fixturenames and hasattr(metafunc.cls, "adapter"):
        from dragoman.testing.run import cases_of  # noqa: PLC0415 - see above

        metafunc.parametrize("case", cases_of(metafunc.cls.adapter), ids=lambda case: case.name)
