"""Builds guest.wasm: `python build.py`. Needs Node.js 20 or newer with npm."""

import subprocess
from pathlib import Path

HERE = Path(__file__).absolute().parent
WORLD = "messaging-core"


def run(*command):
    """Run a program here, or end with what it says."""
    print(*command)
    try:
        code = subprocess.run(command, cwd=HERE, check=False).returncode
    except FileNotFoundError:
        raise SystemExit(f"{command[0]} is missing; what is needed stands at the top of build.py") from None
    if code:
        raise SystemExit(code)


if not (HERE / "node_modules").exists():
    run("npm", "ci", "--no-audit", "--no-fund")
# Without --sync it would be a component of the asynchronous kind.
run("npx", "componentize-qjs", "--sync", "--wit", "wit", "--js", "guest.js", "--world", WORLD, "--output", "guest.wasm")
