"""The traps for the unwary that were found in wasmtime's C API: each one is avoided, and stays avoided.

The numbers are those of the list that the engine was designed from.
"""

import asyncio
import gc
import subprocess
import sys
import textwrap
import weakref
from time import thread_time

import pytest

from dragoman.errors import Trapped
from dragoman.handlers.component.components import Components
from dragoman.handlers.component.generations import core
from dragoman.handlers.component.generations.core import GuestMessage
from dragoman.handlers.component.inspection import inspect
from dragoman.message import Message
from tests.component.harness import Recorder, opened, order
from tests.guests.build import COMPILED, ROOT, guest


@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt, SystemExit, RuntimeError])
async def test_1_what_a_host_function_raises_comes_out_of_handle(
    components: Components, context: Recorder, error: type[BaseException]
) -> None:
    """Whatever it is, it ends the guest's call and is raised by the caller; the process lives."""

    def connect(client: str) -> None:
        raise error

    context.connect = connect  # type: ignore[method-assign]
    handler = await opened(components, "upper")
    with pytest.raises(error):
        await handler.handle([Message(b"a")], context)


async def test_2_an_error_is_never_raised_by_another_call(components: Components, context: Recorder) -> None:
    """A call that follows a failed one, in any handler, knows nothing of it."""
    failing = Recorder()
    failing.connect = lambda _client: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    first, second = await opened(components, "upper"), await opened(components, "misbehaves")
    with pytest.raises(ZeroDivisionError):
        await first.handle([Message(b"a")], failing)
    await first.handle([Message(b"a")], context)
    await second.handle([Message(b"K")], context)


async def test_3_failing_after_the_guest_was_put_aside(components: Components, context: Recorder) -> None:
    """What is no error for a guest ends its call, also when it is raised after a wait."""

    async def publish() -> None:
        await asyncio.sleep(0.001)
        raise ZeroDivisionError

    context.on_publish = publish
    handler = await opened(components, "upper")
    with pytest.raises(ZeroDivisionError):
        await handler.handle([Message(b"a")], context)
    context.on_publish = None
    await handler.handle([Message(b"a")], context)
    assert len(context.sent) == 1


@pytest.mark.parametrize("instances", ["fresh", "reuse"])
async def test_4_a_call_can_be_cancelled_at_any_moment(
    components: Components, context: Recorder, instances: str
) -> None:
    """While it waits, before it runs and while it computes; nothing is left, and the handler goes on."""
    handler = await opened(components, "upper", instances=instances)
    spinning = await opened(components, "misbehaves", instances=instances)
    waiting = asyncio.Event()

    async def publish() -> None:
        waiting.set()
        await asyncio.Event().wait()

    context.on_publish = publish
    task = asyncio.create_task(handler.handle([Message(b"a")], context))
    await waiting.wait()
    assert not task.done()
    task.cancel()
    early = asyncio.create_task(handler.handle([Message(b"a")], context))
    await asyncio.sleep(0)
    early.cancel()
    busy = asyncio.create_task(spinning.handle([Message(b"L")], Recorder()))
    for _ in range(5):
        await asyncio.sleep(0)
    busy.cancel()
    results = await asyncio.gather(task, early, busy, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] * 3
    context.on_publish = None
    await handler.handle([Message(b"a")], context)
    await components.close()
    assert components._engine.live == {}


async def test_5_a_store_in_which_a_call_failed_is_not_used_again(components: Components, context: Recorder) -> None:
    """After a trap a reused instance is replaced by a new one."""
    handler = await opened(components, "scripted", instances="reuse")
    await handler.handle([order("count")], context)
    assert context.answer == 1
    with pytest.raises(Trapped):
        await handler.handle([order("crash")], context)
    await handler.handle([order("count")], context)
    assert context.answer == 1


async def test_6_one_call_at_a_time_in_each_store(components: Components) -> None:
    """Messages that are handled at once have an instance each, also reused ones."""
    handler = await opened(components, "upper", instances="reuse")
    inside, gate = 0, asyncio.Event()

    async def publish() -> None:
        nonlocal inside
        inside += 1
        if inside == 20:
            gate.set()
        await gate.wait()

    contexts = [Recorder() for _ in range(20)]
    for context in contexts:
        context.on_publish = publish
    await asyncio.gather(*(handler.handle([Message(f"m{n}".encode())], context) for n, context in enumerate(contexts)))
    assert [context.sent[0][2].data for context in contexts] == [f"M{n}".encode() for n in range(20)]
    assert len(components._engine.live) == 20


