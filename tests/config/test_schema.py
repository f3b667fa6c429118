"""The JSON Schema agrees with the loading, and tells an editor about the installed plugins."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from dragoman.config.schema import schema
from dragoman.plugins import Plugins, load_plugins
from tests.config.test_load import BOTH, GOOD
from tests.distributions import install


@pytest.fixture
def validator(site: Path) -> jsonschema.Draft202012Validator:
    """For the schema with two plugins, after it went through JSON."""
    install(site, "fine")
    install(site, "both", code=BOTH)
    found = json.loads(json.dumps(schema(load_plugins())))
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


def test_it_is_a_schema_of_its_draft(validator: jsonschema.Draft202012Validator) -> None:
    """And says so."""
    assert validator.schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_a_good_configuration_is_valid(validator: jsonschema.Draft202012Validator) -> None:
    """Clients by name and by scheme, units, variables, all forms of grants and dead letters."""
    validator.validate(tomllib.loads(GOOD))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[clients.a]\nurl = 'fine://x'",
        "[clients.a]\nurl = 'FINE://x'",
        "[clients.a]\nadapter = 'fine'\nlinger = '${LINGER}'\nacks = '${ACKS:-all}'",
        "[clients.a]\nadapter = 'fine'\nurl = 'localhost'",
        "[handlers.a]\npython = 'm:f'\nclient = 'c'\nconcurrency = '${N}'\ndeadline = '${N}s'\ninstances = '${I}'",
        "[handlers.a]\npython = 'm:f'\nclient = 'c'\ndeadline = 5\nlimits = { memory = '64MiB', fuel = 5 }",
        "[host]\ngrace = '1m'\ncache = 'here'",
    ],
)
def test_what_loads_is_valid(validator: jsonschema.Draft202012Validator, text: str) -> None:
    """Nothing right is underlined in an editor."""
    validator.validate(tomllib.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        "[client.a]\nadapter = 'fine'",
        "[clients.'a b']\nadapter = 'fine'",
        "[clients.a]",
        "[clients.a]\nadapter = 'fin'",
        "[clients.a]\nurl = 'pigeon://x'",
        "[clients.a]\nadapter = 'fine'\nlingr = 5",
        "[clients.a]\nadapter = 'fine'\nlinger = -5",
        "[clients.a]\nadapter = 'fine'\nlinger = 'long'",
        "[clients.a]\nadapter = 'fine'\nacks = 'some'",
        "[handlers.a]\npython = 'm:f'",
        "[handlers.a]\npython = 'm'\nclient = 'c'",
        "[handlers.a]\npython = 'm:f'\nclient = 'c'\nconcurrency = 0",
        "[handlers.a]\npython = 'm:f'\nclient = 'c'\nconcurency = 5",
        "[handlers.a]\npython = 'm:f'\nclient = 'c'\ndeadline = '5 parsecs'",
        "[handlers.a]\npython = 'm:f'\nclient = 'c'\nretry = { attempt = 5 }",
        "[handlers.a]\npython = 'm:f'\nclient = 'c'\nlimits = { memory = '5 pages' }",
        "[handlers.a]\npython = 'm:f'\nclient = 'c'\ndead_letter = { client = 'c' }",
        "[host]\ngrace = 'soon'",
    ],
)
def test_what_is_refused_is_not_valid(validator: jsonschema.Draft202012Validator, text: str) -> None:
    """An editor underlines what `dragoman check` would refuse."""
    table = tomllib.loads(text)
    assert not validator.is_valid(table)


def test_every_setting_is_described(validator: jsonschema.Draft202012Validator) -> None:
    """An editor has something to show for each key, those of plugins too."""
    missing: list[str] = []

    def look(where: str, value: Any) -> None:
        for name, item in value.get("properties", {}).items():
            if "description" not in item:
                missing.append(f"{where}.{name}")

    for name, definition in validator.schema["$defs"].items():
        look(name, definition)
    look("", validator.schema)
    assert not missing


def test_without_plugins_there_is_still_a_schema() -> None:
    """A broken installation must not keep an editor from working."""
    jsonschema.Draft202012Validator.check_schema(schema(Plugins([])))
