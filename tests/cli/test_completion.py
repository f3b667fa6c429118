"""`dragoman completion`."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.cli.conftest import Run


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_that_the_shell_can_read(dragoman: Run, shell: str) -> None:
    """Checked with the shell itself, where it is installed."""
    script = dragoman("completion", shell).stdout
    assert f"_DRAGOMAN_COMPLETE={shell}_complete" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script.encode(), check=True)


def test_another_shell_is_refused_with_those_that_there_are(dragoman: Run) -> None:
    """As a usage error."""
    done = dragoman("completion", "tcsh")
    assert done.returncode == 2
    assert "bash" in done.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("dragoman pl", "plugins"),
        ("dragoman tail --fr", "--from-start"),
        ("dragoman send or", "orders"),
        ("dragoman completion f", "fish"),
    ],
)
def test_commands_options_and_clients_are_completed(dragoman: Run, words: str, expected: str) -> None:
    """The names of clients come from the configuration."""
    env = {
        "_DRAGOMAN_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    assert dragoman(env=env).stdout.split() == [f"plain,{expected}"]


def test_without_a_configuration_nothing_is_completed_and_nothing_fails(dragoman: Run, folder: object) -> None:
    """A broken file must not break the shell."""
    env = {"_DRAGOMAN_COMPLETE": "bash_complete", "COMP_WORDS": "dragoman send -c none ", "COMP_CWORD": "4"}
    done = dragoman(env=env)
    assert (done.stdout.strip(), done.stderr) == ("", "")
