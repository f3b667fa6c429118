"""Bodies cross as text, through a wrapper around the component: the same bytes, and nothing else changes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.handlers.component.bodies import INTERFACE, plain, wrapped
from dragoman.handlers.component.components import Components
from dragoman.handlers.component.engine import Engine
from dragoman.handlers.component.shape import read_shape
from dragoman.handlers.component.types import Shape
from dragoman.message import Message
from tests.component.harness import Recorder, opened, order
from tests.guests.build import component, guest, source

#: A core module before the imports is a thing that the wrapper leaves alone.
PLAIN = source("upper").replace("(component\n", "(component (core module)\n", 1)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """An engine."""
    engine = Engine()
    yield engine
    engine.close()


@pytest.mark.parametrize("name", ["upper", "misbehaves", "scripted"])
def test_components_with_bodies_are_wrapped(engine: Engine, name: str) -> None:
    """Whatever language they are written in; what they import and export looks as before."""
    data = guest(name).read_bytes()
    outer = wrapped(engine, data)
    assert outer is not None
    if name != "scripted":  # a large one takes seconds to compile
        found, before = _shape(engine, outer), _shape(engine, data)
        assert INTERFACE in found.imports
        assert plain(found) == before


@pytest.mark.parametrize(
    "text",
    [
        "(component)",
        source("older"),
        PLAIN,
        '(component (import "f" (func)))',
        '(component (import "c" (component)))',
        '(component (import "wasi:messaging/types" (instance (export "message" (type (sub resource))))))',
    ],
)
def test_components_that_stay_as_they_are(engine: Engine, text: str) -> None:
    """Those without bodies, and those that are put together in another way."""
    assert wrapped(engine, component("bodies", text).read_bytes()) is None


@pytest.mark.parametrize("kind", ["wrapped", "plain"])
@pytest.mark.parametrize("instances", ["fresh", "reuse"])
async def test_every_byte_survives(components: Components, context: Recorder, kind: str, instances: str) -> None:
    """Bodies of all bytes and many sizes, growing and shrinking, are the same on the other side."""
    handler = await opened(components, guest("upper") if kind == "wrapped" else _plain(), instances=instances)
    every = bytes(byte for byte in range(256) if not chr(byte).islower() or byte > 127)
    for size in (0, 1, 5000, 3, 65_519, 65_520, 65_521, 200_000, 0, 7):
        data = (every * (size // len(every) + 1))[:size]
        await handler.handle([Message(data)], context)
        assert context.sent.pop()[2].data == data


async def test_a_body_that_is_set(components: Components, context: Recorder) -> None:
    """`set-data` replaces the body, also with one that is no UTF-8 on the way."""
    handler = await opened(components, "scripted")
    await handler.handle([order("change", steps=[["set_data", "é" * 3000]])], context)
    assert context.answer["size"] == 6000


async def test_a_body_larger_than_the_guest_may_hold_is_refused_there(
    components: Components, context: Recorder
) -> None:
    """The adapter's memory has the same limit as the guest's."""
    handler = await opened(components, "upper", limits={"memory": "1MiB"})
    with pytest.raises(Exception, match="trapped"):
        await handler.handle([Message(bytes(2_000_000))], context)
    await handler.handle([Message(b"a")], context)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_broken_files_are_left_to_the_compiler(engine: Engine, data: st.DataObject) -> None:
    """The wrapper reads files that nobody has checked: whatever is in them, it gives up quietly."""
    whole = guest("upper").read_bytes()
    cut = whole[: data.draw(st.integers(8, len(whole)))]
    position = data.draw(st.integers(8, len(cut)))
    broken = cut[:position] + data.draw(st.binary(max_size=4)) + cut[position + data.draw(st.integers(0, 4)) :]
    outer = wrapped(engine, broken)
    assert outer is None or outer.startswith(b"\0asm")


def _shape(engine: Engine, data: bytes) -> Shape:
    component = engine.compile(data)
    try:
        return read_shape(engine.pointer, component)
    finally:
        engine.discard(component)


def _plain() -> Path:
    return component("plain", PLAIN)
