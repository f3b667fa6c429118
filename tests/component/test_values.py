"""Conversions between Python and a guest: what goes in comes out, for every type, through a real component."""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dragoman.config.model import LimitsConfig
from dragoman.errors import ComponentError, Trapped
from dragoman.handlers.component.engine import Engine
from dragoman.handlers.component.instances import Instance
from dragoman.handlers.component.linker import HostFunction, Linker
from dragoman.handlers.component.program import Export, Program
from dragoman.handlers.component.shape import read_shape
from dragoman.handlers.component.types import Interface, Type
from dragoman.handlers.component.values import Err, Values
from tests.guests.build import component

TEXT = st.text(max_size=60)  # no surrogates: hypothesis leaves them out
PAIRS = st.lists(st.tuples(TEXT, TEXT), max_size=8)
ERROR = st.one_of(
    st.just(("timeout", None)),
    *(st.tuples(st.just(case), TEXT) for case in ("connection", "permission-denied", "other")),
)
_ERROR = '(variant (case "timeout") (case "connection" string) (case "permission-denied" string) (case "other" string))'


@dataclass(frozen=True)
class Echo:
    """A function of the guest that gives back its argument.

    Attributes:
        type: the type in WAT.
        core: the core types that the argument arrives in.
        values: what to try.
        layout: where each core value goes in the memory of the result, as (offset, store instruction); None where the
            result is one core value.
    """

    type: str
    core: str
    values: st.SearchStrategy[Any]
    layout: tuple[tuple[int, str], ...] | None = None

    def wat(self, name: str) -> tuple[str, str]:
        """The core function, and its lifting."""
        stores = "".join(
            f"(i32.const {64 + offset}) (local.get {number}) ({store}) "
            for number, (offset, store) in enumerate(self.layout or ())
        )
        result = self.core if self.layout is None else "i32"
        body = "local.get 0" if self.layout is None else f"{stores} (i32.const 64)"
        core = f'(func (export "{name}") (param {self.core}) (result {result}) {body})'
        lift = (
            f'(type ${name}-type {self.type}) (export ${name}-named "{name}-type" (type ${name}-type))'
            f'(func ${name} (param "a" ${name}-named) (result ${name}-named)'
            f' (canon lift (core func $m "{name}") (memory $memory) (realloc $realloc)))'
            f'(export "{name}" (func ${name}))'
        )
        return core, lift


def words(*offsets: int) -> tuple[tuple[int, str], ...]:
    """A layout of plain 32-bit words."""
    return tuple((offset, "i32.store") for offset in offsets)


def integers(bits: int, *, signed: bool) -> st.SearchStrategy[int]:
    """Every integer of so many bits."""
    low = -(1 << bits - 1) if signed else 0
    return st.integers(low, low + (1 << bits) - 1)


ECHOES = {
    "bool": Echo("bool", "i32", st.booleans()),
    **{
        f"{sign}{bits}": Echo(f"{sign}{bits}", "i64" if bits == 64 else "i32", integers(bits, signed=sign == "s"))
        for bits in (8, 16, 32, 64)
        for sign in "su"
    },
    "f32": Echo("f32", "f32", st.floats(width=32, allow_nan=False)),
    "f64": Echo("f64", "f64", st.floats(allow_nan=False)),
    "char": Echo("char", "i32", st.characters(exclude_categories=("Cs",))),
    "string": Echo("string", "i32 i32", st.text(max_size=3000), words(0, 4)),
    "bytes": Echo("(list u8)", "i32 i32", st.binary(max_size=5000), words(0, 4)),
    "numbers": Echo("(list s16)", "i32 i32", st.lists(integers(16, signed=True)), words(0, 4)),
    "texts": Echo("(list string)", "i32 i32", st.lists(TEXT), words(0, 4)),
    "metadata": Echo("(list (tuple string string))", "i32 i32", PAIRS, words(0, 4)),
    "bodies": Echo("(list (list u8))", "i32 i32", st.lists(st.binary(max_size=50)), words(0, 4)),
    "option-text": Echo("(option string)", "i32 i32 i32", st.none() | TEXT, words(0, 4, 8)),
    "option-number": Echo("(option u32)", "i32 i32", st.none() | integers(32, signed=False), words(0, 4)),
    "option-metadata": Echo("(option (list (tuple string string)))", "i32 i32 i32", st.none() | PAIRS, words(0, 4, 8)),
    "error": Echo(_ERROR, "i32 i32 i32", ERROR, words(0, 4, 8)),
    "done": Echo("(result (error $error-named))", "i32 i32 i32 i32", st.none() | ERROR.map(Err), words(0, 4, 8, 12)),
    "ok-only": Echo("(result string)", "i32 i32 i32", TEXT | st.just(Err()), words(0, 4, 8)),
    "plain-result": Echo("(result)", "i32", st.none() | st.just(Err())),
    "error-text": Echo("(result (error string))", "i32 i32 i32", st.none() | TEXT.map(Err), words(0, 4, 8)),
    "enum": Echo('(enum "kafka" "amqp" "raw")', "i32", st.sampled_from(["kafka", "amqp", "raw"])),
    "flags": Echo('(flags "a" "b" "c")', "i32", st.frozensets(st.sampled_from("abc"))),
    "tuple": Echo(
        "(tuple u8 u32)",
        "i32 i32",
        st.tuples(integers(8, signed=False), integers(32, signed=False)),
        words(0, 4),
    ),
    "record": Echo(
        '(record (field "subject" string) (field "body" (list u8)) (field "reply-to" (option string)))',
        "i32 i32 i32 i32 i32 i32 i32",
        st.tuples(TEXT, st.binary(max_size=100), st.none() | TEXT),
        words(0, 4, 8, 12, 16, 20, 24),
    ),
}  # fmt: skip


