"""The template of an adapter passes the kit as it stands."""

import pytest

from dragoman.testing import ConformanceTests
from dragoman_template.harness import Local
from dragoman_template.plugin import ADAPTER


class TestTemplate(ConformanceTests):
    """Over a dictionary."""

    adapter = ADAPTER

    @pytest.fixture
    def harness(self) -> Local:
        """A broker for each case."""
        return Local()
