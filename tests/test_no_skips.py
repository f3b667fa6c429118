"""A check that was left out must not look like one that passed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def _pytest(folder: Path, test: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    folder.joinpath("test_it.py").write_text(f"import pytest, unittest\n\n{test}")
    command = [sys.executable, "-m", "pytest", "-p", "tests.no_skips", "-c", "/dev/null", *arguments, folder]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "test",
    [
        "@pytest.mark.skip(reason='no server')\ndef test(): pass",
        "def test(): pytest.skip('no server')",
        "pytest.importorskip('no_server', reason='no server')",
        "def test(): raise unittest.SkipTest('no server')",
    ],
)
def test_a_skip_fails_a_run_with_no_skips_and_says_why(tmp_path: Path, test: str) -> None:
    """However a test is skipped, the run ends with 1 and names the reason; without the option it ends well."""
    strict = _pytest(tmp_path, test, "--no-skips")
    assert strict.returncode == pytest.ExitCode.TESTS_FAILED, strict.stdout
    assert "skipped, which counts as failed here" in strict.stdout
    assert "no server" in strict.stdout
    assert _pytest(tmp_path, test).returncode in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)


def test_ci_asks_for_it_by_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`CI=true` is what continuous integration sets everywhere."""
    from tests import no_skips

    for value, expected in (("true", True), ("1", True), ("", False), ("false", False)):
        monkeypatch.setenv("CI", value)
        parser = pytest.Parser(_ispytest=True)
        no_skips.pytest_addoption(parser)
        assert parser.parse([]).no_skips is expected


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    """A known bug that is marked as such was looked at."""
    test = "@pytest.mark.xfail(strict=True)\ndef test(): assert False"
    assert _pytest(tmp_path, test, "--no-skips").returncode == pytest.ExitCode.OK


def test_what_does_not_apply_to_a_broker_is_no_skip(tmp_path: Path) -> None:
    """The conformance kit leaves out a case that the broker has no such thing for."""
    suite = "@pytest.mark.parametrize('case', [1])\ndef test_conforms(case): raise unittest.SkipTest('no server')"
    assert _pytest(tmp_path, suite, "--no-skips").returncode == pytest.ExitCode.OK