def echo_guest() -> str:
    """The guest, in WAT."""
    cores, lifts = zip(*(echo.wat(name) for name, echo in ECHOES.items()), strict=True)
    return f"""(component
      (import "host" (instance $host
        (export "thing" (type $thing (sub resource)))
        (export "make" (func (param "label" string) (result (own $thing))))
        (export "label" (func (param "thing" (borrow $thing)) (result string)))
        (export "join" (func (param "a" (borrow $thing)) (param "b" (own $thing)) (param "c" u32)
          (param "d" bool) (result string)))))
      (alias export $host "thing" (type $thing))
      (core module $heap (memory (export "memory") 4)
        (global $top (mut i32) (i32.const 1024))
        (func (export "clear") (global.set $top (i32.const 1024)))
        (func (export "realloc") (param i32 i32 i32) (param $size i32) (result i32) (global.get $top)
          (global.set $top
            (i32.add (global.get $top) (i32.and (i32.add (local.get $size) (i32.const 15)) (i32.const -16))))))
      (core instance $heap (instantiate $heap))
      (alias core export $heap "memory" (core memory $memory))
      (alias core export $heap "realloc" (core func $realloc))
      (core func $label (canon lower (func $host "label") (memory $memory) (realloc $realloc)))
      (core func $join (canon lower (func $host "join") (memory $memory) (realloc $realloc)))
      (core func $drop (canon resource.drop $thing))
      (core module $m
        (import "heap" "memory" (memory 1))
        (import "heap" "clear" (func $clear))
        (import "host" "label" (func $label (param i32 i32)))
        (import "host" "join" (func $join (param i32 i32 i32 i32 i32)))
        (import "host" "drop" (func $drop (param i32)))
        {"".join(cores)}
        (func (export "clear") (call $clear))
        (func (export "own") (param i32) (result i32) (local.get 0))
        (func (export "drop") (param i32) (call $drop (local.get 0)))
        (func (export "ask") (param i32) (result i32) (call $label (local.get 0) (i32.const 64)) (i32.const 64))
        (func (export "both") (param i32 i32) (result i32)
          (call $join (local.get 0) (local.get 1) (i32.const 7) (i32.const 1) (i32.const 64)) (i32.const 64)))
      (core instance $m (instantiate $m (with "heap" (instance $heap)) (with "host" (instance
        (export "label" (func $label)) (export "join" (func $join)) (export "drop" (func $drop))))))
      (func $clear (canon lift (core func $m "clear")))
      (func $own (param "a" (own $thing)) (result (own $thing)) (canon lift (core func $m "own")))
      (func $dropped (param "a" (own $thing)) (canon lift (core func $m "drop")))
      (func $ask (param "a" (own $thing)) (result string)
        (canon lift (core func $m "ask") (memory $memory)))
      (func $both (param "a" (own $thing)) (param "b" (own $thing)) (result string)
        (canon lift (core func $m "both") (memory $memory)))
      (export "clear" (func $clear)) (export "own" (func $own)) (export "dropped" (func $dropped))
      (export "ask" (func $ask)) (export "both" (func $both))
      {"".join(lifts)})"""


class Guest:
    """The echo guest, with its functions; one loop for all calls."""

    def __init__(self, engine: Engine) -> None:
        code = engine.compile(component("echo", echo_guest()).read_bytes())
        shape = read_shape(engine.pointer, code)
        linker = Linker(engine)
        host = shape.imports["host"]
        assert isinstance(host, Interface)
        calls: dict[str, Callable[..., Any]] = {
            "make": lambda _session, label: label,
            "label": lambda _session, thing: thing,
            "join": lambda _session, a, b, c, d: f"{a}-{b}-{c}-{d}",
        }
        functions = [HostFunction(name, type_, calls[name]) for name, type_ in host.functions.items()]
        linker.resources["thing"] = 1
        linker.add_interface("host", functions, ["thing"])
        self.program = Program(engine, code, linker, LimitsConfig(), None)
        self.exports: dict[str, Export] = {
            name: self.program.export(None, name, type_)
            for name, type_ in shape.exports.items()
            if not isinstance(type_, str | Interface)
        }
        self.loop = asyncio.new_event_loop()
        self.instance = Instance(self.program)
        self.loop.run_until_complete(self.instance.start())

    def __call__(self, name: str, *values: Any) -> Any:
        """Call a function."""
        self.loop.run_until_complete(self.instance.call(self.exports["clear"]))
        return self.loop.run_until_complete(self.instance.call(self.exports[name], *values))

    def close(self) -> None:
        """Drop it."""
        self.instance.close()
        self.program.close()
        self.loop.close()


