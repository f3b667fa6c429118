"""All benchmarks, one after another, each in a process of its own: `make bench`.

    python -m benchmarks start host           some of them
    python -m benchmarks memory amqp kafka    that one, of these brokers

Those of a broker start its server by themselves. `BENCH_ROUNDS=1` before it makes one round of three, for a first look.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
#: What a benchmark is not, by its name.
SHARED = {"__init__", "__main__", "amqp_floor", "consuming", "report", "side_by_side", "watched"}


def names() -> list[str]:
    """Every benchmark, in order of its name."""
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem not in SHARED)


def about(name: str) -> str:
    """What a benchmark is about: the first line of its module."""
    return (ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text())) or "").partition("\n")[0]


def main() -> int:
    """Run them; the exit code says whether one failed."""
    given = sys.argv[1:]
    if {"-h", "--help"} & set(given):
        print(__doc__)
        print("\n".join(f"{name:10} {about(name)}" for name in names()))
        return 0
    # The first one's own arguments: the brokers whose memory is to be measured.
    arguments = given[1:] if given[:1] == ["memory"] else []
    wanted = given[: len(given) - len(arguments)] or names()
    if unknown := [name for name in wanted if name not in names()]:
        print(f"there is no benchmark {unknown[0]!r}; expected one of {', '.join(names())}", file=sys.stderr)
        return 2
    failed = []
    for number, name in enumerate(wanted, 1):
        print(f"[{number}/{len(wanted)}] {name}", file=sys.stderr, flush=True)
        began = time.monotonic()
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *arguments], check=False).returncode:
            failed.append(name)
        print(f"[{number}/{len(wanted)}] {name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
