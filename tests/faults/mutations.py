"""Opens damaged components: `python -m tests.faults.mutations SEED COUNT`, a process of its own: a crash would end it.

Each is an error of our tree, or it still runs, and is then given a message. Prints a JSON line with how often which.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from dragoman.config.model import HandlerConfig
from dragoman.errors import DragomanError
from dragoman.handlers.component.components import Components
from dragoman.message import Message
from tests.component.harness import Recorder
from tests.guests.build import guest

GUESTS: Final = ("upper", "hostile", "hostile_system", "noop", "older")
_HEADER: Final = b"\0asm\x0d\0\x01\0"


def _cut(data: bytearray, chance: random.Random) -> bytes:
    return bytes(data[: chance.randrange(len(data))])


def _flip(data: bytearray, chance: random.Random) -> bytes:
    for _ in range(chance.choice((1, 1, 1, 2, 8))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(data)


def _overwrite(data: bytearray, chance: random.Random) -> bytes:
    at, size = chance.randrange(len(data)), chance.randrange(1, 64)
    data[at : at + size] = chance.randbytes(size)
    return bytes(data)


def _move(data: bytearray, chance: random.Random) -> bytes:
    start, size, to = chance.randrange(len(data)), chance.randrange(1, 200), chance.randrange(len(data))
    piece = data[start : start + size]
    if chance.random() < 0.5:
        del data[start : start + size]
    data[to:to] = piece
    return bytes(data)


def _endless(data: bytearray, chance: random.Random) -> bytes:
    at = chance.randrange(8, len(data))
    data[at:at] = b"\xff" * chance.choice((4, 100, 100_000))
    return bytes(data)


def _random(data: bytearray, chance: random.Random) -> bytes:
    return (_HEADER if chance.random() < 0.8 else b"") + chance.randbytes(chance.randrange(2000))


_WAYS: Final[tuple[Callable[[bytearray, random.Random], bytes], ...]] = (
    _flip, _flip, _flip, _overwrite, _overwrite, _move, _cut, _endless, _random,
)  # fmt: skip


async def _outcome(components: Components, path: Path) -> str:
    config = HandlerConfig.model_validate(
        {"component": path, "client": "default", "deadline": "200ms", "limits": {"memory": "16MiB"}}
    )
    try:
        handler = await components.open("mutated", config)
    except DragomanError:
        return "refused"
    try:
        async with asyncio.timeout(0.1):
            await handler.handle([Message(b"Kilo")], Recorder())
    except DragomanError:
        return "failed"
    except TimeoutError:
        return "endless"
    finally:
        await handler.close()
        components._handlers.clear()
    return "handled"


async def run(seed: int, count: int) -> Counter[str]:
    """What became of so many; each is the same in every run with that seed."""
    outcomes: Counter[str] = Counter()
    originals = [guest(name).read_bytes() for name in GUESTS]
    components = Components(Path("/dev/null/no-cache"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mutated.wasm"
        for number in range(count):
            chance = random.Random(f"{seed} {number}")
            path.write_bytes(chance.choice(_WAYS)(bytearray(chance.choice(originals)), chance))
            print(f"{seed} {number}", file=sys.stderr, flush=True)  # the last one is the one that ends the process
            outcomes[await _outcome(components, path)] += 1
    await components.close()
    return outcomes


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(int(sys.argv[1]), int(sys.argv[2])))))
