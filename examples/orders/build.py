"""Builds orders.wasm from app.py and rules.py with componentize-py, where what it is made of has changed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
WIT: Final = HERE.parents[1] / "wit" / "core"
WORLD: Final = "messaging-request-reply"
COMPONENT: Final = HERE / "orders.wasm"
#: What the component was made of.
MADE_OF: Final = HERE / "orders.wasm.sha256"


def build() -> bool:
    """Make the component; returns False where it was there already.

    Raises:
        subprocess.CalledProcessError: componentize-py refuses; its `stderr` says why.
    """
    sources = _sources()
    if COMPONENT.exists() and MADE_OF.exists() and MADE_OF.read_text() == sources:
        return False
    draft = COMPONENT.with_suffix(f".{os.getpid()}")
    tool = Path(sys.executable).with_name("componentize-py")
    command = [str(tool), "-d", str(WIT), "-w", WORLD, "componentize", "app", "-p", str(HERE), "-o", str(draft)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
        draft.replace(COMPONENT)
    finally:
        draft.unlink(missing_ok=True)
    MADE_OF.write_text(sources)
    return True


def _sources() -> str:
    digest = hashlib.sha256(version("componentize-py").encode())
    for path in (HERE / "app.py", HERE / "rules.py", *sorted(WIT.glob("*.wit"))):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


if __name__ == "__main__":
    print(f"{COMPONENT.name}: {'built' if build() else 'already built'}")