async def test_7_the_hosts_objects_go_with_the_store(
    components: Components, context: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a cancelled guest held is dropped, although no destructor runs for it."""
    made: list[weakref.ref[GuestMessage]] = []

    class Watched(GuestMessage):
        __slots__ = ("__weakref__",)

        def __init__(self, origin: Message) -> None:
            super().__init__(origin)
            made.append(weakref.ref(self))

    enough = asyncio.Event()

    async def publish() -> None:
        if len(made) > 10:
            enough.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(core, "GuestMessage", Watched)
    context.on_publish = publish
    handler = await opened(components, "misbehaves")
    task = asyncio.create_task(handler.handle([Message(b"S")], context))
    await enough.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    del task
    context.sent.clear()
    gc.collect()
    assert len(made) > 10
    assert [held for held in made if held() is not None] == []


async def test_8_borrowed_arguments_are_given_back(components: Components, context: Recorder) -> None:
    """Functions that borrow two handles at once can be called again and again."""
    handler = await opened(components, "scripted", instances="reuse")
    for _ in range(3):
        await handler.handle([order("ask", topic="t", timeout_ms=1)], context)
    assert len(context.requests) == 3


@pytest.mark.parametrize("when", ["before", "after"])
def test_9_faulthandler_does_not_take_a_trap_for_a_crash(when: str) -> None:
    """A program may enable faulthandler before or after the engine has started."""
    code = f"""
        import faulthandler
        if {when!r} == "before":
            faulthandler.enable()
        components = Components(Path({str(COMPILED)!r}))
        if {when!r} == "after":
            faulthandler.enable()
        handler = await opened(components, "misbehaves")
        for order in (b"O", b"T", b"D"):
            try:
                await handler.handle([Message(order)], Recorder())
            except Trapped as error:
                print(error.what)
        await components.close()
    """
    lines = _program(code).splitlines()
    assert len(lines) == 3
    assert "out of bounds" in lines[0]
    assert "unreachable" in lines[1]
    assert "stack" in lines[2]


def test_10_a_printing_guest_does_not_disturb_the_end_of_the_process() -> None:
    """Output is collected without threads: a process that has just run a printing guest ends well."""
    code = f"""
        components = Components(Path({str(COMPILED)!r}))
        handler = await opened(components, "scripted")
        for _ in range(20):
            await handler.handle([order("say", out="a")], Recorder())
        print("done")
    """
    assert _program(code) == "done\n"


async def test_11_a_computing_guest_lets_the_loop_run_by_fuel(components: Components, context: Recorder) -> None:
    """A guest that never calls the host still gives way, many times a second."""
    handler = await opened(components, "misbehaves")
    turns = 0
    task = asyncio.create_task(handler.handle([Message(b"L")], context))
    end = thread_time() + 0.3  # its own time: on a busy machine the process may hardly run
    while thread_time() < end:
        await asyncio.sleep(0)
        turns += 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert turns > 20


async def test_12_a_reused_guest_that_keeps_its_messages_is_replaced(components: Components, context: Recorder) -> None:
    """Messages that a guest never drops pile up; before it may hold no more, a new instance takes over."""
    handler = await opened(components, "scripted", instances="reuse", limits={"objects": 100})
    counts = []
    for _ in range(30):
        await handler.handle([order("keep", number=20)], context)
        counts.append(context.answer)
    assert max(counts) <= 60
    assert counts.count(20) >= 10


@pytest.mark.parametrize("name", ["upper", "scripted"])
async def test_13_what_a_guest_imports_beyond_its_needs_does_not_matter(components: Components, name: str) -> None:
    """A guest with six host functions, and one with everything and an odd export, are of the same generation."""
    found = inspect(guest(name), cache=COMPILED)
    assert found.generation == "core"
    assert ("exports" in found.exports) == (name == "scripted")


def _program(code: str) -> str:
    """The output of a program of its own, with the harness imported; it must end with status 0 and no complaint."""
    imports = """
        import asyncio
        from pathlib import Path
        from dragoman.errors import Trapped
        from dragoman.handlers.component.components import Components
        from dragoman.message import Message
        from tests.component.harness import Recorder, opened, order
    """
    body = textwrap.indent(textwrap.dedent(code), "    ")
    text = f"{textwrap.dedent(imports)}\nasync def main():\n{body}\nasyncio.run(main())\n"
    guest("scripted")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", text], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout
