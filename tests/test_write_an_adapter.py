"""docs/write-an-adapter.md, followed step by step in an empty environment."""

from __future__ import annotations

import json
import os
import re
import subprocess
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TUTORIAL = (ROOT / "docs" / "write-an-adapter.md").read_text()
STEPS = re.findall(r"^```sh\n(.*?)^```$", TUTORIAL, re.MULTILINE | re.DOTALL)


def _run(step: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", step],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{step}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.timeout(400)
def test_the_tutorial_works_as_it_stands(tmp_path: Path) -> None:
    """A fresh environment, an adapter outside this repository: it installs, registers and conforms."""
    venv.create(tmp_path / "venv", with_pip=True, symlinks=True)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "VIRTUAL"))}
    environment = {
        **clean,
        "PATH": f"{tmp_path / 'venv' / 'bin'}:{clean['PATH']}",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    install, make, plugins, pytest_, conform, declare, write = STEPS
    # The only change: what is installed is this checkout, not what the package index has.
    assert "'dragoman[testing]'" in install
    constraints = f"--constraint {ROOT / 'constraints.txt'}"
    _run(install.replace("'dragoman[testing]'", f"{constraints} '{ROOT / 'core'}[testing]'"), tmp_path, environment)

    _run(make, tmp_path, environment)
    package = tmp_path / "dragoman-my-queue"
    assert "my-queue" in _run(plugins, package, environment)
    assert re.search(r"^\d+ passed", _run(pytest_, package, environment), re.MULTILINE)
    card = [json.loads(line) for line in _run(conform, package, environment).splitlines()]
    assert {line["outcome"] for line in card} == {"passed", "not applicable"}
    assert sum(line["outcome"] == "passed" for line in card) > 50

    *noticed, said = _run(declare, package, environment).splitlines()
    assert said == "The kit noticed."
    assert [json.loads(line)["outcome"] for line in noticed] == ["failed"]
    [passed] = _run(write, package, environment).splitlines()
    assert json.loads(passed)["outcome"] == "passed"


def test_the_new_package_has_nothing_left_of_the_templates_name(tmp_path: Path) -> None:
    """Every file and every path got the new name."""
    from dragoman.cli.new import copy, template

    copy(template(), tmp_path / "made", "my-queue")
    files = [path for path in (tmp_path / "made").rglob("*") if path.is_file()]
    assert len(files) > 10
    assert [
        path for path in files if "template" in str(path.relative_to(tmp_path)) or "template" in path.read_text()
    ] == []
    for path in files:
        if path.suffix == ".py":
            compile(path.read_text(), path, "exec")


@pytest.mark.parametrize("name", ["My-Queue", "my_queue", "-x", "../x", "template", ""])
def test_a_name_that_would_not_work_is_refused(name: str, tmp_path: Path) -> None:
    """Nothing is made."""
    import click

    from dragoman.cli.new import command

    with pytest.raises(click.UsageError, match="no name for an adapter"):
        command.main(["adapter", "--into", str(tmp_path), "--", name], standalone_mode=False)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    """Whatever is in it."""
    import click

    from dragoman.cli.new import command

    (tmp_path / "dragoman-mine").mkdir()
    with pytest.raises(click.UsageError, match="exists already"):
        command.main(["adapter", "mine", "--into", str(tmp_path)], standalone_mode=False)
    assert list((tmp_path / "dragoman-mine").iterdir()) == []
