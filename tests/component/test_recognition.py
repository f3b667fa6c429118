"""A generation is recognised from the component alone, by names first and then by shapes."""

import re
from pathlib import Path

import pytest

from dragoman.errors import ComponentError
from dragoman.handlers.component.components import Components
from dragoman.handlers.component.inspection import inspect
from tests.component.harness import opened
from tests.guests.build import COMPILED, component, guest, source

ANOTHER_ERROR = source("upper").replace('(case "other" string)', '(case "other" string) (case "mine" string)')

ASYNCHRONOUS = """(component
  (core module $m
    (func (export "f") (result i32) i32.const 0)
    (func (export "cb") (param i32 i32 i32) (result i32) i32.const 0))
  (core instance $m (instantiate $m))
  (func $f async (canon lift (core func $m "f") async (callback (core func $m "cb"))))
  (instance $i (export "handle-message" (func $f)))
  (export "wasmcloud:messaging/handler@0.3.0" (instance $i)))"""


@pytest.mark.parametrize(
    ("name", "generation", "version"),
    [
        ("upper", "core", "0.2.0-draft"),
        ("older", "core", "0.2.0-draft"),
        ("upper-wasmcloud", "wasmcloud", "0.2.0"),
        ("wasmcloud-0.1", "wasmcloud", "0.1.0"),
        ("upper-topics", "topics", "0.2.0-draft"),
        ("upper-formats", "formats", "0.2.0-draft"),
        ("upper-events", "events", None),
    ],
)
def test_inspection_shows_the_generation(name: str, generation: str, version: str | None) -> None:
    """With its version, and the interfaces as WIT."""
    found = inspect(guest(name), cache=COMPILED)
    assert (found.generation, found.version, found.problems) == (generation, version, ())
    exported = " ".join(found.exports.values())
    assert re.search(r"(handle|handler|handle-message|on-receive): func\(", exported)


@pytest.mark.parametrize("version", ["", "@0.1.0", "@0.2.0", "@0.2.0-draft", "@1.0.0-rc.1"])
@pytest.mark.parametrize(
    ("name", "generation"),
    [
        ("upper-wasmcloud", "wasmcloud"),
        ("upper", "core"),
        ("upper-topics", "topics"),
        ("upper-formats", "formats"),
        ("upper-events", "events"),
    ],
)
def test_versions_decide_nothing(name: str, generation: str, version: str) -> None:
    """Not even where two generations share one."""
    text = re.sub(r"(messaging/[a-z-]+)(@[^\"]+)?\"", rf'\1{version}"', source(name))
    assert inspect(component("versions", text), cache=COMPILED).generation == generation


MISNAMED = (
    source("upper-wasmcloud")
    .replace('"handle-message"', '"on-message"')
    .replace("(result (result (error string)))\n    (canon", "(result (result (error u32)))\n    (canon")
)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (ANOTHER_ERROR, [
            "it imports wasi:messaging/types@0.2.0-draft, wasi:messaging/producer@0.2.0-draft",
            "exports wasi:messaging/incoming-handler@0.2.0-draft",
            "expected an export wasi:messaging/incoming-handler with handle: func(message: message)",
            "(the nearest is `core`, whose handle is (own<message>) -> result<_, variant { timeout, ",
            "; here it is (own<message>) -> result<_, variant { timeout, connection(string), ",
            " other(string), mine(string) }>",
        ]),
        (MISNAMED, [
            "expected an export wasmcloud:messaging/handler with handle-message: func(msg: broker-message)",
            "the nearest is `wasmcloud`; wasmcloud:messaging/handler@0.2.0 has no handle-message",
        ]),
    ],
)  # fmt: skip
async def test_the_nearest_generation_is_named(text: str, parts: list[str], components: Components) -> None:
    """And how its handler differs."""
    with pytest.raises(ComponentError) as raised:
        await opened(components, component("nearest", text))
    for part in parts:
        assert part in str(raised.value)


async def test_asynchronous_components_are_told_what_they_are(components: Components) -> None:
    """Such as those of wasmCloud's newest interface, for WASI 0.3."""
    with pytest.raises(
        ComponentError, match=r"the component is asynchronous, as of WASI 0\.3 .*expected a component for"
    ):
        await opened(components, component("asynchronous", ASYNCHRONOUS))


def test_a_file_that_is_no_component(tmp_path: Path) -> None:
    """Is no generation's."""
    path = tmp_path / "guest.wasm"
    path.write_bytes(b"hello")
    with pytest.raises(ComponentError, match="no WebAssembly file"):
        inspect(path, cache=COMPILED)
