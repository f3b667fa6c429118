"""The kit as a pytest class. Needs no import of pytest: the plugin, in `plugin.py`, gives it its cases."""

from __future__ import annotations

import asyncio
from typing import ClassVar
from unittest import SkipTest

from dragoman.adapter import AdapterType
from dragoman.testing.case import Case
from dragoman.testing.harness import Harness
from dragoman.testing.run import run


class ConformanceTests:
    """Subclass it as `Test…`, set `adapter`, and give it a fixture `harness`.

    Attributes:
        adapter: what is tested; its capabilities say which cases there are.
    """

    adapter: ClassVar[AdapterType]

    def test_conforms(self, harness: Harness, case: Case) -> None:
        """The adapter keeps one sentence of the contract."""
        if reason := case.falls_away(harness):
            raise SkipTest(reason)
        asyncio.run(run(case, harness))