@pytest.fixture(scope="module")
def echo() -> Iterator[Guest]:
    """The guest; one for all tests."""
    engine = Engine()
    guest = Guest(engine)
    yield guest
    guest.close()
    engine.close()
    assert engine.live == {}


@pytest.mark.parametrize("name", ECHOES)
def test_values_come_back_as_they_went(echo: Guest, name: str) -> None:
    """Every type of the generations, with whatever values hypothesis finds."""

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
    @given(ECHOES[name].values)
    def check(value: Any) -> None:
        assert echo(name, value) == value

    check()


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 1025, 4096, 65_536, 65_537, 200_000])
def test_bytes_of_any_size(echo: Guest, size: int) -> None:
    """Sizes around those at which the converter changes its way."""
    data = bytes(number * 31 % 256 for number in range(size))
    assert echo("bytes", data) == data
    assert echo("bytes", b"") == b""
    assert echo("bytes", data[:7]) == data[:7]


@pytest.mark.parametrize("data", [bytearray(b"abc"), memoryview(b"abc")])
def test_bytes_of_any_kind(echo: Guest, data: Any) -> None:
    """Whatever has bytes in it can be given."""
    assert echo("bytes", data) == b"abc"


def test_floats_that_are_no_numbers(echo: Guest) -> None:
    """NaN stays NaN; zero keeps its sign."""
    assert math.isnan(echo("f32", math.nan))
    assert math.isnan(echo("f64", math.nan))
    assert math.copysign(1, echo("f64", -0.0)) == -1


@given(st.text(alphabet=st.characters(min_codepoint=0xDC00, max_codepoint=0xE000) | st.characters(), max_size=20))
@settings(max_examples=60, deadline=None)
def test_any_text_reaches_a_guest_as_unicode(text: str) -> None:
    """Surrogates of any kind are replaced, the rest stays."""
    found = _echo()("string", text)
    found.encode()
    kept = [character for character in text if not 0xD800 <= ord(character) < 0xE000]
    assert [character for character in found if character != "\N{REPLACEMENT CHARACTER}"] == [
        character for character in kept if character != "\N{REPLACEMENT CHARACTER}"
    ]


_ECHO: list[Guest] = []


def _echo() -> Guest:
    if not _ECHO:
        _ECHO.append(Guest(Engine()))
    return _ECHO[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("u8", 256), ("u8", -1), ("s8", 128), ("u32", 1 << 32), ("s64", 1 << 63), ("bool", 2),
        ("string", 5), ("bytes", "text"), ("char", "ab"), ("enum", "other"), ("flags", frozenset("x")),
        ("error", ("unknown", None)), ("tuple", (1,)), ("tuple", (1, 2, 3)), ("record", ("a", b"")),
        ("texts", ["a", None]), ("metadata", [("a", "b"), ("c",)]), ("option-text", 1), ("done", Err(("other", 3))),
    ],
)  # fmt: skip
def test_values_of_another_type_are_refused(echo: Guest, name: str, value: Any) -> None:
    """A mistake of the host's is an exception there, not a crash; the instance can still be called."""
    with pytest.raises((TypeError, ValueError, KeyError, AttributeError, OverflowError, struct.error)):
        echo(name, value)
    assert echo("u8", 7) == 7


def test_handles(echo: Guest) -> None:
    """An owned object goes in and out as itself; one that the guest drops, or gives away, leaves the table."""
    thing = object()
    assert echo("own", thing) is thing
    assert echo.instance.objects == {}
    assert echo("ask", "label") == "label"
    assert list(echo.instance.objects.values()) == ["label"]
    echo("dropped", thing)
    assert list(echo.instance.objects.values()) == ["label"]
    assert echo("both", "a", "b") == "a-b-7-True"
    assert list(echo.instance.objects.values()) == ["label", "a"]


@pytest.mark.parametrize("kind", ["future", "stream", "error-context", "map", "fixed-list"])
def test_types_that_can_not_cross(kind: Any) -> None:
    """They are found when the converters are built, not in the middle of a message."""
    values = Values({})
    for build in (values.reader, values.writer):
        with pytest.raises(ComponentError, match="can't cross"):
            build(Type(kind))
        with pytest.raises(ComponentError, match="can't cross"):
            build(Type("option", (), (Type("option", (), (Type("u8"),)),)))
    with pytest.raises(ComponentError, match="can't cross"):
        values.writer(Type("own", ("unknown",)))


def test_a_full_table(echo: Guest) -> None:
    """The table of a store takes as many objects as its limits say."""
    instance = Instance(Program(echo.program.engine, 0, echo.program.linker, LimitsConfig(objects=2), None))
    instance.keep("a")
    instance.keep("b")
    with pytest.raises(Trapped, match="2 messages and clients"):
        instance.keep("c")
    instance.close()
