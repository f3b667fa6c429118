"""Whatever a guest does, it ends that guest only: the handler beside it misses nothing, and the loop goes on."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from itertools import count
from pathlib import Path
from time import thread_time
from typing import Any

import pytest

from dragoman.errors import ComponentError
from dragoman.handlers.component import apart, capi
from dragoman.handlers.component.components import Components
from tests.component.harness import longest_stall, opened
from tests.dictionary.broker import Broker
from tests.faults.guests import beside, settled
from tests.guests.build import COMPILED, component, source
from tests.host.running import put

#: Seconds of computing for which the loop may stand still: so much that only what never gives way takes longer. The
#: largest single step of a guest is to fill its memory.
STALL = 1.0
ENDLESS = "it took longer than its deadline of 0.4 s"
#: What a guest does, and what becomes of its message: the reason on its dead letter, or None where it is handled.
DEEDS = {
    "computes without end": ("L", ENDLESS),
    "fills its memory without end": ("F", ENDLESS),
    "copies its memory without end": ("C", ENDLESS),
    "fills a table without end": ("A", ENDLESS),
    "calls itself without end": ("D", "call stack exhausted"),
    "takes all the memory that it may": ("G", "unreachable"),
    "makes a body of 100 MB": ("B", "limits.payload"),
    "connects to a name of 100 MB": ("N", "limits.payload"),
    "sets millions of pairs": ("W", "limits.objects`| too much data is being copied"),
    "sets pairs that share their bytes": ("R", "too much data is being copied"),
    "adds pairs without end": ("P", "limits.memory"),
    "holds large messages without end": ("Q", "limits.memory"),
    "holds messages without end": ("M", "limits.objects"),
    "asks for the body without end": ("H", ENDLESS),
    "sends to a name that is no UTF-8": ("Y", "utf-8"),
    "never returns while it sends": ("S", ENDLESS),
    "drops twice": ("X", "unknown handle"),
    "uses what it dropped": ("Z", "unknown handle"),
    "sends what it dropped": ("E", "handle|cannot remove owned resource"),
    "takes a message for a client": ("J", "wrong type"),
    "makes a handle up": ("U", "unknown handle"),
    "connects to another client": ("O", "no grant for the client 'other'"),
    "returns ok": ("K", None),
}
SYSTEM = {
    "prints without end": ("O", f"{ENDLESS}|handle limit exceeded"),
    "exits with success": ("E", "ended its program with status 0"),
    "exits with failure": ("F", "ended its program with status 1"),
    "asks for 64 MB of randomness": ("R", "64000000 random bytes at once"),
    "asks for randomness without end": ("N", ENDLESS),
    "opens sockets": ("S", "open a socket, which is not granted"),
    "waits on a clock": ("W", "wait on a clock, which is not granted"),
    "reads the clock without end": ("C", ENDLESS),
}


async def _beside(guest: str | Path, order: bytes, expected: str | None) -> str | None:
    """Let a guest do it three times beside a busy neighbour; the reason on its dead letters."""
    settings: dict[str, Any] = {"deadline": "400ms" if expected and ENDLESS in expected else "30s"}
    if expected == "limits.memory":
        settings["limits"] = {"memory": "32MiB"}
    broker, names = Broker(), (f"{number:03}" for number in count())
    good: list[bytes] = []

    def more() -> None:
        bodies = [next(names).encode() for _ in range(25)]
        good.extend(bodies)
        put(broker, *bodies)

    async def run() -> None:
        async with beside(broker, guest, **settings) as host:
            for number in range(3):
                put(broker, order + bytes([number]), channel="bad")
                more()
                await settled(host, "neighbour", len(good))
                await settled(host, "hostile", number + 1)
                more()
                await settled(host, "neighbour", len(good))

    stall = await longest_stall(running := asyncio.create_task(run()))
    running.result()
    # What the guest itself managed to send before its end is three bytes of its own, or what it was given.
    sent = Counter(body for body in broker.data("out") if body != b"out" and not body.startswith(order))
    assert sent == Counter(good)
    assert stall < STALL
    letters = broker.messages("dead")
    assert len(letters) in (0, 3)
    reasons = {letter.get("dragoman-reason") for letter in letters}
    assert len(reasons) <= 1
    return reasons.pop() if reasons else None


def _matches(reason: str | None, expected: str | None) -> bool:
    if reason is None or expected is None:
        return reason is expected
    return "\n" not in reason and any(text.strip() in reason for text in expected.split("|"))


@pytest.mark.parametrize("deed", DEEDS)
async def test_a_hostile_guest_harms_only_itself(deed: str) -> None:
    """Its messages are dead letters that say why; its neighbour's are all handled, before, beside and after."""
    order, expected = DEEDS[deed]
    reason = await _beside("hostile", order.encode(), expected)
    assert _matches(reason, expected), reason


