"""What is wrong with a component is said at start, in one line: what it is, what it has, what was expected."""

import asyncio
from pathlib import Path

import pytest
import wasmtime

from dragoman.config.model import HandlerConfig
from dragoman.errors import ComponentError
from dragoman.handlers.component import capi
from dragoman.handlers.component.components import Components
from dragoman.handlers.component.inspection import inspect
from tests.component.harness import opened
from tests.guests.build import COMPILED, component, guest, source

EMPTY = "(component)"
UNRELATED = """(component
  (import "wasi:messaging/types@0.2.0" (instance))
  (import "shop:prices/lookup@1.0.0" (instance))
  (core module $m (func (export "f") (result i32) i32.const 1))
  (core instance $m (instantiate $m))
  (func $f (result u32) (canon lift (core func $m "f")))
  (instance $i (export "handle" (func $f)))
  (export "wasi:messaging/incoming-handlers@0.2.0" (instance $i)))"""
ASYNCHRONOUS = """(component
  (core module $m
    (func (export "f") (result i32) i32.const 0)
    (func (export "cb") (param i32 i32 i32) (result i32) i32.const 0))
  (core instance $m (instantiate $m))
  (func (export "f") async (canon lift (core func $m "f") async (callback (core func $m "cb")))))"""
HUNGRY = source("upper").replace('(memory (export "memory") 1)', '(memory (export "memory") 3000)')
TRAPPING = source("upper").replace(
    '(func (export "clear") (global', '(func $boom (unreachable)) (start $boom) (func (export "clear") (global'
)
EXTRA_IMPORTS = source("upper").replace(
    "(component\n",
    '(component (import "shop:prices/lookup@1.0.0" (instance)) (import "sum" (func))'
    ' (import "wasi:http/types@0.2.0" (instance))'
    ' (import "wasi:messaging/consumer@0.2.0-draft" (instance (export "poll" (func))))',
    1,
)
MISFIT = source("upper").replace('(param "content-type" string)', '(param "content-type" (list u8))')


async def message_of(path: Path, **config: object) -> str:
    """The line with which opening a component fails, without the path in front."""
    components = Components(COMPILED)
    try:
        with pytest.raises(ComponentError) as raised:
            await opened(components, path, **config)
    finally:
        await components.close()
    text = str(raised.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    assert components._engine.live == {}
    return text.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "this is no WebAssembly file; expected a WebAssembly component"),
        (b"hello", "this is no WebAssembly file"),
        (b"(component)", "this is no WebAssembly file; expected a WebAssembly component (it looks like"),
        (wasmtime.wat2wasm("(module)"), "this is a core WebAssembly module; expected a WebAssembly component (`wasm-t"),
        (b"\0asm\x63\0\x01\0", "this is WebAssembly of an unknown version, 63000100"),
        (b"\0asm\x0d\0\x01\0\xff", "the component is broken: "),
    ],
)
async def test_files_that_are_no_component(tmp_path: Path, data: bytes, text: str) -> None:
    """Each is told apart."""
    (path := tmp_path / "guest.wasm").write_bytes(data)
    assert (await message_of(path)).startswith(text)


