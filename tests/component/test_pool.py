"""Instances in a pool are as fresh as any, the pool is never exhausted, and what does not fit runs outside of it."""

import asyncio
import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from dragoman.errors import Trapped
from dragoman.handlers.component import pool
from dragoman.handlers.component.components import ComponentHandler, Components
from dragoman.message import Message
from tests.component.harness import Recorder, opened
from tests.guests.build import COMPILED, ROOT, component, guest, source

NOOP = source("noop")
#: Looks for traces of an earlier message in memory, tables and globals, leaves some, then returns, traps or never ends.
TRACES = """
    (memory $large 3)
    (table $table 2 funcref)
    (elem declare func $mark)
    (global $global (mut i32) (i32.const 0))
    (data (memory $large) (i32.const 8) "START")
    (func $mark)
    (func $clean (param $address i32)
      (if (i64.ne (i64.load $large (local.get $address)) (i64.const 0)) (then (unreachable)))
      (i64.store $large (local.get $address) (i64.const -1)))
    (func $leave-traces
      (if (i32.ne (memory.size $large) (i32.const 3)) (then (unreachable)))
      (if (global.get $global) (then (unreachable)))
      (if (i32.eqz (ref.is_null (table.get $table (i32.const 1)))) (then (unreachable)))
      (if (i32.ne (table.size $table) (i32.const 2)) (then (unreachable)))
      (if (i64.ne (i64.load $large (i32.const 8)) (i64.const 0x5452415453)) (then (unreachable)))
      (i64.store $large (i32.const 8) (i64.const -1))
      (call $clean (i32.const 0))
      (call $clean (i32.const 4096))
      (call $clean (i32.const 65528))
      (call $clean (i32.const 65536))
      (call $clean (i32.const 196600))
      (drop (memory.grow $large (i32.const 40)))
      (call $clean (i32.const 196608))
      (call $clean (i32.const 2818040))
      (table.set $table (i32.const 1) (ref.func $mark))
      (drop (table.grow $table (ref.func $mark) (i32.const 50)))
      (global.set $global (i32.const 1)))
"""


def changed(name: str, fields: str, *, then: str = "") -> Path:
    """The guest `noop` with more fields in its module, and something that it does before it returns."""
    text = NOOP.replace("    ;; The result", f"{fields}\n    ;; The result")
    drop = "(call $drop (local.get $message))"
    return component(name, text.replace(drop, f"{drop} {then}"))


def refused(grow: str) -> str:
    """Traps if the host does not let it grow."""
    return f"(if (i32.eq {grow} (i32.const -1)) (then (unreachable)))"


def in_pool(components: Components, handler: ComponentHandler) -> bool:
    """Whether its instances are put into the pool."""
    return handler._instances._program.engine is not components._engine


@pytest.mark.parametrize(
    ("end", "error", "text"),
    [
        ("", None, ""),
        ("(drop (i32.load (i32.const -8)))", Trapped, "out of bounds"),
        ("(loop $ever (br $ever))", TimeoutError, None),
    ],
    ids=["returns", "traps", "cancelled"],
)
async def test_nothing_is_left_of_an_earlier_message(
    components: Components, context: Recorder, end: str, error: type[Exception] | None, text: str | None
) -> None:
    """However an instance ended, the next in its place finds memories, tables and globals as the component says."""
    handler = await opened(components, changed("traces", TRACES, then=f"(call $leave-traces) {end}"))
    other = await opened(components, changed("traces", TRACES, then="(call $leave-traces)"))
    assert in_pool(components, handler)
    for _ in range(30):
        with pytest.raises(error, match=text) if error else contextlib.nullcontext():
            async with asyncio.timeout(0.005 if error is TimeoutError else None):
                await handler.handle([Message(b"")], context)
        await other.handle([Message(b"")], context)


async def test_traces_of_an_earlier_message_would_be_found(components: Components, context: Recorder) -> None:
    """The guest of the test above sees what it has left itself."""
    path = changed("traces", TRACES, then="(call $leave-traces)")
    handler = await opened(components, path, instances="reuse")
    await handler.handle([Message(b"")], context)
    with pytest.raises(Trapped, match="unreachable"):
        await handler.handle([Message(b"")], context)


async def test_the_pool_has_room_for_all_that_may_be_in_use(components: Components) -> None:
    """As many components as may run at once, each with as many memories and tables as one may have in the pool."""
    fields = "(memory 1) " * (pool._MEMORIES - 1) + "(table 1 funcref) " * pool._TABLES
    handler = await opened(components, changed("crowded", fields))
    assert in_pool(components, handler)
    instances = handler._instances
    taken = [await instances.take() for _ in range(pool.ROOM)]
    assert len(components._engine.live) == pool.ROOM
    while taken:
        instances.put(taken.pop())
    assert components._engine.live == {}


@pytest.mark.parametrize("fields", ["(memory 1) " * pool._MEMORIES, "(table 1 funcref) " * (pool._TABLES + 1)])
async def test_a_component_with_more_than_the_pool_holds(
    components: Components, context: Recorder, fields: str
) -> None:
    """It runs outside of the pool."""
    handler = await opened(components, changed("larger", fields))
    assert not in_pool(components, handler)
    await handler.handle([Message(b"")], context)


async def test_limits_that_are_larger_than_the_pools(components: Components, context: Recorder) -> None:
    """A table may grow up to the handler's limit, whatever fits into the pool."""
    grow = f"(table.grow $table (ref.null func) (i32.const {pool._TABLE_ELEMENTS}))"
    path = changed("grows", "(table $table 1 funcref)", then=refused(grow))
    with pytest.raises(Trapped, match="unreachable"):
        await (await opened(components, path)).handle([Message(b"")], context)
    handler = await opened(components, path, limits={"table_elements": 2 * pool._TABLE_ELEMENTS})
    assert not in_pool(components, handler)
    await handler.handle([Message(b"")], context)


async def test_a_memory_may_grow_to_its_limit_in_the_pool(components: Components, context: Recorder) -> None:
    """The pool has room for the largest memory that 32 bits address."""
    path = changed("memory", "", then=refused("(memory.grow (i32.const 16383))"))
    handler = await opened(components, path, limits={"memory": "1GiB"})
    assert in_pool(components, handler)
    await handler.handle([Message(b"")], context)
    with pytest.raises(Trapped, match="unreachable"):
        await (await opened(components, path)).handle([Message(b"")], context)


async def test_instances_that_are_kept_take_no_room_in_the_pool(components: Components) -> None:
    """The pool has no more places than instances may be in use."""
    assert not in_pool(components, await opened(components, "noop", instances="reuse"))


def test_a_system_with_little_address_space() -> None:
    """Where there is no room for a pool, components run without one."""
    code = f"""
import asyncio, resource
from pathlib import Path
from dragoman.handlers.component.components import Components
from dragoman.message import Message
from tests.component.harness import Recorder, opened
async def main():
    resource.setrlimit(resource.RLIMIT_AS, (2**40, 2**40))
    components = Components(Path({str(COMPILED)!r}))
    handler = await opened(components, "upper")
    context = Recorder()
    await handler.handle([Message(b"a")], context)
    print(context.sent[0][2].data, components._pooled)
    await components.close()
asyncio.run(main())
"""
    guest("upper")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "b'A' None\n", "")
