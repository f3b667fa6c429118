"""`dragoman plugins` and `dragoman schema`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema

from dragoman.version import __version__
from tests.cli.conftest import Run
from tests.cli.process import Running
from tests.distributions import install


def test_json_has_each_adapter_and_what_is_broken(dragoman: Run, folder: Path) -> None:
    """Name, distribution and version, format, schemes and capabilities; problems beside them."""
    install(folder, "fine", version="2.1")
    install(folder, "broken", code="import no_such_module_at_all")
    found = json.loads(dragoman("plugins", "--json", env={"PYTHONPATH": str(folder)}).stdout)
    adapters = {one["adapter"]: one for one in found["adapters"]}
    assert adapters["fine"] == {
        "adapter": "fine",
        "distribution": "dragoman-fine",
        "version": "2.1",
        "format": "raw",
        "schemes": ["fine"],
        "capabilities": ["queue"],
    }
    assert (adapters["embedded"]["distribution"], adapters["embedded"]["version"]) == ("dragoman", __version__)
    assert len(found["problems"]) == 1
    assert "dragoman-broken 1.0" in found["problems"][0]


def test_in_a_pipe_the_columns_are_plain(dragoman: Run, folder: Path) -> None:
    """Separated by tabs; a broken plugin is a warning on standard error."""
    install(folder, "broken", code="import no_such_module_at_all")
    done = dragoman("plugins", env={"PYTHONPATH": str(folder)})
    assert done.returncode == 0
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert rows[0] == ["ADAPTER", "DISTRIBUTION", "VERSION", "FORMAT", "SCHEMES", "CAPABILITIES"]
    assert ["embedded", "dragoman", __version__, "raw", "embedded"] in [row[:5] for row in rows]
    assert done.stderr.startswith("warning: plugin dragoman-broken 1.0: importing")
    assert len(done.stderr.splitlines()) == 1


def test_on_a_terminal_it_is_a_table(start: Callable[..., Running]) -> None:
    """With its head."""
    running = start("plugins", terminal=True)
    assert running.end() == 0
    assert "distribution" in running.text
    assert "embedded" in running.text


def test_schema_is_a_schema_with_the_plugins_in_it(dragoman: Run, folder: Path) -> None:
    """It accepts what it should, and refuses a misspelt setting of an adapter."""
    validator = jsonschema.Draft202012Validator(json.loads(dragoman("schema").stdout))
    assert validator.is_valid({"clients": {"orders": {"adapter": "embedded", "path": "x.db"}}})
    assert not validator.is_valid({"clients": {"orders": {"adapter": "embedded", "pat": "x.db"}}})
