"""`make setup` on machines that are not as one would wish."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: A Python that answers the two questions of the script as it is told, and writes down what it is asked to make.
PYTHON = """#!/bin/sh
case "$*" in
    *version_info,*|*"v[:3]"*) exit {fits} ;;
    *ensurepip*) exit {venv} ;;
    *-venv*) echo python3.12-venv ;;
    "-m venv .venv") mkdir -p .venv/bin; cp "$0" .venv/bin/python; echo {name} > .venv/made-by
        printf '#!/bin/sh\\necho "$@" > .venv/installed\\n' > .venv/bin/pip; chmod +x .venv/bin/pip ;;
    *) echo "unexpected: $*" >&2; exit 9 ;;
esac
"""


class Machine:
    """A folder with the script, and Pythons of its own and no others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._bin = folder / "bin"
        self._bin.mkdir()
        for name in ("sh", "dirname", "mkdir", "rm", "cp", "chmod"):
            found = shutil.which(name)
            assert found
            self._bin.joinpath(name).symlink_to(found)
        folder.joinpath(".ci").mkdir()
        shutil.copy(ROOT / ".ci" / "setup", folder / ".ci")
        for member in ("core", "plugins/kafka", "plugins/nats", "plugins/_template", "plugins/unfinished"):
            folder.joinpath(member).mkdir(parents=True)
            if not member.endswith("unfinished"):
                folder.joinpath(member, "pyproject.toml").touch()

    def python(self, name: str, *, fits: bool = True, venv: bool = True) -> None:
        """Put a Python there; one that is too old does not fit."""
        path = self._bin / name
        path.write_text(PYTHON.format(name=name, fits=int(not fits), venv=int(not venv)))
        path.chmod(0o755)

    def setup(self, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        return subprocess.run(
            [self.folder / ".ci" / "setup"],
            env={"PATH": str(self._bin), **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def made_by(self) -> str:
        """The name of the Python that made the environment."""
        return self.folder.joinpath(".venv", "made-by").read_text().strip()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """See the class."""
    return Machine(tmp_path)


def test_the_first_python_that_is_new_enough_is_taken(machine: Machine) -> None:
    """`python3` is too old on many a machine that has a newer one beside it."""
    machine.python("python3", fits=False)
    machine.python("python3.12")
    machine.python("python3.11")
    assert machine.setup().returncode == 0
    assert machine.made_by() == "python3.12"


def test_a_python_can_be_named(machine: Machine) -> None:
    """With `PYTHON=`; then no other is looked for."""
    machine.python("python3")
    machine.python("mine")
    assert machine.setup(PYTHON="mine").returncode == 0
    assert machine.made_by() == "mine"


@pytest.mark.parametrize(("environment", "expected"), [({}, ""), ({"PYTHON": "python3"}, "under the name python3")])
def test_without_a_python_that_fits_it_says_what_to_do(
    machine: Machine, environment: dict[str, str], expected: str
) -> None:
    """One line, and no environment that is half made."""
    machine.python("python3", fits=False)
    done = machine.setup(**environment)
    assert done.returncode == 1
    assert "no Python 3.11 or newer" in done.stderr
    assert expected in done.stderr
    assert "python3.12" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not machine.folder.joinpath(".venv").exists()


def test_without_the_module_venv_it_names_the_package(machine: Machine) -> None:
    """Debian has it in a package of its own."""
    machine.python("python3", venv=False)
    done = machine.setup()
    assert done.returncode == 1
    assert "apt install python3.12-venv" in done.stderr
    assert not machine.folder.joinpath(".venv").exists()


def test_core_and_every_finished_plugin_is_installed_editable(machine: Machine) -> None:
    """A folder without `pyproject.toml` is no member, and neither is the template."""
    machine.python("python3")
    assert machine.setup().returncode == 0
    installed = machine.folder.joinpath(".venv", "installed").read_text().split()
    assert [word for word in installed if word.startswith("./")] == ["./core", "./plugins/kafka", "./plugins/nats"]
    assert installed.count("--editable") == 3
