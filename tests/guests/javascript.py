"""Guests of tests in JavaScript: made in a second each, by what the project of `dragoman new guest` brings along."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.guests import packages
from tests.guests.build import HERE, alone
from tests.guests.projects import PROJECTS, project, run


def shape(name: str) -> Path:
    """The component of `shapes/NAME.js`: in the shape of one of wasmCloud's examples, or `keyvalue`."""
    scripts = {"guest.js": (HERE / "shapes" / f"{name}.js").read_text()}
    worlds = "keyvalue" if name == "keyvalue" else "world"
    return _made(name, scripts, packages.sources(worlds), name, lambda folder: packages.together(worlds, folder))


def older(name: str) -> Path:
    """The component of `older/NAME.js`: a guest of an older form, which does what messages say.

    `wasmcloud-0.3` is `core` under another name.
    """
    package, world = {
        "topics": ("topics/2024-05", "messaging"),
        "core": ("core/2024-10", "messaging-request-reply"),
        "wasmcloud": ("wasmcloud/0.1", "messaging"),
        "wasmcloud-0.3": ("wasmcloud/0.3", "messaging-request-reply"),
    }[name]
    script = (HERE / "older" / f"{name.replace('wasmcloud-0.3', 'core')}.js").read_text()
    if name == "wasmcloud-0.3":
        script = script.replace("wasi:messaging", "wasmcloud:messaging").replace("0.2.0-draft", "0.3.0")
    scripts = {"guest.js": script, "text.js": (HERE / "older" / "text.js").read_text()}
    files = sorted((packages.WIT / package).glob("*.wit"))
    return _made(f"older-{name}", scripts, files, world, lambda _: packages.WIT / package)


def _made(
    name: str, scripts: Mapping[str, str], wit: Sequence[Path], world: str, place: Callable[[Path], Path]
) -> Path:
    """Make a component, if there is none of the same sources.

    Args:
        name: of its file.
        scripts: the program, by file; it begins with `guest.js`.
        wit: the files of its interface.
        world: the name of the world.
        place: where they are together, or else made so in a folder that is yet to be made.
    """
    tools = project("javascript")
    texts = [*scripts.values(), *(file.read_text() for file in wit), (tools / "package-lock.json").read_text()]
    made = PROJECTS / f"{name}-{hashlib.sha256(chr(0).join(texts).encode()).hexdigest()[:16]}.wasm"
    with alone(made):
        if not made.exists():
            with tempfile.TemporaryDirectory(dir=PROJECTS) as folder:
                scratch = Path(folder)
                for file, text in scripts.items():
                    (scratch / file).write_text(text)
                tool = tools / "node_modules" / ".bin" / "componentize-qjs"
                command = [
                    tool,
                    "--sync",
                    "--wit",
                    place(scratch / "wit"),
                    "--js",
                    "guest.js",
                    "-n",
                    world,
                    "-o",
                    "guest.wasm",
                ]
                run(scratch, "javascript", *command)
                (scratch / "guest.wasm").rename(made)
    return made
