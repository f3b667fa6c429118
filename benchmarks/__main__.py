"""All benchmarks, one after another, each in a process of its own: `make bench`, or some: `python -m benchmarks start`.

Those of a broker start its server by themselves.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
#: What a benchmark is not, by its name.
SHARED = {"__init__", "__main__", "consuming", "report", "side_by_side"}


def names() -> list[str]:
    """Every benchmark, in order of its name."""
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem not in SHARED)


def main() -> int:
    """Run them; the exit code says whether one failed."""
    wanted = sys.argv[1:] or names()
    if unknown := [name for name in wanted if name not in names()]:
        print(f"there is no benchmark {unknown[0]!r}; expected one of {', '.join(names())}", file=sys.stderr)
        return 2
    failed = []
    for number, name in enumerate(wanted, 1):
        print(f"[{number}/{len(wanted)}] {name}", file=sys.stderr, flush=True)
        began = time.monotonic()
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode:
            failed.append(name)
        print(f"[{number}/{len(wanted)}] {name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
