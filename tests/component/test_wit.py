"""Each folder in `wit/` is a complete WIT package, and says what the host provides."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dragoman.handlers.component.generations import core, events, formats, topics, wasmcloud
from dragoman.handlers.component.generations.generation import Generation, InterfaceName
from dragoman.handlers.component.inspection import inspect
from tests.guests.build import COMPILED, ROOT, guest
from tests.guests.projects import run

WIT = ROOT / "wit"
#: Every package with its worlds, each with the interfaces that it imports.
WORLDS = {
    "core": {
        "imports": "types producer",
        "imports-request-reply": "types producer request_reply",
        "messaging-core": "types producer",
        "messaging-request-reply": "types producer request_reply",
    },
    "core/2024-10": {"messaging-core": "types producer", "messaging-request-reply": "types producer request_reply"},
    "events": {"service": "types pub sub"},
    "formats": {"messaging": "messaging_types producer consumer"},
    "formats/2023-06": {"messaging": "messaging_types producer consumer"},
    "topics": {"imports": "types producer consumer", "messaging": "types producer consumer"},
    "topics/2024-05": {"messaging": "types producer consumer"},
    "wasmcloud": {"imports": "types consumer", "messaging": "types consumer"},
    "wasmcloud/0.1": {"messaging": "types consumer"},
    "wasmcloud/0.3": {"messaging-core": "types producer", "messaging-request-reply": "types producer request_reply"},
    "interfaces/keyvalue": {"imports": "store atomics batch"},
    "interfaces/keyvalue/2024-02": {"imports": "store atomics batch"},
    "interfaces/logging": {"imports": "logging"},
    "interfaces/config": {"imports": "store"},
    "interfaces/config/2024-09": {"imports": "runtime"},
    "interfaces/bus": {"imports": "lattice"},
}


@pytest.mark.parametrize(("package", "world"), [(package, world) for package in WORLDS for world in WORLDS[package]])
def test_every_world_gives_bindings(package: str, world: str, tmp_path: Path) -> None:
    """componentize-py understands each package."""
    tool = Path(sys.executable).with_name("componentize-py")
    command = [tool, "-d", WIT / package, "-w", world, "bindings", tmp_path / world]
    done = subprocess.run(command, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
    names = {path.stem for path in (tmp_path / world / "wit_world" / "imports").glob("*.py")} - {"__init__"}
    assert names == set(WORLDS[package][world].split())


#: Of each world that exports a handler: the generation that a component of it is recognised as.
HANDLERS = {
    (package, world): package.partition("/")[0]
    for package, worlds in WORLDS.items()
    for world in worlds
    if not world.startswith("imports")
}


@pytest.mark.parametrize(("package", "world"), HANDLERS)
def test_a_component_of_every_world_is_recognised(package: str, world: str, tmp_path: Path) -> None:
    """One without anything in it, by wasm-tools: it imports and exports all that there is, and the host has it all."""
    made = tmp_path / "guest.wasm"
    for step in (["embed", WIT / package, "--world", world, "--dummy"], ["new", made]):
        run(tmp_path, "c", "wasm-tools", "component", *step, "-o", made)
    found = inspect(made, cache=COMPILED)
    assert (found.generation, found.problems) == (HANDLERS[package, world], ())


@pytest.mark.parametrize("package", WORLDS)
def test_every_package_is_read_by_other_tools(package: str, tmp_path: Path) -> None:
    """wasm-tools reads it, and what it prints again; `DRAGOMAN_WIT_BINDGEN` names a wit-bindgen to try, too."""
    printed = run(tmp_path, "c", "wasm-tools", "component", "wit", WIT / package)
    (tmp_path / "again.wit").write_text(printed)
    assert run(tmp_path, "c", "wasm-tools", "component", "wit", tmp_path / "again.wit") == printed
    if generator := os.environ.get("DRAGOMAN_WIT_BINDGEN"):
        for world in WORLDS[package]:
            for language in ("rust", "c", "cpp", "go", "moonbit"):
                run(tmp_path, "c", generator, language, WIT / package, "--world", world, "--out-dir", tmp_path / world)


def test_no_package_is_left_out() -> None:
    """A folder with WIT in it is one of those above."""
    assert {str(path.parent.relative_to(WIT)) for path in WIT.rglob("*.wit")} == set(WORLDS)


@pytest.mark.parametrize(
    ("name", "generation"),
    [
        ("scripted", core.GENERATION),
        ("events", events.GENERATION),
        ("formats", formats.LATER),
        ("formats-2023-06", formats.EARLIER),
        ("topics", topics.LATER),
        ("wasmcloud", wasmcloud.GENERATION),
    ],
)
def test_the_host_provides_what_the_package_says(name: str, generation: Generation) -> None:
    """Every function of the package, as a guest built from it imports it, is provided, and no other is."""
    imports = inspect(guest(name), cache=COMPILED).imports
    found = {parts.interface: text for full, text in imports.items() if (parts := InterfaceName.parse(full))}
    for interface, functions in generation.provides.items():
        older = {"request-multi"} if name == "wasmcloud" else set()
        assert set(re.findall(r"^(\S+): ", found[interface], re.MULTILINE)) == set(functions) - older
