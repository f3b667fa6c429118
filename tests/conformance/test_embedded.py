"""The embedded broker keeps the contract, in a file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dragoman.embedded import EMBEDDED
from dragoman.testing import ConformanceTests, Harness


class InFile(Harness):
    """A file of its own."""

    adapter = EMBEDDED
    wrong_password = None
    forbidden = None
    missing = None

    def __init__(self, folder: Path) -> None:
        self.settings = {"path": str(folder / "kit.db"), "max_message": "1MiB"}
        self.too_large = 2**20 + 1
        self.unreachable: Mapping[str, Any] | None = None


class TestEmbedded(ConformanceTests):
    """There is no server: restarts are connections closed with everything in hand, and new ones."""

    adapter = EMBEDDED

    @pytest.fixture
    def harness(self, tmp_path: Path) -> InFile:
        """A file for each case."""
        return InFile(tmp_path)
