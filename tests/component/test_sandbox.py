"""What an untrusted guest may do: nothing that the host or another guest would notice."""

import asyncio
import contextlib
import logging
import os
from pathlib import Path
from time import thread_time

import pytest

from dragoman.errors import HandlerFailed, Trapped
from dragoman.handlers.component.components import Components
from dragoman.handlers.component.output import Stream
from dragoman.host.dead_letters import backtrace
from dragoman.message import Message
from tests.component.harness import Recorder, longest_stall, opened, order


@pytest.mark.parametrize(
    ("deed", "text"),
    [
        (b"T", "unreachable"),
        (b"D", "call stack exhausted"),
        (b"G", "unreachable"),
        (b"O", "out of bounds memory access"),
        (b"F", "unknown handle"),
        (b"C", "handle"),
        (b"U", "unknown handle"),
    ],
)
@pytest.mark.parametrize("instances", ["fresh", "reuse"])
async def test_misdeeds_end_the_guest_only(
    components: Components, context: Recorder, deed: bytes, text: str, instances: str
) -> None:
    """Each is a Trapped with its reason in one line, and the next message finds a working guest."""
    handler = await opened(components, "misbehaves", instances=instances, limits={"memory": "4MiB"})
    with pytest.raises(Trapped, match=text) as raised:
        await handler.handle([Message(deed)], context)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 1500
    await handler.handle([Message(b"K")], context)


async def test_a_trap_says_where_in_the_guest_it_happened(components: Components, context: Recorder) -> None:
    """The innermost functions are named, and not more than a few of them."""
    handler = await opened(components, "misbehaves")
    with pytest.raises(Trapped) as raised:
        await handler.handle([Message(b"D")], context)
    assert str(raised.value).count("program!dive") == 8
    assert raised.value.backtrace == ("program!dive",) * 20  # as many as the engine keeps
    assert backtrace(raised.value) == " < ".join(raised.value.backtrace)


async def test_fuel_is_a_budget_for_each_message(components: Components, context: Recorder) -> None:
    """A guest that computes too long is ended; a reused one gets the whole budget for every message."""
    handler = await opened(components, "misbehaves", limits={"fuel": 1_000_000})
    with pytest.raises(Trapped, match=r"used up its 1000000 units of fuel \(`limits.fuel`\)"):
        await handler.handle([Message(b"L")], context)
    frugal = await opened(components, "upper", instances="reuse", limits={"fuel": 200_000})
    for _ in range(20):
        await frugal.handle([Message(b"a" * 2000)], context)
    assert len(context.sent) == 20


async def test_objects_are_bounded(components: Components, context: Recorder) -> None:
    """A guest that makes messages without end is told how many it may hold."""
    handler = await opened(components, "misbehaves", limits={"objects": 50})
    with pytest.raises(Trapped, match=r"holds 50 messages and clients.*limits.objects"):
        await handler.handle([Message(b"M")], context)
    await handler.handle([Message(b"K")], context)


async def test_memory_is_bounded(components: Components, context: Recorder) -> None:
    """A Python guest runs out of memory by itself, at its limit."""
    handler = await opened(components, "scripted", limits={"memory": "64MiB"})
    with pytest.raises(Trapped):
        await handler.handle([order("keep_bytes", size=200_000_000)], context)


@pytest.mark.parametrize("deed", [b"L", b"H", b"S", b"D"])
async def test_a_busy_guest_does_not_hold_up_the_loop(components: Components, context: Recorder, deed: bytes) -> None:
    """Computing, calling the host and sending without end all give way; the deadline ends them."""
    handler = await opened(components, "misbehaves")

    async def bounded() -> None:
        async with asyncio.timeout(0.3):
            await handler.handle([Message(deed + bytes(30_000))], context)

    assert await longest_stall(bounded()) < 0.15
    assert components._engine.live == {}


