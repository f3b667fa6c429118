"""The core distribution on its own, in an environment with nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dragoman.cli import guests

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(300)
def test_core_installs_alone_and_its_command_works(tmp_path: Path) -> None:
    """`pip install ./core` in an empty environment: a handler runs, with no tool of the workspace there."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    bin_ = tmp_path / "venv" / "bin"
    pip = [bin_ / "pip", "install", "--quiet", "--disable-pip-version-check", "--constraint", ROOT / "constraints.txt"]
    subprocess.run([*pip, ROOT / "core"], check=True)

    def dragoman(*arguments: str) -> str:
        done = subprocess.run(
            [bin_ / "dragoman", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert dragoman("--version").startswith("dragoman 0.")
    assert [plugin["adapter"] for plugin in json.loads(dragoman("plugins", "--json"))["adapters"]] == ["embedded"]
    dragoman("send", "embedded:alone.db", "news", "hello")
    assert dragoman("tail", "embedded:alone.db", "news", "--from-start", "--count", "1").startswith("hello")

    for language, generations in guests.offered().items():  # what it is made of is in what is installed
        for generation in generations:
            mine = f"{language}-{generation}"
            dragoman("new", "guest", mine, "--lang", language, "--generation", generation)
            guests.compose(language, generation, tmp_path / "checkout" / mine)
            assert _contents(tmp_path / mine) == _contents(tmp_path / "checkout" / mine)


def _contents(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
