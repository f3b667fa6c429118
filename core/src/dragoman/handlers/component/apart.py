"""Compiles components in a process of its own, which may use up so much and no more.

A component of a few kilobytes can keep a compiler busy for hours and fill the machine's memory, and a thread that
compiles can't be stopped. So only what is too small for that is compiled here. `python -m
dragoman.handlers.component.apart` is that process: it reads a component, and writes its compiled code or what is wrong.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from typing import Any, Final

from dragoman.errors import ComponentError
from dragoman.handlers.component.bodies import binary, wrapped
from dragoman.handlers.component.engine import Engine

resource: Any
try:
    import resource
except ImportError:  # not on Windows: there nothing bounds it
    resource = None

#: Seconds of processor time, and bytes of memory, for one component: ten times what a large one in Python takes.
SECONDS: Final = 150
MEMORY: Final = 4 * 2**30
#: Bytes of a component that compiles in a moment whatever is in it, if it holds no other one: the worst time grows with
#: the square of the size, but with a power of two of how deep components are nested.
_SMALL: Final = 16 * 2**10
_CODE: Final = b"C"
_ERROR: Final = b"E"


def is_small(data: bytes) -> bool:
    """Whether it can be compiled here."""
    if len(data) > _SMALL:
        return False
    try:
        return all(section.id != binary.COMPONENT for section in binary.sections(data))
    except (binary.Unusual, IndexError):  # broken: that is found at once
        return True


def compile_here(engine: Engine, data: bytes) -> int:
    """The compiled component, with adapters for its bodies where it can have some. Blocks; see `Engine.compile`."""
    wrapper = wrapped(engine, data)
    with contextlib.suppress(ComponentError):
        if wrapper is not None:
            return engine.compile(wrapper)
    return engine.compile(data)


def compiled(engine: Engine, data: bytes) -> int:
    """The same, by a process of its own. Blocks, up to minutes.

    Raises:
        ComponentError: it is broken, or takes too long or too much memory to compile.
    """
    command = [sys.executable, "-m", __name__, str(SECONDS), str(MEMORY)]
    done = subprocess.run(command, input=data, capture_output=True, check=False)  # noqa: S603 - our own module
    kind, content = done.stdout[:1], done.stdout[1:]
    if done.returncode == 0 and kind == _CODE:
        return engine.adopt(content)
    if done.returncode == 0 and kind == _ERROR:
        raise ComponentError(content.decode())
    if done.returncode == -signal.SIGXCPU:
        raise ComponentError(f"it takes more than {SECONDS} s of processor time to compile")
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
    if b"memory" in done.stderr.lower():
        raise ComponentError(f"it takes more than {MEMORY / 2**30:g} GiB of memory to compile")
    raise ComponentError(f"the process that compiles it ended with {done.returncode}: {' '.join(said) or 'no reason'}")


def main(seconds: int, memory: int) -> None:
    """Be that process."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends a compiler, too
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    engine = Engine()
    data = sys.stdin.buffer.read()
    try:
        text = _CODE + engine.serialized(compile_here(engine, data))
    except ComponentError as error:
        text = _ERROR + error.what.encode()
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