async def test_of_many_busy_guests_one_goes_on_at_a_time(components: Components, context: Recorder) -> None:
    """Between two of them the loop runs, also where they send what takes no time: others wait for one, not all."""
    handler = await opened(components, "misbehaves")
    passes: list[set[object]] = [set()]

    async def sent() -> None:
        passes[-1].add(asyncio.current_task())

    async def bounded() -> None:
        async with asyncio.timeout(0.5):
            await handler.handle([Message(b"S" + bytes(3))], context)

    context.on_publish = sent
    guests = [asyncio.create_task(bounded()) for _ in range(8)]
    while not all(guest.done() for guest in guests):
        passes.append(set())
        await asyncio.sleep(0)
    assert all(isinstance(end, TimeoutError) for end in await asyncio.gather(*guests, return_exceptions=True))
    busy = [senders for senders in passes if senders]
    later = busy[len(busy) // 2 :]
    assert set().union(*later) == set(guests)
    assert max(map(len, later)) == 1


async def test_a_deadline_takes_effect_at_once(components: Components, context: Recorder) -> None:
    """Cancelling a computing guest takes milliseconds, not the rest of its computation."""
    handler = await opened(components, "misbehaves")
    task = asyncio.create_task(handler.handle([Message(b"L")], context))
    await asyncio.sleep(0.02)
    start = thread_time()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert thread_time() - start < 0.05


async def test_a_thousand_guests_wait_at_once(components: Components) -> None:
    """Each is put aside, not given a thread; a thousand and first waits for room."""
    handler = await opened(components, "upper")
    gate, full, waiting = asyncio.Event(), asyncio.Event(), 0

    async def publish() -> None:
        nonlocal waiting
        waiting += 1
        if waiting == 1000:
            full.set()
        await gate.wait()

    contexts = [Recorder() for _ in range(1001)]
    for context in contexts:
        context.on_publish = publish
    async with asyncio.TaskGroup() as group:
        for context in contexts:
            group.create_task(handler.handle([Message(b"a")], context))
        await full.wait()
        await asyncio.sleep(0.01)  # long enough for one more, if there were room
        assert waiting == 1000
        assert len(components._engine.live) == 1000
        gate.set()
    assert sum(len(context.sent) for context in contexts) == 1001
    assert components._engine.live == {}


async def test_memory_of_the_host_stays_flat(components: Components, context: Recorder) -> None:
    """Thousands of messages, errors and cancellations leave nothing behind."""

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    handler = await opened(components, "misbehaves")
    upper = await opened(components, "upper")

    async def round_of(count: int) -> None:
        for _ in range(count):
            await upper.handle([Message(b"a" * 5000)], context)
            with pytest.raises(HandlerFailed):
                await handler.handle([Message(b"E")], context)
            with pytest.raises(Trapped):
                await handler.handle([Message(b"T")], context)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await handler.handle([Message(b"L")], context)
        context.sent.clear()

    await round_of(100)
    before = resident()
    await round_of(700)
    assert resident() - before < 4 * 2**20


async def test_nothing_of_the_system_is_visible(components: Components, context: Recorder) -> None:
    """No environment, no files, no network, no waiting; clocks can be read."""
    handler = await opened(components, "scripted")
    await handler.handle([order("see")], context)
    assert context.answer == {"environment": {}, "root": []}
    await handler.handle([order("read", path="/etc/passwd", catch=True)], context)
    assert context.answer["case"] == "OSError"
    await handler.handle([order("clocks")], context)
    assert context.answer["wall"] > 1.6e9
    with pytest.raises(Trapped, match=r"wait on a clock, which is not granted.*`sleep = true`"):
        await handler.handle([order("sleep", seconds=0.01)], context)
    with pytest.raises((Trapped, HandlerFailed)):
        await handler.handle([order("resolve")], context)


async def test_grants(components: Components, context: Recorder, tmp_path: Path) -> None:
    """The configuration grants an environment, folders to read, folders to write, and waiting."""
    (tmp_path / "read").mkdir()
    (tmp_path / "read" / "a.txt").write_text("content")
    (tmp_path / "write").mkdir()
    handler = await opened(
        components,
        "scripted",
        wasi={
            "environment": {"NAME": "vålue", "OTHER": ""},
            "directories": {"/data": tmp_path / "read"},
            "writable": {"/out": tmp_path / "write"},
            "sleep": True,
        },
    )
    await handler.handle([order("see")], context)
    assert context.answer["environment"] == {"NAME": "vålue", "OTHER": ""}
    await handler.handle([order("read", path="/data/a.txt")], context)
    assert context.answer == "content"
    await handler.handle([order("write", path="/data/b.txt", text="x", catch=True)], context)
    assert context.answer["case"] == "OSError"
    await handler.handle([order("read", path="/data/../../etc/passwd", catch=True)], context)
    assert context.answer["case"] == "OSError"
    await handler.handle([order("write", path="/out/b.txt", text="x")], context)
    assert (tmp_path / "write" / "b.txt").read_text() == "x"
    await handler.handle([order("sleep", seconds=0.01)], context)


async def test_leaving_the_program_is_no_way_to_return(components: Components, context: Recorder) -> None:
    """A guest that exits, with any status, has not handled its message."""
    handler = await opened(components, "scripted")
    for status in (0, 3):
        with pytest.raises(Trapped, match="ended its program with status"):
            await handler.handle([order("leave", status=status)], context)


@pytest.mark.parametrize("instances", ["fresh", "reuse"])
async def test_output_goes_to_the_log(
    components: Components, context: Recorder, caplog: pytest.LogCaptureFixture, instances: str
) -> None:
    """Each line is a record with the handler's name: stdout as information, stderr as warning, nothing twice."""
    caplog.set_level(logging.INFO, "tests.handler")
    handler = await opened(components, "scripted", instances=instances)
    for number in range(3):
        await handler.handle([order("say", out=f"one {number}\ntwo\x1b[2J", err="oops\n")], context)
    found = [(record.levelname, record.getMessage()) for record in caplog.records]
    replaced = "\N{REPLACEMENT CHARACTER}"
    assert found == [
        line
        for number in range(3)
        for line in (
            ("INFO", f"stdout: one {number}"), ("INFO", f"stdout: two{replaced}[2J"), ("WARNING", "stderr: oops"),
        )
    ]  # fmt: skip
    assert {record.handler for record in caplog.records} == {"handler"}  # type: ignore[attr-defined]


async def test_output_of_a_guest_that_traps(
    components: Components, context: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    """What a guest printed before it trapped, its traceback above all, is in the log."""
    caplog.set_level(logging.INFO, "tests.handler")
    handler = await opened(components, "scripted")
    with pytest.raises(Trapped):
        await handler.handle([order("crash")], context)
    assert "stderr: RuntimeError: on purpose" in [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("instances", ["fresh", "reuse"])
async def test_output_is_bounded(
    components: Components, context: Recorder, caplog: pytest.LogCaptureFixture, instances: str
) -> None:
    """At most `limits.output` bytes of each stream reach the log for a message, and the log says so."""
    caplog.set_level(logging.INFO, "tests.handler")
    handler = await opened(components, "scripted", instances=instances, limits={"output": 1000})
    for _ in range(2):
        caplog.clear()
        await handler.handle([order("say", out="0123456789\n", times=20_000)], context)
        lines = [record.getMessage() for record in caplog.records]
        assert sum(len(line) - len("stdout: ") + 1 for line in lines[:-1]) <= 1001
        assert "left out, after 1000 bytes" in lines[-1]


async def test_lines_of_output_are_bounded(
    components: Components, context: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    """A record costs more than a byte, so 64 KiB of empty lines are not 65,536 records."""
    caplog.set_level(logging.INFO, "tests.handler")
    handler = await opened(components, "scripted")
    await handler.handle([order("say", out="\n" * 60_000)], context)
    assert len(caplog.records) == 501
    assert caplog.records[-1].getMessage() == "stdout: the rest is left out, after 500 lines"


async def test_a_long_error_is_cut_before_it_is_looked_at(components: Components, context: Recorder) -> None:
    """A guest may return megabytes as its reason: 2,000 characters are kept, and the loop does not stand still."""
    handler = await opened(components, "scripted")
    failing = asyncio.create_task(handler.handle([order("fail", case="other", text="a" * 3_000_000)], context))
    assert await longest_stall(failing) < 0.3
    with pytest.raises(HandlerFailed, match=r"the guest returned other: a{2000}$"):
        failing.result()


async def test_memory_for_output_is_bounded(
    components: Components, context: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much a guest prints, the host holds 16 MiB of it; a reused guest is replaced and prints again."""
    held: list[int] = []
    close = Stream.close

    def watched(stream: Stream) -> None:
        held.append(os.fstat(stream._file).st_blocks * 512)
        close(stream)

    monkeypatch.setattr(Stream, "close", watched)
    handler = await opened(components, "scripted", instances="reuse")
    for _ in range(3):
        with contextlib.suppress(Trapped):
            await handler.handle([order("say", out="x" * 50_000, times=600)], context)
    assert len(held) == 2 * 3
    assert max(held) == 16 * 2**20


async def test_long_lived_guests_may_print_for_ever(components: Components, context: Recorder) -> None:
    """A reused instance whose output is nearly full is replaced between two messages."""
    handler = await opened(components, "scripted", instances="reuse")
    for _ in range(8):
        await handler.handle([order("say", out="x" * 50_000, times=100)], context)
    assert len(context.sent) == 8
