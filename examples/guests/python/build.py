"""Builds guest.wasm: `python build.py`. Needs componentize-py (`pip install componentize-py`)."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).absolute().parent
WORLD = "messaging-core"
#: Where a virtual environment has its programs, whether it is active or not.
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])

command = ["componentize-py", "-d", "wit", "-w", WORLD, "componentize", "app", "-o", "guest.wasm"]
print(*command)
try:
    done = subprocess.run(command, cwd=HERE, env={**os.environ, "PATH": PATH}, check=False)
except FileNotFoundError:
    raise SystemExit(f"{command[0]} is missing; what is needed stands at the top of build.py") from None
raise SystemExit(done.returncode)