async def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Neither is a folder a file."""
    assert await message_of(tmp_path / "none.wasm") == "there is no such file"
    assert "can't be read: Is a directory" in await message_of(tmp_path)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (EMPTY, ["of no known generation", "it imports nothing but WASI and exports nothing but WASI",
                 "expected an export wasi:messaging/incoming-handler with handle: func(message"]),
        (UNRELATED, ["it imports wasi:messaging/types@0.2.0, shop:prices/lookup@1.0.0",
                     "exports wasi:messaging/incoming-handlers@0.2.0",
                     "did you mean 'wasi:messaging/incoming-handler'?"]),
        (ASYNCHRONOUS, ["the component is asynchronous, as of WASI 0.3", "expected a component for WASI 0.2"]),
        (EXTRA_IMPORTS, ["imports what nobody provides: shop:prices/lookup@1.0.0; sum, which is a function; wasi:http",
                         "/types@0.2.0; wasi:messaging/consumer@0.2.0-draft",
                         "expected only interfaces of wasi:messaging (core) and of WASI 0.2"]),
        (MISFIT, ["[method]message.set-content-type as (borrow<message>, list<u8>) (it is (borrow<message>, string))"]),
        (TRAPPING, ["can't be instantiated: the guest trapped: wasm `unreachable` instruction executed"]),
    ],
)  # fmt: skip
async def test_components_that_can_not_run_here(text: str, parts: list[str]) -> None:
    """The line says what the component is, what it imports and exports, and what was expected."""
    message = await message_of(component("start", text))
    for part in parts:
        assert part in message


async def test_a_component_that_needs_more_than_its_limits() -> None:
    """It is found at start, not at the first message."""
    path = component("hungry", HUNGRY)
    assert "exceeds memory limit" in await message_of(path, limits={"memory": "1MiB"})


async def test_a_granted_folder_that_is_not_there(tmp_path: Path) -> None:
    """The line names it."""
    folder = tmp_path / "missing"
    text = await message_of(guest("scripted"), wasi={"directories": {"/data": folder}})
    assert f"there is no folder {str(folder)!r}" in text


def test_inspection_of_a_good_component() -> None:
    """Generation, version, imports and exports as WIT, what it needs granted, and its size."""
    path = guest("scripted")
    found = inspect(path, cache=COMPILED)
    assert (found.generation, found.version, found.problems) == ("core", "0.2.0-draft", ())
    assert found.size == path.stat().st_size
    assert set(found.needs) == {"environment", "directories", "sleep"}
    send = "send: func(c: borrow<client>, topic: string, message: own<message>) -> result<_, error>;"
    assert send in found.imports["wasi:messaging/producer@0.2.0-draft"]
    assert "handle: func(message: own<message>)" in found.exports["wasi:messaging/incoming-handler@0.2.0-draft"]
    assert inspect(guest("upper"), cache=COMPILED).needs == ()


def test_inspection_of_a_component_that_can_not_run() -> None:
    """It is described all the same, with every problem."""
    found = inspect(component("start", EXTRA_IMPORTS), cache=COMPILED)
    assert found.generation == "core"
    assert found.problems == (
        "it imports what nobody provides: shop:prices/lookup@1.0.0",
        "it imports what nobody provides: sum, which is a function",
        "it imports what nobody provides: wasi:http/types@0.2.0",
        "it imports what nobody provides: wasi:messaging/consumer@0.2.0-draft",
    )
    unknown = inspect(component("start", UNRELATED), cache=COMPILED)
    assert unknown.generation is None
    assert "no known generation" in unknown.problems[0]


async def test_progress_is_told_before_a_long_compilation(tmp_path: Path) -> None:
    """Once; the next start finds the code."""
    told: list[str] = []
    config = HandlerConfig(component=guest("upper"), client="default")
    for _ in range(2):
        components = Components(tmp_path)
        await components.open("billing", config, progress=told.append)
        await components.close()
    assert len(told) == 1
    assert told[0].startswith("billing: compiling upper")


@pytest.mark.parametrize(
    ("version", "python", "text"),
    [
        ("51.0.0", (3, 12, 0), "wasmtime 51.0.0 is installed, whose C API .* unknown|wasmtime 51.0.0 is installed"),
        (None, (3, 12, 0), "wasmtime is not installed; expected wasmtime 50.0.1 .pip install wasmtime==50.0.1."),
        ("50.0.1", (3, 14, 0), "Python 3.14.0 aborts when a component calls the host; expected Python 3.14.1"),
    ],
)
def test_versions_that_would_crash_are_refused(
    monkeypatch: pytest.MonkeyPatch, version: str | None, python: tuple[int, int, int], text: str
) -> None:
    """An engine of another version, or the one Python that aborts, is an error and not a crash."""

    def installed(_name: str) -> str:
        if version is None:
            raise capi.importlib.metadata.PackageNotFoundError
        return version

    monkeypatch.setattr(capi.importlib.metadata, "version", installed)
    monkeypatch.setattr(capi.sys, "version_info", python)
    with pytest.raises(ComponentError, match=text):
        capi._version()


async def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    """Handlers and components may be closed again."""
    components = Components(tmp_path)
    handler = await opened(components, "upper")
    for _ in range(2):
        await handler.close()
        await components.close()


async def test_a_start_that_is_given_up_while_it_compiles_harms_nobody(tmp_path: Path) -> None:
    """The thread goes on with an engine that lasts as long, although everything was closed; the process lives."""
    body = "(local.set 0 (i32.mul (local.get 0) (i32.add (local.get 0) (i32.const 7))))" * 50
    many = f"(func (param i32) {body})" * 400
    path = component("slow-to-compile", source("noop").replace("(func (export", f"{many} (func (export", 1))
    components, compiling = Components(tmp_path / "cache"), asyncio.Event()
    loop = asyncio.get_running_loop()

    def progress(_: str) -> None:
        loop.call_soon_threadsafe(compiling.set)

    config = HandlerConfig(component=path, client="default")
    opening = asyncio.create_task(components.open("slow", config, progress=progress))
    await compiling.wait()
    opening.cancel()
    await asyncio.wait([opening])
    await components.close()
    assert opening.cancelled()
    assert components._engine.pointer
    async with asyncio.timeout(60):
        while components._engine.pointer:  # noqa: ASYNC110 - a thread has no event for it
            await asyncio.sleep(0.01)
