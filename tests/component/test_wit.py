"""`wit/core/` is a complete WIT package, and says what the host provides."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from dragoman.handlers.component.generations.core import GENERATION
from dragoman.handlers.component.inspection import inspect
from tests.component.harness import COMPILED
from tests.guests.build import ROOT, guest

WIT = ROOT / "wit" / "core"


@pytest.mark.parametrize("world", ["imports", "imports-request-reply", "messaging-core", "messaging-request-reply"])
def test_every_world_gives_bindings(world: str, tmp_path: Path) -> None:
    """componentize-py understands the package."""
    tool = Path(sys.executable).with_name("componentize-py")
    subprocess.run([tool, "-d", WIT, "-w", world, "bindings", tmp_path / world], check=True, capture_output=True)
    names = {path.stem for path in (tmp_path / world / "wit_world" / "imports").glob("*.py")}
    assert {"types", "producer"} <= names
    assert ("request_reply" in names) == world.endswith("request-reply")


def test_the_host_provides_what_the_package_says() -> None:
    """Every function of the package, as a guest built from it imports it, is provided, and no other is."""
    imports = inspect(guest("scripted"), cache=COMPILED).imports
    for interface, functions in GENERATION.provides.items():
        text = imports[f"wasi:messaging/{interface}@0.2.0-draft"]
        assert set(re.findall(r"^(\S+): ", text, re.MULTILINE)) == set(functions)
