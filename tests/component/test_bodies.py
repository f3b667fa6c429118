"""Bodies cross as text, through a wrapper around the component: the same bytes, and nothing else changes."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.handlers.component.bodies import EXPORTS, IMPORTS, plain, wrapped
from dragoman.handlers.component.components import Components
from dragoman.handlers.component.engine import Engine
from dragoman.handlers.component.shape import read_shape
from dragoman.handlers.component.types import Shape
from dragoman.message import Channel, Message
from tests.component.harness import Recorder, opened, order
from tests.guests.build import component, guest, source

#: One guest of each generation that reads a body and sends it on in capitals.
UPPER = ("upper", "upper-topics", "upper-wasmcloud", "upper-events", "upper-formats")


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """An engine."""
    engine = Engine()
    yield engine
    engine.close()


@pytest.mark.parametrize("name", [*UPPER, "keeps", "wasmcloud-0.1", "misbehaves", "scripted", "formats"])
def test_components_with_bodies_are_wrapped(engine: Engine, name: str) -> None:
    """Whatever language they are written in; what they import and export looks as before."""
    data = guest(name).read_bytes()
    outer = wrapped(engine, data)
    assert outer is not None
    if name not in ("scripted", "formats"):  # a large one takes seconds to compile
        found, before = _shape(engine, outer), _shape(engine, data)
        assert IMPORTS in found.imports
        assert (EXPORTS in found.exports) == (name not in ("upper", "upper-topics", "misbehaves"))
        assert plain(found) == before


@pytest.mark.parametrize(
    "text",
    [
        "(component)",
        source("older"),
        "(component (core module) " + source("upper").partition("(component")[2],
        '(component (import "f" (func)))',
        '(component (import "c" (component)))',
        '(component (import "wasi:messaging/types" (instance (export "message" (type (sub resource))))))',
    ],
)
def test_components_that_stay_as_they_are(engine: Engine, text: str) -> None:
    """Those without bodies, and those that are put together in another way."""
    assert wrapped(engine, component("bodies", text).read_bytes()) is None


@pytest.mark.parametrize("name", UPPER)
@pytest.mark.parametrize("kind", ["wrapped", "plain"])
async def test_every_byte_survives(components: Components, context: Recorder, kind: str, name: str) -> None:
    """Bodies of all bytes and many sizes, growing and shrinking, are the same on the other side."""
    handler = await opened(components, guest(name) if kind == "wrapped" else _plain(name), instances="reuse")
    every = bytes(byte for byte in range(256) if not chr(byte).islower() or byte > 127)
    for size in (0, 1, 5000, 3, 65_519, 65_520, 65_521, 200_000, 0, 7):
        data = (every * (size // len(every) + 1))[:size]
        await handler.handle([Message(data, channel=Channel("in"))], context)
        assert context.sent.pop()[2].data == data


@pytest.mark.parametrize("kind", ["wrapped", "plain"])
async def test_every_byte_survives_in_a_bucket(components: Components, context: Recorder, kind: str) -> None:
    """Through every function of `wasi:keyvalue` that takes or gives a value, one after another."""
    keyvalue = {"buckets": ("mine",), "path": ":memory:", "max_value": 2**20}
    path = guest("keeps") if kind == "wrapped" else _plain("keeps")
    handler = await opened(components, path, keyvalue=keyvalue, instances="reuse")
    for size in (0, 1, 5000, 3, 65_521, 200_000, 0, 7):
        data = (bytes(range(256)) * (size // 256 + 1))[:size]
        await handler.handle([Message(data, channel=Channel("in"))], context)
        assert context.sent.pop()[2].data == data


@pytest.mark.parametrize("name", UPPER[2:])
@pytest.mark.parametrize("kind", ["wrapped", "plain"])
async def test_texts_beside_a_body_survive(components: Components, context: Recorder, kind: str, name: str) -> None:
    """Whatever alphabet they are in, short or long, before or behind it."""
    handler = await opened(components, guest(name) if kind == "wrapped" else _plain(name), instances="reuse")
    for text in ("", "a", "é", "Ω", "𝄞", "aé" * 9000, "a" * 9000 + "Ω", "\0"):
        message = Message(b"\xff", (("key", text), ("reply-to", text)), channel=Channel("in"))
        await handler.handle([message], context)
        sent = context.sent.pop()[2]
        assert (sent.data, sent.key, sent.get("reply-to")) == (b"\xff", text, text)


@pytest.mark.parametrize("count", [0, 1, 100])
async def test_lists_of_messages_survive(components: Components, context: Recorder, count: int) -> None:
    """As many as went in, in order, each with what belongs to it."""
    handler = await opened(components, "upper-formats")
    batch = [
        Message(bytes([number]) * number, (("n", str(number)),), f"t/{number}", channel=Channel("in"))
        for number in range(128, 128 + count)
    ]
    await handler.handle(batch, context)
    assert [message for _, _, message in context.sent] == [replace(message, channel=None) for message in batch]


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


def _plain(name: str) -> Path:
    """The same guest, put together in a way that the wrapper leaves alone: a core module before the imports."""
    return component(f"plain-{name}", "(component (core module) " + source(name).partition("(component")[2])