@pytest.mark.parametrize("deed", SYSTEM)
async def test_a_guest_that_abuses_the_system_harms_only_itself(deed: str) -> None:
    """The system's calls take no fuel, and are bounded all the same."""
    order, expected = SYSTEM[deed]
    reason = await _beside("hostile_system", order.encode(), expected)
    assert _matches(reason, expected), reason


@pytest.mark.parametrize("order", ["F", "C", "B", "N"])
async def test_steps_that_take_long_are_taken_where_nobody_waits_for_them(
    monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    """The loop computes none of them.

    What it does with all of its memory in one step is a fifth of a second of computing; everything beside it is done
    meanwhile, and so are its own dead letters.
    """
    long = list[float]()
    poll = capi.future_poll

    def timed(future: int) -> bool:
        began = thread_time()
        done = bool(poll(future))
        if thread_time() - began > 0.01:
            long.append(thread_time() - began)
        return done

    monkeypatch.setattr(capi, "future_poll", timed)
    broker = Broker()
    async with beside(broker, "hostile", deadline="400ms", concurrency=4) as host:
        for number in range(3):
            put(broker, *[order.encode() + b"out"] * 4, channel="bad")
            put(broker, *(f"{number}-{one:02}".encode() for one in range(50)))
            await settled(host, "neighbour", 50 * (number + 1))
            await settled(host, "hostile", 4 * (number + 1))
    assert not long
    assert len(broker.messages("dead")) == 12
    assert Counter(broker.data("out")) == Counter(f"{n}-{one:02}".encode() for n in range(3) for one in range(50))


async def test_ten_thousand_sends_in_one_call_all_arrive() -> None:
    """It is no attack, only much: the neighbour goes on, and the call is done."""
    broker = Broker()
    async with beside(broker, "hostile", deadline="30s") as host:
        put(broker, b"T", channel="bad")
        put(broker, *(f"{number:03}".encode() for number in range(100)))
        await settled(host, "neighbour", 100)
        await settled(host, "hostile", 1)
        assert host.counters["hostile"].sent == 10_000
    assert Counter(map(len, broker.data("out"))) == Counter({3: 10_100})


async def test_a_guest_never_starts_that_takes_for_ever_to_start(components: Components) -> None:
    """Its start function has the handler's deadline; the loop goes on meanwhile."""
    endless = source("noop").replace(
        '(func (export "handle")', '(func $ever (loop $more (br $more))) (start $ever) (func (export "handle")'
    )
    starting = asyncio.create_task(opened(components, component("endless-start", endless), deadline="200ms"))
    assert await longest_stall(starting) < STALL
    with pytest.raises(ComponentError, match=r"its start takes longer than its deadline of 0.2 s"):
        starting.result()


def _nested(depth: int) -> str:
    """Each level holds the one below twice, so the whole is two to the power of that."""
    if not depth:
        return "(component $c)"
    return f"(component $c {_nested(depth - 1)} (instance (instantiate $c)) (instance (instantiate $c)))"


def _tangled(steps: int) -> str:
    """A loop in which any of two thousand variables may come from any step."""
    assign = "(if (local.get 0) (then (local.set {} (i32.add (local.get {}) (i32.const 1)))))"
    body = "".join(assign.format(step % 2000 + 1, step * 7 % 2000 + 1) for step in range(steps))
    return f"(core module (func (param i32) {'(local i32) ' * 2000} (loop $more {body} (br_if $more (local.get 0)))))"


@pytest.mark.parametrize(
    ("bomb", "bounds", "told"),
    [
        (f"{_nested(40)} (instance (instantiate $c))", (150, 2**29), "more than 0.5 GiB of memory to compile"),
        (_tangled(7_000), (1, 2**32), "more than 1 s of processor time to compile"),
    ],
    ids=["memory", "time"],
)
async def test_a_component_that_takes_too_much_to_compile_is_a_mistake(
    components: Components, monkeypatch: pytest.MonkeyPatch, bomb: str, bounds: tuple[int, int], told: str
) -> None:
    """A kilobyte that takes all memory, or a hundred that take a minute: a process of its own has bounds for both."""
    monkeypatch.setattr(apart, "SECONDS", bounds[0])
    monkeypatch.setattr(apart, "MEMORY", bounds[1])
    whole = source("noop").replace("(component", f"(component {bomb}", 1)
    starting = asyncio.create_task(opened(components, component("bomb", whole)))
    assert await longest_stall(starting) < STALL
    with pytest.raises(ComponentError, match=told):
        starting.result()


def _endless(guest: str, where: str) -> str:
    """A guest whose own part in a call of the host, or after its own call, never ends."""
    forever = "(loop $ever (br $ever)) (unreachable)"
    text = source(guest)
    if where == "realloc":
        found = re.search(r'\(func \(export "realloc"\)[^\n]*\(result i32\)(\s*\(local [^)]*\))?', text)
    else:
        found = re.search(r'\(func \(export "handled"\) \(param i32\)', text)
    assert found
    return f"{text[: found.end()]} {forever} {text[found.end() :]}"


@pytest.mark.parametrize(
    ("guest", "where"), [("hostile", "realloc"), ("upper-wasmcloud", "realloc"), ("upper-wasmcloud", "post-return")]
)
async def test_a_guest_that_never_gives_memory_or_never_tidies_up_has_its_deadline(guest: str, where: str) -> None:
    """The engine calls it in the middle of a call of the host, before its handler, or after it; others go on."""
    path = component(f"endless-{guest}-{where}", _endless(guest, where))
    assert await _beside(path, b"K", ENDLESS) == ENDLESS


@pytest.mark.parametrize(
    ("limit", "value", "bomb"),
    [
        ("memory", "1MiB", "(core module $b (memory 100)) (core instance (instantiate $b))"),
        ("table_elements", 1000, "(core module $b (table 5000 funcref)) (core instance (instantiate $b))"),
        ("instances", 20, "(core module $b)" + "(core instance (instantiate $b))" * 30),
    ],
)
async def test_a_bomb_is_refused_at_the_start(components: Components, limit: str, value: object, bomb: str) -> None:
    """Memory, tables and instances beyond the limits: an error that names what is too much."""
    text = source("noop").replace("(core module $program", f"{bomb} (core module $program")
    with pytest.raises(ComponentError, match=r"can't be instantiated.*(limit|minimum size|exceed)"):
        await opened(components, component(f"bomb-{limit}", text), limits={limit: value})


NESTED = """
  (component $inner
    (core module $m (memory (export "memory") 2)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
      (func (export "take") (param i32 i32)))
    (core instance $i (instantiate $m))
    (func (export "take") (param "s" string) (canon lift (core func $i "take") (memory (core memory $i "memory"))
      (realloc (core func $i "realloc")) string-encoding=utf16)))
  (instance $in (instantiate $inner))
  (core module $program"""


async def test_components_inside_a_component_need_trust(components: Components) -> None:
    """The engine copies text between them without a bound on its time, so the configuration has to allow it."""
    path = component("composed", source("noop").replace("(core module $program", NESTED))
    with pytest.raises(ComponentError, match=r"several that have code.*`limits = \{ composed = true \}`"):
        await opened(components, path)
    await opened(components, path, limits={"composed": True})


@pytest.fixture
async def components() -> object:
    """Components on an engine of their own."""
    found = Components(COMPILED)
    yield found
    await found.close()
