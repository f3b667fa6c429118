"""`dragoman inspect`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from tests.cli.conftest import Run

UNKNOWN = '(component (import "acme:things/shop@1.0.0" (instance (export "buy" (func)))))'


@pytest.fixture
def guest(folder: Path) -> Path:
    """A component that no generation knows."""
    path = folder / "guest.wasm"
    path.write_bytes(bytes(wat2wasm(UNKNOWN)))
    return path


def test_a_component_is_described(dragoman: Run, guest: Path) -> None:
    """Its imports, its size, and why it can't run here."""
    done = dragoman("inspect", "guest.wasm")
    assert done.returncode == 2
    assert f"guest.wasm, {guest.stat().st_size:,} bytes" in done.stdout
    assert "acme:things/shop@1.0.0" in done.stdout
    assert done.stderr.startswith("error: guest.wasm: ")


def test_as_json(dragoman: Run, guest: Path) -> None:
    """For programs."""
    found = json.loads(dragoman("inspect", "guest.wasm", "--json").stdout)
    assert found["size"] == guest.stat().st_size
    assert found["generation"] is None
    assert "acme:things/shop@1.0.0" in found["imports"]
    assert found["problems"]


@pytest.mark.parametrize("data", [b"", b"\0asm\x01\0\0\0", b"hello"])
def test_what_is_no_component_is_a_line(dragoman: Run, folder: Path, data: bytes) -> None:
    """Not a traceback."""
    folder.joinpath("guest.wasm").write_bytes(data)
    done = dragoman("inspect", "guest.wasm")
    assert done.returncode == 2
    assert done.stderr.startswith("error: guest.wasm: ")
    assert len(done.stderr.splitlines()) == 1
