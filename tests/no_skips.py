"""In CI a test that is skipped is a failure: nobody reads that a server or a tool was missing.

`--no-skips` asks for it; the environment variable `CI=true` does, too.
"""

from __future__ import annotations

import os
from typing import Final

import pytest

#: The conformance kit skips the sentences of the contract that do not apply to a broker: nothing is missing there.
_NOT_APPLICABLE: Final = "::test_conforms["


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--no-skips`."""
    asked = os.environ.get("CI", "").lower() in ("1", "true")
    parser.addoption("--no-skips", action="store_true", default=asked, help="fail where a test is skipped")


def pytest_configure(config: pytest.Config) -> None:
    """Watch the skips, where that was asked for."""
    if config.getoption("--no-skips"):
        config.pluginmanager.register(_Watch(), "no-skips")


class _Watch:
    def __init__(self) -> None:
        self._skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if not report.skipped or hasattr(report, "wasxfail"):
            return
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if _NOT_APPLICABLE not in report.nodeid:
            self._skipped.append(f"{report.nodeid}: {reason}")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._skipped:
            terminalreporter.section("skipped, which counts as failed here", red=True)
            for line in self._skipped:
                terminalreporter.line(line)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self._skipped and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
