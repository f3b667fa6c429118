"""This adapter keeps Dragoman's contract."""

import pytest

from dragoman.testing import ConformanceTests
from dragoman_template.harness import Local
from dragoman_template.plugin import ADAPTER


class TestConformance(ConformanceTests):
    """The cases follow from the capabilities that the adapter declares."""

    adapter = ADAPTER

    @pytest.fixture
    def harness(self) -> Local:
        """A broker for each case."""
        return Local()
