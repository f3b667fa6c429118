"""Runs the command line as users do: as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.cli.process import Running

Run = Callable[..., subprocess.CompletedProcess[str]]

CONFIG = """
[clients.orders]
adapter = "embedded"
path = "orders.db"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a configuration that has a client `orders`, on a file in it."""
    tmp_path.joinpath("dragoman.toml").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def dragoman(folder: Path) -> Run:
    """Runs a command in the folder until it ends."""

    def run(
        *arguments: str, stdin: str | bytes = b"", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "dragoman", *arguments],
            cwd=folder,
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            env={**os.environ, **(env or {})},
            capture_output=True,
            timeout=60,
            check=False,
        )
        return subprocess.CompletedProcess(
            done.args,
            done.returncode,
            done.stdout.decode("utf-8", "backslashreplace"),
            done.stderr.decode("utf-8", "backslashreplace"),
        )

    return run


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Running]]:
    """Starts a command in the folder, to be talked to while it runs; what still runs at the end is killed."""
    started: list[Running] = []

    def begin(*arguments: str, terminal: bool = False, env: Mapping[str, str] | None = None) -> Running:
        started.append(Running(arguments, folder, terminal=terminal, env=env or {}))
        return started[-1]

    yield begin
    for one in started:
        one.kill()
