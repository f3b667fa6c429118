"""`dragoman inspect`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from tests.cli.conftest import Run
from tests.guests.build import guest

UNKNOWN = '(component (import "acme:things/shop@1.0.0" (instance (export "buy" (func)))))'


@pytest.fixture
def unknown(folder: Path) -> Path:
    """A component that no generation knows."""
    path = folder / "guest.wasm"
    path.write_bytes(bytes(wat2wasm(UNKNOWN)))
    return path


def test_a_component_is_described(dragoman: Run, unknown: Path) -> None:
    """Its imports, its size, and why it can't run here."""
    done = dragoman("inspect", "guest.wasm")
    assert done.returncode == 2
    assert f"guest.wasm, {unknown.stat().st_size:,} bytes" in done.stdout
    assert "acme:things/shop@1.0.0" in done.stdout
    assert done.stderr.startswith("error: guest.wasm: ")


def test_as_json(dragoman: Run, unknown: Path) -> None:
    """For programs."""
    found = json.loads(dragoman("inspect", "guest.wasm", "--json").stdout)
    assert found["size"] == unknown.stat().st_size
    assert found["generation"] is None
    assert "acme:things/shop@1.0.0" in found["imports"]
    assert found["problems"]


def test_a_component_that_runs_here_is_code_0(dragoman: Run, folder: Path) -> None:
    """With its generation, and each interface with what is in it."""
    shutil.copy(guest("upper"), folder / "upper.wasm")
    done = dragoman("inspect", "upper.wasm")
    assert (done.returncode, done.stderr) == (0, "")
    assert "generation\n  core (0.2.0-draft)\n" in done.stdout
    assert "exports\n  wasi:messaging/incoming-handler@0.2.0-draft\n    handle: func(" in done.stdout
    assert "needs\n  nothing\n" in done.stdout


@pytest.mark.parametrize("data", [b"", b"\0asm\x01\0\0\0", b"hello"])
def test_what_is_no_component_is_a_line(dragoman: Run, folder: Path, data: bytes) -> None:
    """Not a traceback."""
    folder.joinpath("guest.wasm").write_bytes(data)
    done = dragoman("inspect", "guest.wasm")
    assert done.returncode == 2
    assert done.stderr.startswith("error: guest.wasm: ")
    assert len(done.stderr.splitlines()) == 1
