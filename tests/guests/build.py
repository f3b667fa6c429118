"""Builds the guests of the tests and benchmarks, and keeps them under `.cache/` by the content of their sources.

from tests.guests.build import guest
path = guest("upper")
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import wasmtime

from dragoman.handlers.component.inspection import inspect

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CACHE = ROOT / ".cache" / "guests"
#: Compiled code outlives the tests' temporary folders: a Python guest takes seconds to compile.
COMPILED = ROOT / ".cache" / "compiled"
#: Of each Python guest: its folder, its world, and the folder of its WIT package.
WORLDS = {
    "scripted": ("scripted", "messaging-request-reply", "core"),
    "events": ("events", "service", "events"),
    "formats": ("formats", "messaging", "formats"),
    "formats-2023-06": ("formats", "messaging", "formats/2023-06"),
    "topics": ("topics", "messaging", "topics"),
    "wasmcloud": ("wasmcloud", "messaging", "wasmcloud"),
}


def guest(name: str) -> Path:
    """The component made of `NAME.wat`, or of a Python program as `WORLDS` says."""
    if (HERE / f"{name}.wat").exists():
        return component(name, source(name))
    folder, world, package = WORLDS[name]
    wit = ROOT / "wit" / package
    files = [*sorted((HERE / folder).glob("*.py")), *sorted(wit.glob("*.wit"))]
    tool = next(line for line in (ROOT / "constraints.txt").read_text().splitlines() if "componentize-py" in line)
    path = _place(name, b"".join(file.read_bytes() for file in files) + tool.encode())
    with alone(path):
        if not path.exists():
            draft = _draft(path)
            command = Path(sys.executable).with_name("componentize-py")
            subprocess.run(
                [command, "-d", wit, "-w", world, "componentize", "app", "-p", HERE / folder, "-o", draft],
                check=True,
                capture_output=True,
            )
            inspect(draft, cache=COMPILED)  # compiling takes as long as building: it is done once, too
            draft.replace(path)
    return path


def source(name: str) -> str:
    """The text of a guest in WAT."""
    return (HERE / f"{name}.wat").read_text()


def component(name: str, text: str) -> Path:
    """The component of a text in WAT."""
    path = _place(name, text.encode())
    if not path.exists():
        draft = _draft(path)
        draft.write_bytes(wasmtime.wat2wasm(text))
        draft.replace(path)
    return path


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let one process at a time make that file: it takes long, and several that run tests want the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _place(name: str, source: bytes) -> Path:
    CACHE.mkdir(parents=True, exist_ok=True)
    return CACHE / f"{name}-{hashlib.sha256(source).hexdigest()[:16]}.wasm"


def _draft(path: Path) -> Path:
    return path.with_suffix(f".{os.getpid()}")
